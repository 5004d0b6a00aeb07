"""All pipelines of a scenario as one: points written out, each scored by its own, in order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from simsplit.errors import ScenarioError
from simsplit.messages import Delivery, Outcome, Prepared, ScoreRequest, Workload
from simsplit.networks import inference
from simsplit.networks.opened import cut_names
from simsplit.pipeline import traced
from simsplit.pipeline.chains import Chain, LocalChain, Pictures, TaskNetwork
from simsplit.pipeline.pipeline import Pipeline
from simsplit.pipeline.scenario import expanded, open_pipeline
from simsplit.scenario.bundled import models_dir
from simsplit.scenario.load import load
from simsplit.scenario.operating_points import OperatingPoint
from simsplit.scenario.permission import code_allowed
from simsplit.scenario.scenario import Scenario
from simsplit.study.inputs import make_plans
from simsplit.study.run import run

MODULE = '''
from torch import nn


class Reader(nn.Module):
    """Digits 8 x 8, three channels in, ten classes out."""

    def __init__(self, width=4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 1, 1)
        self.last = nn.Linear(width * 16, 10)

    def forward(self, x):
        x = self.stem(x).relu()
        return self.last(nn.functional.avg_pool2d(x, 2).flatten(1))
'''
HERE = Delivery(0, True)
GROUP = {
    "count": 1,
    "hardware": "raspberry_pi_4",
    "arrivals": {"kind": "periodic", "period_s": 0.1},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A user's own module on the path, and a weights file for it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "piped_nets.py").write_text(MODULE)
    sys.path.insert(0, str(folder))
    from piped_nets import Reader  # type: ignore[import-not-found]

    torch.manual_seed(3)
    save_file(Reader().state_dict(), folder / "reader.safetensors")
    with code_allowed():
        yield folder / "reader.safetensors"
    sys.path.remove(str(folder))
    sys.modules.pop("piped_nets", None)


def networks(weights: Path) -> list[dict[str, Any]]:
    """One that answers, and one twice as wide that only costs."""
    source = {"source": "piped_nets:Reader"}
    return [
        source | {"name": "reader", "weights": str(weights), "answer": "label"},
        source | {"name": "wide", "weights": "random", "options": {"width": 8}},
    ]


TENSOR = {"kind": "tensor"}
NETWORK_POINTS = [
    {"name": "read", "scheme": "raw", "network": "reader", "codec": {"kind": "pixels"}},
    {"name": "cut", "scheme": "separate", "network": "reader", "split": "every", "codec": TENSOR},
    {"name": "cost", "scheme": "separate", "network": "wide", "split": "stem", "codec": TENSOR},
]
HOUSE_POINTS = [
    {"name": "feature", "scheme": "separate", "split": "stage2", "codec": {"kind": "entropy"}},
    {"name": "analog", "scheme": "jscc", "split": "stage2"},
    {"name": "own", "scheme": "local"},
]


def mapping(weights: Path, **changes: Any) -> dict[str, Any]:
    """Digits, the scenario's model and two networks; a group for every point."""
    points = [*NETWORK_POINTS[:1], *HOUSE_POINTS[:2], *NETWORK_POINTS[1:], *HOUSE_POINTS[2:]]
    found = {
        "name": "mixed",
        "duration_s": 0.5,
        "drain_s": 1.0,
        "task": {"dataset": "digits", "height_px": 8, "width_px": 8, "samples": 8},
        "model": "digits_cnn",
        "networks": networks(weights),
        "operating_points": points,
        "cell": {"resource_blocks": 20, "channel": {"kind": "fixed_snr", "snr_db": 15}},
    } | changes
    chooser = {"name": "g_cut", "policy": {"kind": "neurosurgeon", "points": ["cut"]}} | GROUP
    return found | {"devices": [*groups(found["operating_points"]), chooser]}


