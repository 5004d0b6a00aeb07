"""Path loss, line of sight and shadowing of 3GPP TR 38.901 V17/V18; penetration is handed through.

Everything is for one link and one frequency and raises ScenarioError outside the range the report
gives; nothing is extrapolated unless asked for. Left out: the optional NLOS laws of Table 7.4.1-1.
Free space and log-distance laws are in `simsplit.phy.fading`. NumPy only.
"""

from __future__ import annotations

import math

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.phy.environment import (
    DEFAULT_HEIGHTS_M,
    Environment,
    Indoors,
    carrier_range_hz,
    distance_range_m,
    draw_indoor_depth_m,
    draw_indoors,
    o2i_loss_db,
    of_outdoor_sites,
)

__all__ = [
    "DEFAULT_HEIGHTS_M",
    "CorrelatedNormal",
    "Environment",
    "Indoors",
    "breakpoint_m",
    "carrier_range_hz",
    "distance_range_m",
    "draw_environment_height_m",
    "draw_indoor_depth_m",
    "draw_indoors",
    "los_correlation_m",
    "los_probability",
    "o2i_loss_db",
    "path_loss_db",
    "shadowing_correlation_m",
    "shadowing_sigma_db",
]

_Law = tuple[float, float, float]
"""a, b, c of a + b log10(d_3D / m) + c log10(f / GHz)."""

_C_MPS = 3.0e8  # the breakpoints of Table 7.4.1-1 fix it so (notes 1 and 5)
_FIRST_HIGH_M = 13.0  # devices above it see UMa over the roofs
_LOS: dict[str, _Law] = {
    "umi": (32.4, 21.0, 20.0),
    "uma": (28.0, 22.0, 20.0),
    "inh": (32.4, 17.3, 20.0),
    "inf": (31.84, 21.5, 19.0),
}
_NLOS: dict[str, tuple[_Law, ...]] = {
    "umi": ((22.4, 35.3, 21.3),),
    "uma": ((13.54, 39.08, 20.0),),
    "inh": ((17.3, 38.3, 24.9),),
    "sl": ((33.0, 25.5, 20.0),),
    "dl": ((18.6, 35.7, 20.0), (33.0, 25.5, 20.0)),
    "sh": ((32.4, 23.0, 20.0),),
    "dh": ((33.63, 21.9, 20.0),),
}
_HEIGHT_DB_PER_M = {"umi": 0.3, "uma": 0.6}


# --- path loss --------------------------------------------------------------------------------


def path_loss_db(
    environment: Environment,
    distance_2d_m: float,
    carrier_hz: float,
    los: bool,
    environment_height_m: float | None = None,
    *,
    beyond: bool = False,
) -> float:
    """Path loss in dB without shadowing (TR 38.901 Table 7.4.1-1).

    Args:
        distance_2d_m: Horizontal distance d_2D; of a device indoors the whole of it (eq. 7.4-2).
        los: Whether the device is in line of sight; NLOS loss is never below LOS loss.
        environment_height_m: h_E of UMa (note 1), 1 m for devices up to 13 m; needed above, where
            `draw_environment_height_m` draws it.
        beyond: Continue the law past the longest distance it is made for.

    Raises:
        ScenarioError: Distance, carrier or a height outside the range of the model; NLOS in a hall
            of kind ``hh``, which knows none.
    """
    environment.check(distance_2d_m, carrier_hz, los, beyond=beyond)
    height_m = _environment_height_m(environment, environment_height_m)
    drop_m = environment.base_station_height_m - environment.device_height_m
    distance_3d_m = math.hypot(distance_2d_m, drop_m)
    if environment.kind == "rma":
        return _rma_db(environment, distance_2d_m, distance_3d_m, carrier_hz, los)
    bend_m = breakpoint_m(environment, carrier_hz, height_m)
    los_db = _law_db(_LOS[environment.kind], distance_3d_m, carrier_hz)
    if distance_2d_m > bend_m:
        slope = _LOS[environment.kind][1]
        los_db += (40.0 - slope) * math.log10(distance_3d_m / math.hypot(bend_m, drop_m))
    return los_db if los else max(los_db, _nlos_db(environment, distance_3d_m, carrier_hz))


