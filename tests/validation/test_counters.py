"""Multiply-accumulates of operations against closed forms, and against PyTorch's own counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import DeformConv2d

from simsplit.errors import ScenarioError
from simsplit.networks.costs import Recorder, record
from simsplit.operators import total_macs

STEPS, INPUT, HIDDEN = 7, 5, 6
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def per_sample(layer: nn.Module, *shape: int) -> float:
    return total_macs(record(layer.eval(), torch.rand(*shape)))


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers(kind: str, batch: int, layers: int, bidirectional: bool) -> None:
    """gates · h · (i + h) per step; deeper layers take what all directions of the last one give."""
    net = getattr(nn, kind)(INPUT, HIDDEN, layers, batch_first=True, bidirectional=bidirectional)
    ways = 2 if bidirectional else 1
    inputs = [INPUT] + [ways * HIDDEN] * (layers - 1)
    step = sum(ways * GATES[kind] * HIDDEN * (i + HIDDEN) for i in inputs)
    assert per_sample(net, batch, STEPS, INPUT) == STEPS * step


def test_an_lstm_with_projection() -> None:
    """The state has p entries: 4 h (i + p), and h · p for the projection (Sak et al. 2014)."""
    net = nn.LSTM(INPUT, HIDDEN, proj_size=4, batch_first=True)
    step = 4 * HIDDEN * (INPUT + 4) + HIDDEN * 4
    assert per_sample(net, 1, STEPS, INPUT) == STEPS * step


def test_the_lstm_has_a_third_more_products_than_the_gru() -> None:
    lstm, gru = (getattr(nn, kind)(16, 512, batch_first=True) for kind in ("LSTM", "GRU"))
    assert 3 * per_sample(lstm, 1, 64, 16) == 4 * per_sample(gru, 1, 64, 16)


@pytest.mark.parametrize("kind", GATES)
def test_a_recurrent_layer_reads_its_weights_at_every_step(kind: str) -> None:
    net = getattr(nn, kind)(INPUT, HIDDEN, batch_first=True, bias=False)
    found = record(net, torch.rand(1, STEPS, INPUT))
    matrices = GATES[kind] * HIDDEN * (INPUT + HIDDEN)
    assert sum(operator.weights for operator in found) == STEPS * matrices


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_recurrent_layer_is_one_operator_per_direction(
    kind: str, layers: int, bidirectional: bool
) -> None:
    """As oneDNN and cuDNN fuse them, however many operations PyTorch's CPU path makes of them.

    Besides: directions joined per layer; each state (an LSTM has two) begun and put together.
    """
    net = getattr(nn, kind)(INPUT, HIDDEN, layers, batch_first=True, bidirectional=bidirectional)
    found = record(net.eval(), torch.rand(1, STEPS, INPUT))
    ways, states = 1 + bidirectional, 1 + (kind == "LSTM")
    products = [operator for operator in found if operator.macs]
    assert len(products) == ways * layers
    assert len(found) == len(products) + layers * bidirectional + 2 * states
    first = products[0]
    assert first.macs == STEPS * GATES[kind] * HIDDEN * (INPUT + HIDDEN)
    assert first.weights == first.macs + STEPS * 2 * GATES[kind] * HIDDEN  # biases: two vectors
    assert first.elements_in == STEPS * INPUT + states * HIDDEN
    assert first.elements_out == STEPS * HIDDEN


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_lstm_counts_as_its_fused_operation(layers: int, bidirectional: bool) -> None:
    """What PyTorch itself fuses, seen below our counting, has the same work."""
    net = nn.LSTM(INPUT, HIDDEN, layers, batch_first=True, bidirectional=bidirectional).eval()
    x = torch.rand(1, STEPS, INPUT)
    seen = Recorder((*net.parameters(),), batch=1)
    with torch.no_grad(), seen, torch._C.DisableTorchFunction():
        net(x)
    assert {operator.form for operator in seen.operators if operator.macs} == {"mkldnn_rnn_layer"}
    assert tuple(seen.operators) == record(net, x)


@pytest.mark.parametrize("kind", GATES)
def test_a_packed_sequence_computes_its_own_steps_only(kind: str) -> None:
    net, lengths = getattr(nn, kind)(INPUT, HIDDEN), (7, 4)
    packed = nn.utils.rnn.pack_sequence([torch.rand(n, INPUT) for n in lengths])
    with torch.no_grad(), Recorder((*net.parameters(),), batch=2) as seen:
        net(packed)
    step = GATES[kind] * HIDDEN * (INPUT + HIDDEN)
    assert total_macs(seen.operators) * 2 == sum(lengths) * step
    assert len([operator for operator in seen.operators if operator.macs]) == 1


class Fused(nn.Module):
    """A fused operation called as such, as exported graphs do."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(INPUT, HIDDEN, 2, bidirectional=True)
        name = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh"}[kind]
        self.call = getattr(torch.ops.aten, name).input
        self.states = 2 if kind == "LSTM" else 1

    def forward(self, x: Tensor) -> Any:
        state = torch.zeros(4, x.shape[1], HIDDEN)
        start: Any = [state] * 2 if self.states == 2 else state
        weights = list(self.layer.parameters())
        return self.call(x, start, weights, True, 2, 0.0, False, True, False)


