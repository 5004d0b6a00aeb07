"""One contract for every codec: round trip, size, error bound, odd inputs, damaged payloads."""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from simsplit.codecs import picture as formats
from simsplit.codecs.adaptive import AdaptiveEntropyCodec, channel_table, fit_channel
from simsplit.codecs.contract import Codec, CodecError
from simsplit.codecs.entropy import EntropyCodec, count_codes, range_encode
from simsplit.codecs.picture import ImageCodec
from simsplit.codecs.quantise import QuantiseCodec, quantise
from simsplit.codecs.tiles import (
    AvifTilesCodec,
    JpegTilesCodec,
    PngTilesCodec,
    WebpTilesCodec,
    mosaic_grid,
    tile,
    untile,
)

SHAPE = (24, 4, 8)
BITS = (1, 4, 6, 8)
NO_AVIF = pytest.mark.skipif(not formats.is_available("avif"), reason="this Pillow has no AVIF")

Shape = tuple[int, ...]
Make = Callable[[Shape], Codec]


def feature(seed: int = 0, shape: Shape = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).laplace(size=shape).astype(np.float32)


def tables(bits: int, shape: Shape = SHAPE) -> np.ndarray:
    many = [quantise(feature(seed, shape), bits).codes for seed in range(50, 90)]
    return count_codes(np.stack(many), bits)


@dataclass(frozen=True)
class Kind:
    """A codec with its setting; ``rms_steps``: bound of a lossy one, None where lossless."""

    name: str
    bits: int
    make: Make
    rms_steps: float | None = None
    notices: bool = False  # every damaged bit, by a checksum

    def error(self, shape: Shape = SHAPE, seed: int = 1, scale: float = 1.0) -> np.ndarray:
        """Errors of one round trip in quantisation steps."""
        array, codec = feature(seed, shape) * np.float32(scale), self.make(shape)
        restored = codec.decode(codec.encode(array))
        assert restored.shape == shape and restored.dtype == np.float32
        step = (float(array.max()) - float(array.min())) / (2**self.bits - 1)
        return np.abs(restored.astype(float) - array) / (step or 1.0)


def lossless(bits: int) -> list[Kind]:
    return [
        Kind("packed", bits, lambda shape: QuantiseCodec(shape, bits)),
        Kind("png_tiles", bits, lambda shape: PngTilesCodec(shape, bits)),
        Kind("entropy", bits, lambda s: EntropyCodec(s, tables(bits, s)), notices=True),
        Kind("adaptive", bits, lambda shape: AdaptiveEntropyCodec(shape, bits), notices=True),
    ]


def jpeg(quality: int) -> Make:
    return lambda shape: JpegTilesCodec(shape, quality)


def webp(quality: int) -> Make:
    return lambda shape: WebpTilesCodec(shape, quality)


def avif(quality: int) -> Make:
    return lambda shape: AvifTilesCodec(shape, quality)


# Root mean square error in steps of 1/255 of the range, as measured on Laplace noise, plus a fifth.
LADDERS: dict[str, tuple[Callable[[int], Make], dict[int, float]]] = {
    "jpeg_tiles": (jpeg, {95: 2.4, 80: 9.5, 50: 22.0, 10: 34.0}),
    "webp_tiles": (webp, {95: 1.8, 80: 4.6, 50: 8.3, 10: 19.5}),
    "avif_tiles": (avif, {95: 1.0, 80: 2.4, 50: 6.3, 10: 29.5}),
}
LOSSLESS = [kind for bits in BITS for kind in lossless(bits)]
LOSSLESS += [Kind("webp_tiles", 8, lambda shape: WebpTilesCodec(shape, lossless=True))]
LOSSY = [
    Kind(f"{name}-q{quality}", 8, make(quality), bound)
    for name, (make, bounds) in LADDERS.items()
    for quality, bound in bounds.items()
]


def cases(kinds: list[Kind]) -> pytest.MarkDecorator:
    params = [
        pytest.param(one, id=f"{one.name}-{one.bits}", marks=NO_AVIF if "avif" in one.name else ())
        for one in kinds
    ]
    return pytest.mark.parametrize("kind", params)


