"""Policies side by side: everything by hand from a few rows, and what a sweep must have."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import synthetic
from simsplit.errors import ArtefactError
from simsplit.figures.policies import plot_study
from simsplit.results.policies import gains, policy_label, scores, study
from simsplit.results.store import write_result
from simsplit.scenario.scenario import Scenario

POLICY, RATE, SOURCE = "devices.phone.policy", "cell.resource_blocks", "networks.net.source"
BASELINE = Path(__file__).parent / "baseline"
FIXED = "{{kind: fixed, point: {}}}"
CLOUD, MOBILE = FIXED.format("cloud"), FIXED.format("mobile")
CHOOSER, ORACLE = "{kind: neurosurgeon, points: [cloud, mobile]}", "{kind: oracle}"
THRESHOLD = "{kind: snr_threshold, steps: [{snr_min_db: 0, point: cloud}]}"
Row = dict[str, Any]


def scenario(**changes: Any) -> Scenario:
    """One phone under study, another group, and a warm-up of one second."""
    group = {"hardware": "phone", "count": 1, "arrivals": {"kind": "poisson", "rate_hz": 5}}
    points = [
        {"name": "cloud", "scheme": "raw", "codec": {"kind": "png"}},
        {"name": "mobile", "scheme": "local"},
    ]
    whole = {
        "name": "toy",
        "warmup_s": 1.0,
        "duration_s": 10.0,
        "operating_points": points,
        "devices": [{"name": n, "operating_point": "cloud"} | group for n in ("phone", "others")],
        "cell": {"channel": {"kind": "fixed_snr", "snr_db": 10}},
    }
    return Scenario.model_validate(whole | changes)


def row(latency_s: float, *, arrival_s: float = 2.0, **changes: Any) -> Row:
    """A request of point ``cloud``: 0.01 s and 2 J on the device, 8000 bits in 0.004 s."""
    found = {
        "request_id": 0, "replication": 0, "group": "phone", "operating_point": "cloud",
        "arrival_s": arrival_s, "device_start_s": arrival_s, "device_end_s": arrival_s + 0.01,
        "radio_start_s": arrival_s + 0.01, "radio_end_s": arrival_s + 0.014,
        "latency_s": latency_s, "status": "done", "deadline_met": True, "payload_bits": 8000,
        "compute_energy_j": 1.0, "tx_energy_j": 0.75, "rx_energy_j": 0.25, "edge_energy_j": 9.0,
    }  # fmt: skip
    return found | changes


def local(latency_s: float, **changes: Any) -> Row:
    """A request of point ``mobile``: 0.04 s and 5 J on the device, nothing on the air."""
    start = changes.get("arrival_s", 2.0)
    none = {"radio_start_s": math.nan, "radio_end_s": math.nan, "payload_bits": 0}
    joules = {"compute_energy_j": 5.0, "tx_energy_j": 0.0, "rx_energy_j": 0.0}
    there = {"operating_point": "mobile", "device_end_s": start + 0.04}
    return row(latency_s, **(none | joules | there | changes))


def make(folder: Path, points: list[tuple[dict[str, Any], list[Row] | None]]) -> Path:
    """A sweep folder of those points; None: described, but not run yet."""
    folder.mkdir(exist_ok=True)
    names = {f"p{place}": point for place, (point, _) in enumerate(points)}
    (folder / "sweep.json").write_text(json.dumps({"source": "toy", "points": names}))
    for name, (_, rows) in zip(names, points, strict=True):
        if rows is not None:
            write_result(
                folder / name, scenario(), pd.DataFrame(rows), synthetic.NO_SUMMARY, {}, text()
            )
    return folder


def text() -> str:
    import yaml

    return str(yaml.safe_dump(scenario().model_dump(mode="json")))


@pytest.fixture
def rates(tmp_path: Path) -> Path:
    """Two rates; the oracle is 40 ms and 10 ms, the chooser 44 ms and 10 ms."""
    means = {5: (0.080, 0.040, 0.044, 0.040), 50: (0.010, 0.040, 0.010, 0.010)}
    points: list[tuple[dict[str, Any], list[Row] | None]] = []
    for blocks, (cloud, mobile, chooser, oracle) in means.items():
        away = blocks == 50
        points += [
            ({RATE: blocks, POLICY: CLOUD}, [row(cloud - 0.001), row(cloud + 0.001)]),
            ({RATE: blocks, POLICY: MOBILE}, [local(mobile)] * 2),
            ({RATE: blocks, POLICY: CHOOSER}, [row(chooser) if away else local(chooser)] * 3),
            ({RATE: blocks, POLICY: ORACLE}, [row(oracle) if away else local(oracle)] * 2),
        ]
    return make(tmp_path / "rates", points)


# --- labels -----------------------------------------------------------------------------------

LABELS = {
    CLOUD: "cloud",
    CHOOSER: "neurosurgeon",
    ORACLE: "oracle",
    "{kind: neurosurgeon, objective: latency}": "neurosurgeon",
    "{kind: neurosurgeon, objective: energy, points: [cloud]}": "neurosurgeon (energy)",
    "{kind: oracle, objective: energy}": "oracle (energy)",
    "{kind: early_exit, exit: a, then: b, threshold: 0.905}": "early_exit (0.905)",
    "{kind: early_exit, exit: a, then: b, threshold: 0}": "early_exit (0)",
    "{kind: bandit, rule: thompson}": "bandit",
    "plain words": "plain words",
}


@pytest.mark.parametrize("yaml_text", LABELS)
def test_label(yaml_text: str) -> None:
    assert policy_label(yaml_text) == LABELS[yaml_text]


# --- against a number -------------------------------------------------------------------------


def test_means_by_hand(rates: Path) -> None:
    frame = study(rates).set_index([RATE, "policy"])
    assert list(frame.loc[5].index) == ["cloud", "mobile", "neurosurgeon", "oracle"]
    cloud = frame.loc[(5, "cloud")]
    assert cloud["n"] == 2 and cloud["choice"] == "cloud" and cloud["network"] == ""
    assert cloud["latency_s"] == pytest.approx(0.080)
    assert pd.isna(cloud["latency_s_low"])  # two requests of one run tell no interval
    assert cloud["energy_j"] == pytest.approx(2.0)  # what the server draws is not the device's
    assert cloud["payload_bits"] == 8000 and cloud["compute_s"] == pytest.approx(0.01)
    assert frame.loc[(5, "mobile"), "energy_j"] == pytest.approx(5.0)
    assert frame.loc[(5, "neurosurgeon"), "choice"] == "mobile"


def test_the_interval_of_the_latency_knows_that_requests_are_correlated(tmp_path: Path) -> None:
    """Ten requests in a row share a latency: 20 numbers, not 200, are behind the interval.

    Batch means (Law & Kelton, Simulation Modeling and Analysis, section 9.5.3): the batches' mean
    +- t(0.975, 19) times their standard deviation over sqrt(20).
    """
    levels = 0.05 + 0.01 * np.random.default_rng(1).random(20)
    rows = [row(levels[n // 10], arrival_s=2 + 0.01 * n, request_id=n) for n in range(200)]
    shuffled = [rows[n] for n in np.random.default_rng(2).permutation(200)]
    cloud = study(make(tmp_path / "s", [({POLICY: CLOUD, RATE: 5}, shuffled)])).iloc[0]
    half = stats.t.ppf(0.975, 19) * levels.std(ddof=1) / math.sqrt(20)
    assert cloud["latency_s_low"] == pytest.approx(levels.mean() - half)
    assert levels.mean() + half <= cloud["latency_s_high"] < levels.mean() + 1.1 * half  # skewed


def test_rate_is_that_of_the_largest_payload_for_all(rates: Path) -> None:
    frame = study(rates)
    assert frame["rate_bps"].to_numpy() == pytest.approx(8000 / 0.004)


def test_device_share_regret_and_gains_by_hand(rates: Path) -> None:
    frame = study(rates).set_index([RATE, "policy"])
    assert frame.loc[(5, "cloud"), "device_share"] == pytest.approx(0.25)
    assert frame.loc[(5, "mobile"), "device_share"] == pytest.approx(1.0)
    regret = frame["regret"]
    assert regret.loc[5].tolist() == pytest.approx([1.0, 0.0, 0.1, 0.0])
    assert regret.loc[50].tolist() == pytest.approx([0.0, 3.0, 0.0, 0.0])
    assert frame["gain_latency"].loc[5].tolist() == pytest.approx([0.5, 1, 40 / 44, 1])
    assert frame["gain_energy"].loc[5].tolist() == pytest.approx([1, 0.4, 0.4, 0.4])
    assert frame["over_cloud"].loc[5].tolist() == pytest.approx([1, 2, 80 / 44, 2])


def test_gains_over_all_situations(rates: Path) -> None:
    found = gains(study(rates)).set_index("policy")
    chooser = found.loc["neurosurgeon"]
    assert chooser["situations"] == 2
    assert chooser["mean_regret"] == pytest.approx(0.05)
    assert chooser["worst_regret"] == pytest.approx(0.1)
    assert chooser["smallest_gain_latency"] == pytest.approx(40 / 44)
    assert chooser["largest_gain_latency"] == pytest.approx(1.0)
    assert chooser["mean_over_cloud_latency"] == pytest.approx((80 / 44 + 1) / 2)
    assert chooser["mean_gain_energy"] == pytest.approx((0.4 + 1) / 2)
    assert chooser["largest_gain_energy"] == pytest.approx(1.0)


def test_only_answered_requests_of_the_swept_group_after_the_warm_up(tmp_path: Path) -> None:
    rows = [
        row(0.05),
        row(9.0, arrival_s=0.5),  # warming up
        row(9.0, group="others"),
        row(9.0, status="lost"),
        row(9.0, status="open"),
        row(0.07, arrival_s=1.0),  # the window begins here
    ]
    found = study(make(tmp_path / "s", [({POLICY: CLOUD, RATE: 5}, rows)])).iloc[0]
    assert found["n"] == 2 and found["latency_s"] == pytest.approx(0.06)


def test_networks_are_compared_with_themselves(tmp_path: Path) -> None:
    made = []
    for source, latency_s in (("alexnet", 0.02), ("vgg11", 0.2)):
        place = {SOURCE: source, RATE: 5}
        made += [
            (place | {POLICY: CLOUD}, [row(2 * latency_s)]),
            (place | {POLICY: ORACLE}, [row(latency_s)]),
        ]
    frame = study(make(tmp_path / "s", made)).set_index(["network", "policy"])
    assert frame["regret"].to_dict() == pytest.approx(
        {
            ("alexnet", "cloud"): 1.0,
            ("alexnet", "oracle"): 0.0,
            ("vgg11", "cloud"): 1.0,
            ("vgg11", "oracle"): 0.0,
        }
    )
    assert set(gains(frame.reset_index())["network"]) == {"alexnet", "vgg11"}


def test_what_was_not_swept_is_not_compared(tmp_path: Path) -> None:
    frame = study(make(tmp_path / "s", [({POLICY: CHOOSER, RATE: 5}, [row(0.1)])]))
    nothing = frame[["regret", "gain_latency", "gain_energy", "over_cloud"]]
    assert nothing.isna().to_numpy().all()


def test_a_policy_that_nobody_answered_takes_nothing_from_the_others(tmp_path: Path) -> None:
    points = [
        ({POLICY: CLOUD, RATE: 5}, [row(0.1)]),
        ({POLICY: MOBILE, RATE: 5}, [local(0.1, status="lost")]),
    ]
    frame = study(make(tmp_path / "s", points)).set_index("policy")
    assert frame["n"].to_dict() == {"cloud": 1, "mobile": 0}
    assert frame.loc["mobile", "choice"] == "" and math.isnan(frame.loc["mobile", "latency_s"])
    assert frame.loc["cloud", "rate_bps"] == pytest.approx(2e6)
    assert frame.loc["cloud", "gain_latency"] == pytest.approx(1.0)


def test_two_policies_of_one_kind_are_told_apart(tmp_path: Path) -> None:
    other = "{kind: snr_threshold, steps: [{snr_min_db: 9, point: cloud}]}"
    made = [({POLICY: THRESHOLD}, scored([1.0] * 3)), ({POLICY: other}, scored([0.0] * 3))]
    found = scores(make(tmp_path / "a", made)).set_index("policy")["score"]
    assert found.to_dict() == {THRESHOLD: 1.0, other: 0.0}
    rates = [({RATE: 5, **point}, rows) for point, rows in made]
    assert list(study(make(tmp_path / "b", rates))["policy"]) == [THRESHOLD, other]


def test_points_that_are_not_finished_are_left_out(rates: Path) -> None:
    described = json.loads((rates / "sweep.json").read_text())
    described["points"]["later"] = {RATE: 500, POLICY: CLOUD}
    (rates / "sweep.json").write_text(json.dumps(described))
    assert set(study(rates)[RATE]) == {5, 50}


def test_figure_and_tables(rates: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = plot_study(rates, out)
    assert all(path.is_file() and path.parent == out for path in written)
    assert {p.name for p in written} >= {"policies.csv", "policy_gains.csv", "policies.png"}
    stored = pd.read_csv(out / "policies.csv")
    assert stored["latency_s"].to_numpy() == pytest.approx(study(rates)["latency_s"].to_numpy())
    assert len(pd.read_csv(out / "policy_gains.csv")) == 4


def test_the_figure_looks_as_it_did(rates: Path, tmp_path: Path) -> None:
    """Against its picture; regenerated and tolerated as in tests/unit/plots/test_baseline.py."""
    from matplotlib.testing.compare import compare_images

    plot_study(rates, tmp_path / "out")
    drawn, kept = tmp_path / "out" / "policies.png", BASELINE / "policies.png"
    if os.environ.get("SIMSPLIT_REGENERATE"):
        kept.write_bytes(drawn.read_bytes())
    assert compare_images(str(kept), str(drawn), 2.0) is None


# --- policies alone ---------------------------------------------------------------------------


def scored(values: list[float], **changes: Any) -> list[Row]:
    return [
        row(0.01 * (place + 1), arrival_s=1.0 + 0.1 * place, request_id=place,
            score_accuracy=1.0, score_accuracy_in_time=value, deadline_met=value > 0, **changes)
        for place, value in enumerate(values)
    ]  # fmt: skip


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """Twelve requests under two fixed points and one policy that takes the better of both."""
    near, far = [1.0, 0.0] * 6, [0.0, 1.0] * 6
    best = scored([1.0] * 12)
    for odd in best[1::2]:
        odd["operating_point"] = "mobile"
    return make(
        tmp_path / "alone",
        [
            ({POLICY: CLOUD}, scored(near)),
            ({POLICY: MOBILE}, scored(far, operating_point="mobile")),
            ({POLICY: THRESHOLD}, best),
        ],
    )


def test_score_in_time_by_hand(alone: Path) -> None:
    frame = scores(alone).set_index("policy")
    assert list(frame.index) == ["cloud", "mobile", "snr_threshold"]
    assert (frame["metric"] == "score_accuracy_in_time").all()
    assert frame["score"].tolist() == [0.5, 0.5, 1.0] and frame["n"].tolist() == [12] * 3
    assert frame["in_time"].tolist() == [0.5, 0.5, 1.0]
    assert frame["device_j"].tolist() == [2.0] * 3
    assert frame["latency_p95_s"].tolist() == pytest.approx(
        [np.quantile(np.arange(1, 13), 0.95) / 100] * 3
    )
    assert frame.loc["snr_threshold", "shares"] == "cloud:0.500 mobile:0.500"
    assert frame.loc["cloud", "shares"] == "cloud:1.000"


def test_gaps_are_paired(alone: Path) -> None:
    """Two batches of six: means are alike, each gap is taken request by request."""
    frame = scores(alone).set_index("policy")
    assert frame.loc["snr_threshold", "gap_cloud"] == 0.5
    assert frame.loc["snr_threshold", "gap_mobile"] == 0.5
    assert frame.loc["mobile", "gap_cloud"] == 0.0
    assert (
        frame.loc["cloud", ["gap_cloud", "gap_cloud_low", "gap_cloud_high"]].tolist() == [0.0] * 3
    )
    assert "gap_snr_threshold" not in frame  # a policy that chooses is no fixed point


def test_a_gap_is_narrower_than_the_scores_it_compares(tmp_path: Path) -> None:
    """Ups and downs that both share cancel request by request."""
    shared = np.repeat([0.2, 0.8, 0.3, 0.6], 5)
    points = [
        ({POLICY: CLOUD}, scored(shared.tolist())),
        ({POLICY: THRESHOLD}, scored((shared + 0.1).tolist())),
    ]
    points[1][1][0]["operating_point"] = "mobile"
    found = scores(make(tmp_path / "s", points)).set_index("policy").loc["snr_threshold"]
    assert found["gap_cloud"] == pytest.approx(0.1)
    assert found["gap_cloud_high"] - found["gap_cloud_low"] == pytest.approx(0, abs=1e-9)
    assert found["score_high"] - found["score_low"] > 0.2


def test_rows_are_in_order_of_arrival_and_of_the_window(tmp_path: Path) -> None:
    """The store keeps no order; rows before the warm-up and after the duration do not count."""
    rows = [*scored([0.5] * 10)[::-1]]
    outside = [
        row(0.1, arrival_s=at, request_id=99, score_accuracy_in_time=0.0) for at in (0.5, 10.0)
    ]
    points = [({POLICY: CLOUD}, rows + outside), ({POLICY: THRESHOLD}, scored([0.75] * 10))]
    frame = scores(make(tmp_path / "s", points)).set_index("policy")
    assert frame["n"].tolist() == [10, 10]
    assert frame.loc["snr_threshold", "gap_cloud"] == pytest.approx(0.25)


def test_bars_of_policies_alone(alone: Path, tmp_path: Path) -> None:
    written = plot_study(alone, tmp_path / "out")
    assert {path.name for path in written} >= {"policies.csv", "policies.png"}
    assert all(path.is_file() for path in written)
    stored = pd.read_csv(tmp_path / "out" / "policies.csv")
    assert stored["score"].tolist() == [0.5, 0.5, 1.0]


# --- what a sweep must have -------------------------------------------------------------------


def test_bars_without_an_interval(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replications give a share no interval: the bars stand, their arms do not."""
    frame = scores(alone).assign(score_low=np.nan, score_high=np.nan)
    monkeypatch.setattr("simsplit.figures.policies.scores", lambda _: frame)
    assert all(path.stat().st_size for path in plot_study(alone, tmp_path))


