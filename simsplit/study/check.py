"""What a scenario will ask of its stations, before it is run (`simsplit check`).

Every load is a rate times the mean work of a request: rates are the scenario's, work is measured in
a pilot (`simsplit.study.pilot`) of a few hundred requests over many drops. So it holds what a run
holds: places, fading, retransmissions, what policies choose. Utilisation law: U = X S (Lazowska et
al., Quantitative System Performance, 1984, section 3.2). Waiting, and all that comes of it at
high load, is not foreseen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.hardware.evidence import hardware_names, thin_evidence
from simsplit.messages import Scheme
from simsplit.phy.sizes import resource_elements
from simsplit.scenario.answers import AnswerSpec, answers_of
from simsplit.scenario.bundled import model_card
from simsplit.scenario.cell import Cell
from simsplit.scenario.channel import TraceChannel
from simsplit.scenario.codes import code_card
from simsplit.scenario.devices import DeviceGroup
from simsplit.scenario.load import load
from simsplit.scenario.operating_points import OperatingPoint
from simsplit.scenario.permission import takes_permission
from simsplit.scenario.policies import Fixed
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.targets import not_examined
from simsplit.sim.radio.frame import elements_of, frame_of, open_trace, uplink_share
from simsplit.sim.radio.positions import site_points
from simsplit.study.defaults import defaults
from simsplit.study.pilot import load_decides, offered_hz, pilot
from simsplit.tasks.datasets import class_counts
from simsplit.tasks.score_names import pooled_names, score_names

if TYPE_CHECKING:
    from pandas import DataFrame

MANY_LOST = 0.1
MOST_SHOWN = 4
UNBOUNDED = "the queue grows without bound"
WAYS_OUT = "what its workers cannot do is refused, sent on, or waits for more workers"
OF_PILOT = "a pilot of a few hundred requests"


@dataclass(frozen=True, slots=True)
class GroupLoad:
    """What one group of devices asks for, per request where nothing else is said.

    ``chosen``: share of the requests by operating point. ``busy_s``: of the device's processor.
    ``edge_s``, ``cloud_s``: of a worker, its share of a batch. None: no request came in the pilot.
    """

    name: str
    scheme: Scheme | str  # a policy says its kind
    offered_hz: float
    chosen: Mapping[str, float] = field(default_factory=dict)
    snr_db: float | None = None
    payload_bits: float | None = None
    channel_uses: float | None = None
    busy_s: float | None = None
    edge_s: float | None = None
    cloud_s: float | None = None
    lost_share: float | None = None
    device_utilisation: float | None = None

    @property
    def need_re_per_s(self) -> float:
        """Resource elements per second of the whole group."""
        return self.offered_hz * (self.channel_uses or 0.0)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Offered load, capacity and utilisation of every station; None: not known, or not there.

    ``capacity_re_per_s``: data resource elements per second of all sites' uplinks.
    ``pilot_requests`` and ``drops``: what the means are over. ``defaults``: what each section left
    unsaid.
    """

    groups: tuple[GroupLoad, ...]
    capacity_re_per_s: float
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    radio_utilisation: float | None = None
    edge_utilisation: float | None = None
    cloud_utilisation: float | None = None
    pilot_requests: int = 0
    drops: int = 0
    defaults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def offered_hz(self) -> float:
        """Requests per second of all groups."""
        return math.fsum(group.offered_hz for group in self.groups)

    def rows(self) -> list[dict[str, str]]:
        """The table of `simsplit check`: a row per group, then the shared stations."""
        cell = _row("cell", f"{self.offered_hz:.3g}", self.radio_utilisation)
        cell["load"] = f"{self.capacity_re_per_s:.3g} RE/s capacity"
        shared = [cell, _row("edge", "", self.edge_utilisation)]
        if self.cloud_utilisation is not None:
            shared.append(_row("cloud", "", self.cloud_utilisation))
        return [*map(_group_row, self.groups), *shared]


@takes_permission
def check(
    source: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    allow_code: bool = False,
) -> Expectation:
    """Everything that a scenario names is opened; offered load, capacity, expected utilisation.

    Args:
        source: Bundled name, path or mapping.
        overrides: ``path=value`` texts.
        allow_code: A user's own modules are imported and examined too; else they are left alone,
            and the loads that depend on them stay unknown.

    Raises:
        ScenarioError, ArtefactError: See `simsplit.scenario.load.load`; then what opening networks,
            cuts, hardware and traces finds.
    """
    from simsplit.study.run import resolve

    written = load(source, overrides=overrides)
    _check_preprocess(written)
    is_left_alone = bool(not_examined(written))
    scenario = written if is_left_alone else resolve(source, overrides, {})
    return replace(expect(scenario), defaults=defaults(written))


