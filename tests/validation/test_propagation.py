"""TR 38.901's path loss, line of sight, shadowing and penetration against truths of their own.

Path losses are recomputed here as products of powers (Table 7.4.1-1 in linear form: two slopes that
meet at the breakpoint), and compared with the figures of ns-3's test suite and with Sionna.
Statistical tests: fixed seeds, 99 % intervals, because there are several of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from simsplit.messages import Scheme
from simsplit.phy import propagation
from simsplit.phy.environment import (
    DEFAULT_HEIGHTS_M,
    Environment,
    distance_range_m,
    draw_indoors,
    o2i_loss_db,
)
from simsplit.phy.propagation import CorrelatedNormal
from simsplit.seeds import generator
from simsplit.study.worlds import toy_plan, toy_world

EXACT_DB = 1e-3
C_MPS = 3.0e8


def place(kind: Any, base_m: float, device_m: float, **more: Any) -> Environment:
    return Environment(kind, base_m, device_m, **more)


UMI, UMA, RMA = place("umi", 10, 1.5), place("uma", 25, 1.5), place("rma", 35, 1.5)
INH = place("inh", 3, 1)
TOWN = place("rma", 30, 2, building_height_m=20, street_width_m=10)
HALLS = {
    "sl": place("inf", 1.5, 1.5, hall="sl", clutter_height_m=2),
    "dl": place("inf", 1.5, 1.5, hall="dl", clutter_size_m=2, clutter_density=0.6),
    "sh": place("inf", 8, 1.5, hall="sh", clutter_height_m=2),
    "dh": place("inf", 8, 1.5, hall="dh", clutter_size_m=2, clutter_density=0.6),
    "hh": place("inf", 8, 7, hall="hh"),
}

# --- path loss in linear form -----------------------------------------------------------------


def slant_m(environment: Environment, distance_m: float) -> float:
    drop_m = environment.base_station_height_m - environment.device_height_m
    return abs(complex(distance_m, drop_m))


def street_ratio(environment: Environment, distance_m: float, ghz: float, los: bool) -> float:
    """UMi and UMa: (4 pi f / c)^2 times a power of the distance, two slopes; h_E = 1 m."""
    is_micro = environment.kind == "umi"
    scale, power = (10**3.24, 2.1) if is_micro else (10**2.8, 2.2)
    wave_m = C_MPS / (ghz * 1e9)
    over_m2 = (environment.base_station_height_m - 1) * (environment.device_height_m - 1)
    bend_m, way_m = 4 * over_m2 / wave_m, slant_m(environment, distance_m)
    if distance_m < bend_m:
        ratio = scale * ghz**2 * way_m**power
    else:
        at_bend_m = slant_m(environment, bend_m)
        ratio = scale * ghz**2 * at_bend_m**power * (way_m / at_bend_m) ** 4
    if los:
        return ratio
    shade = 10**2.24 * way_m**3.53 * ghz**2.13 if is_micro else 10**1.354 * way_m**3.908 * ghz**2
    per_m = 10**-0.03 if is_micro else 10**-0.06
    return max(ratio, shade * per_m ** (environment.device_height_m - 1.5))


def rural_ratio(environment: Environment, distance_m: float, ghz: float, los: bool) -> float:
    """RMa: Friis' law with c = 3e8 m/s, roofs, a fourth power beyond the breakpoint."""
    base_m, device_m = environment.base_station_height_m, environment.device_height_m
    roof_m, street_m = environment.building_height_m, environment.street_width_m

    def near(way_m: float) -> float:
        friis = (4 * math.pi * way_m * ghz * 1e9 / C_MPS) ** 2
        rough = roof_m**1.72
        roofs = way_m ** min(0.003 * rough, 1.0) / 10 ** min(0.0044 * rough, 1.477)
        return friis * roofs * roof_m ** (0.0002 * way_m)

    bend_m = 2 * math.pi * base_m * device_m * ghz * 1e9 / C_MPS
    way_m = slant_m(environment, distance_m)
    ratio = near(way_m) if distance_m < bend_m else near(bend_m) * (way_m / bend_m) ** 4
    if los:
        return ratio
    shade = 10**16.104 * street_m**-0.71 * roof_m**0.75 * ghz**2
    shade *= base_m ** -(2.437 - 0.37 * (roof_m / base_m) ** 2)
    shade *= (way_m / 1000) ** (4.342 - 0.31 * math.log10(base_m))
    shade *= 10**0.497 / (11.75 * device_m) ** (0.32 * math.log10(11.75 * device_m))
    return max(ratio, shade)


