"""Running a sweep's points: those that are not there yet, side by side, each stored whole."""

from __future__ import annotations

import itertools
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from simsplit.errors import ScenarioError, SimsplitError
from simsplit.files import text_digest
from simsplit.results import sweep_folder as store
from simsplit.results.identity import artefact_digests, run_identity
from simsplit.results.metrics import COMPLEMENTS, MEANS, QUANTILES
from simsplit.results.sweep_table import table, write_tables
from simsplit.scenario.axes import Point, Value, as_yaml
from simsplit.scenario.bundled import bundled_names, scenarios_dir
from simsplit.scenario.load import find
from simsplit.scenario.load import load as load_scenario
from simsplit.scenario.permission import Carried, takes_permission
from simsplit.scenario.places import SCENARIO, reference
from simsplit.scenario.sweeps import Sweep
from simsplit.scenario.targets import require_permission
from simsplit.study.replicate import check_target, run_or_replicate
from simsplit.study.until import MINIMUM, parse_until
from simsplit.study.workers import cores, executor

if TYPE_CHECKING:
    from pandas import DataFrame


Progress = Callable[[int, int, str], None]  # points ended, all of them, the last one's axes
_KPI_NAMES = (*MEANS, *QUANTILES, *COMPLEMENTS, "accuracy", "replications")
MOST_DEATHS = 2  # a point whose worker died so often is given up


@dataclass(frozen=True)
class Execution:
    """How points are run; tables do not depend on it.

    Attributes:
        workers: Processes; None: one per core; 0: in this process.
        scheduler: Address of a Dask scheduler instead.
        progress: Called as points end.
        keep: Points that the folder already lists stay listed.
        is_anew: The points' finished results are forgotten first.
    """

    workers: int | None = None
    scheduler: str | None = None
    progress: Progress | None = None
    keep: bool = False
    is_anew: bool = False


@dataclass(frozen=True)
class Job:
    """One point for a worker: everything it needs, all plain."""

    source: str
    overrides: tuple[str, ...]
    replications: int | None
    until: str | None
    max_replications: int | None
    folder: str
    name: str
    values: tuple[tuple[str, Value], ...] = ()
    workers: int | None = 0  # of its replications: none, as points themselves run side by side


@dataclass(frozen=True)
class Done:
    """A worker's answer: seconds of work, and the error if it failed."""

    name: str
    seconds: float
    error: str | None = None


# --- verbs ------------------------------------------------------------------------------------


@takes_permission
def sweep(
    source: str | Path,
    axes: Mapping[str, Sequence[Value]],
    *,
    replications: int | None = None,
    out: Path | str,
    progress: Progress | None = None,
    workers: int | None = None,
    allow_code: bool = False,
) -> DataFrame:
    """Run every combination of the axes' values; points that are there already are not run again.

    Args:
        source: Bundled scenario or YAML file.
        axes: Path in the scenario → values.
        replications: Of every point; None: the scenario's own.
        out: The sweep's folder.
        progress: Called as points end.
        workers: Processes; None: as many as there are cores.
        allow_code: Modules of a user's own may be imported (`simsplit.scenario.permission`).

    Returns:
        The tidy table (see `simsplit.load_results`), also in ``out`` as CSV and Parquet.

    Raises:
        ScenarioError: No axis or no value, or a point that the scenario refuses.
        ArtefactError: Something that a point needs is missing, or ``out`` is another's folder.
    """
    if not axes or not all(len(values) for values in axes.values()):
        raise ScenarioError("a sweep needs at least one axis with at least one value")
    steps = itertools.product(*axes.values())
    points = [Point.at(dict(zip(axes, values, strict=True))) for values in steps]
    asked = Sweep("", str(source), points, replications)
    return run_sweep(asked, out, Execution(workers, progress=progress))


@takes_permission
def resume(
    out: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    is_anew: bool = False,
    allow_code: bool = False,
) -> DataFrame:
    """Go on with the sweep in a folder, as its ``sweep.json`` says.

    Args:
        out: The sweep's folder.
        workers: Processes; None: as many as there are cores.
        scheduler: Address of a Dask scheduler; None: processes of this machine.
        progress: Called with (points done, points, the one that ended).
        is_anew: Run finished points again too.
        allow_code: Modules of a user's own may be imported (`simsplit.scenario.permission`).

    Returns:
        The tidy table of all points (see `simsplit.load_results`).

    Raises:
        ArtefactError: No sweep there.
    """
    out = Path(out)
    stored = store.read_description(out)
    points = [Point(v, tuple(stored.overrides[name])) for name, v in stored.points.items()]
    source = stored.source  # a bare name is a bundled one, whatever lies here
    if source in bundled_names():
        source = str(scenarios_dir() / f"{source}.yaml")
    precision = (stored.replications, stored.until, stored.max_replications)
    asked = Sweep(stored.name, source, points, *precision, stored.description)
    return run_sweep(asked, out, Execution(workers, scheduler, progress, is_anew=is_anew))