def _law_db(law: _Law, distance_3d_m: float, carrier_hz: float) -> float:
    return law[0] + law[1] * math.log10(distance_3d_m) + law[2] * math.log10(carrier_hz / 1e9)


def _nlos_db(environment: Environment, distance_3d_m: float, carrier_hz: float) -> float:
    """PL'_NLOS of UMi, UMa, InH and InF; for DL the greater of DL and SL."""
    kind = environment.hall if environment.kind == "inf" else environment.kind
    gain_db = _HEIGHT_DB_PER_M.get(kind, 0.0) * (environment.device_height_m - 1.5)
    return max(_law_db(law, distance_3d_m, carrier_hz) for law in _NLOS[kind]) - gain_db


def breakpoint_m(
    environment: Environment, carrier_hz: float, environment_height_m: float = 1.0
) -> float:
    """Horizontal distance in m where the LOS law bends (Table 7.4.1-1, notes 1 and 5).

    d'_BP = 4 (h_BS - h_E) (h_UT - h_E) f / c for UMi and UMa, d_BP = 2 pi h_BS h_UT f / c for RMa;
    infinite indoors, where the law does not bend.
    """
    base_m, device_m = environment.base_station_height_m, environment.device_height_m
    if environment.kind == "rma":
        return 2.0 * math.pi * base_m * device_m * carrier_hz / _C_MPS
    if environment.kind in ("umi", "uma"):
        area_m2 = (base_m - environment_height_m) * (device_m - environment_height_m)
        return 4.0 * area_m2 * carrier_hz / _C_MPS
    return math.inf


def _rma_db(
    environment: Environment,
    distance_2d_m: float,
    distance_3d_m: float,
    carrier_hz: float,
    los: bool,
) -> float:
    bend_m = breakpoint_m(environment, carrier_hz)
    if distance_2d_m <= bend_m:
        los_db = _rma_near_db(environment, distance_3d_m, carrier_hz)
    else:
        los_db = _rma_near_db(environment, bend_m, carrier_hz)
        los_db += 40.0 * math.log10(distance_3d_m / bend_m)
    return los_db if los else max(los_db, _rma_nlos_db(environment, distance_3d_m, carrier_hz))


def _rma_near_db(environment: Environment, distance_3d_m: float, carrier_hz: float) -> float:
    """PL_1 of RMa."""
    roof_m = environment.building_height_m
    roughness = math.pow(roof_m, 1.72)
    log_distance = math.log10(distance_3d_m)
    free_db = 20.0 * (math.log10(40.0 * math.pi / 3.0 * carrier_hz / 1e9) + log_distance)
    roofs_db = min(0.03 * roughness, 10.0) * log_distance - min(0.044 * roughness, 14.77)
    return free_db + roofs_db + 0.002 * math.log10(roof_m) * distance_3d_m


def _rma_nlos_db(environment: Environment, distance_3d_m: float, carrier_hz: float) -> float:
    """PL'_NLOS of RMa."""
    base_m, roof_m = environment.base_station_height_m, environment.building_height_m
    log_base = math.log10(base_m)
    town_db = 7.5 * math.log10(roof_m) - 7.1 * math.log10(environment.street_width_m)
    base_db = -(24.37 - 3.7 * (roof_m / base_m) ** 2) * log_base
    slope_db = (43.42 - 3.1 * log_base) * (math.log10(distance_3d_m) - 3.0)
    device_db = 4.97 - 3.2 * math.log10(11.75 * environment.device_height_m) ** 2
    carrier_db = 20.0 * math.log10(carrier_hz / 1e9)
    return 161.04 + town_db + base_db + slope_db + carrier_db + device_db


def _environment_height_m(environment: Environment, given_m: float | None) -> float:
    """h_E: what is given, or the 1 m that is certain for low devices."""
    is_random = environment.kind == "uma" and environment.device_height_m > _FIRST_HIGH_M
    if given_m is None and not is_random:
        return 1.0
    if given_m is None:
        message = "UMa devices above 13 m need an environment height; device_height_m"
        raise ScenarioError(message, value=environment.device_height_m)
    lower_m = min(environment.base_station_height_m, environment.device_height_m)
    if environment.kind != "uma" or not 1.0 <= given_m < lower_m:
        message = "environment_height_m is UMa's, from 1 m to below both antennas"
        raise ScenarioError(message, value=given_m)
    return given_m


