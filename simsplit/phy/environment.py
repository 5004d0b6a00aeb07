"""The surroundings of a link by 3GPP TR 38.901, and the ranges its models are made for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from simsplit.errors import ScenarioError

Kind = Literal["umi", "uma", "rma", "inh", "inf"]
Office = Literal["mixed", "open"]
Hall = Literal["sl", "dl", "sh", "dh", "hh"]
Range = tuple[float, float]

DEFAULT_HEIGHTS_M: dict[str, Range] = {
    "umi": (10.0, 1.5),
    "uma": (25.0, 1.5),
    "rma": (35.0, 1.5),
    "inh": (3.0, 1.0),
    "inf": (8.0, 1.5),
}
"""(base station, device): TR 38.901 Tables 7.2-1 to 7.2-3; inf: Table 7.8-7, halls sh and dh."""

_ABOVE_GROUND: Range = (0.0, 25.0)  # Table 7.2-4: no ceiling is higher
_HEIGHTS_M: dict[str, tuple[Range, Range]] = {  # (base station, device), Table 7.4.1-1
    "umi": ((1.0, 150.0), (1.5, 22.5)),
    "uma": ((1.0, 150.0), (1.5, 22.5)),
    "rma": ((10.0, 150.0), (1.0, 10.0)),
    "inh": (_ABOVE_GROUND, _ABOVE_GROUND),
    "inf": (_ABOVE_GROUND, _ABOVE_GROUND),
}
_LONGEST_3D_M = {"inh": 150.0, "inf": 600.0}
_DENSE_FROM = 0.4


@dataclass(frozen=True, slots=True)
class Environment:
    """One of TR 38.901's environments with its heights, checked when it is made.

    Table 7.4.1-1 fixes the base station of UMi at 10 m and of UMa at 25 m as default values; other
    heights enter through the 3-D distance and the breakpoint, up to RMa's 150 m.

    Attributes:
        kind: Urban micro (street canyon), urban macro, rural macro, indoor office, indoor factory.
        base_station_height_m: h_BS.
        device_height_m: h_UT.
        building_height_m: Average h of RMa, 5 to 50 m.
        street_width_m: Average W of RMa, 5 to 50 m.
        office: Corridors and rooms, or open plan (InH).
        hall: Sparse or dense clutter; low, high base station, both high (InF, Table 7.2-4).
        clutter_size_m: Typical d_clutter of InF.
        clutter_density: Share r of the floor that clutter covers: below 0.4 if sparse.
        clutter_height_m: Effective h_c, up to 10 m.

    Raises:
        ScenarioError: A value outside its range, or one that contradicts the hall.
    """

    kind: Kind
    base_station_height_m: float
    device_height_m: float
    building_height_m: float = 5.0
    street_width_m: float = 20.0
    office: Office = "mixed"
    hall: Hall = "sh"
    clutter_size_m: float = 10.0
    clutter_density: float = 0.2
    clutter_height_m: float = 6.0

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, get_args(Kind))
        base, device = _HEIGHTS_M[self.kind]
        _within(
            "base_station_height_m", self.base_station_height_m, base, open_below=base[0] <= 1.0
        )
        _within("device_height_m", self.device_height_m, device, open_below=device[0] == 0.0)
        if self.kind == "rma":
            _within("building_height_m", self.building_height_m, (5.0, 50.0))
            _within("street_width_m", self.street_width_m, (5.0, 50.0))
        elif self.kind == "inh":
            _one_of("office", self.office, get_args(Office))
        elif self.kind == "inf":
            _one_of("hall", self.hall, get_args(Hall))
            _check_hall(self)

    def check(
        self,
        distance_2d_m: float | None = None,
        carrier_hz: float | None = None,
        los: bool | None = None,
    ) -> None:
        """Raise ScenarioError if a link lies outside the model's range (Table 7.4.1-1).

        ``los`` picks the range of that state; without it both must hold.
        """
        if self.kind == "inf" and self.hall == "hh" and los is False:
            raise ScenarioError("a hall of kind hh has line of sight everywhere; los", value=los)
        if distance_2d_m is not None:
            _within("distance_2d_m", distance_2d_m, distance_range_m(self, los), of=self.kind)
        if carrier_hz is not None:
            _within("carrier_hz", carrier_hz, carrier_range_hz(self), of=self.kind)


def distance_range_m(environment: Environment, los: bool | None = None) -> Range:
    """Shortest and longest horizontal distance in m of the path loss (Table 7.4.1-1).

    10 m to 5 km outdoors, in RMa with line of sight to 10 km; indoors the table bounds the 3-D
    distance, 1 to 150 m (InH) or 600 m (InF), so that the horizontal one depends on the heights.
    Without ``los`` the range that holds for both states.
    """
    if environment.kind in _LONGEST_3D_M:
        drop_m = environment.base_station_height_m - environment.device_height_m
        longest_m = _LONGEST_3D_M[environment.kind]
        return _leg_m(1.0, drop_m), _leg_m(longest_m, drop_m)
    return 10.0, 10_000.0 if environment.kind == "rma" and los else 5000.0


def carrier_range_hz(environment: Environment) -> Range:
    """Lowest and highest carrier in Hz: 0.5 to 100 GHz, RMa to 30 GHz (Table 7.4.1-1, note 2)."""
    return 0.5e9, 30e9 if environment.kind == "rma" else 100e9


def of_outdoor_sites(table: dict[str, float], environment: Environment) -> float:
    """The kind's entry; raises ScenarioError if its base station is indoors itself."""
    if environment.kind not in table:
        message = "outdoor-to-indoor loss is for base stations outdoors"
        raise ScenarioError(message, value=environment.kind, choices=tuple(table))
    return table[environment.kind]


