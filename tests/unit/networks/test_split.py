"""Head and tail are the whole network, bit for bit, wherever it is cut."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simsplit.errors import ScenarioError
from simsplit.networks.catalogue import open_network
from simsplit.networks.cuts import SplitPoint, cut, input_size, points
from simsplit.networks.graph import Graph, trace
from simsplit.networks.tracing import same
from simsplit.operators import total_macs
from simsplit.scenario.permission import code_allowed
from simsplit.seeds import generator

POINTS = 5
FEW_BOXES = {"min_size": 160, "max_size": 192}


@pytest.fixture(autouse=True)
def _plain_torch() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def images(size: int, batch: int = 1) -> Tensor:
    noise = generator(11, size, batch).random((batch, 3, size, size), dtype="float32")
    return torch.from_numpy(noise)


def chosen(offered: list[SplitPoint], key: int) -> list[SplitPoint]:
    """A few points at random, the same at every run."""
    picks = generator(5, key).choice(len(offered), min(POINTS, len(offered)), replace=False)
    return [offered[i] for i in sorted(picks)]


def check(module: nn.Module, graph: Graph, x: Tensor, offered: list[SplitPoint]) -> None:
    """Exact at each of these points; nothing that was handed over is changed."""
    whole, before = module(x.clone()), x.clone()
    for point in offered:
        head, tail = cut(graph, point.name)
        carried = head(x)
        kept = [tensor.clone() for tensor in carried]
        assert same(tail(*carried), whole), point.name
        assert all(map(torch.equal, carried, kept)), point.name
        assert torch.equal(x, before), point.name
        assert sum(t.numel() * t.element_size() for t in carried) == point.bytes, point.name


def wake(module: nn.Module, size: int) -> None:
    """Normalises by what really flows; else random weights let the picture fade on its way."""
    for inner in module.modules():
        if isinstance(inner, nn.BatchNorm2d):
            inner.momentum = 1.0
        if isinstance(inner, nn.Linear) and not inner.weight.any():  # transformers' last layer
            inner.weight += 0.01 * torch.arange(inner.weight.numel()).view_as(inner.weight).sin()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module.train()(images(size, batch=4))
    module.eval()


CLASSIFIERS = {
    "squeezenet1_1": 64,
    "resnet18": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "shufflenet_v2_x0_5": 64,
    "mnasnet0_5": 64,
    "regnet_y_400mf": 64,
    "googlenet": 64,
    "swin_t": 64,
}
HEAVY = {
    "efficientnet_b0": 64,
    "vit_b_32": 64,
    "convnext_tiny": 64,
    "densenet121": 64,
    "alexnet": 64,
    "vgg11": 64,
    "resnet50": 96,
    "wide_resnet50_2": 64,
    "resnext50_32x4d": 64,
    "inception_v3": 96,
    "efficientnet_v2_s": 64,
    "regnet_x_400mf": 64,
    "vit_b_16": 64,
    "swin_v2_t": 64,
    "maxvit_t": 224,
}
MAPS = {"lraspp_mobilenet_v3_large": 96, "deeplabv3_mobilenet_v3_large": 96}
HEAVY_MAPS = {"fcn_resnet50": 96, "deeplabv3_resnet50": 96}
DETECTORS: dict[str, dict[str, Any]] = {
    "ssdlite320_mobilenet_v3_large": {"score_thresh": 0.0, "detections_per_img": 10},
    "fasterrcnn_mobilenet_v3_large_320_fpn": {
        "box_score_thresh": 0.0,
        "box_detections_per_img": 10,
        **FEW_BOXES,
    },
}
HEAVY_DETECTORS: dict[str, dict[str, Any]] = {
    "retinanet_resnet50_fpn": {"score_thresh": 0.0, "detections_per_img": 10, **FEW_BOXES},
    "fcos_resnet50_fpn": {"score_thresh": 0.0, "detections_per_img": 10, **FEW_BOXES},
    "ssd300_vgg16": {"score_thresh": 0.0, "detections_per_img": 10},
    "maskrcnn_resnet50_fpn": {
        "box_score_thresh": 0.0,
        "box_detections_per_img": 3,
        **FEW_BOXES,
    },
    "keypointrcnn_resnet50_fpn": {
        "box_score_thresh": 0.0,
        "box_detections_per_img": 3,
        **FEW_BOXES,
    },
}


def slow(names: dict[str, Any]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", [*CLASSIFIERS, *MAPS, *slow(HEAVY), *slow(HEAVY_MAPS)])
def test_a_network_of_torchvision_at_random_points(name: str) -> None:
    size = {**CLASSIFIERS, **HEAVY, **MAPS, **HEAVY_MAPS}[name]
    module, x = open_network(name, height=size, width=size, seed=3), images(size)
    wake(module, size)
    assert not same(module(x), module(1.0 - x)), "an answer that depends on the picture"
    graph = trace(module, x)
    offered = points(graph)
    assert len(offered) > 20
    check(module, graph, x, chosen(offered, len(name)))


@pytest.mark.parametrize("name", [*DETECTORS, *slow(HEAVY_DETECTORS)])
def test_a_detector_at_random_points_of_its_backbone(name: str) -> None:
    from torchvision.models import get_model

    options, x = {**DETECTORS, **HEAVY_DETECTORS}[name], images(160)
    module = open_network(name, height=160, width=160, seed=3, options=options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        original = get_model(name, weights=None, weights_backbone=None, **options).eval()
    wake(original.backbone, 300 if name == "ssd300_vgg16" else 160)
    module.backbone.load_state_dict(original.backbone.state_dict())
    found = original(list(x.clone()))
    assert not same(found, original(list(1.0 - x))), "an answer that depends on the picture"
    assert len(found[0]["boxes"]) > 0, "boxes to compare"
    assert same(module(x), found)
    graph = trace(module, x)
    offered = points(graph)
    assert any("fpn" in p.name or "extra" in p.name for p in offered), "cuts inside the backbone"
    check(original_on_tensors(original), graph, x, chosen(offered, len(name)))


def original_on_tensors(detector: nn.Module) -> Any:
    return lambda x: detector(list(x))


class ResidualToy(nn.Module):
    """Skips, chunks, in-place operations, views, parameters used directly, several outputs."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, channels, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.mix = nn.Conv2d(channels // 2, channels, 1)
        self.drop = nn.Dropout()
        self.gain = nn.Parameter(torch.linspace(0.5, 2.0, channels))
        self.out = nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> dict[str, Any]:
        early = self.enter(x)
        positive = self.act(early)  # the same memory under another name
        left, right = positive.chunk(2, dim=1)
        mixed = self.drop(self.mix(right)) + early * self.gain.view(1, -1, 1, 1)
        flat = positive.view(x.shape[0], -1)
        flat.add_(1.0)  # changes `early`, `positive` and `left` too
        pooled = mixed.mean((2, 3))
        return {
            "score": self.out(pooled),
            "maps": [left + mixed[:, : left.shape[1]], flat],
            "none": None,
        }


class WritesToItsInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act, self.conv = nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        positive = self.act(x)
        return self.conv(x) + self.conv(positive)


class Exported(nn.Module):
    """torch.fx cannot follow the default argument's branch; torch.export can."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor, raw: bool = False) -> tuple[Tensor, Tensor]:
        first = self.conv(x) if raw else self.norm(self.conv(x))
        marked = first.clone()
        marked[:, 0] = 0.0
        return self.out(marked.relu_().mean((2, 3))), first


class Slices(nn.Module):
    """Live slices of a tensor that is dead itself: two equal ones, one that overlaps them."""

    def __init__(self, written: bool = True) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 1), nn.Conv2d(4, 4, 1)
        self.written = written

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        whole = self.a(x)
        one, equal, overlapping = whole[:, :4], whole[:, :4], whole[:, 2:6]
        new = self.b(one)
        if self.written:
            one.add_(new)
        return one * 2.0, equal * 3.0, overlapping * 4.0


class UnwrittenSlices(Slices):
    def __init__(self) -> None:
        super().__init__(written=False)


TOYS = (ResidualToy, WritesToItsInput, Exported, Slices, UnwrittenSlices)


def toy_graph(kind: type[nn.Module]) -> tuple[nn.Module, Graph, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = kind()
    x = images(8) - 0.5
    return module, trace(module, x), x


@pytest.mark.parametrize("kind", TOYS)
def test_every_point_of_a_toy_is_exact(kind: type[nn.Module]) -> None:
    module, graph, x = toy_graph(kind)
    check(module, graph, x, points(graph))


def test_repeated_cuts_share_nothing_that_changes() -> None:
    module, graph, x = toy_graph(ResidualToy)
    first, again = cut(graph, "mix"), cut(graph, "mix")
    for head, tail in (first, again, first):
        carried, whole = head(x), module(x)
        assert same(tail(*carried), whole)
        assert same(tail(*carried), whole)


class PlainResidual(nn.Module):
    """Five values, none of them a view or written to: the live ones can be told by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, stride=2), nn.Conv2d(6, 6, 3, padding=1)
        self.c = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.a(x)
        second = self.b(first)
        added = first + second
        small = self.c(added)
        return small, second * 2.0