@pytest.mark.parametrize("kind", GATES)
def test_fused_recurrent_operations(kind: str) -> None:
    """The same work whether the operation is seen whole (inference mode) or in its parts."""
    inputs = [INPUT, 2 * HIDDEN]
    step = sum(2 * GATES[kind] * HIDDEN * (i + HIDDEN) for i in inputs)
    x = torch.rand(STEPS, 1, INPUT)
    macs = total_macs(record(Fused(kind).eval(), x)) * STEPS  # dimension 0 is no batch here
    with torch.inference_mode():
        whole = total_macs(record(Fused(kind).eval(), x)) * STEPS
    assert (macs, whole) == pytest.approx((STEPS * step, STEPS * step))


def test_a_bilinear_layer() -> None:
    """x1^T A x2 for each output: in1 · in2 + in1."""
    net = nn.Bilinear(5, 6, 4)
    macs = total_macs(record(net, torch.rand(3, 5), torch.rand(3, 6)))
    assert macs == 4 * 5 * (6 + 1)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_deformable_convolution_is_a_convolution(groups: int) -> None:
    net = DeformConv2d(4, 6, 3, padding=1, groups=groups)
    found = record(net, torch.rand(2, 4, 8, 8), torch.zeros(2, 18, 8, 8))
    assert total_macs(found) == 64 * 6 * 4 // groups * 9
    assert {operator.kind for operator in found if operator.macs} == {"conv"}


def einsum(x: Tensor) -> Tensor:
    return torch.einsum("bij,bjk->bik", x, x.mT)


def batched(x: Tensor) -> Tensor:
    return torch.baddbmm(torch.zeros(1), x, x.mT)


def fused_attention(x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])


@pytest.mark.parametrize(
    ("call", "macs"),
    [
        (einsum, 6 * 6 * 8),
        (batched, 6 * 6 * 8),
        (lambda x: torch.addbmm(torch.zeros(1), x, x.mT), 6 * 6 * 8),
        (lambda x: x[0] @ torch.ones(8), 6 * 8 / 2),
        (lambda x: torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist"), 6 * 6 * 8),
        (fused_attention, 2 * 6 * 6 * 8),
        (lambda x: F.interpolate(x[:, None], scale_factor=2.0, mode="bilinear"), 0),
        (lambda x: F.grid_sample(x[:, None], torch.zeros(2, 3, 3, 2), align_corners=True), 0),
    ],
)
def test_products_of_activations(call: Callable[[Tensor], Tensor], macs: float) -> None:
    assert total_macs(record(call, torch.rand(2, 6, 8))) == macs


@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention(need_weights: bool) -> None:
    """Four projections per token, and both products of the attention."""
    net, tokens, width = nn.MultiheadAttention(16, 2, batch_first=True).eval(), 6, 16

    def call(x: Tensor) -> Any:
        return net(x, x, x, need_weights=need_weights)

    macs = total_macs(record(call, torch.rand(2, tokens, width)))
    assert macs == tokens * 4 * width * width + 2 * tokens * tokens * width


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
def test_an_embedding_moves_rows_and_multiplies_nothing(kind: str) -> None:
    net = getattr(nn, kind)(1000, 8)
    found = record(net, torch.tensor([[1, 2, 3, 4]]))
    assert total_macs(found) == 0
    assert sum(operator.weights for operator in found) == 4 * 8


def test_pytorchs_own_counter_agrees_where_it_counts() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.Flatten(2),
        nn.Linear(100, 16),
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
    ).eval()
    x, counter = torch.rand(1, 3, 15, 15), FlopCounterMode(display=False)
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with counter, torch.no_grad():
        net(x)
    torch.backends.mha.set_fastpath_enabled(before)
    attention = 2 * 4 * 4 * 16  # on the CPU PyTorch's counter knows no fused attention
    counted = counter.get_total_flops() / 2
    assert total_macs(record(net, x)) in (counted, counted + attention)


@torch.library.custom_op("simsplit_test::opaque", mutates_args=())
def opaque(x: Tensor, weight: Tensor) -> Tensor:
    """A user's own operation with weights."""
    return x * weight.sum()


@opaque.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return torch.empty_like(x)


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return opaque(opaque(x, self.weight), self.weight)  # type: ignore[no-any-return]


def test_an_unknown_operation_with_weights_is_named() -> None:
    with pytest.raises(ScenarioError, match=r"simsplit_test::opaque \(in stem\) reads weights"):
        record(Own(), torch.rand(2, 3), name="stem")


def test_its_work_may_be_stated() -> None:
    assert total_macs(record(Own(), torch.rand(2, 3), unknown_macs=50)) == 2 * 50


def test_without_weights_it_moves_elements() -> None:
    found = record(lambda x: opaque(x, torch.ones(1)), torch.rand(2, 3))
    assert total_macs(found) == 0 and found[-1].elements_out == 3
