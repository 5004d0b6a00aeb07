"""What hardware files rest on, as tables and in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simsplit.hardware.roofline import Hardware, load_hardware, read_sheet
from simsplit.scenario.bundled import hardware_choices, hardware_file
from simsplit.scenario.places import HARDWARE, referred
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.spec import Spec

LIST_COLUMNS = ("name", "what it is", "rests on")
FIGURE_COLUMNS = ("figure", "value", "source")


def list_rows() -> list[list[str]]:
    """A row per bundled hardware file."""
    return [_list_row(name) for name in hardware_choices()]


def _list_row(name: str) -> list[str]:
    hardware = load_hardware(name)
    evidence = hardware.evidence
    text = "not said" if evidence is None else evidence.warning or evidence.text()
    return [name, hardware.description, text]


def figure_rows(name: str) -> list[list[str]]:
    """A row per figure of one file: its name, value and source.

    Raises:
        ScenarioError: No such hardware.
    """
    reference = referred(HARDWARE, name, path="NAME")
    load_hardware(reference)
    return list(_figures("", read_sheet(hardware_file(reference))))


def _figures(prefix: str, sheet: Spec) -> Iterator[list[str]]:
    for key, part in sheet:
        if isinstance(part, Spec):
            yield from _figure(f"{prefix}{key}", part)
        elif isinstance(part, tuple):  # levels, each with a name, or blocks, each of a kind
            for entry in part:
                name = getattr(entry, "name", None) or entry.kind
                yield from _figure(f"{prefix}{key}.{name}", entry)


def _figure(name: str, part: Spec) -> Iterator[list[str]]:
    """One row of what has a source of its own, else one per figure inside."""
    content = {key: value for key, value in part if value is not None}
    source = content.pop("source", None)
    if source is None:
        yield from _figures(f"{name}.", part)
        return
    content.pop("name", None)
    texts = [
        _text(value) if key == "value" else f"{key} {_text(value)}"
        for key, value in content.items()
    ]
    yield [name, ", ".join(texts), str(source)]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " and ".join(map(str, value))
    return f"{value:g}"


def verdict(name: str) -> str:
    """One sentence: networks and held-out errors, or how little there is."""
    evidence = _hardware(name).evidence
    if evidence is None:
        return f"{name} does not say what its latencies rest on"
    error = evidence.text()
    return f"{name}: {evidence.warning}; {error}" if evidence.warning else f"{name}: {error}"


def hardware_names(scenario: Scenario) -> list[str]:
    """Hardware of a scenario's devices, its edge and its cloud."""
    cloud = scenario.edge.cloud
    names = [*(group.hardware for group in scenario.devices), scenario.edge.hardware]
    return names if cloud is None else [*names, cloud.hardware]


def thin_evidence(names: Iterable[str]) -> list[str]:
    """A sentence per hardware (each once) whose latencies rest on fewer than three networks."""
    found = ((name, load_hardware(name).evidence) for name in dict.fromkeys(names))
    return [f"hardware {name}: {e.warning}" for name, e in found if e is not None and e.warning]


def _hardware(name: str) -> Hardware:
    return load_hardware(referred(HARDWARE, name, path="NAME"))
