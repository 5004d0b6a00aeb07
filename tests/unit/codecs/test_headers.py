"""What of a payload is header, against files put together by hand or taken apart another way."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simsplit.codecs.build import make_codec
from simsplit.codecs.contract import CheckedCodec, CodecError, check_codec
from simsplit.codecs.headers import file_header_bytes, header_bytes
from simsplit.codecs.picture import ImageCodec, is_available
from simsplit.codecs.quantise import QuantiseCodec
from simsplit.codecs.tensors import TensorsCodec
from simsplit.errors import ContractError
from simsplit.scenario.operating_points import (
    AdaptiveEntropyCodecSpec,
    AvifTilesCodecSpec,
    CodecSpec,
    EntropyCodecSpec,
    JpegTilesCodecSpec,
    PixelsCodecSpec,
    PngTilesCodecSpec,
    WebpTilesCodecSpec,
)

NO_AVIF = pytest.mark.skipif(not is_available("avif"), reason="this Pillow has no AVIF")
SHAPE = (4, 8, 8)


def picture(channels: int = 3) -> np.ndarray:
    """Smooth and noisy, so that a JPEG of it has 0xFF among its data."""
    rng = np.random.default_rng(3)
    ramp = np.linspace(0, 200, 64)[:, None, None] + np.zeros((64, 96, channels))
    return (ramp + rng.integers(0, 55, ramp.shape)).astype(np.uint8)


def feature(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(4).laplace(size=shape).astype(np.float32)


def saved(**options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, **options)
    return buffer.getvalue()


# --- JPEG -------------------------------------------------------------------------------------


def behind_sos(payload: bytes) -> bytes:
    """Between the end of the only scan's header and EOI: among its data no marker can be."""
    sos = payload.rindex(b"\xff\xda")
    length = int.from_bytes(payload[sos + 2 : sos + 4], "big")
    assert payload.endswith(b"\xff\xd9")
    return payload[sos + 2 + length : -2]


@pytest.mark.parametrize("quality", [5, 60, 95])
def test_a_jpegs_data_stand_between_sos_and_eoi(quality: int) -> None:
    payload = ImageCodec("jpeg", quality).encode(picture())
    data = behind_sos(payload)
    assert quality < 95 or b"\xff\x00" in data  # stuffing, which belongs to the data
    assert file_header_bytes(payload, "jpeg") == len(payload) - len(data)


def test_the_codec_cuts_the_tables_that_libjpeg_would_write() -> None:
    """SOI, JFIF, 2 DQT, SOF, the 4 DHT of annex K, SOS and EOI make 625 bytes."""
    standard = saved(format="jpeg", quality=75)
    tables = 2 * (21 + 12) + 2 * (21 + 162)
    assert file_header_bytes(standard, "jpeg") == 2 + 18 + 2 * 69 + 19 + tables + 14 + 2
    assert file_header_bytes(ImageCodec("jpeg", 75).encode(picture()), "jpeg") < 625


def test_restart_markers_are_header() -> None:
    payload = saved(format="jpeg", quality=90, restart_marker_blocks=4)
    markers = re.findall(rb"\xff[\xd0-\xd7]", behind_sos(payload))
    data = len(behind_sos(payload)) - 2 * len(markers)
    assert markers and file_header_bytes(payload, "jpeg") == len(payload) - data


def test_a_jpeg_of_several_scans_by_hand() -> None:
    app, dht = b"\xff\xe0\x00\x06abcd", b"\xff\xc4\x00\x05\xff\xda\x01"  # a table that looks so
    sos = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    first, second, third = b"\x12\xff\x00\x34", b"\x56\xff\x00", b"\xff\x00\xff\x00\x78"
    parts = [b"\xff\xd8", app, sos, first, b"\xff\xd0", second]
    parts += [b"\xff\xff", dht, sos, third, b"\xff\xff\xd9"]  # markers behind fills
    payload = b"".join(parts)
    assert file_header_bytes(payload, "jpeg") == len(payload) - (4 + 3 + 5)


def test_progressive_files_have_a_header_per_scan() -> None:
    payload = saved(format="jpeg", quality=60, progressive=True)
    pieces = re.split(rb"\xff\xda(?=\x00[\x08\x0a\x0c][\x01-\x03])", payload)
    data = 0
    for piece in pieces[1:]:  # up to the next marker; the lengths of scan headers are even
        body = piece[int.from_bytes(piece[:2], "big") :]
        end = re.search(rb"\xff[^\x00]", body)
        data += end.start() if end else len(body)
    assert len(pieces) > 4
    assert file_header_bytes(payload, "jpeg") == len(payload) - data


