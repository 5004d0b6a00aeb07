"""Declared answers through the pipeline: boxes, heads, preprocessing, a metric of one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import simsplit
from simsplit.errors import ScenarioError
from simsplit.messages import Delivery, ScoreRequest
from simsplit.networks.catalogue import open_network
from simsplit.networks.opened import network_digest
from simsplit.pipeline.coded import network_chains
from simsplit.pipeline.pipeline import Pipeline
from simsplit.pipeline.traced import TracedNetwork
from simsplit.results.metrics import metric
from simsplit.scenario.load import digest, load, resolved_yaml
from simsplit.scenario.operating_points import Network, OperatingPoint
from simsplit.scenario.permission import code_allowed
from simsplit.study.codings import codings_of
from simsplit.tasks.datasets import open_dataset
from simsplit.tasks.evidence import pooled

MODULE = '''
import torch
from torch import nn
from torchvision.ops import nms


class Detector(nn.Module):
    """A box per cell of a grid of 4 x 4 pixels; non-maximum suppression at the end."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1)
        self.head = nn.Conv2d(8, 3, 4, 4)
        y, x = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
        corner = torch.stack((x, y), -1).reshape(-1, 2) * 4
        self.register_buffer("cells", torch.cat((corner, corner + 6), -1))

    def forward(self, x):
        maps = self.head(torch.relu(self.stem(x)))[0].flatten(1).T  # (16, 3)
        scores, labels = maps[:, :2].sigmoid().max(1)
        boxes = self.cells + maps[:, 2:].tanh()
        keep = nms(boxes, scores, 0.2)
        return {"boxes": boxes[keep], "scores": scores[keep], "labels": labels[keep] + 1}


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, 1, 1)
        self.tens, self.odd = nn.Linear(256, 10), nn.Linear(256, 2)

    def forward(self, x):
        x = torch.relu(self.stem(x)).flatten(1)
        return {"odd": self.odd(x), "digit": self.tens(x)}


class Margin:
    """How far the right class is ahead, at most ``most``."""

    def __init__(self, most=1.0):
        self.most = most

    def score(self, answer, truth):
        own = answer[truth["label"]]
        return float(min(self.most, own - answer.max()))

    def evidence(self, answer, truth):
        return answer

    def pooled(self, evidence):
        return float(max(array.max() for array in evidence))
