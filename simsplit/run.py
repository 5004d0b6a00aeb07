"""The three acts of a run: prepare, simulate, score. The composition root."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.caches import file_digest
from simsplit.errors import ScenarioError
from simsplit.hardware import Hardware, load_hardware
from simsplit.load import hardware_dir, models_dir, resolved_yaml
from simsplit.load import load as load_scenario
from simsplit.policies import Custom
from simsplit.scenario import EVERY, DeviceGroup, Scenario, TraceArrivals

if TYPE_CHECKING:
    from pandas import DataFrame

    from simsplit.phy.link import BlerTable
    from simsplit.phy.trace import ChannelTrace
    from simsplit.pipelines import Pipelines
    from simsplit.results import Result
    from simsplit.sim.device import DevicePower
    from simsplit.sim.request import Plan, Request
    from simsplit.sim.traffic import Recorded
    from simsplit.sim.world import History, Machines, MakeBlocks

IN_TIME = ("miou", "accuracy")  # scores that are also given with late answers worth nothing
Progress = Callable[[str, int, int], None]  # act, done, total
Source = str | Path | Mapping[str, Any] | Scenario


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
) -> Result:
    """Run a scenario and store its result.

    Args:
        source: Bundled name, path, mapping or Scenario.
        out: Result folder; ``results/<name>-<digest>`` if None.
        seed, duration_s, replications, fidelity: Shorthands for the overrides of those keys.
        overrides: ``path=value`` texts, e.g. ``cell.channel.snr_db=5``.
        progress: Called with (act, done, total).
        score_batch: Score so many requests per call (rows do not depend on it).

    Returns:
        The stored `Result` with ``.requests`` and ``.summary``.

    Raises:
        ScenarioError, ArtefactError: See `simsplit.load.load`.
    """
    from simsplit import results

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
    if folder.exists():
        return _stored(folder, results.identity(scenario, digests))
    done = run_replications(
        scenario, 0, scenario.replications, progress=progress, score_batch=score_batch
    )
    manifest = results.manifest(scenario, digests, [scenario.seed], time.perf_counter() - started_s)
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
        import pandas as pd

        rows = [*self.requests.to_dict("records"), *later.requests.to_dict("records")]
        return Replications(pd.DataFrame(rows), [*self.stations, *later.stations])


def run_replications(
    scenario: Scenario,
    first: int,
    count: int,
    *,
    progress: Progress | None = None,
    score_batch: int | None = None,
) -> Replications:
    """Replications ``first`` to ``first + count - 1`` of a resolved scenario; nothing is stored.

    A replication depends on the seed and its number alone, not on how many there are.
    """
    from simsplit.plans import make_plans

    tell = progress or (lambda act, done, total: None)
    pipeline = open_scenario_pipelines(scenario)
    prepared = pipeline.prepare(lambda done, total: tell("prepare", done, total))
    plans = make_plans(scenario, pipeline, prepared)
    numbers = range(first, first + count)
    histories = simulate(scenario, plans, partial(tell, "simulate"), numbers)
    requests = score(scenario, pipeline, histories, tell, score_batch)
    return Replications(requests, [history.stations for history in histories])


def summarised(scenario: Scenario, done: Replications) -> dict[str, Any]:
    """The summary of a run, its stations included."""
    from simsplit.summary import summarise

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

    from simsplit import results

    resolved = resolved_yaml(scenario)
    results.write_result(folder, scenario, done.requests, summary, manifest, resolved)
    read_summary, read_manifest = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("summary.json", "manifest.json")
    )
    rows = pd.read_parquet(folder / "requests.parquet")
    return results.Result(folder, scenario, rows, read_summary, read_manifest)


def resolve(source: Source, overrides: Sequence[str], shorthands: Mapping[str, Any]) -> Scenario:
    """The scenario with its overrides; shorthands that are None do not count."""
    if isinstance(source, Scenario):
        source = source.model_dump(mode="json")
    texts = [*overrides, *(f"{key}={v}" for key, v in shorthands.items() if v is not None)]
    scenario = load_scenario(source, overrides=texts)
    if all(point.split != EVERY for point in scenario.operating_points):
        return scenario
    from simsplit.pipelines import expanded

    return expanded(scenario)


def _stored(folder: Path, identity: str) -> Result:
    """The folder's result if it is the same run; computing it again would give the same rows."""
    from simsplit.results import read_result

    found = read_result(folder)
    if found.manifest.get("digest") != identity:
        raise ScenarioError("the folder holds the result of another run", path=str(folder))
    return found


