"""Axes and the points they span, conditions, overrides with wildcards, and sweep files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.scenario.axes import (
    Range,
    combine,
    latin_hypercube,
    listed,
    zipped,
)
from simsplit.scenario.axes import sampled_range as sampled
from simsplit.scenario.axis_text import axes_from_text, axis_from_text, parse_axis
from simsplit.scenario.bundled import bundled_sweeps
from simsplit.scenario.load import load
from simsplit.scenario.sweeps import read_sweep, sweep_path
from simsplit.scenario.yaml import override, parse_yaml
from simsplit.study import search

SNR = "cell.channel.snr_db"


def values(texts: list[str], where: str | None = None, samples: int | None = None) -> list[dict]:
    return [dict(p.values) for p in combine(axes_from_text(texts, samples=samples), where)]


# --- axes -------------------------------------------------------------------------------------


def test_the_last_axis_is_fastest() -> None:
    assert values(["a=1,2", "b=x,y"]) == [
        {"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"},
    ]  # fmt: skip


def test_zipped_axes_move_together() -> None:
    assert values(["a=1,2;b=x,y", "c=5"]) == [
        {"a": 1, "b": "x", "c": 5},
        {"a": 2, "b": "y", "c": 5},
    ]
    with pytest.raises(ScenarioError, match="equally many"):
        zipped([listed("a", [1, 2]), listed("b", [1])])


def test_a_conditional_axis_applies_only_there() -> None:
    found = values(["split=a,b", "q=1,2 if split == 'b'"])
    assert found == [{"split": "a"}, {"split": "b", "q": 1}, {"split": "b", "q": 2}]


def test_a_conditional_axis_sets_nothing_elsewhere() -> None:
    points = combine(axes_from_text(["split=a,b", "q=1,2 if split == 'b'"]))
    assert points[0].overrides == ("split=a",)


def test_points_are_left_out() -> None:
    assert values(["a=1:4:1", "b=1:4:1"], where="a < b and a + b == 5") == [
        {"a": 1, "b": 4}, {"a": 2, "b": 3},
    ]  # fmt: skip


def test_numbers_are_decimal_and_whole_ones_are_integers() -> None:
    assert parse_axis("a=010,1e1,8")[1] == [10, 10.0, 8]
    assert parse_axis("a=log(1,4,3)")[1] == [1, 2, 4]
    assert all(isinstance(value, int) for value in parse_axis("a=log(1,4,3)")[1])
    assert len(set(parse_axis("a=lin(3500000000,3500005000,6)")[1])) == 6


def test_geometric_and_equal_spacing() -> None:
    assert parse_axis("a=log(1,1000,4)")[1] == [1, 10, 100, 1000]
    assert parse_axis("a=lin(0,1,5)")[1] == [0, 0.25, 0.5, 0.75, 1]
    ratios = np.diff(np.log(parse_axis("a=log(2,50,7)")[1]))
    assert np.allclose(ratios, ratios[0], rtol=1e-4)


def test_a_latin_hypercube_has_one_point_per_stratum() -> None:
    ranges = [
        sampled("a", 0, 1),
        sampled("b", 1, 1000, is_log=True),
        sampled("c", 1, 40, whole=True),
    ]
    points = [p.values for p in latin_hypercube(ranges, 40, seed=7).steps]
    a = np.array([p["a"] for p in points])
    b = np.log10([p["b"] for p in points]) / 3
    assert sorted((a * 40).astype(int)) == list(range(40))
    assert sorted((b * 40).astype(int)) == list(range(40))
    assert sorted(p["c"] for p in points) == list(range(1, 41))
    assert points == [p.values for p in latin_hypercube(ranges, 40, seed=7).steps]
    assert points != [p.values for p in latin_hypercube(ranges, 40, seed=8).steps]


def test_integers_on_a_logarithmic_scale_come_evenly_per_octave() -> None:
    (axis,) = axes_from_text(["x=logint(1,1023)", "y=uniform(0,1)"], samples=1000)
    octaves = np.floor(np.log2([float(step.values["x"]) for step in axis.steps])).astype(int)
    assert np.bincount(octaves).tolist() == [100] * 10
    assert all(isinstance(step.values["x"], int) for step in axis.steps)


@pytest.mark.parametrize(
    "text",
    [
        "x=1,2.5,a", "x=0:4:2", "x=lin(0,1,3)", "x=log(1,100,3)", "x={kind: oracle}, 010",
        "x=uniform(0,1)", "x=loguniform(1,9)", "x=int(1,9)", "x=logint(1,9)",
    ],
)  # fmt: skip
def test_a_sweep_and_a_search_read_the_same(text: str) -> None:
    """What a search may try and what a sweep samples or runs is one and the same."""
    path, searched = search.parse_axis(text)
    swept = axis_from_text(text)
    if isinstance(swept, Range):
        assert (path, searched) == (swept.path, swept) and str(swept) == text.partition("=")[2]
    else:
        assert (path, list(searched)) == ("x", [step.values["x"] for step in swept.steps])


@pytest.mark.parametrize(
    "text", ["x=unifrom(0,1)", "x=uniform(0)", "x=int(1,a)", "x=1:2", "x", "=1"]
)
def test_a_sweep_and_a_search_refuse_the_same(text: str) -> None:
    said = []
    for read in (axis_from_text, search.parse_axis):
        with pytest.raises(ScenarioError) as caught:
            read(text)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "text", ["x=uniform(0,1);y=1,2", "x=1,2;y=int(1,2)", "x=int(1,9) if a == 1"]
)
def test_sampled_axes_are_neither_zipped_nor_conditional(text: str) -> None:
    with pytest.raises(ScenarioError, match="neither zipped nor conditional"):
        axes_from_text([text], samples=4)


def test_sampled_axes_on_the_command_line_form_one_hypercube() -> None:
    found = values(["x=uniform(0,1)", "a=1,2", "y=int(1,3)"], samples=5)
    assert len(found) == 10 and set(found[0]) == {"a", "x", "y"}


@pytest.mark.parametrize(
    ("texts", "samples", "message"),
    [
        (["x=uniform(0,1)"], None, "--samples"),
        (["x=1,2"], 5, "sampled axis"),
        (["x=uniform(1,0)"], 5, "below"),
        (["x=loguniform(0,1)"], 5, "above 0"),
        (["x=int(0.5,3)"], 5, "integers"),
        (["x=log(0,1,3)"], None, "above 0"),
        (["x=log(1,10)"], None, "3 numbers"),
        (["x=cos(1,2,3)"], None, "uniform"),
        (["x=lin(1,2,1)"], None, "count"),
        (["a=1", "a=2"], None, "twice"),
        (["n=1"], None, "column"),
        (["b=1 if c == 1", "c=1"], None, "earlier"),
        (["a=1,2;a=1,2,3"], None, "differ"),
        (["a=1,2;b=1,2,3"], None, "equally many.*a: 2, b: 3"),
        (["a=1,2,1"], None, "value is said twice"),
        (["a=1:5,2"], None, "low:high:step"),
        (["a=1", "b=1 if a == 2"], None, "never applies"),
    ],
)
def test_axes_that_are_refused(texts: list[str], samples: int | None, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        values(texts, samples=samples)


def test_a_condition_must_speak_of_axes_and_leave_something() -> None:
    with pytest.raises(ScenarioError, match="snr"):
        values(["snr=1,2"], where="srn > 1")
    with pytest.raises(ScenarioError, match="no point"):
        values(["snr=1,2"], where="snr > 2")


# --- overrides --------------------------------------------------------------------------------


def test_a_star_stands_for_every_entry() -> None:
    raw: dict = {"devices": [{"name": "a", "count": 1}, {"name": "b"}], "operating_points": []}
    override(raw, "devices.*.tx_power_dbm=3")
    override(raw, "device.count=7")
    assert raw["devices"] == [
        {"name": "a", "count": 7, "tx_power_dbm": 3}, {"name": "b", "tx_power_dbm": 3},
    ]  # fmt: skip


def test_a_star_keeps_to_entries_that_have_the_key() -> None:
    found = load("urban_5g", overrides=["operating_point.codec.quality=50"])
    by_name = {p.name: p for p in found.operating_points}
    assert by_name["jpeg"].codec.quality == 50 and by_name["feature_8bit"].codec.kind == "entropy"


def test_entries_share_no_value() -> None:
    raw: dict = {"devices": [{"name": "a"}, {"name": "b"}]}
    override(raw, "devices.*.arrivals={kind: poisson}")
    override(raw, "devices.a.arrivals.rate_hz=3")
    assert "rate_hz" not in raw["devices"][1]["arrivals"]


@pytest.mark.parametrize("text", ["cell.*.x=1", "devices.*=1", "nothing.*.x=1"])
def test_a_star_needs_a_list_and_a_key(text: str) -> None:
    with pytest.raises(ScenarioError, match="entries of a list"):
        load("urban_5g", overrides=[text])


def test_a_key_of_another_kind_is_named() -> None:
    with pytest.raises(ScenarioError, match="belongs to kind 'fixed_snr'"):
        load("urban_5g", overrides=[f"{SNR}=3"])


# --- files ------------------------------------------------------------------------------------

WHOLE = """
scenario: awgn_cliff
set: {duration_s: 3, cell.harq: {max_transmissions: 2}}
replications: 4
axes:
  - {path: cell.channel.snr_db, range: [-5, 5, 5]}
  - zip:
      - {path: edge.workers, values: [1, 2]}
      - {name: batch, path: edge.max_batch, values: [8, 4]}
  - name: radio
    variants:
      plain: {cell.fading: {kind: none}}
      fading: {cell.fading: {kind: rayleigh}, cell.noise_figure_db: 7}
  - {path: cell.resource_blocks, log_range: [5, 50, 2], only_where: "radio == 'plain'"}
