"""Any network as a pipeline: sizes, costs, and answers on what really arrived."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.messages import Delivery, ScoreRequest
from simsplit.networks.opened import cut_names
from simsplit.pipeline.coded import network_chains
from simsplit.pipeline.pipeline import Pipeline
from simsplit.pipeline.scenario import expanded, open_pipeline
from simsplit.scenario.load import load
from simsplit.scenario.operating_points import Network, OperatingPoint
from simsplit.tasks.datasets import open_dataset

MODULE = '''
import torch
from torch import nn


class Reader(nn.Module):
    """Digits 8 x 8, three channels in, ten classes out, with a residual block."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 1, 1)
        self.block = nn.Conv2d(width, width, 3, 1, 1)
        self.last = nn.Linear(width * 16, 10)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = x + torch.relu(self.block(x))
        return self.last(torch.flatten(nn.functional.avg_pool2d(x, 2), 1))


class Chooser(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))
'''
HERE = Delivery(0, True)
LOST = Delivery(0, False)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's own module on the path, and a weights file for it."""
    (tmp_path / "own_nets.py").write_text(MODULE)
    monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path))  # by which it may be imported
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_nets", raising=False)
    from own_nets import Reader  # type: ignore[import-not-found]

    torch.manual_seed(3)
    file = tmp_path / "reader.safetensors"
    save_file(Reader().state_dict(), file)
    yield file
    sys.modules.pop("own_nets", None)  # other tests have a module of that name


def points(**codecs: dict[str, Any]) -> dict[str, OperatingPoint]:
    made = {
        name: OperatingPoint.model_validate(
            {"name": name, "network": "net", "scheme": "separate", "split": "add", "codec": codec}
        )
        for name, codec in codecs.items()
    }
    rest = [{"name": "local", "scheme": "local"}, {"name": "pixels", "scheme": "raw"}]
    for spec in rest:
        codec = {"kind": "pixels"} if spec["scheme"] == "raw" else None
        made[spec["name"]] = OperatingPoint.model_validate(
            spec | {"network": "net", "codec": codec}
        )
    return made


def pipeline(file: Path, **codecs: dict[str, Any]) -> Pipeline:
    network = Network(name="net", source="own_nets:Reader", weights=str(file), answer="label")
    truth = open_dataset("digits", "test").arrays(range(12))
    return Pipeline(network_chains(network, points(**codecs).values(), truth), seed=0)


def truth_of(chain: Pipeline) -> Any:
    return chain.chains["local"].network.truth


def test_lossless_ways_give_the_whole_networks_answers(reader: Path) -> None:
    chain = pipeline(reader, exact={"kind": "tensor"}, bytes8={"kind": "tensor", "dtype": "uint8"})
    for sample in range(12):
        names = ("local", "pixels", "exact")
        asked = [ScoreRequest(name, sample, HERE) for name in names]
        local, pixels, exact = (o.as_dict()["accuracy"] for o in chain.score(asked))
        assert local == pixels == exact
    assert chain.score([ScoreRequest("exact", 0, LOST)])[0].as_dict() == {"accuracy": 0.0}


def test_scores_are_those_of_the_module_itself(reader: Path) -> None:
    from own_nets import Reader
    from safetensors.torch import load_file

    net = Reader().eval()
    net.load_state_dict(load_file(reader))
    chain = pipeline(reader, exact={"kind": "tensor"})
    images = torch.from_numpy(truth_of(chain)["image"]).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        right = net(images.expand(-1, 3, -1, -1)).argmax(1).numpy() == truth_of(chain)["label"]
    found = [
        o.as_dict()["accuracy"]
        for o in chain.score([ScoreRequest("exact", i, HERE) for i in range(12)])
    ]
    assert found == right.astype(float).tolist()


def test_payload_is_what_lives_at_the_cut(reader: Path) -> None:
    chain = pipeline(
        reader,
        f32={"kind": "tensor"},
        f16={"kind": "tensor", "dtype": "float16"},
        u8={"kind": "tensor", "dtype": "uint8"},
    )
    values = 6 * 8 * 8
    sizes = {
        name: set(chain.prepared(name).payload_bits) for name in ("f32", "f16", "u8", "pixels")
    }
    assert sizes == {
        "f32": {32 * values},
        "f16": {16 * values},
        "u8": {8 * values + 64},  # two float32 ahead
        "pixels": {8 * 64},  # digits have one channel
    }
    assert {len(payload) * 8 for payload in chain.prepared("u8").payloads} == sizes["u8"]


def test_work_on_either_side_adds_up(reader: Path) -> None:
    chain = pipeline(reader, f32={"kind": "tensor"})
    whole = chain.workload("local").device_macs
    cut = chain.workload("f32")
    assert whole == (3 + 6) * 6 * 9 * 64 + 6 * 16 * 10
    assert cut.device_macs == (3 + 6) * 6 * 9 * 64 and cut.device_macs + cut.edge_macs == whole
    assert chain.workload("pixels").edge_macs == whole


def test_random_weights_are_not_scored() -> None:
    scenario = load(
        "neurosurgeon",
        overrides=["task.height_px=64", "task.width_px=64", "networks.other.source=squeezenet1_1"],
    )
    assert [p.split for p in scenario.operating_points if p.name == "cut"] == ["every"]
    wide = expanded(scenario)
    names = cut_names(scenario.networks[0], 64, 64)
    assert [p.split for p in wide.operating_points if p.of == "cut"] == names
    chain = open_pipeline(wide, Path("models"), None)
    assert chain.score([ScoreRequest("mobile", 0, HERE)])[0].as_dict() == {}
    assert chain.prepare()["cut-features.2"].payload_bits[0] == 32 * 64 * 7 * 7


def test_random_weights_cannot_be_asked_for_a_score() -> None:
    with pytest.raises(ValueError, match="random weights"):
        Network(name="n", source="alexnet", weights="random", answer="label")


def test_an_unknown_cut_names_the_choices(reader: Path) -> None:
    network = Network(name="net", source="own_nets:Reader", weights=str(reader), answer="label")
    wrong = OperatingPoint.model_validate(
        {
            "name": "p",
            "network": "net",
            "scheme": "separate",
            "split": "stemm",
            "codec": {"kind": "tensor"},
        }
    )
    truth = open_dataset("digits", "test").arrays(range(2))
    with pytest.raises(ScenarioError, match=r"operating_points.p.split.*Did you mean 'stem'"):
        network_chains(network, [wrong], truth)


def test_control_flow_on_data_is_named(reader: Path) -> None:
    with pytest.raises(ScenarioError, match=r"x\.sum\(\) > 0"):
        cut_names(Network(name="n", source="own_nets:Chooser", weights="random"), 8, 8)


def test_weights_of_another_network_are_refused(reader: Path) -> None:
    with pytest.raises(ArtefactError):
        cut_names(Network(name="n", source="alexnet", weights=str(reader)), 64, 64)


def test_float16_overflow_is_an_error() -> None:
    from simsplit.codecs.contract import CodecError
    from simsplit.codecs.tensors import TensorsCodec

    codec = TensorsCodec([(2,)], "float16")
    with pytest.raises(CodecError, match="overflow"):
        codec.encode([np.array([1.0, 1e6], np.float32)])
