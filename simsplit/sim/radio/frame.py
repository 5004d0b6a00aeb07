"""A cell's frame, data elements and measured channel, made from its nouns."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from simsplit.errors import ScenarioError
from simsplit.phy.frame import (
    SYMBOLS_PER_SLOT,
    Frame,
    SpecialSlot,
    downlink_elements,
    max_resource_blocks,
    uplink_elements,
)
from simsplit.phy.traces.read import read_trace
from simsplit.scenario.cell import Cell, Duplex, Tdd
from simsplit.scenario.channel import TraceChannel

if TYPE_CHECKING:
    from simsplit.phy.traces.read import ChannelTrace
    from simsplit.sim.radio.adaptation import Elements


DEFAULT_PRB = 51  # 20 MHz at 30 kHz, TS 38.101-1 Table 5.3.2-1


def frame_of(cell: Cell) -> Frame:
    """The frame of a cell. Only whole uplink and downlink slots carry data here: a transport block
    keeps its size over all its attempts, which a special slot could not hold.

    Raises:
        ScenarioError: ``bandwidth_hz`` is none that TS 38.101 has at this carrier and spacing.
    """
    return _frame_of(
        cell.duplex,
        cell.resource_blocks,
        cell.bandwidth_hz,
        cell.subcarrier_spacing_hz,
        cell.carrier_hz,
    )


@lru_cache(maxsize=64)
def _frame_of(
    duplex: Duplex,
    resource_blocks: int | None,
    bandwidth_hz: float | None,
    spacing_hz: int,
    carrier_hz: float,
) -> Frame:
    n_prb = resource_blocks or DEFAULT_PRB
    if bandwidth_hz is not None:
        n_prb = _blocks_in(bandwidth_hz, spacing_hz, carrier_hz)
    if not isinstance(duplex, Tdd):
        return Frame(spacing_hz, n_prb)
    down, up = duplex.special_downlink_symbols, duplex.special_uplink_symbols
    special = SpecialSlot(down, SYMBOLS_PER_SLOT - down - up, up)
    return Frame(spacing_hz, n_prb, "tdd", duplex.pattern, special)


def _blocks_in(bandwidth_hz: float, spacing_hz: int, carrier_hz: float) -> int:
    try:
        return max_resource_blocks(bandwidth_hz, spacing_hz, carrier_hz)
    except ScenarioError as error:
        raise ScenarioError(
            error.message, path="cell.bandwidth_hz", value=error.value, choices=error.choices
        ) from None


def uplink_share(frame: Frame) -> float:
    """Share of slots that carry uplink data."""
    return sum(map(frame.is_uplink, range(frame.period_slots))) / frame.period_slots


def downlink_share(frame: Frame) -> float:
    """Share of slots that carry downlink data."""
    return sum(map(frame.is_downlink, range(frame.period_slots))) / frame.period_slots


def slots_within(frame: Frame, slots: float, *, is_downlink: bool) -> float:
    """Data slots of one direction among the first ``slots`` slots, the last one in part."""
    carries = frame.is_downlink if is_downlink else frame.is_uplink
    pattern = [carries(slot) for slot in range(frame.period_slots)]
    whole = int(slots)
    periods, rest = divmod(whole, len(pattern))
    return periods * sum(pattern) + sum(pattern[:rest]) + (slots - whole) * pattern[rest]


def elements_of(cell: Cell, *, is_downlink: bool) -> Elements:
    """Symbols of a data slot without control, and its DMRS elements per resource block."""
    use = cell.overhead
    if is_downlink:
        return downlink_elements(SYMBOLS_PER_SLOT, use.dmrs_symbols, use.pdcch_symbols)
    return uplink_elements(SYMBOLS_PER_SLOT, use.dmrs_symbols, use.pucch_symbols, use.srs_symbols)


def open_trace(spec: TraceChannel) -> ChannelTrace:
    """The measured channel that a scenario names.

    Raises:
        ScenarioError: A file that cannot be read as a trace, or columns that are not there.
    """
    return read_trace(
        spec.file,
        time_column=spec.time_column,
        value_column=spec.value_column,
        device_column=spec.device_column,
        value=spec.value,
    )
