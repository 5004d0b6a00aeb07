"""Whose number is asked for: one group of devices, or all groups in their proportions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simsplit.errors import ScenarioError
from simsplit.points import Point
from simsplit.scenario import Scenario


@dataclass(frozen=True)
class Fleet:
    """The groups whose number of devices is asked for.

    Attributes:
        counts: Group → devices that the scenario has.
    """

    counts: Mapping[str, int]

    @property
    def axis(self) -> str:
        """Column of the table: the path of the one group's count, or ``devices`` in total."""
        return "devices" if len(self.counts) > 1 else f"devices.{next(iter(self.counts))}.count"

    def shares(self, total: int) -> dict[str, int]:
        """Devices by group, in the scenario's proportions, at least one each.

        Rounding: after one device for each group, every further device goes to the group with the
        largest count / (2 given + 1), the first in the scenario among equals (Webster's method: a
        group never shrinks when the total grows; the scenario's own total gives its own counts).
        """
        given = dict.fromkeys(self.counts, 1)
        for _ in range(total - len(given)):
            given[max(given, key=lambda name: self.counts[name] / (2 * given[name] + 1))] += 1
        return given

    def at(self, total: int, overrides: Sequence[str] = ()) -> Point:
        """The point of the sweep with so many devices."""
        texts = [f"devices.{name}.count={count}" for name, count in self.shares(total).items()]
        return Point({self.axis: total}, (*overrides, *texts))


def fleet_of(scenario: Scenario, devices: str) -> Fleet:
    """The groups that ``devices`` names.

    Raises:
        ScenarioError: No such group, or ``auto`` where there are several.
    """
    counts = {group.name: group.count for group in scenario.devices}
    name = devices.removeprefix("devices.").removesuffix(".count")
    if name == "all" or (name == "auto" and len(counts) == 1):
        return Fleet(counts)
    choices = [*counts, "all"]
    if name == "auto":
        raise ScenarioError("say which group's devices to count", path="devices", choices=choices)
    if name not in counts:
        message = "no such group of devices"
        raise ScenarioError(message, path="devices", value=devices, choices=choices)
    return Fleet({name: counts[name]})
