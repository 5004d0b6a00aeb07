"""The three acts of a run: prepare, simulate, score. The composition root."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.messages import Delivery, ScoreRequest
from simsplit.results import store as results
from simsplit.results.columns import no_requests, table_of_rows
from simsplit.results.identity import artefact_digests, default_folder, make_manifest, run_identity
from simsplit.results.metrics import IN_TIME, SCORE
from simsplit.results.pooled import COLUMN
from simsplit.results.summary import summarise
from simsplit.scenario.bundled import models_dir
from simsplit.scenario.load import load as load_scenario
from simsplit.scenario.load import resolved_yaml
from simsplit.scenario.operating_points import EVERY
from simsplit.scenario.permission import takes_permission
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.targets import require_permission
from simsplit.study.inputs import make_plans
from simsplit.study.own_contracts import check_own
from simsplit.study.simulate import simulate
from simsplit.tasks.cache_folder import cache_directory

if TYPE_CHECKING:
    from pandas import DataFrame

    from simsplit.pipeline.pipeline import Pipeline
    from simsplit.results.store import Result
    from simsplit.sim.request import Request
    from simsplit.sim.world import History


Progress = Callable[[str, int, int], None]  # act, done, total
Source = str | Path | Mapping[str, Any] | Scenario


@takes_permission
def run(
    source: Source,
    *,
    out: Path | str | None = None,
    seed: int | None = None,
    duration_s: float | None = None,
    replications: int | None = None,
    fidelity: str | None = None,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
    score_batch: int | None = None,
    workers: int | None = None,
    allow_code: bool = False,
) -> Result:
    """Run a scenario and store its result.

    Args:
        source: Bundled name, path, mapping or Scenario.
        out: Result folder; ``results/<name>-<digest>`` if None.
        seed, duration_s, replications, fidelity: Shorthands for the overrides of those keys.
        overrides: ``path=value`` texts, e.g. ``cell.channel.snr_db=5``.
        progress: Called with (act, done, total).
        score_batch: Score so many requests per call (rows do not depend on it).
        workers: Processes that simulate replications (rows do not depend on it); 0: this one alone;
            None: as many as there are cores.
        allow_code: Modules of a user's own may be imported (`simsplit.scenario.permission`).

    Returns:
        The stored `Result` with ``.requests`` and ``.summary``.

    Raises:
        ScenarioError, ArtefactError: See `simsplit.scenario.load.load`.
    """
    started_s = time.perf_counter()
    shorthands = {
        "seed": seed,
        "duration_s": duration_s,
        "replications": replications,
        "cell.fidelity": fidelity,
    }
    scenario = resolve(source, overrides, shorthands)
    digests = artefact_digests(scenario)
    folder = Path(out) if out is not None else default_folder(scenario, digests)
    if results.is_occupied(folder):
        return results.stored_result(folder, run_identity(scenario, digests))
    done = run_replications(
        scenario,
        0,
        scenario.replications,
        progress=progress,
        score_batch=score_batch,
        workers=workers,
    )
    manifest = make_manifest(scenario, digests, [scenario.seed], time.perf_counter() - started_s)
    return store(folder, scenario, done, summarised(scenario, done), manifest)


@dataclass(frozen=True)
class Replications:
    """The rows of replications 0, 1, … of a scenario, and what each one's stations did."""

    requests: DataFrame
    stations: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.stations)

    def joined(self, later: Replications) -> Replications:
        """These and the replications after them, as one run of all of them would give.

        The frame is built from rows anew: column types are then those of all rows together.
        """
        rows = [*self.requests.to_dict("records"), *later.requests.to_dict("records")]
        requests = table_of_rows(rows) if rows else self.requests
        return Replications(requests, [*self.stations, *later.stations])


def run_replications(
    scenario: Scenario,
    first: int,
    count: int,
    *,
    progress: Progress | None = None,
    score_batch: int | None = None,
    workers: int | None = None,
) -> Replications:
    """Replications ``first`` to ``first + count - 1`` of a resolved scenario; nothing is stored.

    A replication depends on the seed and its number alone, not on how many there are, nor on how
    many processes (``workers``, see `run`) they are simulated in.
    """
    check_own(scenario)
    tell = progress or (lambda act, done, total: None)
    pipeline = open_scenario_pipeline(scenario)
    prepared = pipeline.prepare(lambda done, total: tell("prepare", done, total))
    plans = make_plans(scenario, pipeline, prepared)
    numbers = range(first, first + count)
    histories = simulate(scenario, plans, partial(tell, "simulate"), numbers, workers)
    requests = score(scenario, pipeline, histories, tell, score_batch)
    return Replications(requests, [history.stations for history in histories])


