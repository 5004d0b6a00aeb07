"""Every noun a scenario's YAML may say: frozen, bounded, with units in the names.

Defaults are stated here and appear in the resolved ``scenario.yaml`` of every result. Errors are
turned into `ScenarioError` with their YAML path by `simsplit.scenario.load`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from simsplit.scenario import channel
from simsplit.scenario.cell import Cell
from simsplit.scenario.devices import DeviceGroup
from simsplit.scenario.edge import Edge
from simsplit.scenario.operating_points import Network, OperatingPoint, Task
from simsplit.scenario.policies import points_of
from simsplit.scenario.spec import Name, NonNegative, Number, Reference, Spec, Whole

# --- scenario ---------------------------------------------------------------------------------


class Scenario(Spec):
    """A whole experiment; identical scenario and seed give identical rows."""

    name: Name
    description: str = ""
    seed: Whole = 1
    duration_s: Annotated[Number, Field(gt=0, le=1e6)] = 20.0
    warmup_s: NonNegative = 0.0
    drain_s: NonNegative = 2.0
    replications: Annotated[int, Field(ge=1, le=1000, strict=True)] = 1
    task: Task = Task()
    model: Reference | None = "streets_multitask"
    networks: tuple[Network, ...] = ()
    operating_points: Annotated[tuple[OperatingPoint, ...], Field(min_length=1)]
    devices: Annotated[tuple[DeviceGroup, ...], Field(min_length=1)]
    cell: Cell
    edge: Edge = Edge()

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        if self.warmup_s >= self.duration_s:
            raise ValueError("warmup_s must be shorter than duration_s")
        _unique("operating_points", [p.name for p in self.operating_points])
        _unique("devices", [g.name for g in self.devices])
        _unique("networks", [n.name for n in self.networks])
        for group in self.devices:
            _check_range(group, self.cell)
            _check_place_group(group, self.devices)
        return self

    def place_of(self, group: DeviceGroup) -> DeviceGroup:
        """The group that says where this group's devices stand: itself or its ``place_group``."""
        name = group.place_group or group.name
        return next(other for other in self.devices if other.name == name)

    def operating_point(self, name: str) -> OperatingPoint:
        """The operating point of that name (checked to exist by `simsplit.scenario.load`)."""
        return next(point for point in self.operating_points if point.name == name)

    def points_of(self, group: DeviceGroup) -> tuple[OperatingPoint, ...]:
        """What a group may choose from; a name of a ``split: every`` point stands for its cuts."""
        named = points_of(group.choice)
        return tuple(
            p for p in self.operating_points if not named or p.name in named or p.of in named
        )

    @property
    def device_count(self) -> int:
        """Devices in all groups together."""
        return sum(group.count for group in self.devices)


def _unique(what: str, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"{what}: each name once, doubled: {', '.join(doubled)}")


def _check_place_group(group: DeviceGroup, groups: tuple[DeviceGroup, ...]) -> None:
    """``place_group`` names another, at least as large group that follows nobody itself."""
    if group.place_group is None:
        return
    other = {g.name: g for g in groups}.get(group.place_group)
    where = f"devices.{group.name}.place_group"
    if other is None or other.place_group is not None or other is group:
        names = ", ".join(g.name for g in groups if g.place_group is None and g is not group)
        raise ValueError(f"{where}: must be one of {names}, found {group.place_group}")
    if other.count < group.count:
        raise ValueError(f"{where}: {other.name} has fewer devices ({other.count})")
    for key in ("distance_min_m", "distance_max_m", "mobility"):
        value, default = getattr(group, key), DeviceGroup.model_fields[key].default
        if value not in (default, getattr(other, key)):
            raise ValueError(f"{where}: the place is that of {other.name}, leave {key} out")


def _check_range(group: DeviceGroup, cell: Cell) -> None:
    """Distances and carrier within the range the path loss model is made for."""
    low_m, high_m = channel.distance_range_m(cell.channel)
    moves_over = cell.sites.kind == "hex"  # then the distance is to whichever cell is the strongest
    if group.distance_min_m < low_m or (group.distance_max_m > high_m and not moves_over):
        raise ValueError(
            f"devices.{group.name}: path loss {cell.channel.kind} holds from {low_m:g} to "
            f"{high_m:g} m, found {group.distance_min_m:g} to {group.distance_max_m:g} m"
        )
    low_hz, high_hz = channel.carrier_range_hz(cell.channel)
    if not low_hz <= cell.carrier_hz <= high_hz:
        raise ValueError(
            f"cell.carrier_hz: {cell.channel.kind} holds from {low_hz / 1e9:g} to "
            f"{high_hz / 1e9:g} GHz, found {cell.carrier_hz:g}"
        )
