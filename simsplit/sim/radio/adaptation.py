"""Which MCS a grant gets (inner and outer loop), and the reports that the scheduler has for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.phy.allocation import Choice, Menu, Options, options_of
from simsplit.phy.link import BlerTable
from simsplit.phy.mcs import Mcs, mcs
from simsplit.phy.sizes import is_decodable, transport_block_bits
from simsplit.scenario.cell import AdaptiveMcs, FixedMcs

if TYPE_CHECKING:
    from simsplit.sim.radio.air import Air
    from simsplit.sim.radio.flows import Bearer


Elements = tuple[int, int]
"""(data-bearing OFDM symbols of a slot, DMRS resource elements per resource block)."""


class Reports:
    """The scheduler's knowledge: each device's last channel report.

    Device d reports in the slots with slot = d modulo ``period_slots``; a report is used from
    ``delay_slots`` after its slot on (CQI: TS 38.214 clause 5.2.2; SRS: clause 6.2.1). It holds the
    Es/(N0 + I0) of every subband without error.

    Attributes:
        air: Whose levels are reported.
    """

    def __init__(
        self, air: Air, bearers: Sequence[Bearer], period_slots: int, delay_slots: int
    ) -> None:
        self.air = air
        self._bearers = bearers
        self._period, self._delay = period_slots, delay_slots
        self._slot_of = np.full(len(bearers), -1, dtype=np.int64)
        self._wideband_db = np.zeros(len(bearers))

    def slot_of(self, device: int, slot: int) -> int:
        """The slot of the report that counts in this slot; the first reports are of slot 0."""
        last = slot - self._delay
        report = last - (last - device) % self._period
        return report if report > 0 else 0

    def snr_db(self, bearer: Bearer, slot: int, first_prb: int, n_prb: int) -> float:
        """Expected effective Es/N0 in dB of a grant in this slot, by the device's last report."""
        return self.air.expected_db(bearer, self.slot_of(bearer.index, slot), first_prb, n_prb)

    def wideband_db(self, devices: NDArray[np.int64], slot: int) -> NDArray[np.float64]:
        """Es/N0 in dB of each device ``(n,)`` on the whole band, by its last report.

        Only new reports cost time.
        """
        last = slot - self._delay
        reports = np.maximum(0, last - (last - devices) % self._period)
        new = reports != self._slot_of[devices]
        for device, report in zip(devices[new].tolist(), reports[new].tolist(), strict=True):
            self._slot_of[device] = report
            self._wideband_db[device] = self.air.wideband_db(self._bearers[device], report)
        return self._wideband_db[devices]


OuterLoop = Callable[["Bearer", bool], None]
"""What the verdict (passed or not) on a first transmission does to the bearer's SNR offset."""


class Adaptation(Protocol):
    """The rule that gives a grant its MCS.

    Attributes:
        update: The outer loop, to be told of every first transmission's verdict; None without.
    """

    update: OuterLoop | None

    def largest_bits(self, n_prb: int) -> int:
        """The largest transport block on at most so many resource blocks, whatever the channel."""

    def choose(
        self, bearer: Bearer, slot: int, first_prb: int, n_prb: int, bits: float
    ) -> Choice | None:
        """MCS, number of resource blocks and block size of so many bits of new data.

        Args:
            first_prb, n_prb: The resource blocks that are free, of which the first are used.
            bits: What the buffer holds; infinite for the most that can be carried.

        Returns:
            None if nothing can be sent on so few resource blocks, though it can on the whole
            carrier.

        Raises:
            ScenarioError: A fixed MCS whose block would not be decodable (effective rate above
                0.95, TS 38.214 clause 5.1.3) on the whole carrier.
            OutOfTable: No MCS that the table knows fits into the carrier.
        """


class FixedScheme:
    """Always the same MCS, on the fewest resource blocks that hold the bits.

    Args:
        elements: What a slot holds (see `Elements`).
        n_prb: Width of the carrier.
    """

    update: OuterLoop | None = None

    def __init__(self, spec: FixedMcs, elements: Elements, n_prb: int) -> None:
        self._scheme = mcs(spec.index, spec.table)
        self._sizes = BlockSizes(elements)
        self._widest = n_prb

    def largest_bits(self, n_prb: int) -> int:
        return self._sizes.bits(self._scheme, n_prb)

    def choose(
        self, bearer: Bearer, slot: int, first_prb: int, n_prb: int, bits: float
    ) -> Choice | None:
        scheme, sizes = self._scheme, self._sizes
        width = sizes.needed(scheme, bits, sizes.decodable(scheme, n_prb))
        if width:
            return scheme, width, sizes.bits(scheme, width)
        if sizes.decodable(scheme, self._widest):
            return None
        message = f"MCS {scheme.index} is not decodable on {self._widest} resource block(s)"
        raise ScenarioError(message, path="cell.mcs.index", value=scheme.index)