def office_ratio(environment: Environment, distance_m: float, ghz: float, los: bool) -> float:
    way_m = slant_m(environment, distance_m)
    ratio = 10**3.24 * way_m**1.73 * ghz**2
    return ratio if los else max(ratio, 10**1.73 * way_m**3.83 * ghz**2.49)


def hall_ratio(environment: Environment, distance_m: float, ghz: float, los: bool) -> float:
    way_m = slant_m(environment, distance_m)
    ratio = 10**3.184 * way_m**2.15 * ghz**1.9
    shades = {
        "sl": (10**3.3 * way_m**2.55,),
        "dl": (10**3.3 * way_m**2.55, 10**1.86 * way_m**3.57),
        "sh": (10**3.24 * way_m**2.3,),
        "dh": (10**3.363 * way_m**2.19,),
    }
    return ratio if los else max(ratio, *(s * ghz**2 for s in shades[environment.hall]))


Ratio = Callable[[Environment, float, float, bool], float]
RATIOS: dict[str, Ratio] = {
    "umi": street_ratio,
    "uma": street_ratio,
    "rma": rural_ratio,
    "inh": office_ratio,
    "inf": hall_ratio,
}
POINTS = [
    *((UMI, d, f) for d, f in ((10, 0.5), (35, 28), (96, 3.5), (250, 3.5), (900, 6), (5000, 100))),
    (place("umi", 10, 12), 180.0, 3.5),
    *((UMA, d, f) for d, f in ((10, 0.8), (100, 3.5), (555, 3.5), (600, 3.5), (5000, 60))),
    (place("uma", 30, 12.9), 700.0, 2.0),
    *((RMA, d, f) for d, f in ((10, 0.7), (300, 3.5), (1000, 0.7), (5000, 3.5), (5000, 28))),
    *((TOWN, d, 2.1) for d in (60, 800, 4000)),
    *((INH, d, f) for d, f in ((0.1, 60), (3, 2.4), (20, 28), (149.9, 3.5))),
    *((hall, d, f) for hall in HALLS.values() for d, f in ((2, 3.5), (40, 28), (550, 0.6))),
]


STATES = [
    (*point, los) for point in POINTS for los in (True, False) if point[0].hall != "hh" or los
]


@pytest.mark.parametrize(("environment", "distance_m", "ghz", "los"), STATES)
def test_path_loss(environment: Environment, distance_m: float, ghz: float, los: bool) -> None:
    truth_db = 10 * math.log10(RATIOS[environment.kind](environment, distance_m, ghz, los))
    found_db = propagation.path_loss_db(environment, distance_m, ghz * 1e9, los)
    assert abs(found_db - truth_db) < EXACT_DB


NS3_DB = {  # ns-3, three-gpp-propagation-loss-model test suite: 5 GHz, device at 1.5 m
    ("rma", True): {10: 77.3784, 100: 87.2965, 1000: 108.5577, 10000: 140.3896},
    ("rma", False): {10: 77.3784, 100: 95.7718, 1000: 133.5223, 5000: 160.5169},
    ("uma", True): {10: 72.9380, 100: 86.2362, 1000: 109.7252, 5000: 137.6794},
    ("uma", False): {10: 82.5131, 100: 106.1356, 1000: 144.7641, 5000: 172.0753},
    ("umi", True): {10: 69.8591, 100: 88.4122, 1000: 119.3114, 5000: 147.2696},
    ("umi", False): {10: 76.7563, 100: 107.9432, 1000: 143.1886, 5000: 167.8617},
    ("inh", True): {1: 50.8072, 10: 63.7630, 50: 75.7750, 100: 80.9802},
    ("inh", False): {1: 50.8072, 10: 73.1894, 50: 99.7824, 100: 111.3062},
}


