"""Operators of a call: kinds, multiply-accumulates, elements."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from simsplit.networks.costs import record
from simsplit.networks.graph import trace
from simsplit.operators import KINDS, total_macs


def test_a_convolution_by_hand() -> None:
    conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    (found,) = record(conv, torch.zeros(1, 3, 16, 16), name="stem")
    assert (found.name, found.kind) == ("stem", "conv")
    assert found.macs == 8 * 8 * 8 * 3 * 9
    assert (found.elements_in, found.elements_out) == (3 * 256, 8 * 64)
    assert found.weights == 8 * 27 + 8


def test_grouped_is_dense_unless_each_channel_is_alone() -> None:
    x = torch.zeros(1, 8, 4, 4)
    (alone,) = record(nn.Conv2d(8, 8, 3, groups=8, bias=False), x)
    (grouped,) = record(nn.Conv2d(8, 8, 3, groups=2, bias=False), x)
    assert (alone.kind, alone.macs) == ("depthwise", 4 * 8 * 9)
    assert (grouped.kind, grouped.macs) == ("conv", 4 * 8 * 4 * 9)


@pytest.mark.parametrize("shape", [(1, 6), (1, 4, 6), (1, 2, 4, 6)])
def test_a_linear_layer_with_any_number_of_dimensions(shape: tuple[int, ...]) -> None:
    found = record(nn.Linear(6, 5), torch.zeros(shape))
    assert total_macs(found) == torch.zeros(shape).numel() * 5
    assert {operator.kind for operator in found if operator.macs} == {"linear"}


def test_figures_are_per_sample() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    one, four = (record(net, torch.zeros(batch, 3, 8, 8)) for batch in (1, 4))
    assert one == four
    assert [operator.kind for operator in one] == ["conv", "activation", "linear"]


def attention(x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(x, x, x)


def test_both_products_of_attention() -> None:
    heads, tokens, width = 2, 5, 8
    found = record(attention, torch.zeros(1, heads, tokens, width))
    assert total_macs(found) == 2 * heads * tokens * tokens * width
    assert {operator.kind for operator in found if operator.macs} == {"attention"}


def test_the_fused_path_hides_nothing_and_is_put_back() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    before = torch.backends.mha.get_fastpath_enabled()
    tokens, width = 6, 16
    weights = 4 * width * width + 2 * width * 32
    found = record(layer, torch.zeros(1, tokens, width))
    assert total_macs(found) == tokens * weights + 2 * tokens * tokens * width
    assert torch.backends.mha.get_fastpath_enabled() is before


def test_views_cost_nothing_and_kinds_are_known() -> None:
    def reshaped(x: Tensor) -> Tensor:
        return x.view(1, -1).unsqueeze(0).transpose(1, 2).permute(0, 2, 1)[..., :3].detach()

    def several(x: Tensor) -> Tensor:
        y = F.layer_norm(F.max_pool2d(x, 2), (4, 4))
        return torch.cat([y, y.sigmoid()], 1).roll(1) * 2.0

    x = torch.zeros(1, 3, 8, 8)
    assert record(reshaped, x) == ()
    kinds = [operator.kind for operator in record(several, x)]
    assert kinds[:3] == ["pool", "norm", "activation"]
    assert set(kinds[3:]) == {"elementwise"}
    assert set(kinds) <= set(KINDS)


def test_pytorchs_own_counter_agrees() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2), nn.Flatten(), nn.Linear(196, 3)
    )
    x = torch.zeros(1, 3, 8, 8)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net(x)
    assert 2 * total_macs(record(net, x)) == counter.get_total_flops()


class Opaque(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x).relu())


def test_a_leaf_costs_the_sum_of_what_is_inside() -> None:
    net, x = nn.Sequential(Opaque(), nn.ReLU()), torch.zeros(1, 3, 8, 8)
    whole = [step for step in trace(net, x, leaves=["0"]).steps if step.operators]
    assert [step.name for step in whole] == ["0", "1"]
    assert [operator.kind for operator in whole[0].operators] == ["conv", "activation", "conv"]
    assert {operator.name for operator in whole[0].operators} == {"0"}
    assert total_macs(whole[0].operators) == 36 * 4 * 27 + 16 * 4 * 36
    assert sum(whole[0].parameters.values()) == sum(p.numel() for p in net.parameters())