def decoded(codec: Codec, payload: bytes) -> np.ndarray | None:
    """What a payload decodes to, which must be a finite feature; None if it is refused."""
    try:
        array = codec.decode(payload)
    except CodecError:
        return None
    assert array.shape == SHAPE and array.dtype == np.float32 and np.isfinite(array).all()
    return array


def flipped(payload: bytes, bit: int) -> bytes:
    damaged = bytearray(payload)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


@cases(LOSSLESS + LOSSY)
class TestFeatureCodecs:
    def test_error_is_bounded(self, kind: Kind) -> None:
        error = kind.error()
        if kind.rms_steps is None:
            assert 0 < error.max() <= 0.5 * (1 + 1e-5)
        else:
            assert 0 < np.sqrt((error**2).mean()) <= kind.rms_steps

    def test_payload_is_bytes_behind_the_range(self, kind: Kind) -> None:
        array = feature(2)
        payload = kind.make(SHAPE).encode(array)
        assert type(payload) is bytes
        assert np.frombuffer(payload[:8], "<f4").tolist() == [array.min(), array.max()]

    def test_same_array_gives_same_bytes(self, kind: Kind) -> None:
        payloads = {kind.make(SHAPE).encode(feature(2)) for _ in range(2)}
        assert len(payloads) == 1

    def test_constant_array_is_exact(self, kind: Kind) -> None:
        codec, array = kind.make(SHAPE), np.full(SHAPE, -3.25, np.float32)
        np.testing.assert_array_equal(codec.decode(codec.encode(array)), array)

    @pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 2), (3, 1, 1)])
    def test_tiny_arrays(self, kind: Kind, shape: Shape) -> None:
        largest = kind.error(shape, seed=3).max()
        assert largest <= (0.5 + 1e-5 if kind.rms_steps is None else 4 * kind.rms_steps)

    def test_huge_values_are_as_any(self, kind: Kind) -> None:
        huge, usual = kind.error(scale=1e30), kind.error()
        np.testing.assert_allclose(huge, usual, atol=1e-3)

    def test_a_range_beyond_float32_is_refused(self, kind: Kind) -> None:
        array = feature(4)
        array[0, 0, :2] = (-3e38, 3e38)
        with pytest.raises(CodecError, match="overflows float32"):
            kind.make(SHAPE).encode(array)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_no_number_is_refused(self, kind: Kind, value: float) -> None:
        array = feature(4)
        array[3, 1, 2] = value
        with pytest.raises(CodecError, match="NaN"):
            kind.make(SHAPE).encode(array)

    def test_other_shape_is_refused(self, kind: Kind) -> None:
        with pytest.raises(CodecError, match="agreed"):
            kind.make(SHAPE).encode(feature(4, (24, 8, 4)))

    def test_empty_array_is_refused(self, kind: Kind) -> None:
        empty = (24, 0, 8)
        codec = EntropyCodec(empty, tables(4)) if kind.name == "entropy" else kind.make(empty)
        with pytest.raises(CodecError, match="nothing to code"):
            codec.encode(np.zeros(empty, np.float32))

    def test_truncated_payload(self, kind: Kind) -> None:
        codec = kind.make(SHAPE)
        payload = codec.encode(feature(5))
        for length in (0, 7, 8, 9, len(payload) // 2, len(payload) - 1):
            refused = decoded(codec, payload[:length]) is None
            assert refused or (kind.rms_steps is not None and length > 9)

    def test_impossible_range_is_refused(self, kind: Kind) -> None:
        codec = kind.make(SHAPE)
        payload = codec.encode(feature(6))
        swapped = payload[4:8] + payload[:4] + payload[8:]
        with pytest.raises(CodecError, match="no range"):
            codec.decode(swapped)

    @pytest.mark.filterwarnings("ignore")  # of what Pillow makes of a damaged header
    def test_flipped_bits_never_crash(self, kind: Kind) -> None:
        codec = kind.make(SHAPE)
        payload = codec.encode(feature(9))
        for bit in range(0, len(payload) * 8, 1 + len(payload) * 8 // 300):
            found = decoded(codec, flipped(payload, bit))
            assert found is None or not kind.notices

    @pytest.mark.filterwarnings("ignore")
    def test_random_bytes_never_crash(self, kind: Kind) -> None:
        codec, rng = kind.make(SHAPE), np.random.default_rng(0)
        payload = codec.encode(feature(9))
        for size in range(0, 60, 2):
            decoded(codec, rng.bytes(size))
            decoded(codec, payload[:8] + rng.bytes(size))
            decoded(codec, payload[: 8 + size] + rng.bytes(len(payload) - 8 - size))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=NO_AVIF if "avif" in n else ()) for n in LADDERS]
)
def test_error_shrinks_and_size_grows_with_quality(name: str) -> None:
    make, bounds = LADDERS[name]
    shape = (32, 16, 16)
    ladder = [Kind(name, 8, make(quality), 0.0) for quality in sorted(bounds)]
    rms = [float(np.sqrt((kind.error(shape) ** 2).mean())) for kind in ladder]
    sizes = [len(kind.make(shape).encode(feature(1, shape))) for kind in ladder]
    assert rms == sorted(rms, reverse=True) and len(set(rms)) == len(rms)
    assert sizes == sorted(sizes) and len(set(sizes)) == len(sizes)


