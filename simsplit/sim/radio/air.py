"""Es/(N0 + I0) of every bearer in every slot: gain, power, interference, channel estimation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.phy.analog import effective_snr_db, estimation_error_variance
from simsplit.phy.effective import BETA, eesm_db, miesm_db
from simsplit.sim.radio.interference import NoiseRise
from simsplit.sim.radio.links import Link
from simsplit.sim.radio.power import LEVEL_DB, Power

if TYPE_CHECKING:
    from simsplit.sim.radio.flows import Bearer, Block, Grant


Floats = NDArray[np.float64]
_LEVELS_DB = np.array(LEVEL_DB)
Piece = tuple[int, float, float]
"""JSCC symbols that share one coefficient: count, Es/(N0 + I0) in dB, channel error variance."""


@dataclass(frozen=True)
class LinkBudget:
    """What the Es/(N0 + I0) of one direction is made of.

    Attributes:
        links: Device -> site -> link.
        powers: Device -> transmit power towards its site, or of its site towards it.
        rise: Interference at the site.
        n_prb: Width of the carrier in resource blocks.
        pilots: Pilots per resource block and slot; 0: the channel is known perfectly.
        offset_db: Added to every gain (another receiver's noise figure).
    """

    links: Sequence[Sequence[Link]]
    powers: Sequence[Power]
    rise: NoiseRise
    n_prb: int
    pilots: int = 0
    offset_db: float = 0.0


class Air:
    """Es/(N0 + I0) of every bearer over a flat channel, one site."""

    n_sites = 1

    def __init__(self, budget: LinkBudget) -> None:
        self.links, self.powers, self.rise = budget.links, budget.powers, budget.rise
        self.n_prb, self.pilots, self.offset_db = budget.n_prb, budget.pilots, budget.offset_db

    # --- what the scheduler expects -----------------------------------------------------------

    def expected_db(self, bearer: Bearer, slot: int, first_prb: int, n_prb: int) -> float:
        """Effective Es/(N0 + I0) in dB that a grant would have had in the slot of a report."""
        level_db = self._report_db(bearer, slot) + self.powers[bearer.index].per_prb_db(n_prb, slot)
        return self._estimated(level_db) if self.pilots else level_db

    def flat_gain_db(self, bearer: Bearer, slot: int) -> float | None:
        """What a block's dBm become in dB of `expected_db`, whichever blocks they are; None: it
        depends.
        """
        if self.pilots:
            return None
        return bearer.report_db if bearer.report_slot == slot else self._report_db(bearer, slot)

    def expected_levels_db(self, bearer: Bearer, slot: int, first_prb: int, n_prb: int) -> Floats:
        """`expected_db` of 1, 2, … ``n_prb`` resource blocks, ``(n_prb,)``."""
        levels_db = self._report_db(bearer, slot) + self._powers_db(bearer, slot, n_prb)
        return self._estimated_each(levels_db)

    def _report_db(self, bearer: Bearer, slot: int) -> float:
        """Es/(N0 + I0) in dB of 0 dBm per resource block in a slot's report, kept in the bearer."""
        if bearer.report_slot != slot:
            gain_db = self.links[bearer.index][bearer.site].gain_db(slot) + self.offset_db
            bearer.report_db = gain_db - self.reported_rise_db(bearer, slot)
            bearer.report_slot = slot
        return bearer.report_db

    def _powers_db(self, bearer: Bearer, slot: int, n_prb: int) -> Floats:
        """dBm per resource block of grants of 1, 2, … ``n_prb`` blocks, ``(n_prb,)``."""
        cap_db, total_db = self.powers[bearer.index].limits_db(slot)
        powers_db: Floats = np.minimum(cap_db, total_db - _LEVELS_DB[1 : n_prb + 1])
        return powers_db

    def wideband_db(self, bearer: Bearer, slot: int) -> float:
        """Expected Es/(N0 + I0) in dB on the whole band, by the report of that slot."""
        return self.expected_db(bearer, slot, 0, self.n_prb)

    # --- what happens -------------------------------------------------------------------------

    def occupy(self, slot: int, grants: Sequence[Grant]) -> None:
        """Take note of the grants of the slot that begins now, of all sites."""
        if not self.rise.is_constant:
            self.rise.occupy(slot, sum(grant.n_prb for grant in grants) / self.n_prb)

    def received_db(self, bearer: Bearer, slot: int, grant: Grant, block: Block) -> float:
        """Effective Es/(N0 + I0) in dB of a transport block on its grant in this slot."""
        index = bearer.index
        gain_db = self.links[index][bearer.site].gain_db(slot)
        level_db = gain_db + self.powers[index].per_prb_db(grant.n_prb, slot) + self.offset_db
        level_db -= self.rise.rise_db(slot)
        return self._estimated(level_db) if self.pilots else level_db

    def symbol_pieces(self, bearer: Bearer, slot: int, grant: Grant, count: int) -> list[Piece]:
        """The pieces of ``count`` JSCC symbols on a grant, one per coefficient."""
        snr_db = self._level_db(bearer, slot, grant.n_prb) - self.rise_db(bearer, slot, grant)
        return [(count, snr_db, self._error_variance(snr_db))]

    def reported_rise_db(self, bearer: Bearer, slot: int) -> float:
        """The noise rise in dB that a report of this slot holds."""
        return self.rise.rise_db(slot)

    def rise_db(self, bearer: Bearer, slot: int, grant: Grant) -> float:
        """The noise rise in dB that a grant suffers."""
        return self.rise.rise_db(slot)

    def _level_db(self, bearer: Bearer, slot: int, n_prb: int) -> float:
        """Es/N0 without interference."""
        gain_db = self.links[bearer.index][bearer.site].gain_db(slot)
        return gain_db + self.powers[bearer.index].per_prb_db(n_prb, slot) + self.offset_db

    def _estimated(self, snr_db: float) -> float:
        """What channel estimation leaves of it for a digital link."""
        if not self.pilots:
            return snr_db
        return effective_snr_db(snr_db, self._error_variance(snr_db))

    def _estimated_each(self, levels_db: Floats) -> Floats:
        """`_estimated` of an array, by the same two formulas."""
        if not self.pilots:
            return levels_db
        snr = 10.0 ** (0.1 * levels_db)
        return 10.0 * np.log10(snr / (1.0 + (1.0 + snr) / (self.pilots * snr)))

    def _error_variance(self, snr_db: float) -> float:
        return estimation_error_variance(snr_db, self.pilots) if self.pilots else 0.0


class BandProfile:
    """Which subbands a grant lies in, remembered; the carrier has ``n_prb`` resource blocks."""

    def __init__(self, subbands: int, n_prb: int) -> None:
        self._subbands, self._n_prb = subbands, n_prb
        self.parts = lru_cache(maxsize=4096)(self._parts)
        self.shares = cache(self._shares)

    def _parts(self, first_prb: int, n_prb: int) -> tuple[int, tuple[int, ...]]:
        """First subband of a grant, and how many of its blocks lie in each from there on."""
        blocks = range(first_prb, first_prb + n_prb)
        bands = [prb * self._subbands // self._n_prb for prb in blocks]
        return bands[0], tuple(bands.count(b) for b in range(bands[0], bands[-1] + 1))

    def _shares(self, first_prb: int) -> tuple[int, Floats]:
        """First subband from a block on, and which share of the first 1, 2, … blocks from there on
        lies in each subband, by row.
        """
        low, counts = self.parts(first_prb, self._n_prb - first_prb)
        band_of = np.repeat(np.arange(len(counts)), counts)
        blocks = np.cumsum(band_of[:, None] == np.arange(len(counts)), axis=0)
        return low, blocks / np.arange(1, len(band_of) + 1)[:, None]


class SelectiveAir(Air):
    """The same over a frequency-selective channel, reduced to effective SINR per grant.

    A resource block has the gain of the subband it lies in. The scheduler, which does not know the
    modulation yet, expects the SNR of equal capacity; a block gets MIESM or EESM for its scheme.

    Args:
        subbands: Equal parts of the carrier, each with a gain of its own.
        effective: How a block's SNR is reduced.
    """

    def __init__(
        self, budget: LinkBudget, subbands: int, effective: Literal["miesm", "eesm"]
    ) -> None:
        super().__init__(budget)
        self._subbands = subbands
        self._bands = BandProfile(subbands, budget.n_prb)
        self._is_eesm = effective == "eesm"

    def _profile_db(
        self, bearer: Bearer, slot: int, first_prb: int, n_prb: int
    ) -> tuple[Floats, tuple[int, ...]]:
        """Es/N0 of each subband of the grant and how many of its blocks lie there."""
        low, counts = self._bands.parts(first_prb, n_prb)
        bands = self.links[bearer.index][bearer.site].bands_db(slot)[low : low + len(counts)]
        power_db = self.powers[bearer.index].per_prb_db(n_prb, slot)
        return bands + (power_db + self.offset_db), counts

    def expected_db(self, bearer: Bearer, slot: int, first_prb: int, n_prb: int) -> float:
        snr_db, counts = self._profile_db(bearer, slot, first_prb, n_prb)
        snr_db = snr_db - self.reported_rise_db(bearer, slot)
        bits = np.average(np.log2(1.0 + 10.0 ** (0.1 * snr_db)), weights=counts)
        return self._estimated(10.0 * math.log10(2.0 ** float(bits) - 1.0))

    def flat_gain_db(self, bearer: Bearer, slot: int) -> float | None:
        if self.pilots or self._subbands > 1:
            return None
        gain_db = float(self.links[bearer.index][bearer.site].bands_db(slot)[0])
        return gain_db + self.offset_db - self.reported_rise_db(bearer, slot)

    def expected_levels_db(self, bearer: Bearer, slot: int, first_prb: int, n_prb: int) -> Floats:
        low, shares = self._bands.shares(first_prb)
        gains_db = self.links[bearer.index][bearer.site].bands_db(slot)[low:] + self.offset_db
        gains = 10.0 ** (0.1 * (gains_db - self.reported_rise_db(bearer, slot)))
        powers = 10.0 ** (0.1 * self._powers_db(bearer, slot, n_prb))
        nats = (np.log1p(powers[:, None] * gains) * shares[:n_prb]).sum(axis=1)
        return self._estimated_each(10.0 * np.log10(np.expm1(nats)))

    def received_db(self, bearer: Bearer, slot: int, grant: Grant, block: Block) -> float:
        snr_db, counts = self._profile_db(bearer, slot, grant.first_prb, grant.n_prb)
        snr_db = snr_db - self.rise_db(bearer, slot, grant)
        snr_db = self._estimated_each(snr_db)
        each = block.snr_profile_db = np.repeat(snr_db, counts)
        scheme = block.scheme
        if self._is_eesm:
            return eesm_db(each, BETA[scheme.table, scheme.index])
        return miesm_db(each, scheme.bits_per_symbol)

    def symbol_pieces(self, bearer: Bearer, slot: int, grant: Grant, count: int) -> list[Piece]:
        """One piece per subband; symbols fill the grant's blocks evenly, subband by subband."""
        snr_db, counts = self._profile_db(bearer, slot, grant.first_prb, grant.n_prb)
        levels_db = (snr_db - self.rise_db(bearer, slot, grant)).tolist()
        edges = np.rint(np.cumsum(counts) / grant.n_prb * count).astype(int)
        shares = np.diff(edges, prepend=0).tolist()
        pieces = zip(shares, levels_db, strict=True)
        return [(n, level_db, self._error_variance(level_db)) for n, level_db in pieces if n]


class CellularAir(SelectiveAir):
    """Several sites on one band: what is granted elsewhere in the same slot is interference.

    A grant suffers the mean over its resource blocks of the power that reaches its receiver from
    the other sites' grants on the same blocks, over noise. The scheduler expects the mean of the
    last 100 used slots. Without fading in frequency the channel is flat within each subband.
    """

    memory_slots = 100.0

    def __init__(
        self,
        budget: LinkBudget,
        subbands: int,
        effective: Literal["miesm", "eesm"],
        *,
        n_sites: int,
        is_downlink: bool,
    ) -> None:
        super().__init__(budget, subbands, effective)
        self.n_sites = n_sites
        self._is_downlink = is_downlink
        self._granted: Sequence[Grant] = ()
        self._mean_inr = np.zeros(len(budget.links))  # linear, by device
        self._inr = np.zeros((n_sites, budget.n_prb))  # linear, (site, resource block)

    def reported_rise_db(self, bearer: Bearer, slot: int) -> float:
        return 10.0 * math.log10(1.0 + float(self._mean_inr[bearer.index]))

    def rise_db(self, bearer: Bearer, slot: int, grant: Grant) -> float:
        if self._is_downlink:
            inr = self._downlink_inr(bearer, slot, grant)
        else:
            blocks = self._inr[bearer.site, grant.first_prb : grant.first_prb + grant.n_prb]
            inr = float(blocks.mean())
        mean = self._mean_inr[bearer.index]
        self._mean_inr[bearer.index] = mean + (inr - mean) / self.memory_slots
        return 10.0 * math.log10(1.0 + inr)

    def occupy(self, slot: int, grants: Sequence[Grant]) -> None:
        self._granted = grants
        if self._is_downlink:
            return
        self._inr[:] = 0.0
        for grant in grants:
            bearer = grant.flow.bearer
            blocks = slice(grant.first_prb, grant.first_prb + grant.n_prb)
            power_db = self.powers[bearer.index].per_prb_db(grant.n_prb, slot) + self.offset_db
            for site, link in enumerate(self.links[bearer.index]):
                if site != bearer.site:
                    self._inr[site, blocks] += 10.0 ** (0.1 * (link.gain_db(slot) + power_db))

    def _downlink_inr(self, bearer: Bearer, slot: int, grant: Grant) -> float:
        inr, last = 0.0, grant.first_prb + grant.n_prb
        for other in self._granted:
            shared = min(last, other.first_prb + other.n_prb) - max(
                grant.first_prb, other.first_prb
            )
            site = other.flow.bearer.site
            if shared > 0 and site != bearer.site:
                gain_db = self.links[bearer.index][site].gain_db(slot)
                level_db = gain_db + self.powers[other.flow.bearer.index].per_prb_db(1, slot)
                inr += shared / grant.n_prb * 10.0 ** (0.1 * (level_db + self.offset_db))
        return inr