def test_what_is_carried_is_what_is_live() -> None:
    _, graph, x = toy_graph(PlainResidual)
    side = (x.shape[-1] - 3) // 2 + 1
    wide, narrow = 4 * 6 * side * side, 4 * 2 * side * side
    live = {
        "input": [4 * x.numel()],
        "a": [wide],
        "b": [wide, wide],  # the skip and the branch
        "add": [wide, wide],  # the sum, and the branch that is an output too
        "c": [wide, narrow],
        "output": [narrow, wide],
    }
    offered = {point.name: point for point in points(graph)}
    assert {name: point.bytes for name, point in offered.items()} == {
        name: sum(sizes) for name, sizes in live.items()
    }
    assert [len(offered[name].shapes) for name in live] == [len(v) for v in live.values()]


def test_one_memory_under_two_names_is_carried_once() -> None:
    _, graph, _ = toy_graph(ResidualToy)
    offered = {point.name: point for point in points(graph)}
    assert offered["act"].shapes == ((8, 8, 8),)  # `early` and `positive`
    assert offered["mix"].shapes == ((8, 8, 8), (8, 8, 8))  # with `left`: still one memory
    assert "chunk" not in offered, "a tuple is not carried"


def test_slices_are_carried_for_less_unless_they_are_written_to() -> None:
    offered = [
        {point.name: point.shapes for point in points(toy_graph(kind)[1])}
        for kind in (Slices, UnwrittenSlices)
    ]
    written, unwritten = (found["getitem_2"] for found in offered)
    assert written == ((16, 8, 8),)  # one memory, so that a write is seen through each slice
    assert unwritten == ((4, 8, 8), (4, 8, 8))  # the equal ones once


SMALL_TRANSFORMER = {
    "image_size": 64,
    "patch_size": 16,
    "num_layers": 2,
    "num_heads": 4,
    "hidden_dim": 64,
    "mlp_dim": 128,
}
BATCHED: dict[str, dict[str, Any]] = {
    "torchvision.models.vision_transformer:VisionTransformer": SMALL_TRANSFORMER,
    "shufflenet_v2_x0_5": {},
    "lraspp_mobilenet_v3_large": {},
}


@pytest.mark.parametrize("name", BATCHED)
def test_sizes_are_not_carried_and_follow_the_batch(name: str) -> None:
    with code_allowed():
        module = open_network(name, height=64, width=64, options=BATCHED[name])
    graph, two = trace(module, images(64)), images(64, batch=2)
    whole = module(two)
    assert graph.takes_batches
    for point in chosen(points(graph), 2):
        head, tail = cut(graph, point.name)
        carried = head(two)
        assert all(tensor.is_floating_point() for tensor in carried)
        assert same(tail(*carried), whole), point.name


class OneAtATime(nn.Module):
    """The exporter writes the example's batch into the view."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor, flat: bool = True) -> Tensor:
        y = self.conv(x)
        return y.view(x.shape[0], -1) if flat else y


def test_a_graph_for_one_sample_says_so() -> None:
    graph = trace(OneAtATime(), images(8))
    assert not graph.takes_batches
    why = graph.why_one_at_a_time
    assert why is not None and why.startswith("RuntimeError: Expected input at ")
    assert "\n" not in why


class Centred(nn.Module):
    """Its answer to a picture depends on the pictures beside it."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=tuple(range(x.dim())))


class NotForTwo(nn.Module):
    """Runs out of something with two pictures, not with one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 1:
            raise MemoryError("out of memory\nsecond line")
        return self.conv(x)


def test_the_cause_of_one_at_a_time_is_kept() -> None:
    graph = trace(nn.Sequential(nn.Conv2d(3, 4, 3)), images(8))
    assert graph.why_one_at_a_time is None
    graph = trace(NotForTwo(), images(8))
    graph.__dict__["module"] = NotForTwo()
    assert graph.why_one_at_a_time == "MemoryError: out of memory"


class NotDark(nn.Module):
    """Refuses two black pictures, as a check of a user's own might."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 1 and not x.any():
            raise ValueError("these pictures are black")
        return x