HEADER_BYTES = [  # channels and side of the tiles; a constant mosaic's file, as the docstrings say
    ("png", (64, 8, 8), PngTilesCodec((64, 8, 8), 8), 84),
    ("png", (1, 8, 8), PngTilesCodec((1, 8, 8), 8), 69),
    ("jpeg", (64, 8, 8), JpegTilesCodec((64, 8, 8), 90), 177),
    ("jpeg", (1, 8, 8), JpegTilesCodec((1, 8, 8), 90), 160),
    ("webp", (64, 8, 8), WebpTilesCodec((64, 8, 8), 80), 66),
    ("webp lossless", (64, 8, 8), WebpTilesCodec((64, 8, 8), lossless=True), 40),
]


@pytest.mark.parametrize(("name", "shape", "codec", "size"), HEADER_BYTES)
def test_fixed_overhead_is_as_stated(name: str, shape: Shape, codec: Codec, size: int) -> None:
    constant = np.ones(shape, np.float32)
    assert len(codec.encode(constant)) - 8 == pytest.approx(size, rel=0.1)


@NO_AVIF
@pytest.mark.parametrize("shape", [(1, 8, 8), (64, 8, 8)])
def test_fixed_overhead_of_avif_is_as_stated(shape: Shape) -> None:
    payload = AvifTilesCodec(shape, 80).encode(np.ones(shape, np.float32))
    assert len(payload) - 8 == pytest.approx(300, rel=0.1)


def test_standard_huffman_tables_make_the_jpeg_header_that_studies_state() -> None:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(buffer, "jpeg", quality=90)
    assert len(buffer.getvalue()) == pytest.approx(328, rel=0.05)


@pytest.mark.parametrize("bits", BITS)
def test_packed_size_is_header_and_codes(bits: int) -> None:
    assert len(QuantiseCodec(SHAPE, bits).encode(feature())) == 8 + 768 * bits // 8


def information_bits(codes: np.ndarray, frequencies: np.ndarray) -> float:
    rows = codes.reshape(len(codes), -1).astype(int)
    share = frequencies / frequencies.sum(axis=1, keepdims=True)
    return float(-np.log2(np.take_along_axis(share, rows, axis=1)).sum())


@pytest.mark.parametrize("bits", BITS)
def test_entropy_size_is_near_the_information_of_its_tables(bits: int) -> None:
    array, frequencies = feature(7), tables(bits)
    information = information_bits(quantise(array, bits).codes, frequencies)
    size = len(EntropyCodec(SHAPE, frequencies).encode(array)) * 8 - 80
    assert information <= size <= information * 1.002 + 64


def test_entropy_beats_packing_on_a_peaked_source() -> None:
    packed, coded = QuantiseCodec(SHAPE, 6), EntropyCodec(SHAPE, tables(6))
    assert len(coded.encode(feature(8))) < 0.9 * len(packed.encode(feature(8)))


