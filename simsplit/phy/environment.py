"""The surroundings of a link by 3GPP TR 38.901 V17/V18: heights, ranges, and walls around a device.

Left out of the loss into buildings (clause 7.4.3.1): the single-number model for backward
compatibility below 6 GHz (Table 7.4.3-3), cars (clause 7.4.3.2), and V19's new figures for IRR
glass. NumPy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from simsplit.errors import ScenarioError

Kind = Literal["umi", "uma", "rma", "inh", "inf"]
Office = Literal["mixed", "open"]
Hall = Literal["sl", "dl", "sh", "dh", "hh"]
Wall = Literal["low", "high"]
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
_SLACK = 1e-9  # of a range's end: a place on a ring at the limit is off it by a rounding
_PENETRATION_SIGMA_DB = {"low": 4.4, "high": 6.5}  # Table 7.4.3-2
_GLASS = {"low": (2.0, 0.2, 0.3), "high": (23.0, 0.3, 0.7)}  # dB, dB/GHz, share of the wall
_DB_PER_M = 0.5  # Table 7.4.3-2: PL_in
_DEEPEST_M = {"umi": 25.0, "uma": 25.0, "rma": 10.0}  # clause 7.4.3.1: way indoors

# --- environments and their ranges ------------------------------------------------------------


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
        *,
        beyond: bool = False,
    ) -> None:
        """Raise ScenarioError if a link lies outside the model's range (Table 7.4.1-1).

        ``los`` picks the range of that state; without it both must hold. ``beyond`` allows any
        distance above the shortest.
        """
        if self.kind == "inf" and self.hall == "hh" and los is False:
            raise ScenarioError("a hall of kind hh has line of sight everywhere; los", value=los)
        if distance_2d_m is not None:
            low_m, high_m = distance_range_m(self, los)
            bounds = (low_m, math.inf if beyond else high_m)
            _within("distance_2d_m", distance_2d_m, bounds, of=self.kind)
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


def _leg_m(hypotenuse_m: float, other_m: float) -> float:
    return math.sqrt(max(hypotenuse_m**2 - other_m**2, 0.0))


def _check_hall(environment: Environment) -> None:
    """Table 7.2-4: how heights and density go with the kind of hall."""
    _within("clutter_height_m", environment.clutter_height_m, (0.0, 10.0))
    _within("clutter_size_m", environment.clutter_size_m, (0.0, math.inf), open_below=True)
    if not 0.0 < environment.clutter_density < 1.0:
        raise ScenarioError(
            "clutter_density lies between 0 and 1", value=environment.clutter_density
        )
    dense = environment.clutter_density >= _DENSE_FROM
    if environment.hall != "hh" and dense != environment.hall.startswith("d"):
        message = f"hall {environment.hall}: clutter is dense from a density of {_DENSE_FROM} on"
        raise ScenarioError(f"{message}; clutter_density", value=environment.clutter_density)
    top_m = environment.clutter_height_m
    _side_of_clutter(
        "base_station_height_m", environment.base_station_height_m, top_m, environment.hall, "l"
    )
    _side_of_clutter("device_height_m", environment.device_height_m, top_m, environment.hall, "lh")


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
    """Raise ScenarioError with the value and its range; NaN lies in none."""
    low, high = bounds
    above = low < value if open_below else low * (1.0 - _SLACK) <= value
    if above and value <= high * (1.0 + _SLACK):
        return
    prefix = f"{of}: " if of else ""
    start = f"above {low:g}" if open_below else f"from {low:g}"
    raise ScenarioError(f"{prefix}{name} lies {start} to {high:g}", value=value)


# --- walls: from outdoors to indoors ----------------------------------------------------------


def of_outdoor_sites(table: dict[str, float], environment: Environment) -> float:
    """The kind's entry; raises ScenarioError if its base station is indoors itself."""
    if environment.kind not in table:
        message = "outdoor-to-indoor loss is for base stations outdoors"
        raise ScenarioError(message, value=environment.kind, choices=tuple(table))
    return table[environment.kind]


def o2i_loss_db(kind: Wall, carrier_hz: float, indoor_depth_m: float) -> float:
    """Mean penetration loss in dB, PL_tw + PL_in (TR 38.901 eq. 7.4-3, Tables 7.4.3-1 and -2).

    Args:
        kind: ``low``: 30 % standard glass, 70 % concrete; ``high``: 70 % IRR glass, 30 % concrete.
        indoor_depth_m: Way indoors, d_2D-in; costs 0.5 dB/m.

    Raises:
        ScenarioError: No such kind, depth negative or above 25 m, carrier not in 0.5-100 GHz.
    """
    if kind not in _GLASS:
        raise ScenarioError("no such penetration model", value=kind, choices=tuple(_GLASS))
    if not 0.0 <= indoor_depth_m <= 25.0:
        raise ScenarioError("indoor_depth_m lies from 0 to 25 m", value=indoor_depth_m)
    if not 0.5e9 <= carrier_hz <= 100e9:
        raise ScenarioError("carrier_hz lies from 0.5 to 100 GHz", value=carrier_hz)
    ghz = carrier_hz / 1e9
    offset_db, slope_db, share = _GLASS[kind]
    glass = share * 10.0 ** (-0.1 * (offset_db + slope_db * ghz))
    concrete = (1.0 - share) * 10.0 ** (-0.1 * (5.0 + 4.0 * ghz))
    return 5.0 - 10.0 * math.log10(glass + concrete) + _DB_PER_M * indoor_depth_m


def draw_indoor_depth_m(environment: Environment, rng: np.random.Generator) -> float:
    """Way indoors d_2D-in of one device (clause 7.4.3.1): the lesser of two uniform draws.

    Up to 25 m for UMi and UMa, 10 m for RMa. Raises ScenarioError for base stations indoors.
    """
    deepest_m = of_outdoor_sites(_DEEPEST_M, environment)
    return deepest_m * float(rng.random(2).min())


@dataclass(frozen=True, slots=True)
class Indoors:
    """The way that one device's link takes inside its building, the same to every site.

    Attributes:
        depth_m: d_2D-in, specific to the device (TR 38.901 clause 7.4.3.1).
        wall_db: PL_tw and N(0, sigma_P^2) of the device.
    """

    depth_m: float
    wall_db: float

    def outdoor_m(self, distance_2d_m: float) -> float:
        """d_2D-out = d_2D - d_2D-in in m; 0 if the whole of a link this short is indoors."""
        return max(distance_2d_m - self.depth_m, 0.0)

    def loss_db(self, distance_2d_m: float) -> float:
        """Penetration loss in dB: PL_tw + PL_in + N(0, sigma_P^2) (equation 7.4-2)."""
        return self.wall_db + _DB_PER_M * min(self.depth_m, distance_2d_m)


def draw_indoors(
    kind: Wall, environment: Environment, carrier_hz: float, rng: np.random.Generator
) -> Indoors:
    """Depth and wall of one device: random depth, N(0, sigma_P^2) about the wall's mean loss.

    Raises:
        ScenarioError: As `o2i_loss_db`; base station indoors; ``high`` in RMa, which has only the
            low-loss model (clause 7.4.3.1).
    """
    if environment.kind == "rma" and kind != "low":
        raise ScenarioError("rma has the low-loss penetration model only", value=kind)
    environment.check(carrier_hz=carrier_hz)
    depth_m = draw_indoor_depth_m(environment, rng)
    wall_db = o2i_loss_db(kind, carrier_hz, 0.0)
    return Indoors(depth_m, wall_db + _PENETRATION_SIGMA_DB[kind] * float(rng.standard_normal()))
