"""What a run leaves behind: the summary, the result folder, and the table on the terminal."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit import statistics
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.load import digest as scenario_digest
from simsplit.scenario import Scenario

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console
    from rich.table import Table

    from simsplit.statistics import Flag, Kpi

FILES = ("scenario.yaml", "manifest.json", "requests.parquet", "summary.json")
QUANTILES = {"latency_p50_s": 0.50, "latency_p95_s": 0.95, "latency_p99_s": 0.99}
MEANS = (
    "latency_s",
    "payload_bits",
    "channel_uses",
    "pilot_uses",
    "papr_db",
    "energy_j",
    "compute_energy_j",
    "tx_energy_j",
    "rx_energy_j",
    "edge_energy_j",
    "delivered",
    "deadline_met",
    "attempts",
)
_PACKAGES = {
    "simsplit": ("simsplit",),
    "torch": ("torch",),
    "sionna": ("sionna", "sionna-no-rt"),
    "simpy": ("simpy",),
    "numpy": ("numpy",),
    "pandas": ("pandas",),
}


@dataclass(frozen=True)
class Result:
    """A finished run. ``folder`` is None if nothing was written."""

    folder: Path | None
    scenario: Scenario
    requests: DataFrame
    summary: dict[str, Any]
    manifest: dict[str, Any]


# --- summary ----------------------------------------------------------------------------------


def summarise(
    scenario: Scenario, requests: DataFrame, stations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Every KPI of the requests that arrived in [warmup_s, duration_s), utilisation and flags.

    Intervals: see `simsplit.statistics.estimate`. Latency is over closed requests only; lost and
    open ones are in ``delivered``, ``deadline_met``, ``status`` and the flags.
    """
    rows = measured(scenario, requests)
    replicated = requests["replication"].nunique() > 1
    points = _by(rows, "operating_point", [p.name for p in scenario.operating_points], replicated)
    used = _utilisation(stations)
    return {
        "scenario": scenario.name,
        "replications": int(requests["replication"].nunique()),
        "window_s": [scenario.warmup_s, scenario.duration_s],
        "confidence": statistics.CONFIDENCE,
        "overall": _kpis(rows, replicated),
        "operating_points": points,
        "groups": _by(rows, "group", [g.name for g in scenario.devices], replicated),
        "utilisation": used,
        "ledger_j": _ledger(stations),
        "bodies": _bodies(stations),
        "flags": _flags(scenario, requests, rows, points, used),
    }


def measured(scenario: Scenario, requests: DataFrame) -> DataFrame:
    """Rows that arrived in [warmup_s, duration_s), by arrival time."""
    arrival_s = requests["arrival_s"]
    inside = (arrival_s >= scenario.warmup_s) & (arrival_s < scenario.duration_s)
    return requests[inside].sort_values(["arrival_s", "request_id"], kind="stable")


def _by(rows: DataFrame, column: str, names: list[str], replicated: bool) -> dict[str, Any]:
    """KPIs per value of ``column``, in the scenario's order; values without rows are left out."""
    parts = {name: rows[rows[column] == name] for name in names}
    return {name: _kpis(part, replicated) for name, part in parts.items() if len(part)}


def _kpis(rows: DataFrame, replicated: bool) -> dict[str, Any]:
    replication = rows["replication"].to_numpy(np.int64)
    scores = [column for column in rows.columns if column.startswith("score_")]
    wanted = {name: (name, None) for name in (*MEANS, *scores)}
    tails = {name: ("latency_s", q) for name, q in QUANTILES.items()}
    found: dict[str, Any] = {
        "n": len(rows),
        "status": {str(key): int(n) for key, n in rows["status"].value_counts().items()},
    }
    for name, (column, quantile) in (wanted | tails).items():
        values = rows[column].to_numpy(float)
        found[name] = statistics.estimate(
            values, replication, replicated=replicated, quantile=quantile
        )
    return found