@pytest.mark.parametrize("codec", [EntropyCodec(SHAPE, tables(4)), AdaptiveEntropyCodec(SHAPE, 4)])
def test_every_flipped_bit_of_an_entropy_payload_is_noticed(codec: Codec) -> None:
    payload = codec.encode(feature(9))
    for bit in range(0, len(payload) * 8, 7):
        with pytest.raises(CodecError):
            codec.decode(flipped(payload, bit))


@pytest.mark.parametrize("codec", [EntropyCodec(SHAPE, tables(4)), AdaptiveEntropyCodec(SHAPE, 4)])
def test_a_forged_checksum_never_crashes(codec: Codec) -> None:
    """Random bytes behind a fitting checksum decode to some array or raise CodecError."""
    rng = np.random.default_rng(0)
    for size in range(100):
        body = codec.encode(feature(9))[:8] + rng.bytes(size)
        forged = body[:8] + (zlib.crc32(body) & 0xFFFF).to_bytes(2, "little") + body[8:]
        decoded(codec, forged)


def test_tables_must_fit() -> None:
    with pytest.raises(CodecError, match="fit"):
        EntropyCodec(SHAPE, tables(4)[:5])
    with pytest.raises(CodecError, match="at least 1"):
        EntropyCodec(SHAPE, np.zeros((24, 16), np.int64))
    with pytest.raises(CodecError, match="at least 1"):
        EntropyCodec((0, 4, 8), np.zeros((0, 16), np.int64))


class TestAdaptiveEntropy:
    def test_size_is_header_parameters_and_the_information_of_its_tables(self) -> None:
        array = feature(7)
        codes = quantise(array, 8).codes
        fitted = [fit_channel(row.reshape(-1), 8) for row in codes]
        frequencies = np.stack([channel_table(one, 8) for one in fitted])
        information = information_bits(codes, frequencies)
        size = len(AdaptiveEntropyCodec(SHAPE, 8).encode(array)) * 8 - 8 * (8 + 2 + 2 * 24)
        assert information <= size <= information * 1.002 + 64

    def test_the_payload_is_laid_out_as_stated(self) -> None:
        array = feature(7)
        payload = AdaptiveEntropyCodec(SHAPE, 8).encode(array)
        codes = quantise(array, 8).codes.reshape(24, -1)
        fitted = [fit_channel(row, 8) for row in codes]
        side = b"".join(bytes((m, s << 4 | t)) for m, s, t in fitted)
        counts = np.stack([channel_table(one, 8) for one in fitted])
        words = range_encode(codes, counts / counts.sum(axis=1, keepdims=True))
        assert payload[10:] == side + words
        check = zlib.crc32(payload[:8] + payload[10:]) & 0xFFFF
        assert payload[8:10] == check.to_bytes(2, "little")

    def test_a_dead_channel_costs_its_parameters_only(self) -> None:
        array = np.zeros((64, 8, 8), np.float32)
        array[5] = feature(1, (8, 8))
        codec, alone = AdaptiveEntropyCodec((64, 8, 8), 8), AdaptiveEntropyCodec((1, 8, 8), 8)
        extra = len(codec.encode(array)) - len(alone.encode(array[5:6]))
        assert extra == 2 * 63
        assert np.abs(codec.decode(codec.encode(array)) - array).max() < 0.02

    def test_parameters_are_packed_without_gaps(self) -> None:
        zeros = np.zeros((5, 2, 2), np.float32)
        assert len(AdaptiveEntropyCodec((5, 2, 2), 6).encode(zeros)) == 8 + 2 + 9  # 70 bits
        assert len(AdaptiveEntropyCodec((5, 2, 2), 4).encode(zeros)) == 8 + 2 + 8  # 60 bits

    @pytest.mark.parametrize("sparse", [0.0, 0.5, 0.95])
    def test_the_fit_is_near_the_best_of_all_parameters(self, sparse: float) -> None:
        rng = np.random.default_rng(3)
        codes = np.abs(rng.laplace(0, 2.5, 512)).clip(0, 15).astype(np.uint8)
        codes[rng.random(512) < sparse] = 2
        counts = np.bincount(codes, minlength=16)

        def size_bits(setting: tuple[int, int, int]) -> float:
            table = channel_table(setting, 4)
            return float(-(counts * np.log2(table / table.sum())).sum())

        every = [(m, s, t) for m in range(16) for s in range(1, 16) for t in range(16)]
        assert size_bits(fit_channel(codes, 4)) <= min(map(size_bits, every)) * 1.01

    def test_the_tables_are_the_formula(self) -> None:
        centre, scale, weight, k = 3, 6, 2, np.arange(16)
        decay = np.exp(-np.abs(k - centre) / (0.3 * 1.5**5))
        share = 0.5 * decay / decay.sum() + 0.5 * (k == centre)
        table = channel_table((centre, scale, weight), 4)
        np.testing.assert_allclose(table, share * 65536, atol=0.51)
        assert channel_table((0, 1, 15), 8).min() == 1

    def test_the_tables_are_the_same_everywhere(self) -> None:
        digest = hashlib.sha256()
        for setting in ((m, s, t) for m in (0, 7, 15) for s in range(1, 16) for t in range(16)):
            digest.update(channel_table(setting, 4).astype("<i8").tobytes())
        assert digest.hexdigest()[:16] == "a1d6125e3b357323"

    def test_rectified_features_cost_less_than_in_png(self) -> None:
        gains = np.random.default_rng(1).gamma(1, 1, (32, 1, 1)).astype(np.float32)
        array = np.maximum(feature(8, (32, 16, 16)), 0) * gains
        adaptive, png = AdaptiveEntropyCodec(array.shape, 8), PngTilesCodec(array.shape, 8)
        assert len(adaptive.encode(array)) < 0.9 * len(png.encode(array))