def _leg_m(hypotenuse_m: float, other_m: float) -> float:
    return math.sqrt(max(hypotenuse_m**2 - other_m**2, 0.0))


def _check_hall(place: Environment) -> None:
    """Table 7.2-4: how heights and density go with the kind of hall."""
    _within("clutter_height_m", place.clutter_height_m, (0.0, 10.0))
    _within("clutter_size_m", place.clutter_size_m, (0.0, math.inf), open_below=True)
    if not 0.0 < place.clutter_density < 1.0:
        raise ScenarioError("clutter_density lies between 0 and 1", value=place.clutter_density)
    dense = place.clutter_density >= _DENSE_FROM
    if place.hall != "hh" and dense != place.hall.startswith("d"):
        message = f"hall {place.hall}: clutter is dense from a density of {_DENSE_FROM} on"
        raise ScenarioError(f"{message}; clutter_density", value=place.clutter_density)
    top_m = place.clutter_height_m
    _side_of_clutter("base_station_height_m", place.base_station_height_m, top_m, place.hall, "l")
    _side_of_clutter("device_height_m", place.device_height_m, top_m, place.hall, "lh")


def _side_of_clutter(name: str, height_m: float, top_m: float, hall: Hall, low: str) -> None:
    """Antennas of a hall whose kind's first letters ask for it stand within the clutter."""
    embedded = hall != "hh" and hall[1] in low
    if (height_m < top_m) != embedded:
        side = "below" if embedded else "not below"
        message = f"hall {hall}: {name} must be {side} the clutter ({top_m:g} m)"
        raise ScenarioError(message, value=height_m)


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ScenarioError(f"no such {name}", value=value, choices=choices)


def _within(
    name: str, value: float, bounds: Range, *, open_below: bool = False, of: str = ""
) -> None:
    """Raise ScenarioError naming value and range; NaN lies in none."""
    low, high = bounds
    if (low < value if open_below else low <= value) and value <= high:
        return
    prefix = f"{of}: " if of else ""
    start = f"above {low:g}" if open_below else f"from {low:g}"
    raise ScenarioError(f"{prefix}{name} lies {start} to {high:g}", value=value)
