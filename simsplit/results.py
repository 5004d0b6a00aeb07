"""What a run leaves behind: the manifest and the result folder."""

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

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.load import digest as scenario_digest
from simsplit.scenario import Scenario

if TYPE_CHECKING:
    from pandas import DataFrame


FILES = ("scenario.yaml", "manifest.json", "requests.parquet", "summary.json")
TABLE = "table.json"  # made from the others; results of older versions lack it
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


# --- flat rows ---------------------------------------------------------------------------------


def flat_rows(scenario: Scenario, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The summary as one flat row per operating point, the rows of every table of runs.

    Columns: ``operating_point``, ``scheme``, ``replications``, ``n``; every KPI as ``kpi``,
    ``kpi_ci_low`` and ``kpi_ci_high``; ``utilisation_<station>`` of the whole run; ``flags``.
    """
    schemes = {spec.name: spec.scheme for spec in scenario.operating_points}
    flags = " ".join(sorted({item["code"] for item in summary["flags"]}))
    used = {f"utilisation_{name}": kpi["mean"] for name, kpi in summary["utilisation"].items()}
    replications = summary["replications"]
    return [
        {"operating_point": name, "scheme": schemes.get(name), "replications": replications}
        | {"n": kpis["n"]}
        | _flat(kpis)
        | used
        | {"flags": flags}
        for name, kpis in summary["operating_points"].items()
    ]


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """`flat_rows` of a stored result, from ``table.json`` (or its summary, if it is an old one).

    Raises:
        ArtefactError: No result there, or a damaged one.
    """
    file = folder / TABLE
    if not file.is_file():
        found = read_result(folder)
        return flat_rows(found.scenario, found.summary)
    rows: list[dict[str, Any]] = _read(file, lambda path: json.loads(path.read_bytes()))
    return rows


def _flat(kpis: Mapping[str, Any]) -> dict[str, Any]:
    endings = {"": "mean", "_ci_low": "ci_low", "_ci_high": "ci_high"}
    return {
        name + ending: value[key]
        for name, value in kpis.items()
        if isinstance(value, Mapping) and "mean" in value
        for ending, key in endings.items()
    }


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
        table = flat_rows(scenario, summary)
        (aside / TABLE).write_text(to_json(table), encoding="utf-8")
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
    if (folder / "sweep.json").is_file():
        message = "this folder holds a sweep; name the folder of one of its points"
        raise ArtefactError(message, path=str(folder))
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