@pytest.mark.parametrize(("kind", "los"), NS3_DB)
def test_path_loss_against_published_figures(kind: str, los: bool) -> None:
    base_m = DEFAULT_HEIGHTS_M[kind][0]
    for distance_m, truth_db in NS3_DB[kind, los].items():
        found_db = propagation.path_loss_db(place(kind, base_m, 1.5), distance_m, 5e9, los)
        assert abs(found_db - truth_db) < EXACT_DB


def second_differences_db(
    environment: Environment, carrier_hz: float, at_m: float, height_m: float | None = None
) -> tuple[float, float]:
    """(jump in dB, change of the slope in dB per decade) of the LOS law within 0.1 % of a place."""
    ways_m = [slant_m(environment, at_m * f) for f in (0.998, 0.999, 1.001, 1.002)]
    values = [
        propagation.path_loss_db(environment, at_m * f, carrier_hz, True, height_m)
        for f in (0.998, 0.999, 1.001, 1.002)
    ]
    decades = [math.log10(b / a) for a, b in pairwise(ways_m)]
    slopes = [(b - a) / d for (a, b), d in zip(pairwise(values), decades, strict=True)]
    return values[2] - values[1], slopes[2] - slopes[0]


@pytest.mark.parametrize(
    ("environment", "carrier_hz", "breakpoint_m", "height_m", "bend_db"),
    [
        (UMI, 3.5e9, 4 * 9 * 0.5 * 3.5e9 / C_MPS, None, 40 - 21),  # 210 m
        (place("umi", 10, 10), 2e9, 4 * 9 * 9 * 2e9 / C_MPS, None, 40 - 21),  # 2160 m
        (UMA, 3.5e9, 4 * 24 * 0.5 * 3.5e9 / C_MPS, None, 40 - 22),  # 560 m
        (place("uma", 25, 20), 3e9, 4 * 24 * 19 * 1e9 / 1e8, 1.0, None),  # beyond 5 km
        (place("uma", 25, 20), 3e9, 4 * 10 * 5 * 1e9 / 1e8, 15.0, 40 - 22),  # 2000 m
        (RMA, 0.7e9, 2 * math.pi * 35 * 1.5 * 0.7e9 / C_MPS, None, None),  # 769.7 m
        (RMA, 3.5e9, 2 * math.pi * 35 * 1.5 * 3.5e9 / C_MPS, None, None),  # 3848.5 m
    ],
)
def test_breakpoint(
    environment: Environment,
    carrier_hz: float,
    breakpoint_m: float,
    height_m: float | None,
    bend_db: float | None,
) -> None:
    """The law is continuous there, and there alone its slope rises to 40 dB per decade."""
    found_m = propagation.breakpoint_m(environment, carrier_hz, height_m or 1.0)
    assert found_m == pytest.approx(breakpoint_m, rel=1e-3)
    if breakpoint_m > distance_range_m(environment, True)[1]:
        return
    jump_db, bend = second_differences_db(environment, carrier_hz, breakpoint_m, height_m)
    assert abs(jump_db) < 0.04
    if bend_db is None:  # RMa: 20 dB + roofs + 0.002 log10(h) d of slope before
        rough = min(0.03 * 5**1.72, 10)
        near = 20 + rough + 0.002 * math.log10(5) * breakpoint_m * math.log(10)
        bend_db = 40 - near
    assert bend == pytest.approx(bend_db, abs=0.1)
    for elsewhere in (0.9, 1.1):
        _, straight = second_differences_db(
            environment, carrier_hz, elsewhere * breakpoint_m, height_m
        )
        assert abs(straight) < 0.1


# --- line of sight ----------------------------------------------------------------------------