def test_shapes_of_two_are_those_of_the_pictures_that_were_tried() -> None:
    """What takes two pictures has shapes for them; nothing is hidden."""
    graph = trace(nn.Sequential(NotDark(), nn.Conv2d(3, 4, 3)), images(8), leaves=["0"])
    assert graph.takes_batches
    assert {shape[0] for shape in graph.grown.values()} == {2}


def test_what_cannot_be_run_with_two_has_no_shapes_and_a_reason() -> None:
    graph = trace(OneAtATime(), images(8))
    assert graph.grown == {}
    assert graph.why_one_at_a_time is not None


def test_the_two_sides_add_up() -> None:
    module = open_network("mobilenet_v3_small", height=64, width=64)
    graph = trace(module, images(64))
    parameters = sum(p.numel() for p in module.parameters())
    for point in points(graph):
        assert point.head_params + point.tail_params == parameters
        assert total_macs(point.head_operators) == point.head_macs
        assert total_macs(point.tail_operators) == point.tail_macs
        assert point.head_macs + point.tail_macs == pytest.approx(total_macs(graph.operators))
    first, last = points(graph)[0], points(graph)[-1]
    assert (first.name, first.head_macs, first.head_params) == ("input", 0, 0)
    assert (last.name, last.tail_macs, last.tail_params) == ("output", 0, 0)


def test_names_are_readable_and_unique() -> None:
    graph = trace(open_network("resnet18", height=64, width=64), images(64))
    names = [point.name for point in points(graph)]
    assert len(set(names)) == len(names)
    assert {"input", "maxpool", "layer3.0.conv2", "layer3.0.add", "flatten", "output"} <= set(names)


def test_bottlenecks_are_smaller_than_the_input() -> None:
    graph = trace(open_network("squeezenet1_1", height=64, width=64), images(64))
    offered = {point.name: point for point in points(graph)}
    size = input_size((3, 64, 64))
    assert (size.uint8, size.float32) == (3 * 64 * 64, 4 * 3 * 64 * 64)
    assert size.jpeg is not None and 500 < size.jpeg < size.uint8 / 2
    assert not offered["features.0"].is_bottleneck
    for point in offered.values():
        assert point.is_bottleneck == (point.bytes < size.uint8)
        assert point.below_jpeg == (point.bytes < size.jpeg)
    assert offered["features.12.squeeze"].is_bottleneck


def test_no_jpeg_of_what_is_no_picture() -> None:
    assert input_size((7, 8, 8)).jpeg is None
    assert input_size((1, 32, 32)).jpeg is not None


class Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x * 2.0
        return x


class DataDependent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.gate, self.b = nn.Conv2d(3, 4, 3), Gate(), nn.Conv2d(4, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.gate(self.a(x)))


def test_data_dependent_control_flow_names_the_line_and_the_remedy(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ScenarioError) as caught:
        trace(DataDependent(), images(8))
    message = str(caught.value)
    for part in ("Gate.forward", "if x.sum() > 0", "torch.where", "leaves: [gate]"):
        assert part in message
    assert capfd.readouterr().err == "", "no traceback, no graph of the exporter"


def test_a_leaf_keeps_the_difficult_part_whole() -> None:
    module, x = DataDependent(), images(8)
    graph = trace(module, x, leaves=["gate"])
    assert [point.name for point in points(graph)] == ["input", "a", "gate", "output"]
    check(module, graph, x, points(graph))


def test_wrong_names_get_the_nearest_one() -> None:
    graph = trace(DataDependent(), images(8), leaves=["gate"])
    with pytest.raises(ScenarioError, match="Did you mean 'gate'"):
        cut(graph, "gat")
    with pytest.raises(ScenarioError, match="Did you mean 'gate'"):
        trace(DataDependent(), images(8), leaves=["gates"])


def test_a_users_class_by_its_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "my_networks", sys.modules[ResidualToy.__module__])
    with code_allowed():
        options = {"channels": 12}
        module = open_network("my_networks:ResidualToy", height=8, width=8, options=options)
    graph = trace(module, images(8))
    assert points(graph)[1].shapes == ((12, 8, 8),)
    with code_allowed(), pytest.raises(ScenarioError, match="colour"):
        open_network("my_networks:ResidualToy", height=8, width=8, options={"colour": 1})
