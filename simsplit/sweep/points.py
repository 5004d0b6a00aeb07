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
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from simsplit.errors import ScenarioError, SimsplitError
from simsplit.load import bundled_names, find
from simsplit.load import load as load_scenario
from simsplit.points import Point, Value
from simsplit.results import identity
from simsplit.sweep import folder as store
from simsplit.sweep.tables import table, write_tables
from simsplit.sweep.workers import cores, executor

if TYPE_CHECKING:
    from pandas import DataFrame

    from simsplit.sweep_file import Sweep

Progress = Callable[[int, int, str], None]  # points ended, all of them, the last one's axes
MOST_DEATHS = 2  # a point whose worker died so often is given up


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


@dataclass(frozen=True)
class Done:
    """A worker's answer: seconds of work, and the error if it failed."""

    name: str
    seconds: float
    error: str | None = None


# --- verbs ------------------------------------------------------------------------------------


def sweep(
    source: str | Path,
    axes: Mapping[str, Sequence[Value]],
    *,
    replications: int | None = None,
    out: Path | str,
    progress: Progress | None = None,
    workers: int | None = None,
) -> DataFrame:
    """Run every combination of the axes' values; points that are there already are not run again.

    Args:
        source: Bundled scenario or YAML file.
        axes: Path in the scenario → values.
        replications: Of every point; None: the scenario's own.
        out: The sweep's folder.
        progress: Called as points end.
        workers: Processes; None: as many as there are cores.

    Returns:
        The tidy table (see `simsplit.load_results`), also in ``out`` as CSV and Parquet.
    """
    if not axes or not all(len(values) for values in axes.values()):
        raise ScenarioError("a sweep needs at least one axis with at least one value")
    steps = itertools.product(*axes.values())
    points = [Point.at(dict(zip(axes, values, strict=True))) for values in steps]
    return run_points(
        source, points, out=out, replications=replications, workers=workers, progress=progress
    )


def run_sweep(
    asked: Sweep,
    *,
    out: Path,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    is_anew: bool = False,
) -> DataFrame:
    """Run a sweep as a file or the command line says it; ``is_anew``: finished points too."""
    return run_points(
        asked.source,
        asked.points,
        out=out,
        replications=asked.replications,
        until=asked.until,
        max_replications=asked.max_replications,
        workers=workers,
        scheduler=scheduler,
        progress=progress,
        name=asked.name,
        description=asked.description,
        is_anew=is_anew,
    )


def resume(
    out: Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    is_anew: bool = False,
) -> DataFrame:
    """Go on with the sweep in a folder, as its ``sweep.json`` says.

    Raises:
        ArtefactError: No sweep there.
    """
    from simsplit.sweep_file import Sweep

    said = store.read_description(out)
    points = [Point(values, tuple(said.overrides[name])) for name, values in said.points.items()]
    how = (said.replications, said.until, said.max_replications)
    asked = Sweep(said.name, said.source, points, *how, said.description)
    return run_sweep(
        asked, out=out, workers=workers, scheduler=scheduler, progress=progress, is_anew=is_anew
    )


def run_points(
    source: str | Path,
    points: Sequence[Point],
    *,
    out: Path | str,
    replications: int | None = None,
    until: str | None = None,
    max_replications: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    keep: bool = False,
    name: str = "",
    description: str = "",
    is_anew: bool = False,
) -> DataFrame:
    """Run the points whose folder is not there, and give the table of all of them.

    Every point is checked before the first is run. A point that fails is recorded in ``failed/``
    and missing from the table; the others go on. Stopped at any moment, even by SIGKILL, the
    folder holds whole points only, and the same call goes on from there. Tables depend neither on
    the number of workers nor on interruptions.

    Args:
        source: Bundled scenario or YAML file.
        points: Where to run it.
        out: The sweep's folder.
        replications: Of every point; None: the scenario's own.
        until: Replicate until every interval is that narrow (`simsplit.until`).
        max_replications: Limit of ``until``.
        workers: Processes; None: one per core; 0: in this process.
        scheduler: Address of a Dask scheduler instead.
        progress: Called as points end.
        keep: Points that the folder already lists stay listed.
        name, description: Of the sweep.
        is_anew: Forget these points' results first.

    Returns:
        A row per point and operating point, in the order given.

    Raises:
        ScenarioError, ArtefactError: A point says something impossible; the error names it.
    """
    out = Path(out).resolve()
    file = _absolute(source)
    _check_targets(until, max_replications)
    _check_columns(points)
    how = (replications, until, max_replications)
    jobs = [
        Job(file, p.overrides, *how, str(out), _name(file, p, *how), tuple(p.values.items()))
        for p in points
    ]
    named = list(zip([job.name for job in jobs], [point.values for point in points], strict=True))
    _told_apart(named)
    said = store.Described(
        name=name or out.name,
        source=str(source) if str(source) in bundled_names() else file,
        points=dict(named),
        overrides={job.name: list(job.overrides) for job in jobs},
        replications=replications,
        until=until,
        max_replications=max_replications,
        description=description,
    )
    with store.held(out):
        said = _beside(said, out) if keep else said
        if is_anew:
            store.forget(out, [job.name for job in jobs])
        store.write_description(out, said)
        _run(jobs, out, workers, scheduler, progress)
        write_tables(out, said)
    return table(out, named)