def test_no_sweep_there(tmp_path: Path) -> None:
    for wrong in (None, "not JSON", "[]", "3", "{}", '{"points": {}}'):
        if wrong is not None:
            (tmp_path / "sweep.json").write_text(wrong)
        for verb in (study, scores):
            with pytest.raises(ArtefactError, match=r"sweep"):
                verb(tmp_path)


def test_a_sweep_without_policies(tmp_path: Path) -> None:
    folder = make(tmp_path / "s", [({RATE: 5}, [row(0.1)])])
    for verb in (study, scores):
        with pytest.raises(ArtefactError, match=r"one axis that ends in \.policy, found \[\]"):
            verb(folder)
    with pytest.raises(ArtefactError, match="policy"):
        plot_study(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_sweep_of_two_groups_policies(tmp_path: Path) -> None:
    point = {POLICY: CLOUD, "devices.others.policy": MOBILE}
    with pytest.raises(ArtefactError, match=r"found \['devices.phone.policy', 'devices.others"):
        study(make(tmp_path / "s", [(point, [row(0.1)])]))


def test_nothing_has_finished(tmp_path: Path) -> None:
    folder = make(tmp_path / "s", [({POLICY: CLOUD, RATE: 5}, None)])
    with pytest.raises(ArtefactError, match="no finished point"):
        study(folder)
    with pytest.raises(ArtefactError, match="no such result folder"):
        scores(folder)


def test_a_figure_needs_one_number(tmp_path: Path) -> None:
    words = make(tmp_path / "a", [({POLICY: CLOUD, SOURCE: "alexnet"}, [row(0.1)])])
    with pytest.raises(ArtefactError, match=r"one numeric axis, found \[\]"):
        plot_study(words, tmp_path / "out")
    two = make(tmp_path / "b", [({POLICY: CLOUD, RATE: 5, "edge.workers": 2}, [row(0.1)])])
    with pytest.raises(ArtefactError, match="one numeric axis, found"):
        plot_study(two, tmp_path / "out")


def test_nothing_was_scored(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="nothing was scored"):
        scores(make(tmp_path / "s", [({POLICY: CLOUD}, [row(0.1)])]))


def test_policies_that_saw_other_requests_are_not_compared(tmp_path: Path) -> None:
    other = scored([1.0] * 3)
    other[2]["request_id"] = 7
    points = [({POLICY: CLOUD}, scored([1.0] * 3)), ({POLICY: THRESHOLD}, other)]
    with pytest.raises(ArtefactError, match=r"'snr_threshold' and 'cloud' did not see the same"):
        scores(make(tmp_path / "s", points))
