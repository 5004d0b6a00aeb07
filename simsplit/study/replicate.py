"""A run whose number of replications is found: more and more until every interval is narrow enough.

The result is that of one run with ``replications: R``, R being what it took, byte for byte but for
the manifest, which says in ``until`` what was asked, what was reached and where was looked. That
targets were not reached stands there too and not among the summary's flags: the same run asked for
without targets has the same summary.

What is done so far lives beside the result folder in ``.<its name>.replications`` as the whole
result folder of the replications there are, so that a killed process goes on from its last look.
A result at ``out`` of the same run with another number of replications is gone on from as well, and
replaced in the end. Nothing but the result is left.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import check_folder, is_aside, to_json, write_whole
from simsplit.results import store as results
from simsplit.results.identity import artefact_digests, default_folder, make_manifest, run_identity
from simsplit.results.kpis import flat_rows
from simsplit.results.summary import check_kpi
from simsplit.scenario.permission import takes_permission
from simsplit.study.run import (
    Progress,
    Replications,
    Source,
    resolve,
    run,
    run_replications,
    store,
    summarised,
)
from simsplit.study.until import (
    MINIMUM,
    Target,
    next_replications,
    parse_until,
    unmet,
    widest,
)

if TYPE_CHECKING:
    from simsplit.results.store import Result
    from simsplit.scenario.scenario import Scenario


LIMIT = 100


@takes_permission
def replicate(
    source: Source,
    *,
    until: str | Sequence[Target],
    out: Path | str | None = None,
    limit: int = LIMIT,
    minimum: int = MINIMUM,
    seed: int | None = None,
    duration_s: float | None = None,
    replications: int | None = None,
    fidelity: str | None = None,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
    workers: int | None = None,
    allow_code: bool = False,
) -> Result:
    """Run a scenario with as many replications as its intervals need, and store the result.

    Args:
        source, seed, duration_s, fidelity, overrides, progress, workers, allow_code: As of
            `simsplit.study.run.run`.
        until: Widest half-widths, e.g. ``accuracy:0.01,latency_s.p95:5%``; each must hold at every
            operating point that has requests.
        out: Result folder; ``results/<name>-<digest>-until`` if None. A result of the same run
            there is gone on from.
        limit: Most replications.
        minimum: Fewest replications (see `simsplit.study.until`), at least 2.
        replications: The scenario's own number; if larger than ``minimum`` the first look is there.

    Returns:
        The stored result; ``manifest["until"]["reached"]`` is False if ``limit`` was not enough.

    Raises:
        ScenarioError: A KPI that no run has, numbers that do not fit, or another run's result in
            ``out``.
        ArtefactError: See `simsplit.scenario.load.load`.
    """
    shorthands = {
        "seed": seed,
        "duration_s": duration_s,
        "replications": replications,
        "cell.fidelity": fidelity,
    }
    scenario = resolve(source, overrides, shorthands)
    targets = parse_until(until) if isinstance(until, str) else tuple(until)
    first = _first_look(scenario, targets, minimum, limit)
    digests = artefact_digests(scenario)
    folder = Path(out) if out is not None else _default_folder(scenario, digests)
    is_ours = any((folder / name).is_file() for name in ("manifest.json", "sweep.json"))
    check_folder(folder, "the result of a run", is_ours=is_ours)
    whole = folder.absolute()
    aside = whole.with_name(f".{whole.name}.replications")
    check_folder(aside, "what a run left half done", is_ours=_holds_only_looks(aside))
    return _Work(scenario, digests, targets, first, limit, aside, progress, workers).finished(
        folder
    )


def _holds_only_looks(aside: Path) -> bool:
    """Replications by number, and the result that was to be replaced: what is removed at last."""
    entries = aside.iterdir() if aside.is_dir() else ()
    return all(e.name.isdigit() or e.name == "replaced" or is_aside(e) for e in entries)


def _default_folder(scenario: Scenario, digests: Mapping[str, str]) -> Path:
    """``results/<name>-<digest>-until``: of the scenario as it is, whatever the targets are."""
    return Path("results") / f"{default_folder(scenario, digests).name}-until"


def run_or_replicate(
    source: Source,
    *,
    until: str | None = None,
    limit: int | None = None,
    minimum: int | None = None,
    **wanted: Any,
) -> Result:
    """`simsplit.study.run.run` without targets, `replicate` with them; None is the default number.

    Raises:
        ScenarioError: Numbers of replications for targets that there are not.
    """
    if until is not None:
        most = LIMIT if limit is None else limit
        fewest = MINIMUM if minimum is None else minimum
        return replicate(source, until=until, limit=most, minimum=fewest, **wanted)
    if limit is not None or minimum is not None:
        raise ScenarioError("--max-replications and --min-replications go with --until")
    return run(source, **wanted)


def _first_look(scenario: Scenario, until: Sequence[Target], minimum: int, limit: int) -> int:
    if not until:
        raise ScenarioError("say at least one target, e.g. accuracy:0.01", path="until")
    if minimum < 2:
        message = "an interval over replications needs at least 2"
        raise ScenarioError(message, path="min_replications", value=minimum)
    first = max(minimum, scenario.replications)
    if first > limit:
        message = f"the limit is below the {first} replications of the first look"
        raise ScenarioError(message, path="max_replications", value=limit)
    for target in until:
        check_target(target)
    return first


def check_target(target: Target) -> None:
    """A misspelt KPI is told before anything is simulated.

    Raises:
        ScenarioError: No run has such a KPI.
    """
    try:
        check_kpi(target.kpi)
    except ScenarioError as error:
        raise ScenarioError(
            error.message, path="until", value=target.kpi, choices=error.choices
        ) from None


def precision(result: Result) -> tuple[str, list[str], list[list[str]]]:
    """What became of a result's targets: a sentence, and heading and rows of a table."""
    note, count = result.manifest["until"], result.scenario.replications
    looks = ", ".join(str(look) for look in note["looks"])
    ending = "every interval is as narrow as asked"
    if not note["reached"]:
        ending = f"NOT every interval is as narrow as asked (at most {note['limit']} were allowed)"
    heading = ["target", "widest at", "half-width", "allowed", "met"]
    rows = [
        [target, *_told(one)] for target, one in zip(note["targets"], note["widest"], strict=True)
    ]
    return f"{count} replications (looked after {looks}): {ending}", heading, rows