HIGH_UMA = place("uma", 25, 21.5)
LOS_POINTS = [  # worked out by hand from Table 7.4.2-1
    (UMI, 18.0, 1.0),
    (UMI, 36.0, 0.5 + 0.5 / math.e),
    (UMI, 72.0, 0.25 + 0.75 / math.e**2),
    (UMA, 63.0, 2 / 7 + 5 / 7 / math.e),
    (UMA, 126.0, 1 / 7 + 6 / 7 / math.e**2),
    (HIGH_UMA, 15.0, 1.0),
    # C' = 0.85^1.5; 5/4 1.5^3 e^-1
    (HIGH_UMA, 150.0, (0.12 + 0.88 * math.e ** (-150 / 63)) * (1 + 0.783661 * 4.21875 / math.e)),
    (RMA, 10.0, 1.0),
    (RMA, 1010.0, 1 / math.e),
    (place("inh", 3, 1, office="open"), 5.0, 1.0),
    (place("inh", 3, 1, office="open"), 40.4, math.e**-0.5),
    (place("inh", 3, 1, office="open"), 260.7, 0.54 / math.e),
    (INH, 1.2, 1.0),
    (INH, 5.9, 1 / math.e),
    (INH, 39.1, 0.32 / math.e),
    (HALLS["sl"], 20.0, 0.8**2),  # (1 - r)^(d / d_clutter)
    (HALLS["dl"], 3.0, 0.4**1.5),
    (HALLS["sh"], 65.0, 0.8**0.5),  # reach 13 times as long: (8 - 1.5) / (2 - 1.5)
    (HALLS["dh"], 13.0 / 4.5, 0.4),
    (HALLS["hh"], 500.0, 1.0),
]


@pytest.mark.parametrize(("environment", "distance_m", "truth"), LOS_POINTS)
def test_line_of_sight(environment: Environment, distance_m: float, truth: float) -> None:
    assert propagation.los_probability(environment, distance_m) == pytest.approx(truth, rel=1e-5)


def test_environment_height_of_high_devices() -> None:
    """Note 1: 1 m with probability 1 / (1 + C), else 12, 15 or 18 m alike (device at 21.5 m)."""
    rng, n = generator(1, 31), 20_000
    drawn = [propagation.draw_environment_height_m(HIGH_UMA, 150.0, rng) for _ in range(n)]
    certain = 1 / (1 + 0.783661 * 4.21875 / math.e)
    expected = {1.0: certain, **dict.fromkeys((12.0, 15.0, 18.0), (1 - certain) / 3)}
    assert set(drawn) == set(expected)
    counts = [drawn.count(height_m) for height_m in expected]
    assert stats.chisquare(counts, [n * p for p in expected.values()]).pvalue > 0.01


# --- shadowing --------------------------------------------------------------------------------


def test_shadowing_is_standard_normal_along_the_way() -> None:
    """5000 devices, two places 20 m apart: N(0, 1) at both, correlation exp(-20 / 37)."""
    pairs = []
    for device in range(5000):
        process = CorrelatedNormal(37.0, generator(2, device))
        start, _, end = (process.at(way_m) for way_m in (0.0, 7.5, 20.0))
        pairs.append((start, end))
    first, last = np.array(pairs).T
    for values in (first, last):
        assert stats.kstest(values, "norm").pvalue > 0.01
    found = stats.pearsonr(first, last).confidence_interval(0.99)
    assert found.low <= math.exp(-20 / 37) <= found.high


def test_shadowing_correlation_over_one_way() -> None:
    """Autocorrelation along 200 km in steps of 1 m: R(delta) = exp(-delta / 13), sigma = 1.

    Bartlett's variance of the sample autocorrelation of an AR(1) process with rho per step:
    ((1 + rho^2) (1 - rho^2k) / (1 - rho^2) - 2 k rho^2k) / n.
    """
    n, rho = 200_000, math.exp(-1 / 13)
    process = CorrelatedNormal(13.0, generator(2, 77))
    values = np.array([process.at(float(d)) for d in range(n)])
    spread = math.sqrt((1 + rho**2) / (1 - rho**2) * 2 / n)  # of the sample variance
    assert abs(values.var() - 1) < 2.58 * spread
    centred = values - values.mean()
    for lag in (1, 5, 13, 40):
        found = float(np.mean(centred[:-lag] * centred[lag:]) / values.var())
        far = rho ** (2 * lag)
        variance = ((1 + rho**2) * (1 - far) / (1 - rho**2) - 2 * lag * far) / n
        assert abs(found - math.exp(-lag / 13)) < 2.58 * math.sqrt(variance)


