"""The processor that networks run on."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from simsplit.errors import ScenarioError

CPU = "cpu"
DEVICES = (CPU, "cuda", "mps")
Module = TypeVar("Module", bound=nn.Module)


def check_device(device: str, path: str = "device") -> None:
    """Refuse a device that networks cannot run on here.

    Args:
        device: One of `DEVICES`.
        path: Where it is said.

    Raises:
        ScenarioError: No such device, or not on this machine.
    """
    there = {CPU: True, "cuda": torch.cuda.is_available()}
    there["mps"] = torch.backends.mps.is_available()
    if device not in DEVICES:
        raise ScenarioError("no such device", path=path, value=device, choices=DEVICES)
    if not there[device]:
        usable = [name for name in DEVICES if there[name]]
        message = "this machine has no such device, or this PyTorch cannot use it"
        raise ScenarioError(message, path=path, value=device, choices=usable)


def on_device(module: Module, device: str) -> Module:
    """The module itself on the CPU, where others share it; elsewhere a copy of it."""
    return module if device == CPU else copy.deepcopy(module).to(device)


def on_cpu(output: Any, device: str) -> Any:
    """What a module on a device gave, with all its tensors on the CPU."""
    if device == CPU:
        return output
    return tree_map(lambda leaf: leaf.cpu() if isinstance(leaf, Tensor) else leaf, output)
