"""How many bytes of a payload are no coded data: containers, tables, ranges and checksums.

Data of a file are, and all else of it is header:

* JPEG (ITU-T T.81, annex B): the entropy-coded segments of every scan (B.1.1.5), stuffed zero bytes
  included. Header are SOI, APPn, DQT, SOF, DHT, the scan's own header, restart markers and EOI.
* PNG (W3C, third edition, 5.2, 5.3 and 11.2): data of IDAT chunks, whose zlib header and checksum
  count as data. Header are signature, every chunk's length, type and CRC, and all other chunks.
* WebP (RFC 9649, 2.3 to 2.7): VP8's bitstream behind its 10 uncompressed bytes, which are frame
  tag, start code and size (RFC 6386, 9.1); VP8L's behind its 5 bytes of signature, size and version
  (RFC 9649, 3.4); ALPH's behind its byte of settings. Header are those, RIFF's and every chunk's
  own header, padding, and all other chunks.
* AVIF (ISO/IEC 14496-12, 4.2 and 8.1.1): what ``mdat`` boxes hold, the AV1 sequence header that
  stands there included. Header are those boxes' own size and type, and all other boxes.

This module counts on payloads that are there already, so nothing needs to be coded for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from simsplit.codecs.adaptive import AdaptiveEntropyCodec
from simsplit.codecs.contract import CheckedCodec, CodecError
from simsplit.codecs.entropy import EntropyCodec, seal
from simsplit.codecs.picture import ImageCodec, ImageFormat
from simsplit.codecs.quantise import RANGE_HEADER, QuantiseCodec
from simsplit.codecs.tensors import TensorsCodec
from simsplit.codecs.tiles import TilesCodec

_SEALED_BYTES = len(seal(bytes(RANGE_HEADER.size), b""))  # range and checksum

_SOI, _EOI, _SOS = b"\xff\xd8", 0xD9, 0xDA
_RESTARTS = range(0xD0, 0xD8)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_WEBP_OWN = {b"VP8 ": 10, b"VP8L": 5, b"ALPH": 1}  # bytes of a bitstream's own header
_BOX_OF_64_BITS, _BOX_TO_THE_END = 1, 0  # sizes that say where the real one is


def header_bytes(payload: bytes, codec: object) -> int:
    """Bytes of a payload that are no coded data.

    Tables that travel count as header whether they are JPEG's or ``adaptive_entropy``'s; so do
    range and checksum. A picture as it is, and tensors in their own type, have none.

    Args:
        payload: As the codec wrote it.
        codec: As `simsplit.codecs.build.make_codec` builds it; a user's own counts 0 unless it has
            a method ``header_bytes(payload)``.

    Raises:
        CodecError: A file that is not of its format.
        ContractError: A user's method that does not give a number of the payload's bytes.
    """
    match codec:
        case CheckedCodec():
            return codec.header_bytes(payload)
        case ImageCodec():
            return file_header_bytes(payload, codec.image_format)
        case TilesCodec():
            file = payload[RANGE_HEADER.size :]
            return RANGE_HEADER.size + file_header_bytes(file, codec.file.name)
        case QuantiseCodec():
            return RANGE_HEADER.size
        case EntropyCodec():
            return _SEALED_BYTES
        case AdaptiveEntropyCodec():
            return _SEALED_BYTES + codec.side_bytes
        case TensorsCodec(dtype="uint8"):
            return RANGE_HEADER.size * codec.types.count("float32")
    return 0


def file_header_bytes(payload: bytes, name: ImageFormat) -> int:
    """Bytes of an image file that are no coded data, see the module.

    Raises:
        CodecError: It is not of this format, or ends too early.
    """
    parts = {"jpeg": _jpeg_data, "png": _png_data, "webp": _webp_data, "avif": _avif_data}[name]
    try:
        return len(payload) - sum(parts(payload))
    except (struct.error, IndexError):
        raise CodecError(f"no whole {name}: {len(payload)} bytes end too early") from None


def _inside(payload: bytes, end: int) -> int:
    """The end of a part; IndexError if it lies beyond the payload's."""
    if end > len(payload):
        raise IndexError
    return end


def _begins(payload: bytes, is_right: bool, name: str) -> None:
    if not is_right:
        raise CodecError(f"no {name}: it begins with {payload[:12].hex(' ')}")


# --- sizes of the parts that are data ---------------------------------------------------------


def _jpeg_data(payload: bytes) -> Iterator[int]:
    _begins(payload, payload.startswith(_SOI), "jpeg")
    at = len(_SOI)
    while (marker := payload[at + 1]) != _EOI:
        if marker == 0xFF:  # fills up to a marker (B.1.1.2)
            at += 1
            continue
        at += 2  # restart markers alone have no length (table B.1)
        if marker not in _RESTARTS:
            at += struct.unpack_from(">H", payload, at)[0]
        if marker == _SOS or marker in _RESTARTS:
            end = _next_marker(payload, at)
            yield end - at
            at = end


def _next_marker(payload: bytes, at: int) -> int:
    """Where the first 0xFF stands that no stuffed 0x00 follows; IndexError if none does."""
    at = payload.find(0xFF, at)
    while at >= 0 and payload[at + 1] == 0x00:
        at = payload.find(0xFF, at + 2)
    if at < 0:
        raise IndexError
    return at


def _png_data(payload: bytes) -> Iterator[int]:
    _begins(payload, payload.startswith(_PNG_SIGNATURE), "png")
    at, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", payload, at)
        if kind == b"IDAT":
            yield size
        at = _inside(payload, at + 12 + size)


def _webp_data(payload: bytes) -> Iterator[int]:
    _begins(payload, payload[:4] + payload[8:12] == b"RIFFWEBP", "webp")
    whole = _inside(payload, 8 + struct.unpack_from("<I", payload, 4)[0])
    at = 12
    while at < whole:
        kind, size = struct.unpack_from("<4sI", payload, at)
        if kind in _WEBP_OWN:
            yield size - _WEBP_OWN[kind]
        at = _inside(payload, at + 8 + size + size % 2)


def _avif_data(payload: bytes) -> Iterator[int]:
    _begins(payload, payload[4:8] == b"ftyp", "avif")
    at = 0
    while at < len(payload):
        size, kind = struct.unpack_from(">I4s", payload, at)
        own = 8
        if size == _BOX_OF_64_BITS:
            size, own = struct.unpack_from(">Q", payload, at + 8)[0], 16
        elif size == _BOX_TO_THE_END:
            size = len(payload) - at
        if size < own:
            raise CodecError(f"a box of {size} bytes in an avif")
        if kind == b"mdat":
            yield size - own
        at = _inside(payload, at + size)
