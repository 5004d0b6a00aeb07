"""The best designs over axes of a scenario: objectives, constraints, and what noise leaves open.

A design is a point of the axes. It is run with replications under common random numbers and judged
by its KPIs (`simsplit.results.kpis`): those of one operating point, or those over all requests. It
is feasible if every constraint holds by its mean; the intervals say how sure that is. All designs
lie in one sweep folder. A search that was stopped goes on where it was: the sampler is asked
again, in the same order, and what was run is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simsplit.errors import ArtefactError, ScenarioError, SimsplitError
from simsplit.files import to_json, write_whole
from simsplit.results.kpis import parse_conditions
from simsplit.results.sweep_folder import failures, read_description
from simsplit.scenario.axes import Point, Range, Value, as_yaml
from simsplit.scenario.load import load
from simsplit.scenario.permission import takes_permission
from simsplit.scenario.sweeps import Sweep
from simsplit.study.optimum import OptimisationResult
from simsplit.study.proposals import ask_and_tell, optuna_version
from simsplit.study.search import STORED, Design, Search, checked, measured, parse_objective
from simsplit.study.sweep import Execution, run_sweep

if TYPE_CHECKING:
    from pandas import DataFrame


Progress = Callable[[int, int, str], None]
FILE = "optimum.json"


@takes_permission
def optimise(
    source: str | Path,
    axes: Mapping[str, Sequence[Value] | Range],
    objectives: Sequence[str],
    constraints: str = "",
    *,
    out: str | Path,
    trials: int = 60,
    batch: int = 4,
    replications: int | None = None,
    seed: int = 1,
    sampler: str = "tpe",
    point: str | None = None,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    progress: Progress | None = None,
    allow_code: bool = False,
) -> OptimisationResult:
    """Search the axes for the designs that no other beats.

    If all axes are lists and have no more than ``trials`` combinations, all of them are run.
    Otherwise Optuna proposes ``trials`` designs, ``batch`` at a time. Deterministic for a seed and
    a batch, whatever ``workers``. A trial at a place where one was costs nothing.

    Args:
        source: Bundled scenario or YAML file.
        axes: Values by path (numbers are taken as ordered), or ranges
            (`simsplit.scenario.axes.Range`).
        objectives: ``max accuracy``, ``min energy_j``; several give a Pareto front.
        constraints: ``deadline_misses <= 1 %, energy_j <= 2``.
        trials: Designs asked for; four axes of all kinds needed 150 to reach 96 % of the true
            front's hypervolume (`tests/validation/test_optimise.py`).
        out: Sweep folder; one that holds designs of the same scenario and axes is added to.
        seed: Of the sampler; the runs keep the scenario's seed.
        sampler: ``tpe`` (Bergstra et al. 2011; for several objectives Ozaki et al. 2022),
            ``nsga2`` (Deb et al. 2002) or ``random``.
        point: Judge by this operating point; None: over all requests.
        overrides: ``path=value`` texts that hold for every design.
        progress: Called with (trials done, trials, what runs).

    Raises:
        ScenarioError: A mistake in what is asked, a listed value that the scenario refuses by
            itself, or ``out`` holds designs of something else.
        ArtefactError: No design could be run, or Optuna is not installed.
    """
    out = Path(out)
    search = Search(
        source=str(source),
        axes={path: checked(path, axis) for path, axis in axes.items()},
        objectives=tuple(map(parse_objective, objectives)),
        conditions=tuple(parse_conditions(constraints)),
        point=point,
        overrides=tuple(overrides),
        replications=replications,
        seed=seed,
        batch=batch,
        sampler=sampler,
    )
    if trials < 1:
        raise ScenarioError("a search needs at least one trial", value=trials)
    _allowed(search)
    _same_designs(search, out)
    grid = search.grid()
    if grid is not None and len(grid) <= trials:
        lab = _Lab(search, out, len(grid), workers, progress)
        lab.measure(grid)
        return lab.store(is_finished=True, is_exact=True)
    lab = _Lab(search, out, trials, workers, progress)
    ask_and_tell(search, lab.measure, trials)
    return lab.store(is_finished=True)


def _allowed(search: Search) -> None:
    """Every listed value is good for some design; the first that is not is told."""
    listed = {path: axis for path, axis in search.axes.items() if not isinstance(axis, Range)}
    for path, axis in listed.items():
        others = {other: values for other, values in listed.items() if other != path}
        for value in axis:
            alone = _refusal(search.source, _point(search, {path: value}))
            if alone is not None and not _fits_beside(search, {path: value}, others):
                raise alone


def _fits_beside(
    search: Search, values: Mapping[str, Value], others: Mapping[str, Sequence[Value]]
) -> bool:
    points = (_point(search, {**values, **others_values}) for others_values in _beside(others))
    return any(_refusal(search.source, point) is None for point in points)


def _beside(others: Mapping[str, Sequence[Value]]) -> Iterator[dict[str, Value]]:
    """What may go with a value: each value of each other axis, their first and their last ones.

    Not every combination: there may be thousands.
    """
    yield {path: values[0] for path, values in others.items()}
    yield {path: values[-1] for path, values in others.items()}
    for path, values in others.items():
        yield from ({path: value} for value in values)


def _point(search: Search, values: Mapping[str, Value]) -> Point:
    point = Point.at(values)
    return Point(point.values, (*search.overrides, *point.overrides))


def _same_designs(search: Search, out: Path) -> None:
    """Other questions may be asked of the designs in a folder, but they must be of one kind."""
    path = out / FILE
    if not path.exists():
        return
    try:
        stored_search = json.loads(path.read_text(encoding="utf-8"))["search"]
        stored = {key: stored_search[key] for key in STORED} | {"axes": list(stored_search["axes"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError("damaged: no search in it", path=str(path)) from error
    asked = search.described()
    asked = {key: asked[key] for key in STORED} | {"axes": list(asked["axes"])}
    for key, value in asked.items():
        if value != stored[key]:
            message = f"the folder holds designs with {key} {stored[key]}; choose another --out"
            raise ScenarioError(message, path=str(out), value=value)


class _Lab:
    """Runs designs, each once, and remembers them."""

    def __init__(
        self,
        search: Search,
        out: Path,
        trials: int,
        workers: int | None,
        progress: Progress | None,
    ) -> None:
        self._search, self._out, self._workers = search, out, workers
        self._trials, self._done = trials, 0
        self._tell = progress or (lambda done, total, text: None)
        self._designs: dict[str, Design] = {}

    def measure(self, batch: Sequence[Mapping[str, Value]]) -> list[Design]:
        """The designs at these places; those that are new are run, in parallel."""
        fresh = {_key(values): values for values in batch if _key(values) not in self._designs}
        if fresh:
            self._run(fresh)
        self._done += len(batch)
        self._tell(self._done, self._trials, "")
        self.store(is_finished=False)
        return [self._designs[_key(values)] for values in batch]

    def store(self, *, is_finished: bool, is_exact: bool = False) -> OptimisationResult:
        """Write what is known so far."""
        designs = tuple(self._designs.values())
        result = OptimisationResult(self._out, self._search, designs, self._done, is_exact)
        content = result.described(is_finished=is_finished)
        if not is_exact and is_finished:
            content["optuna"] = optuna_version()
        write_whole(self._out / FILE, to_json(content))
        return result

    def _run(self, fresh: Mapping[str, Mapping[str, Value]]) -> None:
        """A design that the scenario forbids, or whose run failed, does not stop the others."""
        points = {key: _point(self._search, values) for key, values in fresh.items()}
        refused = {key: _refusal(self._search.source, point) for key, point in points.items()}
        good = {key: point for key, point in points.items() if refused[key] is None}
        table = self._table(list(good.values())) if good else None
        for key, values in fresh.items():
            self._designs[key] = self._measured(values, table, refused[key])
        if all(design.error for design in self._designs.values()):
            self._give_up(next(iter(refused.values())))

    def _measured(
        self, values: Mapping[str, Value], table: DataFrame | None, refusal: SimsplitError | None
    ) -> Design:
        if table is None or refusal is not None:
            return Design(values, error=str(refusal))
        rows = _rows_at(table, values)
        if rows.empty:
            error = _failures(self._out).get(_key(values), "no request arrived")
            return Design(values, error=f"the run gave nothing: {error}")
        return measured(self._search, values, rows, self._out)

    def _give_up(self, refusal: SimsplitError | None) -> None:
        """The first batch gave nothing: what is asked must be wrong."""
        if refusal is not None:
            raise refusal
        first = next(iter(self._designs.values()))
        raise ArtefactError(f"{first.error} (at {first})")

    def _table(self, points: Sequence[Point]) -> DataFrame:
        def tell(done: int, _: int, text: str) -> None:
            self._tell(self._done + done, self._trials, text)

        asked = Sweep("", self._search.source, [*points], self._search.replications)
        return run_sweep(asked, self._out, Execution(self._workers, progress=tell, keep=True))


def _key(values: Mapping[str, Value]) -> str:
    return repr(list(values.values()))


def _refusal(source: str, point: Point) -> SimsplitError | None:
    try:
        load(source, overrides=point.overrides)
    except SimsplitError as error:
        return error
    return None


def _rows_at(table: DataFrame, values: Mapping[str, Value]) -> DataFrame:
    """The rows of a design; an axis of texts and numbers stands in the table as texts."""
    here = [
        all(row[axis] == wanted or row[axis] == as_yaml(wanted) for axis, wanted in values.items())
        for row in table[list(values)].to_dict("records")
    ]
    return table[here]


def _failures(out: Path) -> dict[str, str]:
    """Errors of the runs that failed, by design."""
    points = read_description(out).points
    return {_key(points[name]): error for name, error in failures(out, list(points)).items()}