def summarised(scenario: Scenario, done: Replications) -> dict[str, Any]:
    """The summary of a run, its stations included."""
    summary = summarise(scenario, done.requests, done.stations)
    return summary | {"stations": done.stations}


def store(
    folder: Path,
    scenario: Scenario,
    done: Replications,
    summary: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> Result:
    """Write a result folder and return what a reader of it sees (the scenario is not parsed)."""
    import pandas as pd

    resolved = resolved_yaml(scenario)
    results.write_result(folder, scenario, done.requests, summary, manifest, resolved)
    read_summary, read_manifest = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("summary.json", "manifest.json")
    )
    rows = pd.read_parquet(folder / "requests.parquet")
    return results.Result(folder, scenario, rows, read_summary, read_manifest)


def resolve(source: Source, overrides: Sequence[str], shorthands: Mapping[str, Any]) -> Scenario:
    """The scenario with its overrides; shorthands that are None do not count.

    Raises:
        ScenarioError, ArtefactError: See `simsplit.scenario.load.load`; code of a user's own that
            may not be imported.
    """
    if isinstance(source, Scenario):
        source = source.model_dump(mode="json")
    texts = [*overrides, *(f"{key}={v}" for key, v in shorthands.items() if v is not None)]
    scenario = load_scenario(source, overrides=texts)
    require_permission(scenario)
    if all(point.split != EVERY for point in scenario.operating_points):
        return scenario
    from simsplit.pipeline.scenario import expanded

    return expanded(scenario)


# --- act one ----------------------------------------------------------------------------------


def open_scenario_pipeline(scenario: Scenario) -> Pipeline:
    """The chain without a clock for the scenario's task, networks and operating points."""
    from simsplit.pipeline.scenario import opened_pipeline

    return opened_pipeline(scenario, models_dir(), cache_directory())


# --- act three --------------------------------------------------------------------------------


def score(
    scenario: Scenario,
    pipeline: Pipeline,
    histories: Sequence[History],
    tell: Progress,
    batch: int | None = None,
) -> DataFrame:
    """One flat row per request of all replications, with its task scores."""
    requests = [request for history in histories for request in history.requests]
    if not requests:
        return no_requests(_score_names(scenario, pipeline))
    asked = [ScoreRequest(r.operating_point, r.sample, r.delivery()) for r in requests]
    step = batch or 256
    outcomes = []
    for start in range(0, len(asked), step):
        outcomes += pipeline.score(asked[start : start + step])
        tell("score", min(start + step, len(asked)), len(asked))
    pairs = [*zip(requests, outcomes, strict=True)]
    has_evidence = any(outcome.evidence for outcome in outcomes)
    return table_of_rows(
        [
            _scored_row(request, outcome.as_dict())
            | ({COLUMN: outcome.evidence} if has_evidence else {})
            for request, outcome in pairs
        ]
    )


def _score_names(scenario: Scenario, pipeline: Pipeline) -> list[str]:
    """Columns of the task's scores, asked for as if one request of every point had been lost."""
    lost = Delivery(request_id=0, arrived=False)
    asked = [ScoreRequest(point.name, 0, lost) for point in scenario.operating_points]
    names = [name for outcome in pipeline.score(asked) for name in outcome.as_dict()]
    return list(dict.fromkeys(column for name in names for column in _score_columns(name)))


def _score_columns(name: str) -> list[str]:
    column = f"{SCORE}{name}"
    return [column, *([f"{column}_in_time"] if column in IN_TIME else [])]


def _scored_row(request: Request, scores: Mapping[str, float]) -> dict[str, Any]:
    """The request's row with its scores; the headline score also with late answers worth 0."""
    row = request.row()
    for name, value in scores.items():
        column = f"{SCORE}{name}"
        row[column] = value
        if column in IN_TIME:
            row[f"{column}_in_time"] = value if row["deadline_met"] else 0.0
    return row