# --- PNG --------------------------------------------------------------------------------------


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_png_of_several_chunks_of_data(pieces: int) -> None:
    grey = picture(1)[..., 0]
    rows = b"".join(b"\x00" + row.tobytes() for row in grey)
    packed = zlib.compress(rows)
    size = -(-len(packed) // pieces)
    idat = [packed[i : i + size] for i in range(0, len(packed), size)]
    ihdr = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    text = b"Title\x00IDAT in a text is none"
    payload = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", ihdr) + png_chunk(b"tEXt", text)
    payload += b"".join(png_chunk(b"IDAT", one) for one in idat) + png_chunk(b"IEND", b"")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(payload))), grey)
    fixed = 8 + (12 + 13) + (12 + len(text)) + 12
    assert file_header_bytes(payload, "png") == fixed + 12 * pieces == len(payload) - len(packed)


def test_the_codecs_png_has_57_bytes_of_header() -> None:
    assert file_header_bytes(ImageCodec("png").encode(picture()), "png") == 8 + 25 + 12 + 12


# --- WebP -------------------------------------------------------------------------------------


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize(
    ("chunks", "data"),
    [
        ([(b"VP8 ", bytes(10 + 77))], 77),  # 87 bytes: one of padding behind
        ([(b"VP8L", bytes(5 + 30))], 30),
        ([(b"VP8X", bytes(10)), (b"ALPH", bytes(1 + 8)), (b"VP8 ", bytes(10 + 20))], 28),
        ([(b"VP8X", bytes(10)), (b"ICCP", b"VP8 " * 9), (b"VP8L", bytes(105))], 100),
    ],
)
def test_a_webp_by_hand(chunks: list[tuple[bytes, bytes]], data: int) -> None:
    payload = riff(*chunks)
    assert file_header_bytes(payload, "webp") == len(payload) - data


def test_a_webps_header_is_30_bytes_and_of_a_lossless_one_25() -> None:
    """RIFF's 12 and a chunk's 8 with VP8's 10 or VP8L's 5; a byte more where data are odd."""
    for codec, fixed in ((ImageCodec("webp", 50), 30), (ImageCodec("webp", lossless=True), 25)):
        payload = codec.encode(picture())
        assert payload[12:16] in (b"VP8 ", b"VP8L")
        padding = int.from_bytes(payload[16:20], "little") % 2
        assert file_header_bytes(payload, "webp") == fixed + padding


# --- AVIF -------------------------------------------------------------------------------------


def box(kind: bytes, data: bytes, form: str = "32") -> bytes:
    if form == "64":
        return struct.pack(">I4sQ", 1, kind, 16 + len(data)) + data
    return struct.pack(">I4s", 0 if form == "to the end" else 8 + len(data), kind) + data


def test_an_avif_by_hand() -> None:
    """Sizes of 32 and 64 bits and one up to the end; a box inside another is none of its own."""
    parts = [box(b"ftyp", b"avif" + bytes(8)), box(b"meta", box(b"mdat", bytes(11)))]
    parts += [box(b"mdat", bytes(100)), box(b"mdat", bytes(50), "64"), box(b"free", bytes(4))]
    payload = b"".join([*parts, box(b"mdat", bytes(7), "to the end")])
    assert file_header_bytes(payload, "avif") == len(payload) - (100 + 50 + 7)


@NO_AVIF
def test_an_avifs_data_are_the_last_box() -> None:
    payload = ImageCodec("avif", 40).encode(picture())
    start = payload.index(b"mdat")
    assert start - 4 + int.from_bytes(payload[start - 4 : start], "big") == len(payload)
    assert file_header_bytes(payload, "avif") == start + 4


# --- what is no file of its format ------------------------------------------------------------


@pytest.mark.parametrize(
    "codec",
    [
        ImageCodec("jpeg", 50),
        ImageCodec("png"),
        ImageCodec("webp", 50),
        pytest.param("avif", marks=NO_AVIF),
    ],
    ids=["jpeg", "png", "webp", "avif"],
)
def test_files_that_end_too_early_and_other_files_are_refused(codec: Any) -> None:
    codec = ImageCodec("avif", 50) if codec == "avif" else codec
    name, payload = codec.image_format, codec.encode(picture())
    for length in (0, 1, 9, 21, len(payload) - 3):
        with pytest.raises(CodecError, match=name):
            file_header_bytes(payload[:length], name)
    with pytest.raises(CodecError, match=f"no {name}: it begins with"):
        file_header_bytes(b"GIF89a" + payload, name)


