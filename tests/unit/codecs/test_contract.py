"""One contract for every codec: round trip, size, error bound, odd inputs, damaged payloads."""

from __future__ import annotations

import contextlib
import zlib

import numpy as np
import pytest

from simsplit.codecs.contract import Codec, CodecError
from simsplit.codecs.entropy import EntropyCodec, count_codes
from simsplit.codecs.image import ImageCodec, PngTilesCodec, mosaic_grid, tile, untile
from simsplit.codecs.quantise import QuantiseCodec, quantise

SHAPE = (24, 4, 8)
BITS = (1, 4, 6, 8)


def feature(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).laplace(size=shape).astype(np.float32)


def tables(bits: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    many = [quantise(feature(seed, shape), bits).codes for seed in range(50, 90)]
    return count_codes(np.stack(many), bits)


def feature_codec(kind: str, bits: int, shape: tuple[int, ...] = SHAPE) -> Codec:
    match kind:
        case "packed":
            return QuantiseCodec(shape, bits)
        case "png_tiles":
            return PngTilesCodec(shape, bits)
        case _:
            return EntropyCodec(shape, tables(bits, shape))


def picture(shape: tuple[int, ...] = (64, 128, 3)) -> np.ndarray:
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    wave = 127 + 60 * np.sin(rows / 9.0) + 60 * np.cos(columns / 13.0)
    return np.repeat(wave[..., None], shape[2], axis=2).astype(np.uint8)


kinds = pytest.mark.parametrize("kind", ["packed", "png_tiles", "entropy"])
depths = pytest.mark.parametrize("bits", BITS)


@kinds
@depths
class TestFeatureCodecs:
    def test_error_is_at_most_half_a_step(self, kind: str, bits: int) -> None:
        codec, array = feature_codec(kind, bits), feature(1)
        restored = codec.decode(codec.encode(array))
        step = (array.max() - array.min()) / (2**bits - 1)
        assert restored.shape == SHAPE and restored.dtype == np.float32
        error = np.abs(restored - array).max()
        assert 0 < error <= step / 2 * (1 + 1e-5)

    def test_same_array_gives_same_bytes(self, kind: str, bits: int) -> None:
        codec = feature_codec(kind, bits)
        assert codec.encode(feature(2)) == codec.encode(feature(2))

    def test_constant_array_is_exact(self, kind: str, bits: int) -> None:
        codec, array = feature_codec(kind, bits), np.full(SHAPE, -3.25, np.float32)
        np.testing.assert_array_equal(codec.decode(codec.encode(array)), array)

    @pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 2), (3, 1, 1)])
    def test_tiny_arrays(self, kind: str, bits: int, shape: tuple[int, ...]) -> None:
        codec, array = feature_codec(kind, bits, shape), feature(3, shape)
        step = float(array.max() - array.min()) / (2**bits - 1)
        assert np.abs(codec.decode(codec.encode(array)) - array).max() <= step / 2 + 1e-6

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_no_number_is_refused(self, kind: str, bits: int, value: float) -> None:
        array = feature(4)
        array[3, 1, 2] = value
        with pytest.raises(CodecError, match="NaN"):
            feature_codec(kind, bits).encode(array)

    def test_other_shape_is_refused(self, kind: str, bits: int) -> None:
        with pytest.raises(CodecError, match="agreed"):
            feature_codec(kind, bits).encode(feature(4, (24, 8, 4)))

    def test_truncated_payload_is_refused(self, kind: str, bits: int) -> None:
        codec = feature_codec(kind, bits)
        payload = codec.encode(feature(5))
        for length in (0, 7, 9, len(payload) // 2, len(payload) - 1):
            with pytest.raises(CodecError):
                codec.decode(payload[:length])

    def test_impossible_range_is_refused(self, kind: str, bits: int) -> None:
        codec = feature_codec(kind, bits)
        payload = codec.encode(feature(6))
        swapped = payload[4:8] + payload[:4] + payload[8:]
        with pytest.raises(CodecError, match="no range"):
            codec.decode(swapped)


@depths
def test_packed_size_is_header_and_codes(bits: int) -> None:
    assert len(QuantiseCodec(SHAPE, bits).encode(feature())) == 8 + 768 * bits // 8


@depths
def test_entropy_size_is_near_the_information_of_its_tables(bits: int) -> None:
    array, frequencies = feature(7), tables(bits)
    codes = quantise(array, bits).codes.reshape(24, -1).astype(int)
    share = frequencies / frequencies.sum(axis=1, keepdims=True)
    information = -np.log2(np.take_along_axis(share, codes, axis=1)).sum()
    size = len(EntropyCodec(SHAPE, frequencies).encode(array)) * 8 - 80
    assert information <= size <= information * 1.002 + 64


def test_entropy_beats_packing_on_a_peaked_source() -> None:
    packed, coded = QuantiseCodec(SHAPE, 6), EntropyCodec(SHAPE, tables(6))
    assert len(coded.encode(feature(8))) < 0.9 * len(packed.encode(feature(8)))


def test_every_flipped_bit_of_an_entropy_payload_is_noticed() -> None:
    codec = EntropyCodec(SHAPE, tables(4))
    payload = codec.encode(feature(9))
    for bit in range(0, len(payload) * 8, 7):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CodecError):
            codec.decode(bytes(damaged))