def _check_columns(points: Sequence[Point]) -> None:
    """An axis named like a column of the table would lose its values."""
    from simsplit.summary import MEANS, QUANTILES

    for name in {name for point in points for name in point.values}:
        ending = name.endswith(("_ci_low", "_ci_high"))
        if name in (*MEANS, *QUANTILES) or name.startswith(("score_", "utilisation_")) or ending:
            raise ScenarioError("a column of the table has this name; name the axis", value=name)


def _check_targets(until: str | None, max_replications: int | None) -> None:
    """Targets are understood before the first point is run."""
    from simsplit.replicate import check_target
    from simsplit.until import MINIMUM, parse_until

    if until is None and max_replications is not None:
        raise ScenarioError("--max-replications goes with --until", value=max_replications)
    if max_replications is not None and max_replications < MINIMUM:
        message = f"the limit is below the {MINIMUM} replications of the first look"
        raise ScenarioError(message, path="max_replications", value=max_replications)
    for target in parse_until(until) if until is not None else ():
        check_target(target)


def _absolute(source: str | Path) -> str:
    """Bundled names as they are; a file by its whole path, since workers run elsewhere."""
    return str(Path(source).resolve()) if Path(source).is_file() else str(find(source))


def _name(
    source: str,
    point: Point,
    replications: int | None,
    until: str | None,
    max_replications: int | None,
) -> str:
    """Folder name of a point: the identity of its run, so that anything changed is run anew."""
    from simsplit.run import artefact_digests

    texts = list(_texts(point.overrides, replications))
    try:
        scenario = load_scenario(source, overrides=texts)
        whole = identity(scenario, artefact_digests(scenario))
    except SimsplitError as error:
        where = ", ".join(f"{axis} = {value}" for axis, value in point.values.items())
        message = f"{error.message} (at the point {where})"
        raise type(error)(
            message, path=error.path, value=error.value, choices=error.choices
        ) from error
    if until is not None:
        whole = sha256(f"{whole} {until} {max_replications}".encode()).hexdigest()
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


def _beside(said: store.Described, out: Path) -> store.Described:
    if not (out / store.DESCRIPTION).is_file():
        return said
    there = store.read_description(out)
    return replace(
        said,
        points={**there.points, **said.points},
        overrides={**there.overrides, **said.overrides},
    )


# --- work -------------------------------------------------------------------------------------


def _run(
    jobs: Sequence[Job],
    out: Path,
    workers: int | None,
    scheduler: str | None,
    progress: Progress | None,
) -> None:
    """Run what is not there; a pool whose worker died is opened anew for what is left."""
    there = set(store.finished(out, [job.name for job in jobs]))
    left = {job.name: job for job in jobs if job.name not in there}
    total, deaths = len({job.name for job in jobs}), Counter[str]()

    def tell(label: str) -> None:
        if progress is not None:
            progress(total - len(left), total, label)

    tell("")
    while left:
        for job, error in _ends(list(left.values()), workers, scheduler):
            if isinstance(error, BrokenProcessPool):
                _bury(out, left, deaths)
                break
            if error is not None:
                store.fail(out, job.name, f"its worker died: {error}")
            del left[job.name]
            tell(", ".join(f"{axis}={value}" for axis, value in job.values))


def _ends(
    jobs: Sequence[Job], workers: int | None, scheduler: str | None
) -> Iterator[tuple[Job, BaseException | None]]:
    """Run the jobs; each as it ends, with the error of a worker that died."""
    count = _how_many(workers, len(jobs))
    if count == 0 and scheduler is None:
        for job in jobs:
            work(job)
            yield job, None
        return
    with executor(count, scheduler) as pool:
        futures = {pool.submit(work, job): job for job in jobs}
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
    from simsplit.replicate import run_or_replicate

    run_or_replicate(
        job.source,
        overrides=list(job.overrides),
        out=folder,
        replications=job.replications,
        until=job.until,
        limit=job.max_replications,
    )
