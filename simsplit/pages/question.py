"""What a scenario asks, in one sentence, and what it says, as facts and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from simsplit.pages.page import Cell, Table, code_html, details_html, facts_html, table_html
from simsplit.scenario.data import data_name
from simsplit.scenario.places import shown

if TYPE_CHECKING:
    from pydantic import BaseModel

    from simsplit.scenario.devices import DeviceGroup
    from simsplit.scenario.operating_points import OperatingPoint
    from simsplit.scenario.scenario import Scenario


_UNITS = {  # ending of a key: unit and scale of what is shown; the longest ending counts
    "_frequency_hz": ("Hz", 1.0),
    "_spacing_hz": ("kHz", 1e-3),
    "_dbm": ("dBm", 1.0),
    "_db": ("dB", 1.0),
    "_hz": ("Hz", 1.0),
    "_mps": ("m/s", 1.0),
    "_bps": ("bit/s", 1.0),
    "_m": ("m", 1.0),
    "_s": ("s", 1.0),
    "_j": ("J", 1.0),
}


def question(scenario: Scenario, axes: Sequence[str] = ()) -> str:
    """Devices, ways, channel and deadline of a scenario as one question.

    What the ``axes`` of a sweep change is left out.
    """
    points = [point.name for point in scenario.operating_points]
    ways = f"{len(points)} ways to the answer ({_listed(points)})"
    if len(points) == 1:
        ways = f"the operating point {points[0]}"
    return (
        "What accuracy, latency, energy and bandwidth do "
        f"{_devices(scenario, axes)} get from {ways} over {_air(scenario, axes)}"
        f"{_due(scenario, axes)}?"
    )


def _varies(axes: Sequence[str], *ends: str) -> bool:
    return any(axis.endswith(ends) for axis in axes)


def _devices(scenario: Scenario, axes: Sequence[str]) -> str:
    if _varies(axes, ".count", ".hardware"):
        return "the devices"
    count = scenario.device_count
    machines = sorted({shown(group.hardware) for group in scenario.devices})
    return f"{count} device{'s' * (count > 1)} ({_listed(machines)})"


def _air(scenario: Scenario, axes: Sequence[str]) -> str:
    cell = scenario.cell
    channel = cell.channel.kind if axes else in_words(cell.channel)
    fading = "" if cell.fading.kind == "none" else f" with {cell.fading.kind} fading"
    carrier = "" if _varies(axes, "carrier_hz") else f" at {cell.carrier_hz / 1e9:g} GHz"
    width = _varies(axes, "resource_blocks", "bandwidth_hz")
    return f"{channel}{fading}{carrier}" + f" in {_width(scenario)}" * (not width)


def _width(scenario: Scenario) -> str:
    cell = scenario.cell
    if cell.resource_blocks is not None:
        return f"{cell.resource_blocks} resource block{'s' * (cell.resource_blocks > 1)}"
    return f"{20 if cell.bandwidth_hz is None else cell.bandwidth_hz / 1e6:g} MHz"


def _due(scenario: Scenario, axes: Sequence[str]) -> str:
    if _varies(axes, "deadline_s"):
        return ""
    due_ms = sorted({1e3 * g.deadline_s for g in scenario.devices if g.deadline_s is not None})
    return f", with answers due within {_listed([f'{ms:g}' for ms in due_ms])} ms" if due_ms else ""


def _listed(names: Sequence[str], most: int = 8) -> str:
    """``a, b and c``; what is beyond ``most`` is counted."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "none"


def in_words(spec: BaseModel, *, whole: bool = False) -> str:
    """A noun of the scenario: its kind, and the keys that are not at their default, or all."""
    keys = spec.model_dump(exclude_defaults=not whole, exclude_none=True, mode="json")
    kind = str(getattr(spec, "kind", ""))
    others = [_key(name, value) for name, value in keys.items() if name != "kind"]
    inside = ", ".join(others)
    return f"{kind} ({inside})" if kind and inside else kind or inside


