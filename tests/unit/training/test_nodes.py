"""Distillation at nodes works out what lies before them, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import fx, nn

from coded_digits import NETWORK, code_recipe, trained, write_module
from simsplit.training.losses import NodeReader

SHORT: dict[str, Any] = {"train_images": 32, "test_images": 8, "batch": 16}
AT_A_NODE = {"distill": {"nodes": ["deep.1"]}}


class Unreachable(nn.Module):
    """Must not be run."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("run")


def test_nothing_behind_the_last_node_is_run() -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), Unreachable())
    traced = fx.GraphModule(layers, _graph_of(layers))
    x = torch.ones(1, 3)
    reader = NodeReader(traced, ["one", "zero"])
    seen = reader.read(x)
    assert set(seen) == {"zero", "one"}
    assert torch.equal(seen["one"], layers[1](layers[0](x)))
    with pytest.raises(AssertionError, match="run"):
        NodeReader(traced, ["one"]).run(x)


def _graph_of(layers: nn.Sequential) -> fx.Graph:
    graph = fx.Graph()
    value = graph.placeholder("x")
    for index, name in enumerate(("zero", "one", "two")[: len(layers)]):
        value = graph.create_node("call_module", str(index), (value,), name=name)
    graph.output(value)
    return graph


@pytest.mark.parametrize("objectives", [AT_A_NODE, AT_A_NODE | {"task": 1}], ids=["nodes", "both"])
def test_the_networks_end_is_run_for_the_task_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objectives: dict[str, Any]
) -> None:
    """Of the student's tail if the task is an objective too; of the teacher never."""
    write_module(tmp_path, monkeypatch)
    trained(tmp_path / "net", NETWORK | SHORT | {"phases": [{"train": "network", "steps": 2}]})
    ran: list[str] = []
    run_node = NodeReader.run_node

    def noted(self: NodeReader, n: fx.Node) -> Any:
        ran.append(n.name)
        return run_node(self, n)

    monkeypatch.setattr(NodeReader, "run_node", noted)
    phase = {"train": "code", "steps": 3, "objectives": {"feature": 1} | objectives}
    trained(
        tmp_path / "code", code_recipe({"kind": "jscc", "symbols": 32}, phases=[phase], **SHORT)
    )
    assert ran.count("deep_1") == 6
    assert ran.count("output") == (3 if "task" in objectives else 0)