# --- penetration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "ghz", "depth_m", "truth_db"),
    [  # 5 dB + 0.5 dB/m - 10 log10 of what the wall lets through, materials of Table 7.4.3-1
        ("low", 1.0, 0.0, 5 - 10 * math.log10(0.3 / 10**0.22 + 0.7 / 10**0.9)),
        ("low", 3.5, 10.0, 10 - 10 * math.log10(0.3 / 10**0.27 + 0.7 / 10**1.9)),
        ("low", 28.0, 4.0, 7 - 10 * math.log10(0.3 / 10**0.76 + 0.7 / 10**11.7)),
        ("high", 1.0, 0.0, 5 - 10 * math.log10(0.7 / 10**2.33 + 0.3 / 10**0.9)),
        ("high", 3.5, 20.0, 15 - 10 * math.log10(0.7 / 10**2.405 + 0.3 / 10**1.9)),
        ("high", 28.0, 4.0, 7 - 10 * math.log10(0.7 / 10**3.14 + 0.3 / 10**11.7)),
    ],
)
def test_penetration(kind: Any, ghz: float, depth_m: float, truth_db: float) -> None:
    assert abs(o2i_loss_db(kind, ghz * 1e9, depth_m) - truth_db) < 1e-9


@pytest.mark.parametrize(
    ("kind", "environment", "sigma_db", "deepest_m"),
    [("low", UMI, 4.4, 25), ("high", UMA, 6.5, 25), ("low", RMA, 4.4, 10)],
)
def test_drawn_penetration(
    kind: Any, environment: Environment, sigma_db: float, deepest_m: float
) -> None:
    """Lesser of two uniforms: mean depth D/3, variance D^2/18; so mean and variance of the loss."""
    rng, n = generator(3, 1), 20_000
    wall_db = o2i_loss_db(kind, 3.5e9, 0.0)
    inside = [draw_indoors(kind, environment, 3.5e9, rng) for _ in range(n)]
    drawn = np.array([one.loss_db(5000.0) - wall_db for one in inside])
    variance = sigma_db**2 + (0.5 * deepest_m) ** 2 / 18
    assert abs(drawn.mean() - deepest_m / 6) < 2.58 * math.sqrt(variance / n)
    assert drawn.var() == pytest.approx(variance, rel=2.58 * math.sqrt(2.2 / n))


def standard_los(kind: str, outdoor_m: float) -> float:
    """TR 38.901 Table 7.4.2-1 of devices up to 13 m, typed in from the report."""
    if kind == "rma":
        return 1.0 if outdoor_m <= 10 else math.exp(-(outdoor_m - 10) / 1000)
    decay_m = {"umi_street_canyon": 36.0, "uma": 63.0}[kind]
    if outdoor_m <= 18:
        return 1.0
    return 18 / outdoor_m + math.exp(-outdoor_m / decay_m) * (1 - 18 / outdoor_m)


@pytest.mark.parametrize(
    ("kind", "distance_m", "deepest_m", "truth"),
    [
        ("umi_street_canyon", 30.0, 25.0, 0.905),
        ("umi_street_canyon", 60.0, 25.0, 0.508),
        ("uma", 60.0, 25.0, None),
        ("rma", 1000.0, 10.0, None),
    ],
)
def test_line_of_sight_indoors_goes_by_the_way_out_of_doors(
    kind: str, distance_m: float, deepest_m: float, truth: float | None, monkeypatch: Any
) -> None:
    """Table 7.4.2-1, note: d_2D-out = d_2D - d_2D-in, the path loss keeps the whole (eq. 7.4-2).

    d_2D-in is the lesser of two uniforms on 0 to 25 m (RMa: 10 m), clause 7.4.3.1; n = 3,000 links
    of the whole engine, 99.9 % by the normal law.
    """
    depths_m = np.linspace(0, deepest_m, 100_001)
    weight = deepest_m - depths_m
    chances = [standard_los(kind, d) for d in np.maximum(distance_m - depths_m, 0)]
    expected = float(np.average(chances, weights=weight))
    if truth is not None:
        assert expected == pytest.approx(truth, abs=5e-4)
    seen: list[tuple[float, bool]] = []

    def spy(place: Any, whole_m: float, hz: float, los: bool, *more: Any, **keys: Any) -> float:
        seen.append((whole_m, los))
        return original(place, whole_m, hz, los, *more, **keys)

    original = propagation.path_loss_db
    monkeypatch.setattr(propagation, "path_loss_db", spy)
    for replication in range(3):
        toy_world(
            toy_plan(Scheme.RAW, bits=1000),
            devices=1000,
            replication=replication,
            cell={"channel": {"kind": kind, "shadowing": False, "indoor_share": 1.0}},
            group={"distance_min_m": distance_m, "distance_max_m": distance_m},
        )
    whole_m, los = np.array(seen).T
    assert whole_m == pytest.approx(distance_m)
    noise = math.sqrt(expected * (1 - expected) / len(los))
    assert abs(los.mean() - expected) < 3.29 * noise