@pytest.mark.parametrize("bits", [0, 9])
def test_bit_depth_is_bounded(bits: int) -> None:
    for make in (QuantiseCodec, PngTilesCodec, AdaptiveEntropyCodec):
        with pytest.raises(CodecError, match="bit depth"):
            make(SHAPE, bits)


def test_lossy_tiles_need_eight_bits() -> None:
    with pytest.raises(CodecError, match="bit depth 6: a lossy jpeg needs 8"):
        JpegTilesCodec(SHAPE, 90, 6)


def test_channels_need_three_dimensions() -> None:
    for make in (lambda: PngTilesCodec((4, 8), 8), lambda: AdaptiveEntropyCodec((4, 8), 8)):
        with pytest.raises(CodecError, match="shape"):
            make()


@pytest.mark.parametrize("shape", [(1, 1, 20_000), (1, 70_000, 1)])
def test_a_mosaic_beyond_the_format_is_refused(shape: Shape) -> None:
    with pytest.raises(CodecError, match="webp takes no picture of"):
        WebpTilesCodec(shape, 80).encode(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("channels", "grid"),
    [(1, (1, 1)), (2, (1, 2)), (24, (4, 8)), (40, (8, 8)), (64, (8, 8)), (512, (16, 32))],
)
def test_tiles_hold_all_channels(channels: int, grid: tuple[int, int]) -> None:
    assert mosaic_grid(channels) == grid
    codes = np.random.default_rng(0).integers(0, 256, (channels, 3, 5)).astype(np.uint8)
    np.testing.assert_array_equal(untile(tile(codes), (channels, 3, 5)), codes)


@pytest.mark.parametrize("make", [jpeg(90), webp(90), lambda shape: PngTilesCodec(shape, 8)])
def test_a_mosaic_of_another_size_is_refused_before_it_is_decoded(make: Make) -> None:
    other = make((24, 8, 8)).encode(feature(1, (24, 8, 8)))
    with pytest.raises(CodecError, match=r"32 x 64 px where \(16, 64\) was agreed"):
        make(SHAPE).decode(other)


def picture(shape: Shape = (64, 128, 3)) -> np.ndarray:
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    wave = 127 + 60 * np.sin(rows / 9.0) + 60 * np.cos(columns / 13.0)
    return np.repeat(wave[..., None], shape[2], axis=2).astype(np.uint8)


CODECS: list[Any] = [
    pytest.param("png", {}, id="png"),
    pytest.param("jpeg", {"quality": 80}, id="jpeg"),
    pytest.param("webp", {"quality": 80}, id="webp"),
    pytest.param("webp", {"lossless": True}, id="webp-lossless"),
    pytest.param("avif", {"quality": 80}, id="avif", marks=NO_AVIF),
]


