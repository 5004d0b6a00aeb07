"""Penetration loss from outdoors to indoors by 3GPP TR 38.901 V17/V18, clause 7.4.3.1. NumPy only.

Left out: the single-number model for backward compatibility below 6 GHz (Table 7.4.3-3), cars
(clause 7.4.3.2), and V19's new figures for IRR glass.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.phy.environment import Environment, of_outdoor_sites

Wall = Literal["low", "high"]

_PENETRATION_SIGMA_DB = {"low": 4.4, "high": 6.5}  # Table 7.4.3-2
_GLASS = {"low": (2.0, 0.2, 0.3), "high": (23.0, 0.3, 0.7)}  # dB, dB/GHz, share of the wall
_DEEPEST_M = {"umi": 25.0, "uma": 25.0, "rma": 10.0}


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
    return 5.0 - 10.0 * math.log10(glass + concrete) + 0.5 * indoor_depth_m


def draw_indoor_depth_m(environment: Environment, rng: np.random.Generator) -> float:
    """Way indoors d_2D-in of one device (clause 7.4.3.1): the lesser of two uniform draws.

    Up to 25 m for UMi and UMa, 10 m for RMa. Raises ScenarioError for base stations indoors.
    """
    deepest_m = of_outdoor_sites(_DEEPEST_M, environment)
    return deepest_m * float(rng.random(2).min())


def draw_o2i_db(
    kind: Wall, environment: Environment, carrier_hz: float, rng: np.random.Generator
) -> float:
    """Penetration loss in dB of one device: random depth, N(0, sigma_P^2) about the mean loss.

    Raises:
        ScenarioError: As `o2i_loss_db`; base station indoors; ``high`` in RMa, which has only the
            low-loss model (clause 7.4.3.1).
    """
    if environment.kind == "rma" and kind != "low":
        raise ScenarioError("rma has the low-loss penetration model only", value=kind)
    environment.check(carrier_hz=carrier_hz)
    mean_db = o2i_loss_db(kind, carrier_hz, draw_indoor_depth_m(environment, rng))
    return mean_db + _PENETRATION_SIGMA_DB[kind] * float(rng.standard_normal())