# --- Sionna -----------------------------------------------------------------------------------


def sionna_model(environment: Environment, carrier_hz: float) -> Any:
    from sionna.phy.channel import tr38901

    array = tr38901.PanelArray(
        num_rows_per_panel=1,
        num_cols_per_panel=1,
        polarization="single",
        polarization_type="V",
        antenna_pattern="omni",
        carrier_frequency=carrier_hz,
    )
    own: dict[str, dict[str, Any]] = {
        "umi": {"o2i_model": "low"},
        "uma": {"o2i_model": "low"},
        "rma": {
            "average_street_width": environment.street_width_m,
            "average_building_height": environment.building_height_m,
        },
        "inh": {"indoor_scenario": environment.office},
        "inf": {
            "factory_scenario": environment.hall,
            "clutter_density": environment.clutter_density,
            "clutter_size": environment.clutter_size_m,
            "clutter_height": environment.clutter_height_m,
        },
    }
    names = {"umi": "UMi", "uma": "UMa", "rma": "RMa", "inh": "InH", "inf": "InF"}
    return getattr(tr38901, names[environment.kind])(
        carrier_frequency=carrier_hz,
        ut_array=array,
        bs_array=array,
        direction="uplink",
        **own[environment.kind],
    )


def sionna_scenario(
    environment: Environment, carrier_hz: float, distances_m: list[float], los: bool
) -> Any:
    import torch

    model, n = sionna_model(environment, carrier_hz), len(distances_m)
    way = torch.tensor(distances_m)
    height = torch.full((n,), float(environment.device_height_m))
    still = torch.zeros(1, n, 3)
    indoors = environment.kind in ("inh", "inf")
    more = {"in_car": torch.zeros(1, n, dtype=torch.bool)} if environment.kind == "rma" else {}
    model.set_topology(
        ut_loc=torch.stack([way, torch.zeros(n), height], -1)[None],
        bs_loc=torch.tensor([[[0.0, 0.0, float(environment.base_station_height_m)]]]),
        ut_orientations=still,
        bs_orientations=torch.zeros(1, 1, 3),
        ut_velocities=still,
        in_state=torch.full((1, n), indoors),
        los=los,
        **more,
    )
    return model._scenario


@pytest.mark.slow
@pytest.mark.parametrize("carrier_hz", [0.7e9, 3.5e9, 28e9])
@pytest.mark.parametrize(
    "environment",
    [UMI, UMA, RMA, TOWN, INH, place("inh", 3, 1, office="open"), *HALLS.values()],
    ids=lambda e: f"{e.kind}-{e.hall}-{e.office}-{e.device_height_m:g}",
)
def test_against_sionna(environment: Environment, carrier_hz: float) -> None:
    """Sionna's breakpoints use c = 299 792 458 m/s, which moves the far law by 0.006 dB."""
    import torch

    torch.set_num_threads(1)
    low_m, high_m = distance_range_m(environment)
    distances_m = np.geomspace(max(low_m, 1.0), 0.999 * high_m, 40).tolist()
    for los in (True,) if environment.hall == "hh" else (True, False):
        scenario = sionna_scenario(environment, carrier_hz, distances_m, los)
        ours_db = [propagation.path_loss_db(environment, d, carrier_hz, los) for d in distances_m]
        theirs_db = scenario.basic_pathloss[0, 0].numpy()
        assert np.abs(theirs_db - ours_db).max() < 0.02
    if environment.kind in ("inh", "inf"):
        theirs = scenario.los_probability[0, 0].numpy()
    else:
        scenario = sionna_scenario(environment, carrier_hz, distances_m, True)
        theirs = scenario.los_probability[0, 0].numpy()
    ours = [propagation.los_probability(environment, d) for d in distances_m]
    assert np.abs(theirs - ours).max() < 1e-4
