"""What a file that should be weights is, by its first bytes; nothing in it is executed."""

from __future__ import annotations

import zipfile
from enum import Enum
from pathlib import Path

_HEAD = 4096


class Kind(Enum):
    """Kinds of file, in words that end a sentence."""

    SAFETENSORS = "safetensors"
    TORCH_SAVE = "what torch.save writes"
    EMPTY = "empty"
    LFS = "a Git LFS pointer, not the file itself"
    ANNEX = "a git-annex pointer, not the file itself"
    HTML = "an HTML page"
    SHARDS = "the index of a checkpoint in several files"
    TEXT = "a text file"
    ONNX = "an ONNX model"
    TORCHSCRIPT = "a TorchScript archive"
    EXPORTED = "a torch.export program"
    NPZ = "an archive of NumPy arrays (.npz)"
    NPY = "a NumPy array (.npy)"
    HDF5 = "an HDF5 file (Keras)"
    TFLITE = "a TensorFlow Lite model"
    GGUF = "a GGUF file"
    TAR = "a tar archive"
    COMPRESSED = "a compressed archive"
    PICTURE = "a picture"
    BROKEN_ZIP = "a zip archive that breaks off or is damaged"
    ZIP = "a zip archive without a state dict"
    PICKLE = "a pickle that torch.save did not write"
    UNKNOWN = "of no kind that is known"

    @property
    def remedy(self) -> str:
        """What to do about it, to follow a sentence; may be empty."""
        text = _REMEDIES.get(self)
        return f"; {text}" if text else ""


_REMEDIES = {
    Kind.LFS: "fetch it with `git lfs pull`",
    Kind.ANNEX: "fetch it with `git annex get`",
    Kind.HTML: "the download was answered with a page; fetch the file itself",
    Kind.SHARDS: "join its parts into one safetensors file",
    Kind.ONNX: "ONNX is not read yet: export the PyTorch network with torch.export (.pt2), or name "
    "its class and save its state_dict()",
    Kind.TORCHSCRIPT: "TorchScript is not read yet: export the network with torch.export (.pt2), "
    "or save torch.jit.load(…).state_dict()",
    Kind.EXPORTED: "name it as the network's source, which needs no weights",
    Kind.NPZ: "save its arrays as tensors with safetensors",
    Kind.NPY: "save its arrays as tensors with safetensors",
    Kind.TAR: "unpack it first",
    Kind.COMPRESSED: "unpack it first",
    Kind.BROKEN_ZIP: "fetch it again",
    Kind.PICKLE: "pickles are never executed; save the state_dict() with torch.save",
}
_MAGIC = {
    b"version https://git-lfs.github.com/spec": Kind.LFS,
    b"/annex/objects/": Kind.ANNEX,
    b"\x93NUMPY": Kind.NPY,
    b"\x89HDF\r\n": Kind.HDF5,
    b"GGUF": Kind.GGUF,
    b"\x1f\x8b": Kind.COMPRESSED,
    b"7z\xbc\xaf\x27\x1c": Kind.COMPRESSED,
    b"\xfd7zXZ": Kind.COMPRESSED,
    b"BZh": Kind.COMPRESSED,
    b"\x28\xb5\x2f\xfd": Kind.COMPRESSED,
    b"\x89PNG": Kind.PICTURE,
    b"\xff\xd8\xff": Kind.PICTURE,
}
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # pickled magic number of torch.save


def kind_of(path: Path) -> Kind:
    """The kind of a file that exists. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return Kind.EMPTY
    if _is_safetensors(head, path.stat().st_size):  # its length may begin as other magics do
        return Kind.SAFETENSORS
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    return _kind_of_binary(head) or _kind_of_text(head)


def _is_safetensors(head: bytes, size: int) -> bool:
    """Eight bytes with the length of its JSON header, little-endian, which the file holds."""
    return head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= size


def _kind_of_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return Kind.BROKEN_ZIP
    ends = {name.partition("/")[2] for name in names}
    if any(name.endswith("constants.pkl") for name in names):
        return Kind.TORCHSCRIPT
    if "archive_format" in ends or any("exported_program" in name for name in names):
        return Kind.EXPORTED
    if "data.pkl" in ends:
        return Kind.TORCH_SAVE
    return Kind.NPZ if names and all(name.endswith(".npy") for name in names) else Kind.ZIP


def _kind_of_binary(head: bytes) -> Kind | None:
    if head.startswith(_LEGACY_TORCH):
        return Kind.TORCH_SAVE
    if head[8:9] == b"{" and head[6:8] == b"\0\0":  # safetensors that breaks off in its header
        return Kind.SAFETENSORS
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return Kind.PICKLE
    if head[4:8] == b"TFL3":
        return Kind.TFLITE
    if head[257:262] == b"ustar":
        return Kind.TAR
    # ONNX's ModelProto: ir_version (field 1, a small number), then producer, opset or graph
    if head[:1] == b"\x08" and 0 < head[1] < 32 and head[2:3] in (b"\x12", b"\x1a", b":", b"B"):
        return Kind.ONNX
    return None


def _kind_of_text(head: bytes) -> Kind:
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        return Kind.HTML
    if text.startswith(b"{") and b"weight_map" in text:
        return Kind.SHARDS
    printable = all(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
    return Kind.TEXT if printable else Kind.UNKNOWN