def _utilisation(stations: Sequence[Mapping[str, Any]]) -> dict[str, Kpi]:
    """Work done until the run's end over the capacity of the arrival window [0, window_s).

    Device busy_s / window_s; edge and cloud busy_s / (on_s * window_s / end_s), where on_s counts
    the seconds of the workers that were on; radio likewise, resource blocks x slots used over those
    there were. Above 1: the backlog that the station worked off after the last arrival.
    """
    device = [[d["busy_s"] / s["window_s"] for d in s["devices"]] for s in stations]
    radio = [_radio_share(s, "radio") for s in stations]
    edge = [_server_share(s, "edge") for s in stations]
    found = {
        "device_mean": statistics.over_replications([sum(d) / len(d) for d in device if d]),
        "device_max": statistics.over_replications([max(d) for d in device if d]),
        "radio": statistics.over_replications(radio),
        "edge": statistics.over_replications(edge),
    }
    if all("cloud" in s for s in stations):
        far = [_server_share(s, "cloud") for s in stations]
        found["cloud"] = statistics.over_replications(far)
    if all("downlink" in s for s in stations):
        down = [_radio_share(s, "downlink") for s in stations]
        found["downlink"] = statistics.over_replications(down)
    return found


def _server_share(station: Mapping[str, Any], tier: str) -> float:
    use = station[tier]
    on_s = use["on_s"] * station["window_s"] / station["end_s"]
    return float(use["busy_s"] / on_s) if on_s else math.nan


def _radio_share(station: Mapping[str, Any], direction: str) -> float:
    use = station[direction]
    total = use["prb_slots_total"] * station["window_s"] / station["end_s"]
    return float(use["prb_slots_used"] / total) if total else math.nan


def _ledger(stations: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Joules of all devices and of the edge by state, mean over replications."""
    count = max(1, len(stations))
    states = ("idle_j", "compute_j", "transmit_j", "receive_j", "listen_j", "sleep_j", "total_j")
    ledger = {
        f"device_{state}": sum(d[state] for s in stations for d in s["devices"]) / count
        for state in states
    }
    for tier in ("edge", "cloud"):
        servers = [s[tier] for s in stations if tier in s]
        for state in ("idle_j", "starting_j", "compute_j", "total_j") if servers else ():
            ledger[f"{tier}_{state}"] = sum(server[state] for server in servers) / count
    return ledger


def _bodies(stations: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Per group with battery or heat: lowest charge at the end, highest °C, longest throttling."""
    ends = {"battery_share": min, "max_temperature_c": max, "throttled_s": max}
    found: dict[str, dict[str, float]] = {}
    for device in (d for s in stations for d in s["devices"]):
        for key, worst in ends.items():
            if device.get(key) is not None:
                group = found.setdefault(device["group"], {})
                group[key] = worst(group.get(key, device[key]), device[key])
    return found


def _flags(
    scenario: Scenario,
    requests: DataFrame,
    rows: DataFrame,
    points: dict[str, Any],
    used: dict[str, Kpi],
) -> list[Flag]:
    return [
        *statistics.busy_flags(used),
        *statistics.load_flags(rows, scenario),
        *statistics.trend_flags(rows),
        *statistics.open_flags(requests),
        *statistics.short_flags(points),
        *statistics.unscored_flags(rows),
    ]


# --- manifest ---------------------------------------------------------------------------------


def manifest(
    scenario: Scenario,
    digests: Mapping[str, str],
    seeds: Mapping[str, int] | Sequence[int],
    wall_time_s: float,
) -> dict[str, Any]:
    """Where a result comes from: its identity, artefacts, seeds, versions, wall time."""
    import platform

    return {
        "digest": identity(scenario, digests),
        "scenario": scenario.name,
        "artefacts": dict(sorted(digests.items())),
        "seeds": dict(seeds) if isinstance(seeds, Mapping) else list(seeds),
        "versions": {"python": platform.python_version()} | _versions(),
        "platform": platform.platform(),
        "wall_time_s": wall_time_s,
    }


def identity(scenario: Scenario, digests: Mapping[str, str]) -> str:
    """SHA-256 of the resolved scenario and its artefacts' digests: what a run is."""
    whole = {"scenario": scenario_digest(scenario), "artefacts": dict(digests)}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str | None]:
    return {name: _version(candidates) for name, candidates in _PACKAGES.items()}


