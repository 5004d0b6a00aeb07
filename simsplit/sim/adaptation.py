"""Which MCS a grant gets: what the scheduler knows of the channel, inner loop and outer loop."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.phy.link import BlerTable
from simsplit.phy.mcs import Mcs, mcs
from simsplit.phy.sizes import is_decodable, transport_block_bits
from simsplit.radio import AdaptiveMcs, FixedMcs

if TYPE_CHECKING:
    from simsplit.sim.air import Air
    from simsplit.sim.cell import Bearer

Elements = tuple[int, int]
"""(data-bearing OFDM symbols of a slot, DMRS resource elements per resource block)."""


class Reports:
    """The scheduler's knowledge: each device's last channel report.

    Device d reports in the slots with slot = d modulo ``period_slots``; a report is used from
    ``delay_slots`` after its slot on (CQI: TS 38.214 clause 5.2.2; SRS: clause 6.2.1). It holds the
    Es/(N0 + I0) of every subband without error.
    """

    def __init__(
        self, air: Air, bearers: Sequence[Bearer], period_slots: int, delay_slots: int
    ) -> None:
        self._air = air
        self._bearers = bearers
        self._period, self._delay = period_slots, delay_slots
        self._slot_of = np.full(len(bearers), -1, dtype=np.int64)
        self._wideband_db = np.zeros(len(bearers))

    def slot_of(self, device: int, slot: int) -> int:
        """The slot of the report that is known in this slot; the first ones are those of slot 0."""
        last = slot - self._delay
        return max(0, last - (last - device) % self._period)

    def snr_db(self, bearer: Bearer, slot: int, first_prb: int, n_prb: int) -> float:
        """Expected effective Es/N0 of a grant, by the device's last report."""
        return self._air.expected_db(bearer, self.slot_of(bearer.index, slot), first_prb, n_prb)

    def can_concentrate(self, bearer: Bearer, slot: int, fewer: int, n_prb: int) -> bool:
        """Whether the device has more power per block on fewer of them."""
        power = self._air.powers[bearer.index]
        return power.per_prb_db(fewer, slot) > power.per_prb_db(n_prb, slot)

    def wideband_db(self, devices: NDArray[np.int64], slot: int) -> NDArray[np.float64]:
        """Es/N0 of each device on the whole band, by its last report; only new ones cost time."""
        last = slot - self._delay
        known = np.maximum(0, last - (last - devices) % self._period)
        new = known != self._slot_of[devices]
        for device, report in zip(devices[new].tolist(), known[new].tolist(), strict=True):
            self._slot_of[device] = report
            self._wideband_db[device] = self._air.wideband_db(self._bearers[device], report)
        return self._wideband_db[devices]


class Adaptation:
    """The rule that gives a grant its MCS.

    Args:
        spec: Fixed or adaptive.
        table: Block error rates; the adaptive rule takes its thresholds from it.
        elements: What a slot holds (see `Elements`).
        n_prb: Width of the carrier.
        reports: What is known of the channel.
    """

    def __init__(
        self,
        spec: FixedMcs | AdaptiveMcs,
        table: BlerTable,
        elements: Elements,
        n_prb: int,
        reports: Reports,
    ) -> None:
        self._spec = spec
        self._elements = elements
        self._reports = reports
        self._table = table
        self._fixed = mcs(spec.index, spec.table) if isinstance(spec, FixedMcs) else None
        self._backoff_db = spec.backoff_db if isinstance(spec, AdaptiveMcs) else 0.0
        self._rules: list[tuple[Sequence[float], Sequence[Mcs]] | None] = [None] * (n_prb + 1)
        self.update = self._outer_loop()

    def choose(self, bearer: Bearer, slot: int, first_prb: int, n_prb: int) -> tuple[Mcs, int]:
        """The MCS of new data on these resource blocks, and how many of them to use.

        A device that would not reach the most robust MCS on all of them gets as few as its power
        can serve (power headroom, TS 38.321 clause 5.4.6), if its power can be concentrated.

        Raises:
            ScenarioError: A fixed MCS whose block would not be decodable (effective rate above
                0.95, TS 38.214 clause 5.1.3).
        """
        if self._fixed is not None:
            return self._checked(self._fixed, n_prb), n_prb
        thresholds_db, schemes = self._rules[n_prb] or self._rule(n_prb)
        snr_db = self._reports.snr_db(bearer, slot, first_prb, n_prb)
        known_db = snr_db - self._backoff_db + bearer.offset_db
        place = bisect.bisect_right(thresholds_db, known_db)
        if place:
            return schemes[place - 1], n_prb
        fewer = max(1, int(n_prb * 10.0 ** (0.1 * (known_db - thresholds_db[0]))))
        if self._reports.can_concentrate(bearer, slot, fewer, n_prb):
            n_prb, (_, schemes) = fewer, self._rules[fewer] or self._rule(fewer)
        return schemes[0], n_prb

    def _rule(self, n_prb: int) -> tuple[Sequence[float], Sequence[Mcs]]:
        """Thresholds and schemes of this width, remembered."""
        spec = self._spec
        assert isinstance(spec, AdaptiveMcs)
        rule = self._table.choices(n_prb, spec.bler_target, *self._elements, spec.table)
        self._rules[n_prb] = rule
        return rule

    def _checked(self, scheme: Mcs, n_prb: int) -> Mcs:
        if not is_decodable(scheme, n_prb, *self._elements):
            message = f"MCS {scheme.index} is not decodable on {n_prb} resource block(s)"
            raise ScenarioError(message, path="cell.mcs.index", value=scheme.index)
        return scheme

    def _outer_loop(self) -> Callable[[Bearer, bool], None] | None:
        """What a first transmission's verdict does to the device's SNR offset.

        The verdict is known at once: in the uplink the base station decodes itself.
        """
        loop = self._spec.outer_loop if isinstance(self._spec, AdaptiveMcs) else None
        if loop is None:
            return None
        assert isinstance(self._spec, AdaptiveMcs)
        down_db, limit_db = loop.step_db, loop.limit_db
        up_db = down_db * self._spec.bler_target / (1.0 - self._spec.bler_target)

        def update(bearer: Bearer, passed: bool) -> None:
            moved_db = bearer.offset_db + (up_db if passed else -down_db)
            bearer.offset_db = min(limit_db, max(-limit_db, moved_db))

        return update


class BlockSizes:
    """Transport block sizes of one kind of slot, remembered."""

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self._bits: dict[tuple[int, int, int], int] = {}

    def bits(self, scheme: Mcs, n_prb: int) -> int:
        """Transport block size in bits."""
        key = (scheme.table, scheme.index, n_prb)
        found = self._bits.get(key)
        if found is None:
            found = self._bits[key] = transport_block_bits(scheme, n_prb, *self._elements)
        return found

    def needed(self, scheme: Mcs, bits: int, share: int) -> int:
        """Fewest resource blocks of the share whose transport block holds the bits, decodable."""
        if self.bits(scheme, share) <= bits:
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
