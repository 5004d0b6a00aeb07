"""Every bundled scenario, shortened, against the numbers it gave when its golden was written.

Regenerate: SIMSPLIT_REGENERATE=1 python -m pytest tests/golden

Row counts and statuses are to be the same, and so is every other number to nine digits. Excepted is
what networks compute in floating point, which differs a little between processors and releases of
torch: scores and peak-to-average ratios always, and all that follows from the payloads where the
machine's arithmetic is another than the golden's and cuts other payloads. See `tolerances`.
Two editions on one machine are compared bit for bit by `compare_editions.py`.
"""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import simsplit

if TYPE_CHECKING:
    from pandas import DataFrame

GOLDEN = Path(__file__).parent
SCENARIOS = GOLDEN.parents[1] / "scenarios"
NAMES = sorted(path.stem for path in SCENARIOS.glob("*.yaml"))
DIGITS = 10
SUMMED = ("payload_bits", "channel_uses", "pilot_uses", "attempts", "latency_s")

# Few pictures and little time: what the numbers are matters here, not what they say.
SHORT: dict[str, dict[str, Any]] = {
    "awgn_cliff": {"duration_s": 0.6, "task.samples": 16},
    "city_drive": {"duration_s": 0.8, "task.samples": 16},
    "compressible_features": {"duration_s": 1.0, "task.samples": 16},
    "digits_smoke": {"duration_s": 2.0},
    "early_exit": {"duration_s": 1.5, "task.samples": 16},
    "edge_cloud": {"duration_s": 1.2, "warmup_s": 0.2, "task.samples": 16},
    "factory_edge": {"duration_s": 0.2, "warmup_s": 0.05, "task.samples": 16},
    "iot_narrowband": {"duration_s": 40.0, "task.samples": 16},
    "neurosurgeon": {"duration_s": 4.0, "task.samples": 4},
    "snr_threshold": {"duration_s": 2.0, "task.samples": 16},
    "split_choice": {"duration_s": 1.0, "task.samples": 16},
    "urban_5g": {"duration_s": 2.0, "task.samples": 16},
}
OTHERS = {"duration_s": 1.0}  # of a scenario that this table does not know yet
REPLICATIONS = 2


class Tolerances(NamedTuple):
    """Largest differences: relative ones of numbers, relative and absolute ones of what networks
    compute."""

    number: float
    network: float
    network_absolute: float


OF_NETWORKS = ("score_", "ece")  # beginnings of scores' and of confidences' names
STRICT = Tolerances(1e-9, 1e-3, 1e-3)
LOOSE = Tolerances(0.01, 0.02, 0.01)


@cache
def arithmetic() -> str:
    """A fingerprint of how this machine computes: a small network's output and the libraries."""
    import PIL
    import torch
    from torch import nn

    random = torch.Generator().manual_seed(1)
    layers = [nn.Conv2d(3, 16, 3, 2, 1), nn.Sigmoid(), nn.Flatten(), nn.Linear(16 * 32 * 64, 32)]
    network = nn.Sequential(*layers).eval()
    with torch.inference_mode():
        for weights in network.parameters():
            weights.uniform_(-0.1, 0.1, generator=random)
        answer = network(torch.rand(4, 3, 64, 128, generator=random)).numpy()
    return f"torch {torch.__version__} pillow {PIL.__version__} {sha256(answer).hexdigest()[:16]}"


# --- a run in short -----------------------------------------------------------------------------


def in_short(rows: DataFrame, summary: dict[str, Any]) -> dict[str, Any]:
    """What a golden keeps of a run: counts, and per operating point the KPI means and sums."""
    points = {
        str(name): {
            "rows": len(part),
            "statuses": _counts(part),
            "kpis": _means(summary["operating_points"].get(name, {})),
            "sums": {column: rounded(float(part[column].sum())) for column in _summed(part)},
        }
        for name, part in rows.groupby("operating_point")
    }
    found = {"rows": len(rows), "statuses": _counts(rows), "operating_points": points}
    return {"arithmetic": arithmetic()} | found


def _counts(rows: DataFrame) -> dict[str, int]:
    return {str(status): int(n) for status, n in rows["status"].value_counts().items()}


def _means(kpis: dict[str, Any]) -> dict[str, float | None]:
    """Means of the KPIs that were measured; a point may have no request after the warm-up."""
    return {
        name: None if kpi["mean"] is None else rounded(kpi["mean"])
        for name, kpi in kpis.items()
        if isinstance(kpi, dict) and "mean" in kpi
    }


def _summed(rows: DataFrame) -> list[str]:
    return [
        str(name)
        for name in rows
        if name in SUMMED or str(name).endswith("energy_j") or str(name).startswith("score_")
    ]