class AdaptiveScheme:
    """MCS and resource blocks chosen together at the target error rate, by the last report.

    The rule (inner loop) is that of `simsplit.phy.allocation`; what the report says is corrected by
    the backoff and the outer loop.

    Args:
        table: Block error rates; the thresholds are taken from it.
        elements: What a slot holds (see `Elements`).
        n_prb: Width of the carrier.
        reports: The scheduler's knowledge of the channel.
    """

    def __init__(
        self,
        spec: AdaptiveMcs,
        table: BlerTable,
        elements: Elements,
        n_prb: int,
        reports: Reports,
    ) -> None:
        self._reports, self._backoff_db = reports, spec.backoff_db
        self._air = reports.air
        self._what = (table, n_prb, spec.bler_target, elements, spec.table)
        self._menus: tuple[Options, Menu, Menu] | None = None
        self.update = _outer_loop(spec)

    def largest_bits(self, n_prb: int) -> int:
        return (self._menus or self._make())[0].largest_bits[n_prb]

    def choose(
        self, bearer: Bearer, slot: int, first_prb: int, n_prb: int, bits: float
    ) -> Choice | None:
        options, spread, level = self._menus or self._make()
        report = self._reports.slot_of(bearer.index, slot)
        cap_db, total_db = self._air.powers[bearer.index].limits_db(report)
        shift_db = bearer.offset_db - self._backoff_db
        gain_db, choice = self._air.flat_gain_db(bearer, report), None
        if gain_db is not None:
            gain_db += shift_db
            if cap_db == math.inf:
                return spread.choose(gain_db + total_db, n_prb, bits)
            if total_db == math.inf:
                return level.choose(gain_db + cap_db, n_prb, bits)
            choice = _controlled(spread, level, gain_db, (cap_db, total_db), n_prb, bits)
        elif total_db == math.inf and bits > options.largest_bits[n_prb]:
            level_db = self._air.expected_db(bearer, report, first_prb, n_prb) + shift_db
            choice = level.choose(level_db, n_prb, bits)
            if choice is not None and choice[1] < n_prb:  # fewer blocks have another level
                choice = None
        if choice is not None:
            return choice
        levels_db = self._air.expected_levels_db(bearer, report, first_prb, n_prb)
        return options.choose(levels_db + shift_db, bits)

    def _make(self) -> tuple[Options, Menu, Menu]:
        self._menus = options_of(*self._what)
        return self._menus


def _controlled(
    spread: Menu,
    level: Menu,
    gain_db: float,
    limits_db: tuple[float, float],
    n_prb: int,
    bits: float,
) -> Choice | None:
    """The choice over a flat channel with a cap per block and a total, if one decides it alone.

    It does where the best choice without the other limit keeps the other one.
    """
    cap_db, total_db = limits_db
    widest = 10.0 ** (0.1 * (total_db - cap_db))
    choice = level.choose(gain_db + cap_db, n_prb, bits)
    if choice is None or choice[1] <= widest:
        return choice
    choice = spread.choose(gain_db + total_db, n_prb, bits)
    return choice if choice is None or choice[1] >= widest else None


def _outer_loop(spec: AdaptiveMcs) -> OuterLoop | None:
    """Steps down after an error, up after a success, so that errors settle at the target.

    The verdict is heard at once: in the uplink the base station decodes itself.
    """
    loop = spec.outer_loop
    if loop is None:
        return None
    down_db, limit_db = loop.step_db, loop.limit_db
    up_db = down_db * spec.bler_target / (1.0 - spec.bler_target)

    def update(bearer: Bearer, passed: bool) -> None:
        moved_db = bearer.offset_db + (up_db if passed else -down_db)
        bearer.offset_db = min(limit_db, max(-limit_db, moved_db))

    return update


def build_adaptation(
    spec: FixedMcs | AdaptiveMcs,
    table: BlerTable,
    elements: Elements,
    n_prb: int,
    reports: Reports,
) -> Adaptation:
    """The rule that a scenario asks for; arguments as of `AdaptiveScheme`."""
    if isinstance(spec, FixedMcs):
        return FixedScheme(spec, elements, n_prb)
    return AdaptiveScheme(spec, table, elements, n_prb, reports)


class BlockSizes:
    """Transport block sizes of one kind of slot, remembered."""

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self._bits: dict[tuple[int, int, int], int] = {}

    def bits(self, scheme: Mcs, n_prb: int) -> int:
        """Transport block size in bits of a scheme on so many resource blocks."""
        key = (scheme.table, scheme.index, n_prb)
        bits = self._bits.get(key)
        if bits is None:
            bits = self._bits[key] = transport_block_bits(scheme, n_prb, *self._elements)
        return bits

    def decodable(self, scheme: Mcs, n_prb: int) -> int:
        """The most resource blocks, up to so many, on which the scheme is decodable; or 0."""
        while n_prb and not is_decodable(scheme, n_prb, *self._elements):
            n_prb -= 1
        return n_prb

    def needed(self, scheme: Mcs, bits: float, share: int) -> int:
        """Fewest resource blocks of a decodable share whose decodable block holds the bits."""
        if not share or self.bits(scheme, share) <= bits:
            return share
        low, high = 1, share  # the size rises with the blocks, so halve
        while low < high:
            middle = (low + high) // 2
            if self.bits(scheme, middle) >= bits:
                high = middle
            else:
                low = middle + 1
        while not is_decodable(scheme, low, *self._elements):
            low += 1
        return low