def _check_preprocess(scenario: Scenario) -> None:
    """Names of torchvision's weights are known, whether or not their network is examined."""
    named = [network for network in scenario.networks if isinstance(network.preprocess, str)]
    if not named:
        return  # torch stays unimported
    from simsplit.networks.preprocess import preprocess_of

    for network in named:
        preprocess_of(network.preprocess, f"networks.{network.name}.preprocess")


def expect(scenario: Scenario) -> Expectation:
    """The expectation of a resolved scenario; see `check`."""
    own = not_examined(scenario)
    if own:
        return _without_pilot(scenario, own)
    rows, drops = pilot(scenario)
    groups = tuple(_group_load(scenario, group, rows, drops) for group in scenario.devices)
    capacity = capacity_re_per_s(scenario.cell)
    radio = _radio_load(scenario, drops, len(rows))
    edge = math.fsum(g.offered_hz * (g.edge_s or 0.0) for g in groups) / scenario.edge.workers
    cloud = scenario.edge.cloud
    far = math.fsum(g.offered_hz * (g.cloud_s or 0.0) for g in groups)
    return Expectation(
        groups=groups,
        capacity_re_per_s=capacity,
        radio_utilisation=radio,
        edge_utilisation=edge,
        cloud_utilisation=None if cloud is None else far / cloud.workers,
        pilot_requests=len(rows),
        drops=len(drops),
        warnings=(*_warnings(scenario, groups, radio, edge), *_code_warnings(scenario)),
        notes=_notes(scenario),
    )


def _radio_load(scenario: Scenario, drops: Sequence[Mapping[str, Any]], requests: int) -> float:
    """Resource blocks x slots of a request, partly filled ones included, times the rate."""
    if not requests:
        return 0.0
    used = math.fsum(drop["radio"]["prb_slots_used"] for drop in drops) / requests
    rate_hz = math.fsum(offered_hz(scenario, group) for group in scenario.devices)
    frame, cell = frame_of(scenario.cell), scenario.cell
    there = frame.n_prb * len(site_points(cell.sites)) * uplink_share(frame) / cell.slot_s
    return used * rate_hz / there


def _without_pilot(scenario: Scenario, own: Sequence[str]) -> Expectation:
    """Looking at a scenario executes nothing of a user's own: work per request stays unknown."""
    groups = tuple(
        GroupLoad(group.name, _scheme(scenario, group), offered_hz(scenario, group))
        for group in scenario.devices
    )
    names = ", ".join(own)
    unknown = (
        f"not examined, so loads are unknown: {names}; "
        "check runs no code of your own unless --allow-code is said"
    )
    return Expectation(
        groups=groups,
        capacity_re_per_s=capacity_re_per_s(scenario.cell),
        warnings=(unknown, *_code_warnings(scenario)),
        notes=_notes(scenario),
    )


def capacity_re_per_s(cell: Cell) -> float:
    """Data resource elements per second of the whole uplink band of all sites."""
    frame, elements = frame_of(cell), elements_of(cell, is_downlink=False)
    per_site = resource_elements(frame.n_prb, *elements) / cell.slot_s * uplink_share(frame)
    return per_site * len(site_points(cell.sites))


def _group_load(
    scenario: Scenario, group: DeviceGroup, rows: DataFrame, drops: Sequence[Mapping[str, Any]]
) -> GroupLoad:
    rate_hz = offered_hz(scenario, group)
    scheme = _scheme(scenario, group)
    own = rows[rows["group"] == group.name] if len(rows) else rows
    if own.empty:
        return GroupLoad(group.name, scheme, rate_hz)
    chosen = own["operating_point"].value_counts(normalize=True)
    devices = (device for drop in drops for device in drop["devices"])
    busy_s = math.fsum(d["busy_s"] for d in devices if d["group"] == group.name) / len(own)
    levels_db = own["snr_db"].dropna()
    return GroupLoad(
        group.name,
        scheme,
        rate_hz,
        chosen={str(name): float(share) for name, share in chosen.items()},
        snr_db=float(levels_db.mean()) if len(levels_db) else None,
        payload_bits=float(own["payload_bits"].mean()),
        channel_uses=float(own["channel_uses"].mean()),
        busy_s=busy_s,
        edge_s=_worker_s(own, "edge"),
        cloud_s=_worker_s(own, "cloud"),
        lost_share=float((own["status"] == "lost").mean()),
        device_utilisation=rate_hz / group.count * busy_s,
    )


def _scheme(scenario: Scenario, group: DeviceGroup) -> Scheme | str:
    point = fixed_point(scenario, group)
    return f"policy {group.choice.kind}" if point is None else point.scheme


def _worker_s(rows: DataFrame, tier: str) -> float:
    """Worker seconds per request of the group at this tier: its share of the batch."""
    there = rows[(rows["tier"] == tier) & rows["edge_end_s"].notna()]
    shares_s = (there["edge_end_s"] - there["edge_start_s"]) / there["batch_size"]
    return float(shares_s.sum()) / len(rows)