def _key(name: str, value: Any) -> str:
    ending = next((end for end in _UNITS if name.endswith(end)), None)
    if ending is None or isinstance(value, bool | dict) or not isinstance(value, int | float):
        return f"{name} {_value(value)}"
    unit, scale = _UNITS[ending]
    return f"{name.removesuffix(ending).replace('_', ' ')} {scale * value:g} {unit}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def scenario_html(scenario: Scenario, yaml_text: str) -> str:
    """The scenario: facts, operating points, devices, and the whole YAML to open."""
    yaml_part = details_html("scenario.yaml, every default written out", _yaml(yaml_text))
    parts = [facts_html(_facts(scenario)), "<h3>Operating points</h3>"]
    parts += [table_html(_points(scenario)), "<h3>Devices</h3>", table_html(_groups(scenario))]
    return "".join(parts) + yaml_part


def _yaml(text: str) -> str:
    return code_html(text, "scenario.yaml")


def _facts(scenario: Scenario) -> Iterable[tuple[str, Cell]]:
    task, cell, edge = scenario.task, scenario.cell, scenario.edge
    yield "Time", _time(scenario)
    yield "Replications", f"{scenario.replications}, from seed {scenario.seed}"
    size = f"{task.width_px} × {task.height_px} px"
    yield "Task", f"{data_name(task.dataset)}, {task.samples} samples of {size}"
    networks = [f"{net.name} ({net.source})" for net in scenario.networks]
    yield "Network", _listed(([shown(scenario.model)] if scenario.model else []) + networks)
    yield "Carrier", f"{cell.carrier_hz / 1e9:g} GHz, {_width(scenario)}, {_spacing(scenario)}"
    yield "Channel", in_words(cell.channel)
    yield "Fading", in_words(cell.fading)
    yield "Link adaptation", in_words(cell.mcs, whole=True)
    yield "HARQ", f"{cell.harq.combining}, {cell.harq.max_transmissions} transmissions at most"
    yield "Scheduler", in_words(cell.scheduler, whole=True)
    yield "Downlink", in_words(cell.downlink, whole=True)
    batches = f"batches up to {edge.max_batch}"
    yield "Edge", f"{edge.workers} × {shown(edge.hardware)}, {batches}, {edge.discipline}"
    if edge.cloud is not None:
        yield "Cloud", in_words(edge.cloud)


def _spacing(scenario: Scenario) -> str:
    return f"{scenario.cell.subcarrier_spacing_hz / 1e3:g} kHz spacing"


def _time(scenario: Scenario) -> str:
    warm = f", the first {scenario.warmup_s:g} s not counted" if scenario.warmup_s else ""
    return f"{scenario.duration_s:g} s of arrivals{warm}, {scenario.drain_s:g} s to finish"


def _points(scenario: Scenario) -> Table:
    heading = ("operating point", "scheme", "split", "codec", "network")
    rows = [_point(point, scenario) for point in scenario.operating_points]
    return Table("Operating points of the scenario", heading, rows, words=True)


def _point(point: OperatingPoint, scenario: Scenario) -> tuple[str, ...]:
    codec = "–" if point.codec is None else in_words(point.codec, whole=True)
    if point.code is not None:
        codec = f"code {shown(point.code)}"
    return (
        point.name,
        point.scheme,
        point.split or "–",
        codec,
        point.network or shown(scenario.model or "") or "–",
    )


def _groups(scenario: Scenario) -> Table:
    heading = ["group", "devices", "hardware", "operating point or policy", "arrivals"]
    heading += ["deadline", "distance", "mobility", "if lost"]
    rows = [_group(group, scenario) for group in scenario.devices]
    return Table("Groups of devices", heading, rows, words=True)


def _group(group: DeviceGroup, scenario: Scenario) -> tuple[str, ...]:
    location = scenario.place_of(group)
    where = f"{location.distance_min_m:g} to {location.distance_max_m:g} m"
    return (
        group.name,
        str(group.count),
        shown(group.machine),
        group.operating_point or in_words(group.choice),
        in_words(group.arrivals),
        "–" if group.deadline_s is None else f"{1e3 * group.deadline_s:g} ms",
        where if location is group else f"as {location.name}",
        in_words(location.mobility),
        group.on_loss.replace("_", " "),
    )