def run_sweep(asked: Sweep, out: str | Path, execution: Execution = Execution()) -> DataFrame:
    """Run the points whose folder is not there, and give the table of all of them.

    Every point is checked before the first is run. A point that fails is recorded in ``failed/``
    and missing from the table; the others go on. Stopped at any moment, even by SIGKILL, the
    folder holds whole points only, and the same call goes on from there. Tables depend neither on
    the number of workers nor on interruptions.

    Args:
        asked: What to run: the scenario (a bundled name or a YAML file), its points, how often.
        out: The sweep's folder; a sweep without a name is called as it is.
        execution: How to run it.

    Returns:
        A row per point and operating point, in the order given.

    Raises:
        ScenarioError, ArtefactError: A point says something impossible; the error names it.
    """
    out = Path(out).resolve()
    asked = replace(asked, name=asked.name or out.name, source=_absolute(asked.source))
    store.check_writable(out)  # told before any point is looked at
    _check_targets(asked.until, asked.max_replications)
    _check_columns(asked.points)
    jobs = [_job(asked, point, out) for point in asked.points]
    named = [(job.name, point.values) for job, point in zip(jobs, asked.points, strict=True)]
    _told_apart(named)
    with store.held(out):
        described = _described(asked, jobs, dict(named))
        described = _beside(described, out) if execution.keep else described
        if execution.is_anew:
            store.forget(out, [job.name for job in jobs])
        store.write_description(out, described)
        _run(jobs, out, execution)
        write_tables(out, described)
    return table(out, named)


def _job(asked: Sweep, point: Point, out: Path) -> Job:
    return Job(
        asked.source,
        point.overrides,
        asked.replications,
        asked.until,
        asked.max_replications,
        str(out),
        _name(asked, point),
        tuple(point.values.items()),
    )


def _described(
    asked: Sweep, jobs: Sequence[Job], points: Mapping[str, Mapping[str, Value]]
) -> store.Described:
    """What ``sweep.json`` says; ``points``: values of the axes by folder name."""
    return store.Described(
        name=asked.name,
        source=reference(SCENARIO, Path(asked.source)),
        points=dict(points),
        overrides={job.name: list(job.overrides) for job in jobs},
        replications=asked.replications,
        until=asked.until,
        max_replications=asked.max_replications,
        description=asked.description,
    )


def _check_columns(points: Sequence[Point]) -> None:
    """An axis named like a column of the table would lose its values."""
    for name in {name for point in points for name in _names_of_its_own(point)}:
        ending = name.endswith(("_ci_low", "_ci_high"))
        if name in _KPI_NAMES or name.startswith(("score_", "utilisation_")) or ending:
            message = "a KPI or a column of the table has this name; give the axis another"
            raise ScenarioError(message, value=name)


def _names_of_its_own(point: Point) -> Iterator[str]:
    """Axes, but for the scenario's own ``replications``, which the column of that name holds."""
    for name, value in point.values.items():
        if f"{name}={as_yaml(value)}" not in point.overrides or name != "replications":
            yield name


def _check_targets(until: str | None, max_replications: int | None) -> None:
    """Targets are understood before the first point is run."""
    if until is None and max_replications is not None:
        raise ScenarioError("--max-replications goes with --until", value=max_replications)
    if max_replications is not None and max_replications < MINIMUM:
        message = f"the limit is below the {MINIMUM} replications of the first look"
        raise ScenarioError(message, path="max_replications", value=max_replications)
    for target in parse_until(until) if until is not None else ():
        check_target(target)


def _absolute(source: str | Path) -> str:
    """Bundled names as they are; a file by its whole path, since workers run elsewhere."""
    return str(find(source).absolute())