def rounded(value: float) -> float | None:
    """To so many significant digits; what is not finite is None, as in JSON."""
    return float(f"{value:.{DIGITS - 1}e}") if math.isfinite(value) else None


# --- comparison ---------------------------------------------------------------------------------


def tolerances(found: dict[str, Any], golden: dict[str, Any]) -> Tolerances:
    """Strict, unless this machine computes otherwise than the golden's and cuts other payloads."""
    one, other = (
        {name: point["sums"]["payload_bits"] for name, point in points.items()}
        for points in (found["operating_points"], golden["operating_points"])
    )
    return STRICT if found["arithmetic"] == golden["arithmetic"] or one == other else LOOSE


def differences(found: dict[str, Any], golden: dict[str, Any]) -> list[str]:
    """Every number that is not as the golden has it, by its path."""
    allowed = tolerances(found, golden)
    one, other = ({**side, "arithmetic": None} for side in (found, golden))
    return list(_differences(one, other, allowed, ""))


def _differences(found: Any, golden: Any, allowed: Tolerances, path: str) -> Iterator[str]:
    if isinstance(golden, dict) and isinstance(found, dict):
        for key in sorted(found.keys() | golden.keys()):
            one, other = found.get(key), golden.get(key)
            yield from _differences(one, other, allowed, f"{path}/{key}")
    elif not _agree(found, golden, allowed, of_network=is_of_network(path)):
        yield f"{path}: {found}, golden {golden}"


def is_of_network(path: str) -> bool:
    """Whether a network computes this number itself."""
    name = path.rpartition("/")[2]
    return name.startswith(OF_NETWORKS) or name == "papr_db"


def _agree(found: Any, golden: Any, allowed: Tolerances, of_network: bool) -> bool:
    """Counts are the same; other numbers are near."""
    if not isinstance(golden, float) or not isinstance(found, float):
        return bool(found == golden)
    if of_network:
        relative, absolute = allowed.network, allowed.network_absolute
        return math.isclose(found, golden, rel_tol=relative, abs_tol=absolute)
    return math.isclose(found, golden, rel_tol=allowed.number)


# --- tests --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Runs a scenario once, with a cache of this file's own: nothing stored may hide a change."""
    place = tmp_path_factory.mktemp("golden")

    @cache
    def run(name: str) -> dict[str, Any]:
        overrides = [f"{key}={value}" for key, value in SHORT.get(name, OTHERS).items()]
        folder = place / name
        result = simsplit.run(name, out=folder, replications=REPLICATIONS, overrides=overrides)
        return in_short(result.requests, result.summary)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIMSPLIT_CACHE", str(place / "cache"))
        yield run


def read_golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_as_they_were(name: str, short_run: Callable[[str], Any]) -> None:
    found = short_run(name)
    if os.environ.get("SIMSPLIT_REGENERATE"):
        text = json.dumps(found, indent=1, sort_keys=True) + "\n"
        (GOLDEN / f"{name}.json").write_text(text, encoding="utf-8")
    assert differences(found, read_golden(name)) == []


def test_a_golden_belongs_to_every_scenario() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == NAMES


def _leaves(value: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(inner, (*path, key))
        elif isinstance(inner, int | float) and inner:
            yield (*path, key)


def _nudged(golden: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The golden with one number changed by little more than what is allowed."""
    changed = copy.deepcopy(golden)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    value = inner[path[-1]]
    by = 3e-3 * abs(value) + 3e-3 if is_of_network(path[-1]) else 2e-9 * abs(value)
    inner[path[-1]] = value + (1 if isinstance(value, int) else by)
    return changed


@pytest.mark.parametrize("name", NAMES)
def test_no_number_changes_unseen(name: str) -> None:
    golden = read_golden(name)
    for path in _leaves(golden):
        assert len(differences(_nudged(golden, path), golden)) == 1, path


@pytest.mark.parametrize("kpi", ["ece_shape", "score_accuracy_shape"])
def test_what_networks_compute_differs_between_processors(kpi: str) -> None:
    golden = read_golden("mtl_split")
    path = ("operating_points", "split_8bit", "kpis", kpi)
    other = _nudged(golden, path)
    other["operating_points"]["split_8bit"]["kpis"][kpi] = golden["operating_points"]["split_8bit"][
        "kpis"
    ][kpi] * (1 + 1e-7)
    assert differences(other, golden) == []


def test_another_machine_may_cut_other_payloads_by_a_little() -> None:
    golden = read_golden("urban_5g")
    path = ("operating_points", "feature_8bit", "sums", "payload_bits")
    nudged = _nudged(golden, path) | {"arithmetic": "another"}
    assert differences(nudged, golden) == []
    nudged["operating_points"]["feature_8bit"]["sums"]["payload_bits"] *= 1.02
    assert len(differences(nudged, golden)) == 1
