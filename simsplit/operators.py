"""What a network's computation is made of: operators with their work, free of any library.

Counted by `simsplit.networks.costs` from a network, timed by hardware files, profiles and
predictors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

KINDS = (
    "conv",  # dense convolution
    "depthwise",  # grouped convolution with one input channel per group
    "linear",  # matrix product with weights
    "attention",  # products of activations with activations, softmax included
    "norm",
    "activation",
    "pool",
    "elementwise",  # addition, product, concatenation, copies
    "reshape",  # views: no work
    "other",
)


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator's work for one sample.

    Attributes:
        name: Node of the graph it belongs to.
        kind: One of `KINDS`.
        macs: Multiply-accumulates per sample; 0 for what has no product.
        elements_in, elements_out: Activations read and written, in elements per sample.
        weights: Parameters read, in elements; once per launch, whatever the batch.
        form: Which operation of its kind, e.g. ``silu``; empty if unknown.
        window: Positions of the kernel of a convolution or pooling (9 for 3 x 3); 0 if it has none.

    The last two refine predictions; older cards lack them, so they do not count for equality.
    """

    name: str
    kind: str
    macs: float
    elements_in: float
    elements_out: float
    weights: float = 0.0
    form: str = field(default="", compare=False)
    window: float = field(default=0.0, compare=False)

    def moved_elements(self, batch: int = 1) -> float:
        """Elements that pass through memory in one launch."""
        return batch * (self.elements_in + self.elements_out) + self.weights

    def row(self) -> list[Any]:
        """As a list for JSON; `from_row` reads it back."""
        return [
            self.name,
            self.kind,
            self.macs,
            self.elements_in,
            self.elements_out,
            self.weights,
            self.form,
            self.window,
        ]


Operators = tuple[Operator, ...]

OF_CODE = "code:"  # how names of a trained code's operators begin; no profile of a network has them


def from_rows(rows: Iterable[Iterable[Any]]) -> Operators:
    """Operators from the lists that `Operator.row` writes."""
    return tuple(Operator(*row) for row in rows)


def total_macs(operators: Iterable[Operator]) -> float:
    """Multiply-accumulates per sample of all of them."""
    return sum(operator.macs for operator in operators)


def network_key(name: str, height: int, width: int) -> str:
    """Key of a network at an input size, e.g. ``resnet18@224x224``."""
    return f"{name}@{height}x{width}"