def _version(candidates: tuple[str, ...]) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    for name in candidates:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


# --- store ------------------------------------------------------------------------------------


def write_result(
    folder: Path,
    scenario: Scenario,
    requests: DataFrame,
    summary: Mapping[str, Any],
    manifest: Mapping[str, Any],
    resolved_yaml: str,
) -> Path:
    """Write a result folder whole or not at all; one that holds the same digest is left as it is.

    Raises:
        ScenarioError: The folder holds something else.
    """
    if _occupied(folder):
        return _same(folder, manifest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        aside.chmod(0o755)
        (aside / "scenario.yaml").write_text(resolved_yaml, encoding="utf-8")
        (aside / "manifest.json").write_text(to_json(manifest), encoding="utf-8")
        (aside / "summary.json").write_text(to_json(summary), encoding="utf-8")
        requests.to_parquet(aside / "requests.parquet", index=False)
        return _publish(aside, folder, manifest)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _publish(aside: Path, folder: Path, manifest: Mapping[str, Any]) -> Path:
    try:
        os.rename(aside, folder)
    except OSError:
        if not _occupied(folder):
            raise
        return _same(folder, manifest)  # another process was first
    return folder


def _occupied(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _same(folder: Path, manifest: Mapping[str, Any]) -> Path:
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ScenarioError("the folder exists and is no result", path=str(folder)) from None
    if found != manifest.get("digest"):
        raise ScenarioError("the folder holds the result of another run", path=str(folder))
    return folder


def to_json(value: object) -> str:
    """JSON text of numbers, numpy numbers, text, lists and dictionaries; NaN and inf are null."""
    return json.dumps(_plain(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def read_result(folder: Path) -> Result:
    """Read a result folder back.

    Raises:
        ArtefactError: The folder or a file is missing or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ArtefactError("no such result folder", path=str(folder))
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ArtefactError(f"not a whole result, missing: {', '.join(missing)}", path=str(folder))
    return Result(
        folder=folder,
        scenario=_read(folder / "scenario.yaml", _read_scenario),
        requests=_read(folder / "requests.parquet", _read_table),
        summary=_read(folder / "summary.json", _read_dictionary),
        manifest=_read(folder / "manifest.json", _read_dictionary),
    )


def _read(path: Path, reader: Any) -> Any:
    try:
        return reader(path)
    except Exception as error:  # any failure to read is damage, whatever library reports it
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtefactError(f"damaged: {first}", path=str(path)) from error


def _read_scenario(path: Path) -> Scenario:
    import yaml

    return Scenario.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def _read_table(path: Path) -> DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


def _read_dictionary(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object")
    return found


# --- table ------------------------------------------------------------------------------------


def summary_table(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(scope, KPI, value ± half-width) for every KPI of the summary."""
    scopes = {"overall": summary["overall"]} | dict(summary["operating_points"])
    scopes |= {f"group {name}": part for name, part in summary["groups"].items()}
    scopes["utilisation"] = summary["utilisation"]
    return [
        (scope, name, written(value))
        for scope, kpis in scopes.items()
        for name, value in kpis.items()
        if isinstance(value, Mapping) and "mean" in value
    ]


def written(value: Mapping[str, Any] | None, scale: float = 1.0, form: str = ".4g") -> str:
    """``mean ± half-width`` times ``scale``; ± ? where there is no interval, – where no value."""
    if value is None or value["mean"] is None:
        return "–"
    text = format(scale * value["mean"], form)
    if value["ci_low"] is None:
        return f"{text} ± ?"
    half = scale * (value["ci_high"] - value["ci_low"]) / 2
    if form.endswith("g"):  # rounding noise of a constant is no spread
        form, half = ".2g", half if half > 1e-9 * abs(scale * value["mean"]) else 0.0
    return f"{text} ± {format(half, form)}"


def print_summary(summary: Mapping[str, Any], console: Console) -> None:
    """The readable table per operating point, then utilisation, then flags in yellow.

    A narrow terminal gets it as two tables, so that no number is cut.
    """
    from rich.text import Text

    title = f"{summary['scenario']}: mean ± half-width of the 95 % interval"
    heading, rows = headline_rows(summary)
    whole = _table(title, heading, rows)
    if console.measure(whole, options=console.options.update(width=1000)).maximum <= console.width:
        console.print(whole)
    else:
        console.print(_table(title, heading[:5], [row[:5] for row in rows]))
        cost = [row[:1] + row[5:] for row in rows]
        console.print(_table("per request", heading[:1] + heading[5:], cost))
    console.print(f"Utilisation: {utilisation_text(summary)}", highlight=False)
    for group, body in summary.get("bodies", {}).items():
        console.print(f"{group}: {_body_text(body)}", highlight=False)
    for item in summary["flags"]:
        text = f"! [{item['code']}] {item['station']}: {item['message']}"
        console.print(Text(text), style="yellow", highlight=False)


def _body_text(body: Mapping[str, float]) -> str:
    """The worst of a group's devices, in words."""
    words = {
        "battery_share": ("battery at least {:.1f} %", 100.0),
        "max_temperature_c": ("at most {:.1f} °C", 1.0),
        "throttled_s": ("throttled for at most {:.3g} s", 1.0),
    }
    return ", ".join(
        form.format(scale * body[key]) for key, (form, scale) in words.items() if key in body
    )


def _table(title: str, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", padding=(0, 1))
    for position, name in enumerate(heading):
        table.add_column(Text(name), justify="right" if position else "left", no_wrap=True)
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    return table


def headline_rows(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heading and one row of text per operating point: what a reader compares first."""
    scored = "score_miou" in summary["overall"]
    score, title = ("score_miou", "mIoU") if scored else ("score_accuracy", "accuracy")
    heading = ["point", "n", title, "p50 ms", "p95 ms", "device mJ", "edge mJ"]
    heading += ["kbit", "symbols", "arrived %", "in time %"]
    rows = [_headline(name, k, score) for name, k in summary["operating_points"].items()]
    return heading, rows


def _headline(name: str, kpis: Mapping[str, Any], score: str) -> list[str]:
    device_j = (kpis["compute_energy_j"], kpis["tx_energy_j"], kpis["rx_energy_j"])
    on_device_j = None if any(k["mean"] is None for k in device_j) else _added(device_j)
    return [
        name,
        str(kpis["n"]),
        written(kpis.get(score), form=".3f"),
        _number(kpis["latency_p50_s"], 1e3, ".1f"),
        _number(kpis["latency_p95_s"], 1e3, ".1f"),
        _number({"mean": on_device_j}, 1e3),
        _number(kpis["edge_energy_j"], 1e3),
        _number(kpis["payload_bits"], 1e-3),
        _number(kpis["channel_uses"], 1.0, ",.0f"),
        _number(kpis["delivered"], 100, ".1f"),
        _number(kpis["deadline_met"], 100, ".1f"),
    ]


def _added(kpis: Sequence[Mapping[str, Any]]) -> float:
    return sum(float(kpi["mean"]) for kpi in kpis)


def _number(value: Mapping[str, Any], scale: float, form: str = ".4g") -> str:
    return "–" if value["mean"] is None else format(scale * value["mean"], form)


def utilisation_text(summary: Mapping[str, Any]) -> str:
    """Utilisation of every station in per cent, in one line."""
    parts = summary["utilisation"].items()
    return ", ".join(f"{name} {_number(value, 100, '.1f')} %" for name, value in parts)