def default_folder(scenario: Scenario, digests: Mapping[str, str]) -> Path:
    """``results/<name>-<first 10 digits of the run's identity>``."""
    from simsplit.results import identity

    return Path("results") / f"{scenario.name}-{identity(scenario, digests)[:10]}"


def artefact_digests(scenario: Scenario) -> dict[str, str]:
    """SHA-256 of everything besides the scenario that decides the rows; torchvision's version.

    Fitted files, hardware files with the profiles and predictors they name, a user's own modules,
    and the package's own source: a result made by other code is another result.
    """
    models = models_dir()
    files = {"bler_table": models / "bler_5g" / "table.npz"}
    if scenario.model is not None:
        files["weights"] = models / scenario.model / "weights.safetensors"
    names = {group.hardware for group in scenario.devices} | {scenario.edge.hardware}
    if scenario.edge.cloud is not None:
        names.add(scenario.edge.cloud.hardware)
    for name in sorted(names):
        files |= _hardware_files(name)
    sources = [network.source for network in scenario.networks]
    sources += [g.policy.target for g in scenario.devices if isinstance(g.policy, Custom)]
    for source in sources:
        files |= _source_file(source)
    digests = {name: file_digest(path) for name, path in files.items() if path.is_file()}
    if scenario.networks:
        digests["torchvision"] = version("torchvision")
    return digests | {"code": _code_digest()}


def _hardware_files(name: str) -> dict[str, Path]:
    """A hardware file, its measured profile and its latency predictor."""
    files = {f"hardware.{name}": hardware_dir() / f"{name}.yaml"}
    hardware = load_hardware(name)
    if hardware.profile is not None:
        files[f"profile.{name}"] = Path(hardware.profile)
    if hardware.predictor is not None:
        for file in ("card.json", "table.npz"):
            files[f"predictor.{name}.{file}"] = models_dir() / hardware.predictor / file
    return files


def _source_file(source: str) -> dict[str, Path]:
    """The file of a user's own class; a module that is not there is told when it is opened."""
    from importlib.util import find_spec

    module, colon, _ = source.partition(":")
    try:
        spec = find_spec(module) if colon else None
    except (ImportError, ValueError):
        spec = None
    return {} if spec is None or spec.origin is None else {f"source.{source}": Path(spec.origin)}


@lru_cache(maxsize=1)
def _code_digest() -> str:
    """Of the package's source when it was first asked: what this process runs."""
    return _sha256(sorted(Path(__file__).parent.rglob("*.py")))