# --- codecs -----------------------------------------------------------------------------------


def made(spec: CodecSpec) -> tuple[Any, bytes]:
    tables = {8: np.ones((SHAPE[0], 256), np.int64)}
    codec: Any = make_codec(spec, SHAPE, tables)
    return codec, codec.encode(feature())


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (PngTilesCodecSpec(kind="png_tiles", bits=6), "png"),
        (JpegTilesCodecSpec(kind="jpeg_tiles", quality=60), "jpeg"),
        (WebpTilesCodecSpec(kind="webp_tiles", quality=60), "webp"),
        (WebpTilesCodecSpec(kind="webp_tiles", lossless=True), "webp"),
        pytest.param(AvifTilesCodecSpec(kind="avif_tiles", quality=60), "avif", marks=NO_AVIF),
    ],
)
def test_tiles_have_the_range_ahead_of_the_file(spec: CodecSpec, name: Any) -> None:
    codec, payload = made(spec)
    assert header_bytes(payload, codec) == 8 + file_header_bytes(payload[8:], name)
    assert header_bytes(payload, codec) < len(payload)


def test_range_coders_have_range_and_checksum_and_the_tables_that_travel() -> None:
    codec, payload = made(EntropyCodecSpec(kind="entropy"))
    assert header_bytes(payload, codec) == 8 + 2
    assert (len(payload) - header_bytes(payload, codec)) % 4 == 0  # the coder's words
    codec, payload = made(AdaptiveEntropyCodecSpec(kind="adaptive_entropy", bits=6))
    assert header_bytes(payload, codec) == 8 + 2 + 4 * (6 + 8) // 8
    assert (len(payload) - header_bytes(payload, codec)) % 4 == 0


def test_quantised_tensors_have_a_range_each_and_others_none() -> None:
    packed = QuantiseCodec(SHAPE, 5)
    assert header_bytes(packed.encode(feature()), packed) == 8
    shapes, types = [(2, 3), (5,), (7,)], ["float32", "int64", "float32"]
    tensors = [feature((2, 3)), np.arange(5), feature((7,))]
    for dtype, ranges in (("uint8", 2), ("float16", 0), ("float32", 0)):
        codec = TensorsCodec(shapes, dtype, types)  # type: ignore[arg-type]
        assert header_bytes(codec.encode(tensors), codec) == 8 * ranges


def test_a_picture_as_it_is_has_no_header() -> None:
    codec: Any = make_codec(PixelsCodecSpec(kind="pixels"), (64, 96, 3), is_picture=True)
    assert header_bytes(codec.encode(picture()), codec) == 0


class Own:
    """Five bytes ahead of the picture."""

    def __init__(self, shape: tuple[int, ...] = (64, 96, 3)) -> None:
        self.shape = shape

    def encode(self, array: np.ndarray) -> bytes:
        return b"magic" + array.tobytes()

    def decode(self, payload: bytes) -> np.ndarray:
        return np.frombuffer(payload[5:], np.uint8).reshape(self.shape)


class Telling(Own):
    told: Any = 5

    def header_bytes(self, payload: bytes) -> Any:
        assert payload.startswith(b"magic")
        return self.told


@pytest.mark.parametrize(("own", "size"), [(Own(), 0), (Telling(), 5)])
def test_a_codec_of_ones_own_counts_what_it_tells(own: Own, size: int) -> None:
    checked = CheckedCodec(own, own.shape, is_picture=True, who="Own")
    assert header_bytes(checked.encode(picture()), checked) == size
    check_codec(own, own.shape)


@pytest.mark.parametrize("told", [-1, 6, 2.0, True, None, "5"])
def test_what_a_codec_of_ones_own_tells_is_a_number_of_its_bytes(told: Any) -> None:
    own = Telling()
    own.told = told
    checked = CheckedCodec(own, own.shape, is_picture=True, who="Own")
    with pytest.raises(ContractError, match="header_bytes gives a whole number from 0 to"):
        header_bytes(b"magic", checked)


def test_the_contract_is_held_before_a_run() -> None:
    own = Telling()
    own.told = -1
    with pytest.raises(ContractError, match="header_bytes gives"):
        check_codec(own, own.shape)