def fixed_point(scenario: Scenario, group: DeviceGroup) -> OperatingPoint | None:
    """The one operating point of a group; None if a policy chooses."""
    named = group.choice.point if isinstance(group.choice, Fixed) else None
    return next((point for point in scenario.operating_points if point.name == named), None)


# --- in words ---------------------------------------------------------------------------------


def _warnings(
    scenario: Scenario, groups: Sequence[GroupLoad], radio: float, edge: float
) -> Iterable[str]:
    stations: list[tuple[str, float | None]] = [("cell", radio), ("edge", edge)]
    stations += [(f"devices of group {g.name}", g.device_utilisation) for g in groups]
    for station, share in stations:
        if share is not None and share >= 1:
            way_out = WAYS_OUT if station == "edge" and load_decides(scenario) else UNBOUNDED
            yield f"{station}: offered load {share:.2f} >= 1, {way_out}"
    for group in groups:
        if group.lost_share is None:
            yield f"group {group.name}: no request arrives in {OF_PILOT}"
        elif group.lost_share > MANY_LOST:
            yield f"group {group.name}: {100 * group.lost_share:.0f} % of its requests were lost"


def _code_warnings(scenario: Scenario) -> Iterable[str]:
    """A JSCC code that was not trained to be cut short can be; its users should know."""
    card = model_card(scenario.model) if scenario.model is not None else {}
    for point in scenario.operating_points:
        nested = "prefixes" in card if point.code is None else code_card(point.code)["nested"]
        if point.airtime_s is not None and not nested:
            whose = scenario.model if point.code is None else Path(point.code).name
            yield f"{point.name}: the JSCC code of {whose} is not nested; see airtime_s"


def _notes(scenario: Scenario) -> tuple[str, ...]:
    """Which scores to expect; what was made of a channel trace; hardware that rests on little."""
    readings = () if not_examined(scenario) else _weights_notes(scenario)
    hardware = thin_evidence(hardware_names(scenario))
    return (*_score_notes(scenario), *_trace_notes(scenario.cell), *hardware, *readings)


def _score_notes(scenario: Scenario) -> Iterator[str]:
    """Which scores the networks' answers will give; pooled ones are of all requests together."""
    for network in scenario.networks:
        specs = answers_of(network.answer)
        if not specs:
            yield f"network {network.name}: no answer is declared, so nothing is scored"
            continue
        if isinstance(network.answer, str):
            alone = {"label": "accuracy", "segmentation": "miou, pixel_accuracy"}
            yield f"network {network.name}: scores {alone[network.answer]}"
            continue
        each = [name for spec in specs for name in score_names(spec, _classes(scenario, spec))]
        pooled = [name for spec in specs for name in pooled_names(spec)]
        parts = {"per request": each, "of all requests together": pooled}
        said = [f"{', '.join(names)} {how}" for how, names in parts.items() if names]
        yield f"network {network.name}: scores {'; '.join(said)}"


def _classes(scenario: Scenario, spec: AnswerSpec) -> int | None:
    """As far as the answer or a data set of simsplit's own says it."""
    said: int | None = getattr(spec, "classes", None)
    if said is not None or not isinstance(scenario.task.dataset, str):
        return said
    task = scenario.task
    return class_counts(task.dataset, task.height_px, task.width_px).get(spec.truth_key)


def _weights_notes(scenario: Scenario) -> tuple[str, ...]:
    """How the networks' weights files were read."""
    if not scenario.networks:
        return ()  # torch stays unimported
    from simsplit.networks.opened import weights_notes

    task = scenario.task
    return tuple(weights_notes(scenario.networks, task.height_px, task.width_px))


def _trace_notes(cell: Cell) -> tuple[str, ...]:
    """What was decided when the channel trace was read, and whether it will be repeated."""
    if not isinstance(cell.channel, TraceChannel):
        return ()
    trace = open_trace(cell.channel)
    end = f"trace lasts {trace.duration_s:.4g} s; at its end: {cell.channel.at_end}"
    return (*trace.notes, end)


def _row(station: str, offered: str, share: float | None) -> dict[str, str]:
    return {
        "station": station,
        "offered req/s": offered,
        "load": "",
        "offered load %": "-" if share is None else f"{100 * share:.3g}",
    }


def _group_row(group: GroupLoad) -> dict[str, str]:
    row = _row(
        f"{group.name} ({group.scheme})", f"{group.offered_hz:.3g}", group.device_utilisation
    )
    if group.channel_uses is not None:
        row["load"] = f"{group.need_re_per_s:.3g} RE/s" if group.channel_uses else "no airtime"
    if group.snr_db is not None:
        row["load"] += f" at {group.snr_db:.1f} dB"
    if len(group.chosen) > 1:
        shares = sorted(group.chosen.items(), key=lambda item: -item[1])[:MOST_SHOWN]
        row["load"] += "; " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)
    return row