def _sha256(paths: Sequence[Path]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


# --- act one ----------------------------------------------------------------------------------


def open_scenario_pipelines(scenario: Scenario) -> Pipelines:
    """The chain without a clock for the scenario's task, networks and operating points."""
    from simsplit.pipelines import opened_pipelines
    from simsplit.tasks.datasets import cache_directory

    return opened_pipelines(scenario, models_dir(), cache_directory())


def machines(scenario: Scenario) -> Machines:
    """Powers and heat of the devices, by group, and powers of one edge and one cloud worker."""
    from simsplit.sim.thermal import thermal_body
    from simsplit.sim.world import Machines

    hardware = {group.name: group_hardware(group) for group in scenario.devices}
    edge, cloud = load_hardware(scenario.edge.hardware), scenario.edge.cloud
    far = None if cloud is None else load_hardware(cloud.hardware)
    return Machines(
        {name: _device_power(found) for name, found in hardware.items()},
        edge.idle_w,
        edge.compute_w,
        cloud_idle_w=0.0 if far is None else far.idle_w,
        cloud_compute_w=0.0 if far is None else far.compute_w,
        thermal={
            group.name: thermal_body(
                group.heat, hardware[group.name].thermal, f"devices.{group.name}.heat"
            )
            for group in scenario.devices
            if group.heat is not None
        },
    )


def group_hardware(group: DeviceGroup) -> Hardware:
    """A group's hardware at its frequency level."""
    hardware = load_hardware(group.hardware)
    return hardware if group.dvfs is None else hardware.at_level(group.dvfs)


def _device_power(hardware: Hardware) -> DevicePower:
    from simsplit.sim.device import DevicePower
    from simsplit.sim.receiver import ReceiverPower

    radio = hardware.radio
    assert radio is not None  # checked when the scenario was loaded
    receiver = ReceiverPower(radio.rx_w, radio.listen_w, radio.sleep_w, radio.sleep_transition_j)
    return DevicePower(
        hardware.idle_w, hardware.compute_w, radio.pa_efficiency, radio.tx_circuit_w, receiver
    )


# --- act two ----------------------------------------------------------------------------------


def simulate(
    scenario: Scenario,
    plans: Mapping[str, Plan],
    progress: Callable[[int, int], None] | None = None,
    numbers: Sequence[int] | None = None,
) -> list[History]:
    """Run the replications of these numbers (all by default); no network is touched."""
    from simsplit.sim.tracks import read_tracks
    from simsplit.sim.world import World

    table, powers = open_bler_table(), machines(scenario)
    trace, tracks = read_channel_trace(scenario), read_tracks(scenario)
    histories = []
    for replication in range(scenario.replications) if numbers is None else numbers:
        world = World(
            scenario,
            plans,
            powers,
            table,
            replication=replication,
            traffic=read_traces(scenario, replication),
            make_blocks=_block_channel(scenario, table),
            channel_trace=trace,
            tracks=tracks,
        )
        histories.append(world.run())
        if progress:
            progress(replication + 1, (numbers or range(scenario.replications))[-1] + 1)
    return histories


def open_bler_table() -> BlerTable:
    """The shipped block error table; opened once per process (what it remembers is its own)."""
    path = models_dir() / "bler_5g" / "table.npz"
    return _bler_table(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=2)
def _bler_table(path: Path, mtime_ns: int) -> BlerTable:
    from simsplit.phy.link import BlerTable

    return BlerTable.load(path)


def _block_channel(scenario: Scenario, table: BlerTable) -> MakeBlocks | None:
    """How the fates of uplink blocks come about; None: from the table alone."""
    cell = scenario.cell
    if cell.fidelity == "table" and cell.outside_table == "error":
        return None
    from simsplit.exact_blocks import ExactBlocks, ExactOutside
    from simsplit.phy.coded import CodedLink
    from simsplit.sim.blocks import TableBlocks
    from simsplit.sim.frame import elements_of

    link = CodedLink(scenario.seed, *elements_of(cell, is_downlink=False), cell.demapper)
    if cell.fidelity == "exact":
        return lambda randoms: ExactBlocks(link, randoms, cell.harq)
    return lambda randoms: ExactOutside(
        TableBlocks(table, [rng.random for rng in randoms], cell.harq),
        ExactBlocks(link, randoms, cell.harq),
        cell.harq,
    )


def read_channel_trace(scenario: Scenario) -> ChannelTrace | None:
    """The measured channel of a scenario, if it has one (see phy/trace.py)."""
    from simsplit.channel import TraceChannel
    from simsplit.sim.frame import open_trace

    spec = scenario.cell.channel
    return open_trace(spec) if isinstance(spec, TraceChannel) else None


def read_traces(scenario: Scenario, replication: int = 0) -> dict[str, dict[int, Recorded]]:
    """Recorded arrivals by group and device number (see `simsplit.sim.traffic`)."""
    from simsplit.sim.traffic import Recording

    return {
        group.name: Recording(
            group.arrivals.file,
            f"devices.{group.name}.arrivals.file",
            group.name,
            group.count,
            scenario.task.samples,
        ).of(replication)
        for group in scenario.devices
        if isinstance(group.arrivals, TraceArrivals)
    }


# --- act three --------------------------------------------------------------------------------


def score(
    scenario: Scenario,
    pipeline: Pipelines,
    histories: Sequence[History],
    tell: Progress,
    batch: int | None = None,
) -> DataFrame:
    """One flat row per request of all replications, with its task scores."""
    import pandas as pd

    requests = [request for history in histories for request in history.requests]
    asked = [(r.operating_point, r.sample, r.delivery()) for r in requests]
    step = batch or 256
    outcomes = []
    for start in range(0, len(asked), step):
        outcomes += pipeline.score(asked[start : start + step])
        tell("score", min(start + step, len(asked)), len(asked))
    return pd.DataFrame(
        [_scored_row(r, outcome.as_dict()) for r, outcome in zip(requests, outcomes, strict=True)]
    )


def _scored_row(request: Request, scores: Mapping[str, float]) -> dict[str, Any]:
    """The request's row with its scores; the headline score also with late answers worth 0."""
    row = request.row()
    for name, value in scores.items():
        row[f"score_{name}"] = value
        if name in IN_TIME:
            row[f"score_{name}_in_time"] = value if row["deadline_met"] else 0.0
    return row
