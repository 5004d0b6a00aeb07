"""What a run leaves behind: the manifest and the result folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import check_folder, to_json, whole_folder, write_whole
from simsplit.results.kpis import flat_rows
from simsplit.results.pooled import COLUMN
from simsplit.results.pooled_parts import FILE as POOLED
from simsplit.results.pooled_parts import as_json, pooled_parts
from simsplit.results.summary import measured
from simsplit.scenario.scenario import Scenario

if TYPE_CHECKING:
    from pandas import DataFrame


FILES = ("scenario.yaml", "manifest.json", "requests.parquet", "summary.json")
TABLE = "table.json"  # made from the others; results of older versions lack it


@dataclass(frozen=True)
class Result:
    """A finished run. ``folder`` is None if nothing was written."""

    folder: Path | None
    scenario: Scenario
    requests: DataFrame
    summary: dict[str, Any]
    manifest: dict[str, Any]


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """`flat_rows` of a stored result, from ``table.json`` (or its summary, if it is an old one).

    Raises:
        ArtefactError: No result there, or a damaged one.
    """
    file = folder / TABLE
    if not file.is_file():
        result = read_result(folder)
        return flat_rows(result.scenario, result.summary)
    rows: list[dict[str, Any]] = _read(file, lambda path: json.loads(path.read_bytes()))
    return rows


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
    if is_occupied(folder):
        return _same(folder, manifest)
    try:
        with whole_folder(folder) as aside:
            write_whole(aside / "scenario.yaml", resolved_yaml)
            write_whole(aside / "manifest.json", to_json(manifest))
            write_whole(aside / "summary.json", to_json(summary))
            write_whole(aside / TABLE, to_json(flat_rows(scenario, summary)))
            parts = pooled_parts(measured(scenario, requests), replicated=_is_replicated(summary))
            if parts:
                write_whole(aside / POOLED, to_json(as_json(parts)))
            stored = requests.drop(columns=COLUMN, errors="ignore")
            stored.to_parquet(aside / "requests.parquet", index=False)
    except OSError:
        if not is_occupied(folder):
            raise
        return _same(folder, manifest)  # another process was first
    return folder


def _is_replicated(summary: Mapping[str, Any]) -> bool:
    return int(summary.get("replications", 1)) > 1


def is_occupied(folder: Path) -> bool:
    """Whether something stands there; an empty folder is as good as none."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def stored_result(folder: Path, digest: str) -> Result:
    """The result in an occupied folder, if it is that of the run of this identity.

    Raises:
        ScenarioError: The folder holds something else.
        ArtefactError: It is a sweep's, or a damaged result.
    """
    is_ours = any((folder / name).is_file() for name in ("manifest.json", "sweep.json"))
    check_folder(folder, "the result of a run", is_ours=is_ours)
    result = read_result(folder)
    if result.manifest.get("digest") != digest:
        raise ScenarioError("the folder holds the result of another run", path=str(folder))
    return result


def _same(folder: Path, manifest: Mapping[str, Any]) -> Path:
    try:
        stored = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ScenarioError("the folder exists and is no result", path=str(folder)) from None
    if stored != manifest.get("digest"):
        raise ScenarioError("the folder holds the result of another run", path=str(folder))
    return folder


def read_result(folder: str | Path) -> Result:
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
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("expected a JSON object")
    return content