'''
HERE, LOST = Delivery(0, True), Delivery(0, False)


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's own module on the path, and weights of its networks."""
    (tmp_path / "answer_nets.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path))
    import answer_nets  # type: ignore[import-not-found]

    for name in ("Detector", "Heads"):
        torch.manual_seed(1)
        torch.save(getattr(answer_nets, name)().state_dict(), tmp_path / f"{name}.pth")
    with code_allowed():
        yield tmp_path
    sys.modules.pop("answer_nets", None)


def network(folder: Path, name: str, answer: Any, **more: Any) -> Network:
    weights = str(folder / f"{name}.pth")
    return Network(name="net", source=f"answer_nets:{name}", weights=weights, answer=answer, **more)


def points(split: str) -> dict[str, OperatingPoint]:
    specs: list[dict[str, Any]] = [
        {"name": "local", "scheme": "local"},
        {"name": "raw", "scheme": "raw", "codec": {"kind": "pixels"}},
        {"name": "cut", "scheme": "separate", "split": split, "codec": {"kind": "tensor"}},
    ]
    return {s["name"]: OperatingPoint.model_validate(s | {"network": "net"}) for s in specs}


def opened(
    network: Network, points: dict[str, OperatingPoint], truth: Any, **classes: Any
) -> Pipeline:
    return Pipeline(network_chains(network, points.values(), truth, **classes), seed=0)


def network_of(chain: Pipeline) -> TracedNetwork:
    network = chain.chains["local"].network
    assert isinstance(network, TracedNetwork)
    return network


def first_output(chain: Pipeline) -> Any:
    network = network_of(chain)
    return next(network.whole(network.truth["image"]))


def scenes(count: int = 6) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    boxes = np.full((count, 2, 4), np.nan, np.float32)
    boxes[:, 0] = [0, 0, 6, 6]
    boxes[::2, 1] = [8, 8, 14, 14]
    labels = np.where(np.isnan(boxes[..., 0]), -1, rng.integers(0, 2, (count, 2)))
    image = rng.integers(0, 256, (count, 16, 16, 3)).astype(np.uint8)
    return {"image": image, "boxes": boxes, "box_labels": labels}


# --- boxes -------------------------------------------------------------------------------------


def test_boxes_are_the_same_wherever_the_network_is_cut(nets: Path) -> None:
    chain = opened(
        network(nets, "Detector", {"kind": "detection"}),
        points("relu"),
        scenes(),
        classes={"box_labels": 2},
    )
    found = {
        name: chain.score([ScoreRequest(name, sample, HERE) for sample in range(6)])
        for name in ("local", "raw", "cut")
    }
    for name in ("raw", "cut"):
        for one, other in zip(found[name], found["local"], strict=True):
            for key, values in one.evidence[0].values.items():
                assert np.allclose(values, other.evidence[0].values[key], atol=1e-6)
    pieces = [outcome.evidence[0].values for outcome in found["cut"]]
    lost = [o.evidence[0] for o in chain.score([ScoreRequest("cut", s, LOST) for s in range(6)])]
    assert all(one.is_lost and not len(one.values["detections"]) for one in lost)
    truths = sum(one.values["truths"].sum() for one in lost)
    assert truths == 9  # what nobody found counts all the same
    assert pooled("map50", [one.values for one in lost]) == 0.0
    assert 0.0 <= pooled("map50", pieces) <= 1.0


def test_suppression_is_work_of_the_tail_and_boxes_weigh_ten_bytes(nets: Path) -> None:
    chain = opened(
        network(nets, "Detector", {"kind": "detection"}),
        points("relu"),
        scenes(),
        classes={"box_labels": 2},
    )
    work = chain.workload("cut")
    assert [o.form for o in work.edge].count("nms") == 1
    assert "nms" not in [o.form for o in work.device]
    (nms,) = (o for o in work.edge if o.form == "nms")
    assert nms.elements_in == 16 * 5  # boxes and scores are read
    found = network_of(chain).scorer.read(first_output(chain), 0)[0]
    assert isinstance(found, dict)
    assert chain.prepared("cut").answer_bits[0] == len(found["scores"]) * (4 * 16 + 8 + 8)
    assert work.answer_map == ()


def test_boxes_are_in_the_pictures_pixels_though_the_network_sees_a_smaller_one(
    nets: Path,
) -> None:
    truth = scenes() | {"image": np.zeros((6, 32, 48, 3), np.uint8)}
    said = {"size_px": [16, 16]}
    chain = opened(
        network(nets, "Detector", {"kind": "detection"}, preprocess=said),
        points("relu"),
        truth,
        classes={"box_labels": 2},
    )
    small = first_output(chain)["boxes"].numpy()
    found = network_of(chain).scorer.read(first_output(chain), 0)[0]
    assert isinstance(found, dict)
    expected = small * np.array([3, 2, 3, 2], np.float32)
    assert np.allclose(np.sort(found["boxes"], axis=0), np.sort(expected, axis=0))


# --- heads, one channel ------------------------------------------------------------------------

HEADS = [
    {"kind": "classification", "output": "digit"},
    {"kind": "classification", "output": "odd", "name": "odd", "truth": "label_odd"},
]


def test_two_heads_of_a_one_channel_network_on_one_channel_pictures(nets: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype(np.uint8)
    truth = {"image": image, "label": np.arange(4), "label_odd": np.arange(4) % 2}
    chain = opened(network(nets, "Heads", HEADS), points("relu"), truth)
    import answer_nets  # type: ignore[import-not-found]

    net = answer_nets.Heads().eval()
    net.load_state_dict(torch.load(nets / "Heads.pth", weights_only=True))
    with torch.inference_mode():
        output = net(torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255)
    asked = [ScoreRequest("cut", sample, HERE) for sample in range(4)]
    for sample, outcome in enumerate(chain.score(asked)):
        scores = outcome.as_dict()
        assert scores["accuracy"] == float(output["digit"][sample].argmax() == sample)
        assert scores["accuracy_odd"] == float(output["odd"][sample].argmax() == sample % 2)
    assert set(chain.prepared("cut").answer_bits) == {16}  # a byte per class


def test_colour_for_a_network_of_one_channel_needs_a_word(nets: Path) -> None:
    image = np.full((2, 8, 8, 3), (255, 0, 0), np.uint8)
    truth = {"image": image, "label": np.arange(2), "label_odd": np.arange(2)}
    chain = opened(network(nets, "Heads", HEADS), points("relu"), truth)
    with pytest.raises(ScenarioError, match=r"takes 1 channel.*have 3; say channels: 1"):
        chain.prepared("cut")
    grey = network(nets, "Heads", HEADS, preprocess={"channels": 1})
    seen = TracedNetwork(grey, truth).inputs(torch.from_numpy(image))
    assert seen.shape == (2, 1, 8, 8) and float(seen[0, 0, 0, 0]) == pytest.approx(76 / 255)


# --- a whole run -------------------------------------------------------------------------------


def scenario(folder: Path, answer: Any, **more: Any) -> dict[str, Any]:
    return {
        "name": "answers",
        "seed": 1,
        "duration_s": 6.0,
        "replications": 3,
        "task": {"dataset": "digits", "height_px": 8, "width_px": 8, "samples": 16},
        "model": None,
        "networks": [
            {
                "name": "net",
                "source": "answer_nets:Heads",
                "weights": str(folder / "Heads.pth"),
                "answer": answer,
                **more,
            }
        ],
        "operating_points": [{"name": "here", "scheme": "local", "network": "net"}],
        "devices": [
            {
                "name": "d",
                "count": 1,
                "hardware": "raspberry_pi_4",
                "operating_point": "here",
                "arrivals": {"kind": "poisson", "rate_hz": 10},
            }
        ],
        "cell": {"channel": {"kind": "fixed_snr", "snr_db": 12}},
    }


def test_a_run_has_pooled_kpis_with_intervals_and_stores_no_evidence(
    nets: Path, tmp_path: Path
) -> None:
    answer = {"kind": "classification", "output": "digit"}
    result = simsplit.run(scenario(nets, answer), out=tmp_path / "run", workers=0)
    kpis = result.summary["operating_points"]["here"]
    assert 0 <= kpis["ece"]["ci_low"] <= kpis["ece"]["mean"] <= kpis["ece"]["ci_high"] <= 1
    assert kpis["ece"]["method"] == "jackknife over replications (3)"
    assert {"score_accuracy", "score_top5"} <= set(result.requests.columns)
    assert "evidence" not in result.requests.columns
    again = simsplit.run(scenario(nets, answer), out=tmp_path / "again", workers=0)
    assert again.summary["operating_points"]["here"]["ece"] == kpis["ece"]  # from the cache


def test_a_metric_of_ones_own_scores_and_pools(nets: Path, tmp_path: Path) -> None:
    own = {"kind": "custom", "name": "margin", "target": "answer_nets:Margin", "output": "digit"}
    result = simsplit.run(
        scenario(nets, own | {"options": {"most": 0.0}}), out=tmp_path / "run", workers=0
    )
    kpis = result.summary["operating_points"]["here"]
    assert kpis["score_margin"]["mean"] <= 0.0
    assert kpis["pooled_margin"]["mean"] is not None
    cached = simsplit.run(
        scenario(nets, own | {"options": {"most": 0.0}}), out=tmp_path / "again", workers=0
    )
    assert cached.summary["operating_points"]["here"]["pooled_margin"] == kpis["pooled_margin"]


BROKEN = {
    "no score": ("class Own:\n    pass", "score"),
    "text": ("class Own:\n    def score(self, answer, truth):\n        return 'good'", "a number"),
    "NaN": (
        "class Own:\n    def score(self, answer, truth):\n        return float('nan')",
        "a finite number",
    ),
    "raises": ("class Own:\n    def score(self, answer, truth):\n        return 1 / 0", "failed"),
    "pooled alone": (
        "class Own:\n    def score(self, a, t):\n        return 1\n"
        "    def pooled(self, e):\n        return 1",
        "evidence(answer, truth)",
    ),
    "options": (
        "class Own:\n    def __init__(self, k):\n        pass\n"
        "    def score(self, a, t):\n        return 1",
        "cannot be built",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_metric_that_breaks_its_contract_says_which_clause(
    name: str, nets: Path, tmp_path: Path
) -> None:
    code, part = BROKEN[name]
    (nets / "own_metric.py").write_text(code)
    sys.modules.pop("own_metric", None)
    own = {"kind": "custom", "target": "own_metric:Own", "output": "digit"}
    with pytest.raises(ScenarioError) as caught:
        simsplit.run(scenario(nets, own), out=tmp_path / "run", workers=0)
    assert part in str(caught.value), str(caught.value)
    sys.modules.pop("own_metric", None)


# --- digests -----------------------------------------------------------------------------------


def test_what_is_not_said_is_in_no_digest_and_what_is_said_is(nets: Path) -> None:
    content = network(nets, "Heads", "label").model_dump(mode="json")
    assert "preprocess" not in content and content["answer"] == "label"
    plain = load(scenario(nets, {"kind": "classification", "output": "digit"}))
    said = load(
        scenario(nets, {"kind": "classification", "output": "digit"}, preprocess={"mean": [0.5]})
    )
    assert digest(plain) != digest(said)
    assert network_digest(plain.networks[0]) != network_digest(said.networks[0])
    assert load(_mapping(resolved_yaml(said))) == said


def _mapping(text: str) -> dict[str, Any]:
    import yaml

    content: dict[str, Any] = yaml.safe_load(text)
    return content


def test_scores_of_named_answers_are_those_of_their_kind() -> None:
    one = metric("score_accuracy_odd")
    assert one is not None and one.label == "accuracy of odd" and one.most == 1.0
    pooled_one = metric("map50_95_cars")
    assert pooled_one is not None and pooled_one.label.startswith("mAP at IoU 0.50 to 0.95")
    assert metric("score_margin") is None


def test_every_detectors_suppression_is_counted() -> None:
    """Torchvision's own detectors suppress inside their graph's last leaf."""
    from torchvision.models import detection

    from simsplit.networks.costs import record
    from simsplit.networks.detection import DetectionNet

    torch.manual_seed(0)
    net = detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=3
    )
    whole: nn.Module = DetectionNet(net, 64, 64).eval()
    forms = [operator.form for operator in record(whole, torch.rand(1, 3, 64, 64))]
    assert "nms" in forms


def test_only_maps_of_classes_are_coded_as_png(tmp_path: Path) -> None:
    """Boxes and disparities travel beside the map, but no PNG is made of their bytes."""
    module = open_network("street_net", height=32, width=64, options={"width": 0.25})
    torch.save(module.state_dict(), tmp_path / "street.pth")
    answer = [
        {"kind": "segmentation", "output": "segmentation"},
        {"kind": "detection", "centres": "centres", "extents": "extents"},
        {"kind": "disparity", "output": "disparity"},
    ]
    content = {"name": "net", "source": "street_net", "weights": str(tmp_path / "street.pth")}
    street = Network.model_validate(content | {"options": {"width": 0.25}, "answer": answer})
    data = open_dataset("streets", "test", height=32, width=64)
    chains = network_chains(street, points("layer2").values(), data.arrays(range(2)))
    pipeline, again = (Pipeline(chains, seed=1, cache_dir=tmp_path) for _ in range(2))
    for name, point in points("layer2").items():
        made, kept = pipeline.prepared(name), again.prepared(name)
        for prepared in (made, kept):
            assert prepared.map_bits is not None
            beside = 32 * 80 + 32 * 64 * 32  # bits: 32 boxes of 80, a float32 per pixel
            assert (prepared.answer_bits - prepared.map_bits == beside).all()
        coded = codings_of(point, pipeline.workload(name), made).answer
        if name != "local":
            assert [8 * one.coded_bytes for one in coded] == prepared.map_bits.tolist()