@pytest.fixture
def codec(image_format: Any, options: dict[str, Any]) -> ImageCodec:
    return ImageCodec(image_format, **options)


@pytest.mark.parametrize(("image_format", "options"), CODECS)
class TestImageCodecs:
    @pytest.mark.parametrize("shape", [(64, 128, 3), (8, 8, 3), (1, 1, 3), (9, 7, 3)])
    def test_round_trip_is_close(self, codec: ImageCodec, shape: Shape) -> None:
        array = picture(shape)
        restored = codec.decode(codec.encode(array))
        assert restored.shape == shape and restored.dtype == np.uint8
        error = np.abs(restored.astype(int) - array).mean()
        assert error == 0 if codec.quality is None else error < 4

    def test_grey_pictures(self, codec: ImageCodec) -> None:
        array = picture((16, 16, 1))
        restored = codec.decode(codec.encode(array))
        channels = {"webp": (3,), "avif": (1, 3)}  # of AVIF: as this Pillow reads it
        assert restored.shape[2] in channels.get(codec.image_format, (1,))
        assert np.abs(restored[..., :1].astype(int) - array).mean() < 4

    def test_constant_picture(self, codec: ImageCodec) -> None:
        array = np.full((16, 16, 3), 128, np.uint8)
        assert np.abs(codec.decode(codec.encode(array)).astype(int) - 128).max() <= 2

    def test_same_picture_gives_same_bytes(self, codec: ImageCodec) -> None:
        assert codec.encode(picture()) == codec.encode(picture())

    def test_floats_and_empty_pictures_are_refused(self, codec: ImageCodec) -> None:
        for array in (np.full((8, 8, 3), np.nan, np.float32), np.zeros((0, 8, 3), np.uint8)):
            with pytest.raises(CodecError):
                codec.encode(array)

    def test_damaged_file_is_refused(self, codec: ImageCodec) -> None:
        payload = codec.encode(picture())
        for damaged in (b"", b"no picture at all", payload[: len(payload) // 2], payload[9:]):
            with pytest.raises(CodecError, match=codec.image_format):
                codec.decode(damaged)

    @pytest.mark.filterwarnings("ignore")
    def test_flipped_bits_and_random_bytes_never_crash(self, codec: ImageCodec) -> None:
        payload, rng = codec.encode(picture((16, 16, 3))), np.random.default_rng(0)
        damaged = [flipped(payload, bit) for bit in range(0, len(payload) * 8, 17)]
        damaged += [payload[:size] + rng.bytes(200) for size in range(0, 60, 3)]
        for one in damaged:
            with contextlib.suppress(CodecError):
                array = codec.decode(one)
                assert array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] in (1, 3)


def test_lower_quality_is_smaller() -> None:
    sizes = [len(ImageCodec("jpeg", quality).encode(picture())) for quality in (30, 60, 95)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


@pytest.mark.parametrize(
    ("kind", "quality", "lossless"),
    [
        ("png", 3, False),
        ("jpeg", None, False),
        ("webp", 0, False),
        ("webp", 50, True),
        ("avif", 101, False),
    ],
)
def test_quality_must_make_sense(kind: Any, quality: int | None, lossless: bool) -> None:
    with pytest.raises(CodecError, match="quality"):
        ImageCodec(kind, quality, lossless=lossless)


def test_only_webp_has_a_switch() -> None:
    with pytest.raises(CodecError, match="no switch for lossless"):
        ImageCodec("png", lossless=True)


@pytest.mark.parametrize("quality", [0, 96])
def test_quality_of_jpeg_tiles_ends_at_95(quality: int) -> None:
    with pytest.raises(CodecError, match="quality"):
        JpegTilesCodec(SHAPE, quality)


def test_a_pillow_without_avif_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "is_available", lambda name: name != "avif")
    for make in (lambda: ImageCodec("avif", 50), lambda: AvifTilesCodec(SHAPE, 50)):
        with pytest.raises(CodecError, match="built without avif"):
            make()
