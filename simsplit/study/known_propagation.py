"""The channel's known answers, run through the real engine: part of `simsplit validate`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import integrate

from simsplit.phy.propagation import los_probability
from simsplit.scenario.channel import Uma, UmiStreetCanyon
from simsplit.seeds import Cause, generator
from simsplit.sim.radio.path_loss import StandardLaw
from simsplit.study.worlds import Case, interval_case

_SEED = 20262
_REPLICATIONS, _DEVICES = 20, 500


def indoor_line_of_sight() -> list[Case]:
    """LOS of devices indoors goes by d_2D-out = d_2D - d_2D-in (TR 38.901 Table 7.4.2-1)."""
    umi = UmiStreetCanyon(kind="umi_street_canyon", indoor_share=1.0)
    uma = Uma(kind="uma", indoor_share=1.0)
    cases = []
    for spec, name, distance_m in ((umi, "UMi", 30.0), (umi, "UMi", 60.0), (uma, "UMa", 60.0)):
        law = StandardLaw(spec, 3.5e9)
        expected = mean_over_depths(partial(los_probability, law.environment), distance_m)
        shares = [_los_share(law, distance_m, number) for number in range(_REPLICATIONS)]
        title = f"{name} line of sight indoors at {distance_m:g} m"
        cases.append(interval_case(title, "E[P(d - d_in)]", expected, shares))
    return cases


def mean_over_depths(
    value: Callable[[float], float], distance_m: float, deepest_m: float = 25.0
) -> float:
    """E[value(d_2D - d_2D-in)], d_2D-in being the lesser of two uniforms on [0, deepest_m].

    TR 38.901 clause 7.4.3.1: its density is 2 (D - x) / D^2.
    """
    density = 2.0 / deepest_m**2

    def weighted(x: float) -> float:
        return density * (deepest_m - x) * value(max(distance_m - x, 0.0))

    kinks = [x for x in (distance_m - 18.0, distance_m) if 0.0 < x < deepest_m]
    return float(integrate.quad(weighted, 0.0, deepest_m, points=kinks or None)[0])


def _los_share(law: StandardLaw, distance_m: float, replication: int) -> float:
    """Of devices indoors at this distance, those that the engine gives line of sight."""

    def seen(device: int) -> bool:
        def random(cause: Cause, site: int) -> np.random.Generator:
            return generator(_SEED, replication, device, cause, site)

        return law.is_los(distance_m, 0.0, law.draws(random))

    return float(np.mean([seen(device) for device in range(_DEVICES)]))


CASES = (indoor_line_of_sight,)
