"""`simsplit profile`: a very small network measured, its table, its file, and what others said."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from simsplit.cli.network_tables import MEASURED_COLUMNS, comparison, measured_rows
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.hardware import judge as measure
from simsplit.hardware.judge import Measured, measure_network
from simsplit.hardware.profile_file import read_profile
from simsplit.scenario.permission import code_allowed

MODULE = """
from torch import nn


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.last = nn.Linear(144, 5)

    def forward(self, x):
        return self.last(self.conv(x).relu().flatten(1))


class Tinier(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(192, 2)

    def forward(self, x):
        return self.last(x.flatten(1))
"""
MACS = {"conv": 36 * 4 * 27, "activation": 0, "linear": 144 * 5}


@pytest.fixture(scope="module")
def own_networks(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("own")
    (folder / "measured_nets.py").write_text(MODULE)
    sys.path.insert(0, str(folder))
    with code_allowed():
        yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("measured_nets", None)


def measured(out: Path | None, name: str = "Tiny", batches: tuple[int, ...] = (1, 3)) -> Measured:
    return measure_network(
        f"measured_nets:{name}", batches=batches, threads=1, size_px=(8, 8), rounds=6, out=out
    )


@pytest.fixture(scope="module")
def found(own_networks: Path) -> Measured:
    return measured(own_networks / "p.json")


def test_the_file_holds_what_was_measured(found: Measured) -> None:
    stored = read_profile(found.file)
    assert list(stored.networks) == ["measured_nets:Tiny@8x8"]
    network = stored.networks["measured_nets:Tiny@8x8"]
    assert network.batches == (1, 3) and set(network.rounds.values()) == {6}
    assert network.totals[1].median_s == pytest.approx(found.network.totals[1].median_s, rel=1e-3)
    assert stored.machine.threads == 1 and stored.machine.torch == torch.__version__


def test_the_title_names_network_machine_and_threads(found: Measured) -> None:
    cpu = found.profile.machine.cpu
    assert found.title == f"measured_nets:Tiny@8x8 on {cpu}, 1 thread"


def test_rows_add_up_to_the_whole(found: Measured) -> None:
    rows = [dict(zip(MEASURED_COLUMNS, row, strict=True)) for row in measured_rows(found)]
    for batch in ("1", "3"):
        parts = [row for row in rows if row["batch"] == batch]
        *kinds, total = parts
        assert {row["kind"] for row in kinds} == set(MACS) and total["kind"] == "total"
        assert [row["nodes"] for row in parts] == ["1", "1", "1", "3"]
        assert {row["kind"]: row["MMAC"] for row in kinds} == {
            kind: f"{macs / 1e6:,.4g}" for kind, macs in MACS.items()
        }
        assert total["MMAC"] == f"{sum(MACS.values()) / 1e6:.4g}"
        assert sum(float(row["ms"]) for row in kinds) == pytest.approx(float(total["ms"]), rel=5e-3)
        assert sum(float(row["share %"]) for row in kinds) == pytest.approx(100, abs=0.2)
        assert total["share %"] == "100.0"
        times = [float(row["ms"]) for row in kinds]
        assert times == sorted(times, reverse=True)
    assert len(rows) == 8


def test_the_table_is_in_milliseconds_and_intervals_hold_the_median(found: Measured) -> None:
    for row in measured_rows(found):
        cells = dict(zip(MEASURED_COLUMNS, row, strict=True))
        low, high = (float(end) for end in cells["95 % interval"].split(" … "))
        assert low <= float(cells["ms"]) <= high
    total = next(row for row in measured_rows(found) if row[1] == "total")
    assert float(total[4]) == pytest.approx(1e3 * found.network.totals[1].median_s, rel=1e-3)


def test_another_network_joins_the_file(own_networks: Path) -> None:
    file = own_networks / "two.json"
    measured(file, batches=(1,))
    second = measured(file, name="Tinier", batches=(2,))
    stored = read_profile(file).networks
    assert set(stored) == {"measured_nets:Tiny@8x8", "measured_nets:Tinier@8x8"}
    assert [row[1] for row in measured_rows(second)] == ["linear", "total"]  # its own alone


def test_without_a_name_the_file_lies_here(
    own_networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = measured(None, name="Tinier", batches=(1,))
    assert one.file == Path("measured_nets.Tinier.profile.json")
    assert [path.name for path in tmp_path.iterdir()] == [str(one.file)]


def test_a_profile_of_another_machine_stays_as_it_is(
    found: Measured, own_networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(found.profile, machine=replace(found.profile.machine, cpu="another"))
    monkeypatch.setattr(measure, "profile_networks", lambda *_, **__: other)
    before = found.file.read_bytes()
    with pytest.raises(ArtefactError, match="different machines"):
        measured(found.file, batches=(1,))
    assert found.file.read_bytes() == before


def test_too_few_rounds_and_unknown_networks(own_networks: Path, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'resnet18'"):
        measure_network(
            "resnet_18", batches=(1,), threads=1, size_px=(8, 8), rounds=6, out=tmp_path / "p"
        )
    assert not (tmp_path / "p").exists()


# --- against others ---------------------------------------------------------------------------


class Half:
    """Says half of what was measured of the whole."""

    def __init__(self, found: Measured) -> None:
        self._totals = found.network.totals

    def seconds(self, operators: Any, batch: int = 1) -> float:
        return self._totals[batch].median_s / 2

    def operator_s(self, operator: Any, batch: int = 1) -> float:
        return 0.0


def calm(found: Measured, unrest: float = 1.0) -> Measured:
    one = replace(found.network, p90_over_median=dict.fromkeys(found.network.batches, unrest))
    return replace(found, network=one)


def test_nothing_to_compare_with(found: Measured) -> None:
    assert list(comparison(calm(found), None, None)) == []


def test_a_busy_machine_is_said(found: Measured) -> None:
    lines = list(comparison(calm(found, 1.5), None, None))
    assert lines == [
        f"! the machine was busy: p90 is 1.50 x the median at batch {batch}" for batch in (1, 3)
    ]


def test_lines_about_a_roofline_and_a_predictor(
    found: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "load_hardware", lambda name: Half(found))
    monkeypatch.setattr(measure, "read_model", lambda folder: Half(found))
    lines = list(comparison(calm(found), "cpu_core", "latency_cpu"))
    assert [line.split(":")[0] for line in lines] == [
        "roofline of cpu_core, batch 1",
        "roofline of cpu_core, batch 3",
        "predictor latency_cpu, batch 1",
        "predictor latency_cpu, batch 3",
    ]
    whole_ms = 1e3 * found.network.totals[1].median_s
    assert f"{whole_ms / 2:.4g} ms where {whole_ms:.4g} were measured (-50 %)" in lines[0]
    assert all(line.endswith("(-50 %)") for line in lines)


def test_bundled_hardware_and_predictor_have_an_opinion(found: Measured) -> None:
    lines = list(comparison(calm(found), "cpu_core", "latency_cpu"))
    assert len(lines) == 4 and all(" ms where " in line for line in lines)


def test_only_the_network_just_measured_is_compared(own_networks: Path) -> None:
    file = own_networks / "two.json"
    measured(file, batches=(1,))
    second = measured(file, name="Tinier", batches=(1,))
    assert len(list(comparison(calm(second), "cpu_core", None))) == 1


def test_unknown_hardware_and_predictor(found: Measured) -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'cpu_core'"):
        list(comparison(calm(found), "cpu_coer", None))
    with pytest.raises(ScenarioError, match=r"no such latency predictor.*Choices: latency_cpu"):
        list(comparison(calm(found), None, "no_model"))