def test_a_forged_checksum_never_crashes() -> None:
    """Random words behind a fitting checksum decode to some array or raise CodecError."""
    codec, rng = EntropyCodec(SHAPE, tables(4)), np.random.default_rng(0)
    for _ in range(50):
        body = codec.encode(feature(9))[:8] + rng.bytes(40)
        forged = body[:8] + (zlib.crc32(body) & 0xFFFF).to_bytes(2, "little") + body[8:]
        with contextlib.suppress(CodecError):
            assert codec.decode(forged).shape == SHAPE


def test_tables_must_fit() -> None:
    with pytest.raises(CodecError, match="fit"):
        EntropyCodec(SHAPE, tables(4)[:5])
    with pytest.raises(CodecError, match="at least 1"):
        EntropyCodec(SHAPE, np.zeros((24, 16), np.int64))


@pytest.mark.parametrize("bits", [0, 9])
def test_bit_depth_is_bounded(bits: int) -> None:
    with pytest.raises(CodecError, match="bit depth"):
        QuantiseCodec(SHAPE, bits)


@pytest.mark.parametrize(
    ("channels", "grid"), [(1, (1, 1)), (2, (1, 2)), (24, (4, 8)), (40, (8, 8)), (64, (8, 8))]
)
def test_tiles_hold_all_channels(channels: int, grid: tuple[int, int]) -> None:
    assert mosaic_grid(channels) == grid
    codes = np.random.default_rng(0).integers(0, 256, (channels, 3, 5)).astype(np.uint8)
    np.testing.assert_array_equal(untile(tile(codes), (channels, 3, 5)), codes)


CODECS = [ImageCodec("png"), ImageCodec("jpeg", 80), ImageCodec("webp", 80)]


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.image_format)
class TestImageCodecs:
    @pytest.mark.parametrize("shape", [(64, 128, 3), (8, 8, 3), (1, 1, 3), (9, 7, 3)])
    def test_round_trip_is_close(self, codec: ImageCodec, shape: tuple[int, ...]) -> None:
        array = picture(shape)
        restored = codec.decode(codec.encode(array))
        assert restored.shape == shape and restored.dtype == np.uint8
        error = np.abs(restored.astype(int) - array).mean()
        assert error == 0 if codec.image_format == "png" else error < 4

    def test_grey_pictures(self, codec: ImageCodec) -> None:
        array = picture((16, 16, 1))
        restored = codec.decode(codec.encode(array))
        assert np.abs(restored[..., :1].astype(int) - array).mean() < 4

    def test_constant_picture(self, codec: ImageCodec) -> None:
        array = np.full((16, 16, 3), 128, np.uint8)
        assert np.abs(codec.decode(codec.encode(array)).astype(int) - 128).max() <= 2

    def test_floats_and_empty_pictures_are_refused(self, codec: ImageCodec) -> None:
        for array in (np.full((8, 8, 3), np.nan, np.float32), np.zeros((0, 8, 3), np.uint8)):
            with pytest.raises(CodecError):
                codec.encode(array)

    def test_damaged_file_is_refused(self, codec: ImageCodec) -> None:
        payload = codec.encode(picture())
        for damaged in (b"", b"no picture at all", payload[: len(payload) // 2], payload[9:]):
            with pytest.raises(CodecError, match=codec.image_format):
                codec.decode(damaged)


def test_lower_quality_is_smaller() -> None:
    sizes = [len(ImageCodec("jpeg", quality).encode(picture())) for quality in (30, 60, 95)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


@pytest.mark.parametrize(("kind", "quality"), [("png", 3), ("jpeg", None), ("webp", 0)])
def test_quality_must_make_sense(kind: str, quality: int | None) -> None:
    with pytest.raises(CodecError, match="quality"):
        ImageCodec(kind, quality)  # type: ignore[arg-type]