def _told(one: Mapping[str, Any]) -> list[str]:
    """Of one target (numbers that are None: no value or no interval)."""
    half_width, allowed = one["half_width"], one["allowed"]
    is_met = half_width is not None and allowed is not None and half_width <= allowed
    numbers = [_short(half_width), _short(allowed)]
    return [one["operating_point"], *numbers, "yes" if is_met else "NO"]


def _short(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


@dataclass(frozen=True)
class _Look:
    """The replications there are, and the result folder that holds them."""

    done: Replications
    rows: list[dict[str, Any]]
    manifest: dict[str, Any]
    folder: Path

    def __len__(self) -> int:
        return len(self.done)


@dataclass(frozen=True)
class _Work:
    """What is run, how narrow, how far, and where what is done so far is kept."""

    scenario: Scenario
    digests: Mapping[str, str]
    targets: tuple[Target, ...]
    first: int
    limit: int
    aside: Path
    progress: Progress | None
    workers: int | None

    def finished(self, folder: Path) -> Result:
        """The stored result, gone on to from the last look there is."""
        look = self._latest(folder)
        while (wanted := self._next(look)) > (0 if look is None else len(look)):
            look = self._further(look, wanted)
        assert look is not None  # the first look has at least 2 replications
        _write_manifest(look.folder, self._noted(look.manifest, look.rows, len(look)))
        _publish(look.folder, folder, self.aside)
        return results.read_result(folder)

    def _next(self, look: _Look | None) -> int:
        """How many replications to have next; not more than there are: that was all."""
        if look is None or len(look) < self.first:
            return self.first
        return next_replications(len(look), look.rows, self.targets, self.limit)

    def _further(self, look: _Look | None, wanted: int) -> _Look:
        """Simulate up to so many replications, store all there are, forget the look before."""
        started_s = time.perf_counter()
        scenario, before = self._at(wanted), 0 if look is None else len(look)
        count = wanted - before
        done = run_replications(
            scenario, before, count, progress=self.progress, workers=self.workers
        )
        done = done if look is None else look.done.joined(done)
        summary = summarised(scenario, done)
        rows = flat_rows(scenario, summary)
        wall_time_s = time.perf_counter() - started_s
        manifest = make_manifest(scenario, self.digests, [scenario.seed], wall_time_s)
        if look is not None:
            manifest["wall_time_s"] += look.manifest["wall_time_s"]
            manifest |= {"until": look.manifest.get("until", {})}
        manifest = self._noted(manifest, rows, wanted)
        folder = self.aside / str(wanted)
        shutil.rmtree(folder, ignore_errors=True)  # of other code or another scenario
        store(folder, scenario, done, summary, manifest)
        if look is not None and look.folder.parent == self.aside:
            shutil.rmtree(look.folder)
        return _Look(done, rows, manifest, folder)

    def _noted(
        self, manifest: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], count: int
    ) -> dict[str, Any]:
        """The manifest with what was asked, what is reached, and the looks so far."""
        looks = [*manifest.get("until", {}).get("looks", [])]
        note = {
            "targets": [str(target) for target in self.targets],
            "reached": not unmet(rows, self.targets),
            "looks": looks if looks[-1:] == [count] else [*looks, count],
            "limit": self.limit,
            "widest": [one._asdict() for one in widest(rows, self.targets)],
        }
        return {**manifest, "until": note}

    # --- what is there already

    def _latest(self, folder: Path) -> _Look | None:
        """The look with most replications, from the result folder or beside it."""
        looks = []
        if results.is_occupied(folder):
            look = self._read(folder)
            if look is None:
                message = "the folder holds the result of another run"
                raise ScenarioError(message, path=str(folder))
            looks.append(look)
        for path in self.aside.glob("[!.]*"):
            try:
                beside = self._read(path)
            except ArtefactError:
                continue  # forgotten only halfway when the process was killed
            if beside is not None and len(beside) <= self.limit:
                looks.append(beside)
        return max(looks, key=len, default=None)

    def _read(self, folder: Path) -> _Look | None:
        """A stored look; None if it is of another run."""
        stored = results.read_result(folder)
        identity = run_identity(self._at(stored.scenario.replications), self.digests)
        if stored.manifest.get("digest") != identity:
            return None
        rows = flat_rows(stored.scenario, stored.summary)
        done = Replications(stored.requests, stored.summary["stations"])
        return _Look(done, rows, stored.manifest, folder)

    def _at(self, count: int) -> Scenario:
        """The scenario that says this number of replications."""
        return self.scenario.model_copy(update={"replications": count})


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    text, file = to_json(manifest), folder / "manifest.json"
    if file.read_text(encoding="utf-8") != text:
        write_whole(file, text)


def _publish(look: Path, folder: Path, aside: Path) -> None:
    """The last look becomes the result; one of fewer replications there gives way; clean up.

    Killed between the two renames, the next call finds the last look, which needs nothing more.
    """
    if look != folder:
        if folder.exists():
            shutil.rmtree(aside / "replaced", ignore_errors=True)
            os.rename(folder, aside / "replaced")
        os.rename(look, folder)
    shutil.rmtree(aside, ignore_errors=True)