def groups(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One per operating point but ``cut``."""
    names = [point["name"] for point in points if point["name"] != "cut"]
    return [{"name": f"g_{n}", "operating_point": n} | GROUP for n in names]


@pytest.fixture(scope="module")
def mixed(weights: Path) -> Scenario:
    return expanded(load(mapping(weights)))


@pytest.fixture(scope="module")
def chain(mixed: Scenario) -> Pipeline:
    return open_pipeline(mixed, models_dir(), None)


# --- split: every -----------------------------------------------------------------------------


def test_every_cut_is_written_out_where_it_stood(mixed: Scenario) -> None:
    inner = cut_names(mixed.networks[0], 8, 8)
    assert inner == ["stem", "relu", "avg_pool2d", "flatten"]
    names = [point.name for point in mixed.operating_points]
    cuts = [f"cut-{name}" for name in inner]
    assert names == ["read", "feature", "analog", *cuts, "cost", "own"]
    written = mixed.operating_points[3]
    assert (written.split, written.of, written.network) == ("stem", "cut", "reader")
    assert written.codec is not None and written.codec.kind == "tensor"
    assert {point.of for point in mixed.operating_points} == {None, "cut"}


def test_a_group_may_choose_from_all_of_them(mixed: Scenario) -> None:
    chooser = mixed.devices[-1]
    assert [p.split for p in mixed.points_of(chooser)] == cut_names(mixed.networks[0], 8, 8)


def test_a_scenario_without_it_is_itself(weights: Path) -> None:
    plain = load("digits_smoke")
    assert expanded(plain) is plain
    written = expanded(load(mapping(weights)))
    assert expanded(written) is written
    assert load(written.model_dump(mode="json")) == written  # a result's YAML can be run again


# --- who is asked -----------------------------------------------------------------------------


class Echo(TaskNetwork):
    """A network that answers with its name and the sample that it was asked for."""

    def __init__(self, name: str) -> None:
        super().__init__({"image": np.full((9, 2, 2, 1), ord(name), np.uint8)})
        self.name, self.asked = name, []  # type: ignore[var-annotated]

    def _digest(self) -> str:
        return self.name

    @property
    def answer_bits(self) -> NDArray[np.int64]:
        return np.full(9, ord(self.name))

    def workload(self, point: OperatingPoint) -> Workload:
        return Workload((), (), (), network=self.name, tail=point.name)

    def of_pictures(self, pictures: Pictures, samples: Sequence[int]) -> list[Outcome]:
        self.asked.append([*samples])
        return [Outcome(((self.name, float(sample)),)) for sample in samples]

    def lost(self, sample: int) -> Outcome:
        return Outcome(((f"{self.name} lost", float(sample)),))


def echoes() -> tuple[Pipeline, dict[str | None, Echo]]:
    specs = [("a1", "a"), ("h1", None), ("b1", "b"), ("h2", None), ("a2", "a")]
    made = {"a": Echo("A"), "b": Echo("B"), None: Echo("H")}
    chains: list[Chain[Any]] = []
    for name, network in specs:
        content = {"name": name, "scheme": "local", "network": network}
        chains.append(LocalChain(OperatingPoint.model_validate(content), made[network]))
    return Pipeline(chains, seed=0), made


def test_scores_come_in_the_order_asked() -> None:
    whole, made = echoes()
    names = ["b1", "h2", "a1", "a2", "h1", "b1", "a1", "h2"]
    found = whole.score([ScoreRequest(name, place, HERE) for place, name in enumerate(names)])
    assert [one.as_dict() for one in found] == [
        {name[0].upper(): float(place)} for place, name in enumerate(names)
    ]
    assert {key: one.asked for key, one in made.items()} == {
        "a": [[2, 3, 6]],
        "b": [[0, 5]],
        None: [[1, 4, 7]],
    }
    assert whole.score([]) == []


def test_a_result_is_shared_within_a_network_and_not_beyond() -> None:
    """Two points of one network, one sample: one forward; another network's is another's."""
    whole, made = echoes()
    retried, lost = Delivery(0, False, computed_locally=True), Delivery(1, False)
    asked = [ScoreRequest(name, 3, HERE) for name in ("a1", "a2", "b1")]
    asked += [ScoreRequest("a1", 3, retried), ScoreRequest("a1", 3, lost)]
    names = [next(iter(outcome.as_dict())) for outcome in whole.score(asked)]
    assert names == ["A", "A", "B", "A", "A lost"]
    assert made["a"].asked == made["b"].asked == [[3]] and made[None].asked == []


def test_preparing_and_work_go_to_the_owner() -> None:
    whole, _ = echoes()
    told: list[tuple[int, int]] = []
    prepared = whole.prepare(lambda *numbers: told.append(numbers))
    assert list(prepared) == ["a1", "h1", "b1", "h2", "a2"]  # as the scenario has them
    for name, one in prepared.items():
        assert set(one.answer_bits) == {ord(name[0].upper())}
        work = whole.workload(name)
        assert (work.network, work.tail) == (name[0].upper(), name)
    assert told == [(number, 5) for number in range(1, 6)]


def test_an_unknown_point_names_the_nearest() -> None:
    whole, _ = echoes()
    for ask in (whole.prepared, whole.workload, lambda n: whole.score([ScoreRequest(n, 0, HERE)])):
        with pytest.raises(ScenarioError, match="no such operating point"):
            ask("a3")


def test_the_device_is_the_cpu_unless_another_is_there(mixed: Scenario) -> None:
    with pytest.raises(ScenarioError, match=r"^device: no such device.*Did you mean 'cuda'") as no:
        open_pipeline(mixed, models_dir(), None, "cuda0")
    assert tuple(no.value.choices) == ("cpu", "cuda", "mps")
    chains = open_pipeline(mixed, models_dir(), None).chains
    devices = {chains[name].network.device for name in ("read", "cost", "own")}
    assert devices == {"cpu"}


def test_every_forward_runs_on_the_device(mixed: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without another processor: modules and tensors are told where they go."""
    moved: list[str] = []
    batches = inference.fixed_batches

    def on(module: Any, device: str) -> Any:
        moved.append(device)
        return module

    def told(*arguments: Any, device: str, **more: Any) -> Any:
        assert device == "cuda"
        return batches(*arguments, **more)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for module in (inference, traced):
        monkeypatch.setattr(module, "fixed_batches", told)
        monkeypatch.setattr(module, "on_device", on)
    pipeline = open_pipeline(mixed, models_dir(), None, "cuda")
    prepared = pipeline.prepare()
    uses = int(prepared["analog"].channel_uses[0])
    air = Delivery(0, True, symbol_counts=(uses,), symbol_snr_db=(10.0,))
    asked = [ScoreRequest(n, 0, air if n == "analog" else HERE) for n in prepared]
    assert len(pipeline.score(asked)) == len(prepared)
    assert len(moved) > 3 and set(moved) == {"cuda"}


def test_another_devices_numbers_have_a_cache_of_their_own(
    mixed: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for module in (inference, traced):
        monkeypatch.setattr(module, "on_device", lambda module, _: module)
    assert open_pipeline(mixed, models_dir(), tmp_path).cache_dir == tmp_path
    assert open_pipeline(mixed, models_dir(), tmp_path, "cuda").cache_dir == tmp_path / "cuda"


def test_a_mistake_of_the_models_points_stands_where_it_is_written(weights: Path) -> None:
    """Points of networks ahead of it count."""
    points = [*NETWORK_POINTS[:1], *HOUSE_POINTS[:2]]
    right = load(mapping(weights, operating_points=points) | {"devices": groups(points)})
    *others, last = right.operating_points
    unchecked = (*others, last.model_copy(update={"split": "stage9"}))
    wrong = right.model_copy(update={"operating_points": unchecked})
    with pytest.raises(ScenarioError, match=r"^operating_points\[2\]\.split: no such split"):
        open_pipeline(wrong, models_dir(), None)


def test_a_device_that_is_not_here_is_refused(
    mixed: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ScenarioError, match="device: this machine has no such device") as no:
        open_pipeline(mixed, models_dir(), None, "cuda")
    assert tuple(no.value.choices) == ("cpu",)


# --- the scenario's model and networks together --------------------------------------------------


def test_every_point_is_prepared_and_has_a_plan(mixed: Scenario, chain: Pipeline) -> None:
    prepared = chain.prepare()
    assert set(prepared) == {point.name for point in mixed.operating_points}
    assert all(
        isinstance(one, Prepared) and len(one.payload_bits) == 8 for one in prepared.values()
    )
    assert prepared["cost"].payload_bits.tolist() == [32 * 8 * 64] * 8
    assert prepared["cut-stem"].payload_bits.tolist() == [32 * 4 * 64] * 8
    assert prepared["read"].payload_bits.tolist() == [8 * 64] * 8
    assert prepared["analog"].symbols is not None
    plans = make_plans(mixed, chain, prepared)
    assert all(plan.device_s["raspberry_pi_4"] >= 0 for plan in plans.values())
    assert plans["read"].tail == "reader/raw" and plans["cut-stem"].tail == "reader/stem"
    assert len({plan.tail for plan in plans.values() if plan.edge_s[0] > 0}) == 8


def test_work_is_that_of_the_points_own_network(chain: Pipeline) -> None:
    reader, wide = chain.workload("read"), chain.workload("cost")
    assert isinstance(reader, Workload)
    assert reader.edge_macs == 3 * 4 * 9 * 64 + 4 * 16 * 10
    assert wide.device_macs == 3 * 8 * 9 * 64 and wide.edge_macs == 8 * 16 * 10
    assert reader.network == wide.network == "piped_nets:Reader@8x8"
    assert chain.workload("feature").network == ""


def test_mixed_requests_score_as_they_do_alone(chain: Pipeline) -> None:
    analog = chain.prepare()["analog"].channel_uses[0]
    names = ["cut-relu", "analog", "own", "cost", "read", "feature", "cut-stem"]
    air = Delivery(7, True, symbol_counts=(int(analog),), symbol_snr_db=(10.0,))
    asked = [
        ScoreRequest(name, sample, air if name == "analog" else HERE)
        for sample in range(8)
        for name in names
    ]
    shuffled = [asked[place] for place in np.random.default_rng(0).permutation(len(asked))]
    together = chain.score(shuffled)
    assert together == [chain.score([request])[0] for request in shuffled]
    keys = [(request.operating_point, request.sample) for request in shuffled]
    by_request = dict(zip(keys, together, strict=True))
    for sample in range(8):
        scores = [by_request[name, sample] for name in ("read", "cut-relu", "cut-stem")]
        assert len(set(scores)) == 1 and "accuracy" in scores[0].as_dict()
        assert by_request["cost", sample].as_dict() == {}
    house = np.mean([by_request["own", sample].as_dict()["accuracy"] for sample in range(8)])
    assert house > 0.8  # trained; the reader's weights are not


def test_a_mixed_scenario_runs(weights: Path, tmp_path: Path) -> None:
    rows = run(mapping(weights), out=tmp_path / "r").requests
    assert set(rows["group"]) == {
        "g_read", "g_feature", "g_analog", "g_cost", "g_own", "g_cut",
    }  # fmt: skip
    assert (rows["status"] == "done").all()
    scored = rows.groupby("group")["score_accuracy"].apply(lambda one: one.notna().mean())
    assert scored.drop("g_cost").eq(1).all() and scored["g_cost"] == 0
    chosen = rows.loc[rows["group"] == "g_cut", "operating_point"]
    assert chosen.str.startswith("cut-").all()


# --- networks alone ---------------------------------------------------------------------------


def test_networks_without_a_model(weights: Path, tmp_path: Path) -> None:
    alone = mapping(weights, model=None, operating_points=NETWORK_POINTS)
    whole = expanded(load(alone))
    chain = open_pipeline(whole, tmp_path / "no_models_at_all", None)
    assert set(chain.prepare()) == {point.name for point in whole.operating_points}
    assert set(chain.score([ScoreRequest("read", 0, HERE)])[0].as_dict()) == {"accuracy"}
    rows = run(alone, out=tmp_path / "r").requests
    assert (rows["status"] == "done").all() and set(rows["group"]) == {"g_read", "g_cost", "g_cut"}


def test_points_of_the_house_need_a_model(weights: Path) -> None:
    with pytest.raises(ScenarioError, match=r"model: .*need a model"):
        load(mapping(weights, model=None))