def _name(asked: Sweep, point: Point) -> str:
    """Folder name of a point: the identity of its run, so that anything changed is run anew."""
    texts = list(_texts(point.overrides, asked.replications))
    try:
        scenario = load_scenario(asked.source, overrides=texts)
        require_permission(scenario)
        whole = run_identity(scenario, artefact_digests(scenario))
    except SimsplitError as error:
        where = ", ".join(f"{axis} = {value}" for axis, value in point.values.items())
        message = f"{error.message} (at the point {where})"
        raise type(error)(
            message, path=error.path, value=error.value, choices=error.choices
        ) from error
    if asked.until is not None:
        whole = text_digest(f"{whole} {asked.until} {asked.max_replications}")
    return whole[:16]


def _texts(overrides: Sequence[str], replications: int | None) -> Sequence[str]:
    return overrides if replications is None else [*overrides, f"replications={replications}"]


def _told_apart(named: Sequence[tuple[str, Mapping[str, Value]]]) -> None:
    """Two places that are one run would be one folder, and a row would be lost."""
    seen: dict[str, Mapping[str, Value]] = {}
    for name, values in named:
        if seen.setdefault(name, values) != values:
            message = "an axis changes nothing: these two points are the same run"
            raise ScenarioError(message, value=f"{dict(seen[name])} and {dict(values)}")


def _beside(described: store.Described, out: Path) -> store.Described:
    """With the points that the folder already lists, before the new ones."""
    if not (out / store.DESCRIPTION).is_file():
        return described
    stored = store.read_description(out)
    return replace(
        described,
        points={**stored.points, **described.points},
        overrides={**stored.overrides, **described.overrides},
    )


# --- work -------------------------------------------------------------------------------------


def _run(jobs: Sequence[Job], out: Path, execution: Execution) -> None:
    """Run what is not there; a pool whose worker died is opened anew for what is left."""
    finished = set(store.finished(out, [job.name for job in jobs]))
    left = {job.name: job for job in jobs if job.name not in finished}
    total, deaths = len({job.name for job in jobs}), Counter[str]()

    def tell(label: str) -> None:
        if execution.progress is not None:
            execution.progress(total - len(left), total, label)

    tell("")
    while left:
        for job, error in _ends(list(left.values()), execution):
            if isinstance(error, BrokenProcessPool):
                _bury(out, left, deaths)
                break
            if error is not None:
                store.fail(out, job.name, f"its worker died: {error}")
            del left[job.name]
            tell(", ".join(f"{axis}={value}" for axis, value in job.values))


def _ends(jobs: Sequence[Job], execution: Execution) -> Iterator[tuple[Job, BaseException | None]]:
    """Run the jobs; each as it ends, with the error of a worker that died."""
    count = _how_many(execution.workers, len(jobs))
    if count == 0 and execution.scheduler is None:
        for job in jobs:
            work(replace(job, workers=execution.workers))
            yield job, None
        return
    with executor(count, execution.scheduler) as pool:
        futures = {pool.submit(Carried(work), job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.exception()


def _how_many(workers: int | None, left: int) -> int:
    """One point alone is run here, which saves a process its start."""
    wanted = cores() if workers is None else workers
    return 0 if left == 1 and workers is None else min(wanted, left)


def _bury(out: Path, left: dict[str, Job], deaths: Counter[str]) -> None:
    """Points under way when a worker died (out of memory, killed) get one more chance each."""
    for name in store.running(out) or list(left):
        deaths[name] += 1
        if deaths[name] >= MOST_DEATHS and name in left:
            store.fail(out, name, "its worker process died twice (killed, or out of memory)")
            del left[name]


def work(job: Job) -> Done:
    """Run one point and store it; an error is recorded, not raised."""
    out = Path(job.folder)
    if (out / job.name).exists():  # another process was first
        return Done(job.name, 0.0)
    store.begin(out, job.name)
    started_s = time.perf_counter()
    error = None
    try:
        _compute(job, out / job.name)
        store.end(out, job.name, time.perf_counter() - started_s)
    except Exception as caught:
        error = str(caught) if isinstance(caught, SimsplitError) else repr(caught)
        store.fail(out, job.name, error, traceback.format_exc(), dict(job.values))
    return Done(job.name, time.perf_counter() - started_s, error)


def _compute(job: Job, folder: Path) -> None:
    run_or_replicate(
        job.source,
        overrides=list(job.overrides),
        out=folder,
        replications=job.replications,
        until=job.until,
        limit=job.max_replications,
        workers=job.workers,
    )
