"""The frame of 5G NR: numerologies, resource blocks, duplex pattern, and what of a slot is data.

What is here: slots of normal cyclic prefix for mu = 0 to 3 (TS 38.211 clauses 4.2, 4.3.2), the
resource blocks of a channel (TS 38.101-1 and -2 Table 5.3.2-1), FDD, one repeated TDD pattern with
one kind of special slot (TS 38.213 clause 11.1), and the resource elements that control and
demodulation pilots take from PUSCH and PDSCH of mapping type A (TS 38.211 clauses 6.4.1.1.3 and
7.4.1.1.2, DMRS type 1, single-symbol).

The other half of the standard is left out:

- extended cyclic prefix, and the longer prefix of every half millisecond's first symbol (TS 38.211
  clause 5.3.1): a symbol is 1/14 of a slot;
- mu = 4 to 6, FR2-2, 3 MHz channels, bandwidth parts and carrier aggregation (TS 38.211 clauses
  4.4.5, 4.5; TS 38.101-1 clause 5.5A); the bands that do not offer a width (its Table 5.3.5-1);
- a second TDD pattern, flexible symbols given away by slot formats or DCI, the periods that a
  pattern may have (TS 38.213 clauses 11.1, 11.1.1), timing advance and the switching time that the
  gap must hold (TS 38.211 clauses 4.3.1, 4.3.2);
- mapping type B and mini-slots, so that PUSCH, which then starts at symbol 0, fits no special slot;
  slot aggregation and repetition (TS 38.214 clauses 5.1.2.1, 6.1.2.1);
- DMRS type 2, double-symbol DMRS, frequency hopping, PT-RS (TS 38.211 clauses 6.4.1.1, 6.4.1.2);
  SSB, CSI-RS, TRS, SRS combs and PRACH occasions (clauses 7.4.2, 7.4.1.5, 6.4.1.4, 6.3.3): SRS
  enters as whole symbols only; N_oh^PRB (TS 38.214 clause 5.1.3.2) is none;
- PDCCH as resources of its own (TS 38.213 clause 10): it takes whole symbols of all blocks;
- PUCCH formats and the choice of its symbols (clause 9.2): the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, NamedTuple

from simsplit.errors import ScenarioError

SYMBOLS_PER_SLOT = 14  # TS 38.211 Table 4.3.2-1
SUBCARRIERS_PER_PRB = 12  # clause 4.4.4.1

FrequencyRange = Literal["FR1", "FR2-1"]
Duplex = Literal["fdd", "tdd"]

_NUMEROLOGIES = {15_000: 0, 30_000: 1, 60_000: 2, 120_000: 3}  # TS 38.211 Table 4.2-1
_RANGES_HZ: dict[FrequencyRange, tuple[float, float]] = {  # TS 38.101-1 and -2 Table 5.1-1
    "FR1": (410e6, 7.125e9),
    "FR2-1": (24.25e9, 52.6e9),
}
_FR1_MHZ = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100)
_FR2_MHZ = (50, 100, 200, 400)
_15_KHZ = (25, 52, 79, 106, 133, 160, 188, 216, 242, 270)
_30_KHZ = (11, 24, 38, 51, 65, 78, 92, 106, 119, 133, 162, 189, 217, 245, 273)
_60_KHZ = (11, 18, 24, 31, 38, 44, 51, 58, 65, 79, 93, 107, 121, 135)
_BLOCKS: dict[FrequencyRange, dict[int, dict[float, int]]] = {  # MHz -> N_RB
    "FR1": {  # TS 38.101-1 Table 5.3.2-1
        15_000: dict(zip(_FR1_MHZ[:10], _15_KHZ, strict=True)),
        30_000: dict(zip(_FR1_MHZ, _30_KHZ, strict=True)),
        60_000: dict(zip(_FR1_MHZ[1:], _60_KHZ, strict=True)),
    },
    "FR2-1": {  # TS 38.101-2 Table 5.3.2-1
        60_000: dict(zip(_FR2_MHZ[:3], (66, 132, 264), strict=True)),
        120_000: dict(zip(_FR2_MHZ, (32, 66, 132, 264), strict=True)),
    },
}

# --- numerology and width ---------------------------------------------------------------------


def numerology(subcarrier_spacing_hz: int) -> int:
    """mu of a subcarrier spacing, 15 kHz 2^mu (TS 38.211 Table 4.2-1); ScenarioError for others."""
    mu = _NUMEROLOGIES.get(subcarrier_spacing_hz)
    if mu is None:
        choices = tuple(str(spacing) for spacing in _NUMEROLOGIES)
        message = "no such subcarrier_spacing_hz"
        raise ScenarioError(message, value=subcarrier_spacing_hz, choices=choices)
    return mu


def slot_s(subcarrier_spacing_hz: int) -> float:
    """Duration of a slot, 1 ms / 2^mu (TS 38.211 clause 4.3.2)."""
    return 1e-3 / (1 << numerology(subcarrier_spacing_hz))


def frequency_range(carrier_hz: float) -> FrequencyRange:
    """FR1 or FR2-1 of a carrier (TS 38.101-1 and -2 Table 5.1-1); ScenarioError between them."""
    for name, (low, high) in _RANGES_HZ.items():
        if low <= carrier_hz <= high:
            return name
    message = "bandwidth_hz needs a carrier_hz in FR1 (0.41 to 7.125 GHz) or FR2-1 (24.25 to 52.6)"
    raise ScenarioError(f"{message}; say resource_blocks", value=carrier_hz)


def max_resource_blocks(bandwidth_hz: float, subcarrier_spacing_hz: int, carrier_hz: float) -> int:
    """Resource blocks N_RB of a channel (TS 38.101-1 and TS 38.101-2 Table 5.3.2-1).

    Raises:
        ScenarioError: Carrier outside FR1 and FR2-1, or no such spacing or width there; the choices
            are named.
    """
    where = frequency_range(carrier_hz)
    widths = _BLOCKS[where].get(subcarrier_spacing_hz)
    if widths is None:
        choices = tuple(str(spacing) for spacing in _BLOCKS[where])
        message = f"no such subcarrier_spacing_hz in {where}"
        raise ScenarioError(message, value=subcarrier_spacing_hz, choices=choices)
    n_prb = widths.get(bandwidth_hz / 1e6)
    if n_prb is None:
        choices = tuple(f"{width}e6" for width in widths)
        message = f"no such bandwidth_hz at {subcarrier_spacing_hz // 1000} kHz in {where}"
        raise ScenarioError(message, value=bandwidth_hz, choices=choices)
    return n_prb


# --- slots ------------------------------------------------------------------------------------


class SpecialSlot(NamedTuple):
    """Symbols of an S slot: downlink first, then the gap, then uplink."""

    downlink: int = 10
    gap: int = 2
    uplink: int = 2


DEFAULT_SPECIAL = SpecialSlot()


@dataclass(frozen=True)
class Frame:
    """Which slots and symbols go which way.

    Slots count from 0 at time 0. A direction is asked for with the symbols that are needed in one
    slot: by default all 14, so that special slots count for neither (see the module's text).

    Attributes:
        subcarrier_spacing_hz: 15, 30, 60 or 120 kHz.
        n_prb: Resource blocks, up to 275 (TS 38.211 clause 4.4.4.1, TS 38.331).
        duplex: ``fdd``: every slot is both; ``tdd``: ``pattern`` repeats.
        pattern: D, S and U slots, with at least one D and one U; empty for FDD.
        special: Symbols of an S slot.

    Raises:
        ScenarioError: A spacing, number of blocks, pattern or special slot that cannot be.
    """

    subcarrier_spacing_hz: int
    n_prb: int
    duplex: Duplex = "fdd"
    pattern: str = ""
    special: SpecialSlot = DEFAULT_SPECIAL

    def __post_init__(self) -> None:
        numerology(self.subcarrier_spacing_hz)
        if not 1 <= self.n_prb <= 275:
            raise ScenarioError("a carrier has 1 to 275 resource blocks", value=self.n_prb)
        if self.duplex not in ("fdd", "tdd"):
            raise ScenarioError("no such duplex", value=self.duplex, choices=("fdd", "tdd"))
        if self.duplex == "fdd" and self.pattern:
            raise ScenarioError("fdd has no pattern", value=self.pattern)
        if self.duplex == "tdd":
            _check_pattern(self.pattern, SpecialSlot(*self.special))

    @cached_property
    def slot_s(self) -> float:
        """Duration of a slot in s."""
        return slot_s(self.subcarrier_spacing_hz)

    @property
    def period_slots(self) -> int:
        """Slots after which the pattern repeats."""
        return len(self.pattern) or 1

    def uplink_symbols(self, slot: int) -> int:
        """Uplink symbols of a slot: 14, 0, or those of a special slot."""
        return self._uplink[slot % self.period_slots]

    def downlink_symbols(self, slot: int) -> int:
        """Downlink symbols of a slot: 14, 0, or those of a special slot."""
        return self._downlink[slot % self.period_slots]

    def is_uplink(self, slot: int, symbols: int = SYMBOLS_PER_SLOT) -> bool:
        """True if the slot has at least so many uplink symbols."""
        return self.uplink_symbols(slot) >= symbols

    def is_downlink(self, slot: int, symbols: int = SYMBOLS_PER_SLOT) -> bool:
        """True if the slot has at least so many downlink symbols."""
        return self.downlink_symbols(slot) >= symbols

    def next_uplink_slot(self, slot: int, symbols: int = SYMBOLS_PER_SLOT) -> int:
        """The first slot at or after ``slot`` with so many uplink symbols."""
        return slot + _waits(self._uplink, symbols)[slot % self.period_slots]

    def next_downlink_slot(self, slot: int, symbols: int = SYMBOLS_PER_SLOT) -> int:
        """The first slot at or after ``slot`` with so many downlink symbols."""
        return slot + _waits(self._downlink, symbols)[slot % self.period_slots]

    def answered_slot(self, slot: int, *, is_downlink: bool) -> int:
        """The first slot after feedback on a block of ``slot`` can have travelled.

        With TDD it takes a slot with symbols of the other direction: PUCCH for PDSCH, the PDCCH of
        the next grant for PUSCH (TS 38.213 clauses 9.2.3 and 10.1). With FDD every slot has both.
        """
        if self.duplex == "fdd":
            return slot + 1
        opposite = self.next_uplink_slot if is_downlink else self.next_downlink_slot
        return opposite(slot + 1, 1) + 1

    @cached_property
    def uplink_share(self) -> float:
        """Share of all symbols that are uplink."""
        return sum(self._uplink) / (SYMBOLS_PER_SLOT * self.period_slots)

    @cached_property
    def downlink_share(self) -> float:
        """Share of all symbols that are downlink."""
        return sum(self._downlink) / (SYMBOLS_PER_SLOT * self.period_slots)

    @cached_property
    def _uplink(self) -> tuple[int, ...]:
        return self._symbols({"U": SYMBOLS_PER_SLOT, "S": self.special[2], "D": 0})

    @cached_property
    def _downlink(self) -> tuple[int, ...]:
        return self._symbols({"D": SYMBOLS_PER_SLOT, "S": self.special[0], "U": 0})

    def _symbols(self, of_slot: dict[str, int]) -> tuple[int, ...]:
        return tuple(of_slot[kind] for kind in self.pattern) or (SYMBOLS_PER_SLOT,)


@cache
def _waits(symbols_of: tuple[int, ...], symbols: int) -> tuple[int, ...]:
    """Per slot of the period, how many slots until one has so many symbols."""
    good = [slot for slot, has in enumerate(symbols_of) if has >= symbols]
    if not good:
        raise ScenarioError("no slot of the pattern has so many symbols", value=symbols)
    period = len(symbols_of)
    return tuple(min((slot - start) % period for slot in good) for start in range(period))


def _check_pattern(pattern: str, special: SpecialSlot) -> None:
    if not set(pattern) <= set("DSU") or "D" not in pattern or "U" not in pattern:
        message = "a tdd pattern is made of D, S and U slots with at least one D and one U"
        raise ScenarioError(message, value=pattern)
    if min(special) < 0 or sum(special) != SYMBOLS_PER_SLOT:
        message = "downlink, gap and uplink symbols of a special slot make 14"
        raise ScenarioError(message, value=tuple(special))
    if "S" in pattern and special.gap == 0 and special.downlink and special.uplink:
        message = "a special slot needs a gap from downlink to uplink (TS 38.211 clause 4.3.2)"
        raise ScenarioError(message, value=tuple(special))


# --- data and overhead ------------------------------------------------------------------------


class DataElements(NamedTuple):
    """What a slot holds for data, as `simsplit.phy.sizes.resource_elements` wants it.

    ``n_symbols``: symbols of the PUSCH or PDSCH, pilots included; ``dmrs_re_per_prb``: resource
    elements per resource block that its DMRS takes.
    """

    n_symbols: int
    dmrs_re_per_prb: int


def dmrs_positions(
    duration_symbols: int, dmrs_symbols: int = 1, first_symbol: int = 2
) -> tuple[int, ...]:
    """Symbols of a slot that carry DMRS, mapping type A, single-symbol DMRS, no hopping.

    TS 38.211 Table 6.4.1.1.3-3 (PUSCH); Table 7.4.1.1.2-3 (PDSCH) has the same rows.

    Args:
        duration_symbols: l_d, from the first symbol of the slot to the last of the transmission.
        dmrs_symbols: One front-loaded and 0 to 3 additional (dmrs-AdditionalPosition). Short
            durations have fewer, as the tables say.
        first_symbol: l_0, 2 or 3 (dmrs-TypeA-Position).

    Raises:
        ScenarioError: Duration not 4 to 14, DMRS symbols not 1 to 4, l_0 neither 2 nor 3.
    """
    if not 4 <= duration_symbols <= SYMBOLS_PER_SLOT:
        raise ScenarioError("a transmission ends at symbol 4 to 14", value=duration_symbols)
    if not 1 <= dmrs_symbols <= 4:
        raise ScenarioError("dmrs_symbols lies from 1 to 4", value=dmrs_symbols)
    if first_symbol not in (2, 3):
        raise ScenarioError("the first DMRS symbol is 2 or 3", value=first_symbol)
    return (first_symbol, *_additional(duration_symbols, dmrs_symbols - 1))


def _additional(duration_symbols: int, wanted: int) -> tuple[int, ...]:
    """Additional positions of the table's row."""
    if duration_symbols < 8 or wanted == 0:
        return ()
    if duration_symbols < 10:
        return (7,)
    if duration_symbols < 12:
        return ((9,), (6, 9), (6, 9))[wanted - 1]
    if wanted == 3:
        return (5, 8, 11)
    last = 9 if duration_symbols == 12 else 11
    return ((last,), (6 if duration_symbols == 12 else 7, last))[wanted - 1]


@cache
def uplink_elements(
    symbols: int = SYMBOLS_PER_SLOT,
    dmrs_symbols: int = 1,
    pucch_symbols: int = 0,
    srs_symbols: int = 0,
    cdm_groups_without_data: int = 2,
) -> DataElements:
    """PUSCH of a slot: symbols 0 up to PUCCH and SRS, which keep the last ones to themselves.

    Args:
        symbols: Uplink symbols of the slot, `Frame.uplink_symbols`: all, as type A starts at 0.
        dmrs_symbols: As `dmrs_positions`.
        cdm_groups_without_data: 1 or 2 of the comb's halves stay free of data, 6 resource elements
            each and DMRS symbol (TS 38.214 clause 6.2.2).

    Raises:
        ScenarioError: A special slot, less than 4 symbols left, other groups; as `dmrs_positions`.
    """
    if symbols != SYMBOLS_PER_SLOT:
        raise ScenarioError("PUSCH of mapping type A starts at symbol 0; symbols", value=symbols)
    left = symbols - _reserved(pucch_symbols, 14) - _reserved(srs_symbols, 6)
    return DataElements(left, _dmrs_re(left, dmrs_symbols, cdm_groups_without_data))


@cache
def downlink_elements(
    symbols: int = SYMBOLS_PER_SLOT,
    dmrs_symbols: int = 1,
    pdcch_symbols: int = 2,
    cdm_groups_without_data: int = 2,
) -> DataElements:
    """PDSCH of a slot: from after the PDCCH (0 to 3 symbols) to the last downlink symbol.

    Args:
        symbols: Downlink symbols of the slot, `Frame.downlink_symbols`.
        dmrs_symbols: As `dmrs_positions`.
        cdm_groups_without_data: As `uplink_elements` (TS 38.214 clause 5.1.6.2).

    Raises:
        ScenarioError: PDCCH longer than 3 symbols (TS 38.211 clause 7.3.2.2); as `dmrs_positions`.
    """
    left = symbols - _reserved(pdcch_symbols, 3)
    return DataElements(left, _dmrs_re(symbols, dmrs_symbols, cdm_groups_without_data))


def _reserved(symbols: int, most: int) -> int:
    if not 0 <= symbols <= most:
        raise ScenarioError(f"control takes 0 to {most} symbols", value=symbols)
    return symbols


def _dmrs_re(duration_symbols: int, dmrs_symbols: int, groups: int) -> int:
    if groups not in (1, 2):
        raise ScenarioError("DMRS type 1 has 1 or 2 groups without data", value=groups)
    return SUBCARRIERS_PER_PRB // 2 * groups * len(dmrs_positions(duration_symbols, dmrs_symbols))
