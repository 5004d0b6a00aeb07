"""How one tensor lies in memory, and how several make up a network's output."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from simsplit.errors import ScenarioError


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape, place in memory and type of one tensor, for the example's batch."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> Layout:
        """Of a tensor as it lies in memory."""
        shape, stride = tuple(tensor.shape), tuple(tensor.stride())
        return cls(shape, stride, int(tensor.storage_offset()), tensor.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def sent_bytes(self) -> int:
        """Bytes that the elements take where they cross a cut: bools go eight to a byte."""
        return ceil(prod(self.shape) / 8) if self.dtype == torch.bool else self.nbytes

    @property
    def type_name(self) -> str:
        """PyTorch's name of the type, e.g. ``int64``."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Without the batch of 1, where it stands first."""
        return self.shape[1:] if self.shape[:1] == (1,) else self.shape

    def to_array(self, tensor: Tensor) -> NDArray[Any]:
        """The tensor of one sample as an array of `sample_shape`; bfloat16 as its bits, uint16.

        Raises:
            ScenarioError: Another shape or type than the example's: it depends on the data.
        """
        if tuple(tensor.shape) != self.shape or tensor.dtype != self.dtype:
            raise ScenarioError(
                f"a tensor at the cut is {tensor.dtype} {tuple(tensor.shape)} where the traced "
                f"network had {self.dtype} {self.shape}: its shape depends on the picture"
            )
        bits = tensor.contiguous().resolve_conj().resolve_neg()
        if self.dtype == torch.bfloat16:
            bits = bits.view(torch.uint16)
        return bits.numpy().reshape(self.sample_shape)

    def to_tensor(self, array: NDArray[Any]) -> Tensor:
        """What `to_array` made, or came near, as a tensor of the layout's shape and type."""
        return self.shaped(torch.from_numpy(np.array(array, order="C")))

    def shaped(self, values: Tensor) -> Tensor:
        """The values of `to_array`, in whatever shape, in the layout's shape and type."""
        tensor = values.reshape(self.shape)
        return tensor.view(torch.bfloat16) if self.dtype == torch.bfloat16 else tensor


@dataclass(frozen=True)
class Answer:
    """An output's structure, e.g. a dictionary of tensors; tensors named twice are held once.

    Attributes:
        spec: The structure, as PyTorch flattens it.
        constants: Entries that are no tensors (``None``, numbers), by place.
        slots: For every other place, which of the carried tensors belongs there.
        layouts: Of the carried tensors, for the example.
        rebuilt: Does the traced network give plain containers where the original has its own?
    """

    spec: TreeSpec
    constants: dict[int, Any]
    slots: dict[int, int]
    layouts: tuple[Layout, ...]
    rebuilt: bool

    @classmethod
    def of(cls, output: Any, *, rebuilt: bool = False) -> Answer:
        """The structure of an example."""
        leaves, spec = tree_flatten(output)
        tensors = {i: leaf for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)}
        constants = {i: leaf for i, leaf in enumerate(leaves) if i not in tensors}
        number: dict[tuple[int, Layout], int] = {}
        slots = {i: number.setdefault(_identity(t), len(number)) for i, t in tensors.items()}
        return cls(spec, constants, slots, tuple(layout for _, layout in number), rebuilt)

    def flatten(self, output: Any) -> tuple[Tensor, ...]:
        """The carried tensors of an output.

        Raises:
            ScenarioError: another structure than the example's.
        """
        leaves, _ = tree_flatten(output)
        if len(leaves) != len(self.slots) + len(self.constants):
            raise ScenarioError("the network's output has other entries than for the example")
        first = {slot: leaves[i] for i, slot in reversed(self.slots.items())}
        return tuple(first[slot] for slot in range(len(self.layouts)))

    def conform(self, output: Any) -> Any:
        """The traced network's output in the original's own structure."""
        return tree_unflatten(tree_flatten(output)[0], self.spec) if self.rebuilt else output

    def restore(self, tensors: tuple[Tensor, ...]) -> Any:
        """The output from its carried tensors."""
        leaves = {**self.constants, **{i: tensors[slot] for i, slot in self.slots.items()}}
        return tree_unflatten([leaves[i] for i in range(len(leaves))], self.spec)


def _identity(tensor: Tensor) -> tuple[int, Layout]:
    where = tensor.untyped_storage().data_ptr() or id(tensor)  # empty tensors have no address
    return where, Layout.of(tensor)