def draw_environment_height_m(
    environment: Environment, distance_2d_m: float, rng: np.random.Generator
) -> float:
    """h_E of one UMa link (note 1): 1 m with probability 1 / (1 + C), or one of 12, 15, ... m.

    The latter are equally likely, up to 1.5 m below the device (12 m alone if it is lower). Raises
    ScenarioError for other kinds, which know no such height.
    """
    if environment.kind != "uma":
        raise ScenarioError("uma alone has a random environment height", value=environment.kind)
    environment.check(distance_2d_m, beyond=True)
    excess = _over_roofs(environment.device_height_m) * _roof_share(distance_2d_m)
    if rng.random() * (1.0 + excess) < 1.0:
        return 1.0
    choices = max(1, int((environment.device_height_m - 13.5) // 3.0) + 1)
    return 12.0 + 3.0 * int(rng.integers(choices))


def _over_roofs(device_m: float) -> float:
    """C'(h_UT) of Table 7.4.2-1."""
    return math.pow(max(device_m - _FIRST_HIGH_M, 0.0) / 10.0, 1.5)


def _roof_share(distance_2d_m: float) -> float:
    """g(d_2D) of note 1; the LOS probability of UMa has the same."""
    if distance_2d_m <= 18.0:
        return 0.0
    return 1.25 * (distance_2d_m / 100.0) ** 3 * math.exp(-distance_2d_m / 150.0)


# --- line of sight ----------------------------------------------------------------------------


def los_probability(environment: Environment, distance_2d_m: float) -> float:
    """Probability of line of sight (TR 38.901 Table 7.4.2-1).

    Args:
        distance_2d_m: Horizontal distance; of a device indoors d_2D-out, the part outdoors.

    Raises:
        ScenarioError: Distance negative.
    """
    if not distance_2d_m >= 0.0:
        raise ScenarioError("distance must not be negative", value=distance_2d_m)
    match environment.kind:
        case "umi":
            return _street_los(distance_2d_m, 36.0)
        case "uma":
            rise = _over_roofs(environment.device_height_m) * _roof_share(distance_2d_m)
            return _street_los(distance_2d_m, 63.0) * (1.0 + rise)
        case "rma":
            return math.exp(-max(distance_2d_m - 10.0, 0.0) / 1000.0)
        case "inh":
            is_open = environment.office == "open"
            return (_open_office_los if is_open else _mixed_office_los)(distance_2d_m)
        case "inf":
            return _hall_los(environment, distance_2d_m)


def _street_los(distance_2d_m: float, decay_m: float) -> float:
    if distance_2d_m <= 18.0:
        return 1.0
    near = 18.0 / distance_2d_m
    return near + math.exp(-distance_2d_m / decay_m) * (1.0 - near)


def _mixed_office_los(distance_2d_m: float) -> float:
    if distance_2d_m >= 6.5:
        return 0.32 * math.exp(-(distance_2d_m - 6.5) / 32.6)
    return math.exp(-max(distance_2d_m - 1.2, 0.0) / 4.7)


def _open_office_los(distance_2d_m: float) -> float:
    if distance_2d_m > 49.0:
        return 0.54 * math.exp(-(distance_2d_m - 49.0) / 211.7)
    return math.exp(-max(distance_2d_m - 5.0, 0.0) / 70.8)


def _hall_los(environment: Environment, distance_2d_m: float) -> float:
    """exp(-d / k_subsce); one in a hall of kind ``hh``."""
    if environment.hall == "hh":
        return 1.0
    reach_m = -environment.clutter_size_m / math.log1p(-environment.clutter_density)
    if environment.hall in ("sh", "dh"):
        over_m = environment.base_station_height_m - environment.device_height_m
        reach_m *= over_m / (environment.clutter_height_m - environment.device_height_m)
    return math.exp(-distance_2d_m / reach_m)


def los_correlation_m(environment: Environment) -> float:
    """Distance in m over which the LOS state correlates (Table 7.6.3.1-2, LOS/NLOS state)."""
    if environment.kind == "inf":
        return environment.clutter_size_m / 2.0
    return {"umi": 50.0, "uma": 50.0, "rma": 60.0, "inh": 10.0}[environment.kind]


# --- shadowing --------------------------------------------------------------------------------

_SIGMA_DB = {  # Table 7.4.1-1: (LOS, NLOS); RMa's LOS before the breakpoint
    "umi": (4.0, 7.82),
    "uma": (4.0, 6.0),
    "rma": (4.0, 8.0),
    "inh": (3.0, 8.03),
    "sl": (4.3, 5.7),
    "dl": (4.3, 7.2),
    "sh": (4.3, 5.9),
    "dh": (4.3, 4.0),
    "hh": (4.3, 4.3),
}
_INDOOR_SIGMA_DB = {"umi": 7.0, "uma": 7.0, "rma": 8.0}  # Table 7.5-6, O2I
_CORRELATION_M = {  # Table 7.5-6, SF: (LOS, NLOS)
    "umi": (10.0, 13.0),
    "uma": (37.0, 50.0),
    "rma": (37.0, 120.0),
    "inh": (10.0, 6.0),
    "inf": (10.0, 10.0),
}
_INDOOR_CORRELATION_M = {"umi": 7.0, "uma": 7.0, "rma": 120.0}


def shadowing_sigma_db(
    environment: Environment,
    los: bool,
    distance_2d_m: float,
    carrier_hz: float,
    indoor: bool = False,
    *,
    beyond: bool = False,
) -> float:
    """Standard deviation of log-normal shadowing in dB (Table 7.4.1-1; indoors Table 7.5-6, O2I).

    ``beyond`` as of `path_loss_db`.

    Raises:
        ScenarioError: As `path_loss_db`; ``indoor`` where the base station is indoors itself.
    """
    environment.check(distance_2d_m, carrier_hz, los, beyond=beyond)
    if indoor:
        return of_outdoor_sites(_INDOOR_SIGMA_DB, environment)
    if environment.kind == "rma" and los and distance_2d_m > breakpoint_m(environment, carrier_hz):
        return 6.0
    kind = environment.hall if environment.kind == "inf" else environment.kind
    return _SIGMA_DB[kind][0 if los else 1]


def shadowing_correlation_m(environment: Environment, los: bool, indoor: bool = False) -> float:
    """Correlation distance of shadowing in the horizontal plane in m (Table 7.5-6).

    Raises ScenarioError for ``indoor`` where the base station is indoors itself.
    """
    if indoor:
        return of_outdoor_sites(_INDOOR_CORRELATION_M, environment)
    return _CORRELATION_M[environment.kind][0 if los else 1]


class CorrelatedNormal:
    """A standard normal that changes with the way travelled: autocorrelation exp(-delta / d_cor).

    Gudmundson, Electronics Letters 27(23), 1991; TR 38.901 eq. 7.4-5. It is exact for any steps, as
    an Ornstein-Uhlenbeck process sampled where it is asked for; the way must not go back.

    Args:
        correlation_m: d_cor.
        rng: Its own generator: one value per new distance.

    Raises:
        ScenarioError: Correlation distance not positive.
    """

    def __init__(self, correlation_m: float, rng: np.random.Generator) -> None:
        if not correlation_m > 0.0:
            raise ScenarioError("correlation distance must be positive", value=correlation_m)
        self._correlation_m = correlation_m
        self._rng = rng
        self._travelled_m = -math.inf
        self._value = 0.0

    def at(self, travelled_m: float) -> float:
        """Value after so many metres of way; raises ScenarioError if the way goes back."""
        step_m = travelled_m - self._travelled_m
        if step_m < 0.0:
            raise ScenarioError("the way travelled must not shrink", value=travelled_m)
        if step_m > 0.0:
            rho = math.exp(-step_m / self._correlation_m)
            fresh = math.sqrt(-math.expm1(-2.0 * step_m / self._correlation_m))
            self._value = rho * self._value + fresh * float(self._rng.standard_normal())
            self._travelled_m = travelled_m
        return self._value
