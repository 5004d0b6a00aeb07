"""Networks that torch.export wrote (``.pt2``): what such a file may hold, and its graph.

PyTorch's own reader unpickles parts of the archive and resolves names and expressions in it, so a
file is looked through first: only tensors, operations of PyTorch and torchvision, and plain
arithmetic pass. Nothing in a file is executed before.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from simsplit.errors import ArtefactError
from simsplit.networks.file_kinds import Kind, kind_of

_OPERATION = re.compile(
    r"torch\.ops\.(aten|prims|torchvision|higher_order)\.\w+(\.\w+)?"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.\w+|torch\._?sym_\w+"
)
_FORBIDDEN = ("torch.ops.aten.from_file", "torch.ops.aten._print")
_EXPRESSION = re.compile(  # SymPy's: Mul(Integer(2), Symbol('s77', positive=True)), 2*s77
    r"('[a-z]+\d+'|[a-z]+\d+\b|(positive|integer|nonnegative|real)=(True|False)|[A-Z][A-Za-z]*"
    r"|\d+(\.\d+)?|[\s()+\-*/,<>=%&|~])*"
)
_OBJECTS = re.compile(r"/data/constants/(custom_obj|opaque)|/data/aotinductor/|\.(so|py)$")
_LEGACY = re.compile(r"/data/(weights|constants)/[^/]*\.pt$")


class ExportedNet(nn.Module):
    """A program's graph as a module that takes pictures ``(B, C, H, W)``.

    Attributes:
        in_channels: Of its input.
        size: ``(H, W)`` that it was exported for; None in a place where it takes any.
    """

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        self.training = False
        self.program = program.module(check_guards=False)
        _, channels, *size = _input_shape(self.program)
        self.in_channels = channels if isinstance(channels, int) else 3
        self.size = tuple(side if isinstance(side, int) else None for side in size)

    def train(self, mode: bool = True) -> ExportedNet:
        """A program answers as it was exported; it has no other mode."""
        return self

    def forward(self, x: Tensor) -> Any:
        """Input ``(B, C, H, W)`` → what the program gives."""
        return self.program(x)


def open_program(path: Path, height: int, width: int) -> ExportedNet:
    """The network of a ``.pt2`` file for pictures of a size.

    Raises:
        ArtefactError: no such file; no torch.export program, or of a PyTorch that this one does not
            read; it holds objects or operations that are not PyTorch's; another number of inputs
            than one; another size than it was exported for.
    """
    if not path.is_file():
        raise ArtefactError("no such torch.export program", path="source", value=str(path))
    kind = kind_of(path)
    if kind is not Kind.EXPORTED:
        message = f"{path} is {kind.value}: no torch.export program (.pt2){kind.remedy}"
        raise ArtefactError(message, path="source")
    written_by = _checked(path)
    try:
        with _quiet():
            net = ExportedNet(torch.export.load(path))
    except ArtefactError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtefactError(_unread(path, written_by, reason), path="source") from error
    for said, given in zip(net.size, (height, width), strict=True):
        if said not in (None, given):
            size = " x ".join(str(side or "any") for side in net.size)
            message = f"the program was exported for pictures of {size} px (height x width)"
            raise ArtefactError(message, path="source", value=f"{height} x {width}")
    return net


def _unread(path: Path, written_by: str | None, reason: str) -> str:
    """What is wrong with a program that cannot be read: another PyTorch's, or damaged."""
    if written_by == torch.__version__:
        return f"{path} is damaged ({reason}); it was written by this PyTorch, {written_by}"
    if written_by is None:
        return (
            f"{path} is damaged or of another PyTorch than this one, {torch.__version__}: it does "
            f"not say which ({reason})"
        )
    return (
        f"{path} was written by PyTorch {written_by} and cannot be read by {torch.__version__}"
        f" ({reason}); export it again with this version"
    )


def _input_shape(module: fx.GraphModule) -> list[Any]:
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    value = inputs[0].meta.get("val") if len(inputs) == 1 else None
    if not isinstance(value, Tensor) or value.dim() != 4:
        raise ArtefactError(
            f"the program takes {len(inputs)} inputs; a network takes one, pictures (B, C, H, W)",
            path="source",
        )
    return list(value.shape)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# --- what a file may hold ---------------------------------------------------------------------


def _checked(path: Path) -> str | None:
    """The version of PyTorch that wrote it, if the archive says it.

    Raises:
        ArtefactError: Reading it would execute something.
    """
    version = None
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if _OBJECTS.search(name) or _LEGACY.search(name):
                    raise _refused(path, f"an object in {name}")
                if name.endswith(".json"):
                    content = json.loads(archive.read(name))
                    _check_json(path, content)
                    version = content.get("torch_version", version)
                elif "/data/sample_inputs/" in name:
                    _check_pickle(path, archive.read(name))
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ArtefactError(f"{path} is damaged: {error}", path="source") from error
    return None if version is None else str(version)


def _check_pickle(path: Path, content: bytes) -> None:
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:
        raise _refused(path, "an example input that is no tensor") from error


def _check_json(path: Path, content: Any) -> None:
    for key, value in _entries(content):
        if key == "use_pickle" and value is not False:
            raise _refused(path, "a pickled tensor")
        if key == "target" and isinstance(value, str) and not _is_known(value):
            raise _refused(path, f"the operation {value}")
        if key == "expr_str" and _EXPRESSION.fullmatch(str(value)) is None:
            raise _refused(path, f"the expression {str(value)[:40]!r}")


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield key, value
            yield from _entries(value)
    elif isinstance(content, list):
        for value in content:
            yield from _entries(value)


def _is_known(target: str) -> bool:
    return _OPERATION.fullmatch(target) is not None and not target.startswith(_FORBIDDEN)


def _refused(path: Path, what: str) -> ArtefactError:
    message = (
        f"{path} holds {what}, which is not read: only tensors and operations of PyTorch and "
        "torchvision are"
    )
    return ArtefactError(message, path="source")