where: "cell.channel.snr_db > -5"
"""


def test_a_sweep_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(WHOLE)
    found = read_sweep(tmp_path / "mine.yaml", overrides=["duration_s=1"])
    assert found.name == "mine" and found.replications == 4 and len(found.points) == 2 * 2 * 3
    first, last = found.points[0], found.points[-1]
    assert dict(first.values) == {
        SNR: 0, "edge.workers": 1, "batch": 8, "radio": "plain", "cell.resource_blocks": 5.0,
    }  # fmt: skip
    assert dict(last.values) == {SNR: 5, "edge.workers": 2, "batch": 4, "radio": "fading"}
    scenario = load(found.source, overrides=last.overrides)
    assert scenario.duration_s == 1 and scenario.cell.harq.max_transmissions == 2
    assert scenario.cell.fading.kind == "rayleigh" and scenario.edge.max_batch == 4


@pytest.mark.parametrize("name", bundled_sweeps())
def test_every_bundled_sweep_says_possible_points(name: str) -> None:
    path = sweep_path(name)
    assert path is not None
    found = read_sweep(path)
    for point in found.points:
        load(found.source, overrides=point.overrides)


def test_snr_split_has_its_points() -> None:
    path = sweep_path("snr_split")
    assert path is not None
    found = read_sweep(path)
    assert len(found.points) == 78 and found.replications == 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("range: [-5, 5, 5]", "rnage: [-5, 5, 5]", r"axes\[0\]: .*unknown key|axes\[0\].*rnage"),
        ("range: [-5, 5, 5]", "range: [-5, 5]", r"axes\[0\].*range"),
        ("range: [-5, 5, 5]", "range: [-5, 5, 5], values: [1]", "exactly one"),
        ("scenario: awgn_cliff", "scenario: awgn_clif", "awgn_cliff"),
        ("replications: 4", "replication: 4", "replications"),
        ("variants:", "varaints:", "Did you mean 'variants'"),
        ("axes:", "axis:", "axes"),
        ("log_range: [5, 50, 2]", "log_range: [5, 50, 2.5]", r"axes\[3\].*count"),
        ("duration_s: 3", "duration_s: -3", r"^duration_s: "),
        ("values: [8, 4]", "values: [8]", "equally many"),
        ('"cell.channel.snr_db > -5"', '"cell.snr > -5"', "no axis"),
    ],
)
def test_mistakes_in_a_sweep_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in WHOLE
    (tmp_path / "mine.yaml").write_text(WHOLE.replace(old, new))
    with pytest.raises(ScenarioError, match=message):
        read_sweep(tmp_path / "mine.yaml")


def test_a_scenario_is_no_sweep_file() -> None:
    from simsplit.scenario.bundled import scenarios_dir

    assert sweep_path(scenarios_dir() / "urban_5g.yaml") is None and sweep_path("urban_5g") is None


@pytest.mark.parametrize(
    "text",
    ["2020-99-99,1", "0x_,1", "0:1e999999999:1", "0:1:1e-999999999", f"{'9' * 5000},1"],
)
def test_what_no_number_or_date_can_be_is_refused(text: str) -> None:
    with pytest.raises(ScenarioError):
        axis_from_text(f"seed={text}")


@pytest.mark.parametrize("value", ["!!bool x", "!!int ''", "!!timestamp x", "!!float ''"])
def test_a_tag_that_does_not_fit_its_value_is_refused(value: str) -> None:
    with pytest.raises(ScenarioError, match="a tag and its value do not fit"):
        parse_yaml(value, "seed")
