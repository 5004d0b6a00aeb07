"""Es/(N0 + I0) of every bearer in every slot: gain, power, interference, channel estimation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simsplit.phy.analog import effective_snr_db, estimation_error_variance
from simsplit.phy.effective import BETA, eesm_db, miesm_db
from simsplit.sim.interference import NoiseRise
from simsplit.sim.links import Link
from simsplit.sim.power import Power

if TYPE_CHECKING:
    from simsplit.sim.blocks import Block
    from simsplit.sim.cell import Bearer, Grant

Floats = NDArray[np.float64]
Piece = tuple[int, float, float]
"""JSCC symbols that share one coefficient: count, Es/(N0 + I0) in dB, channel error variance."""


class Air:
    """Es/(N0 + I0) of every bearer over a flat channel, one site.

    Args:
        links: Device -> site -> link.
        powers: Device -> transmit power towards its site, or of its site towards it.
        rise: Interference at the site.
        pilots: Pilots per resource block and slot; 0: the channel is known perfectly.
        offset_db: Added to every gain (another receiver's noise figure).
    """

    n_sites = 1

    def __init__(
        self,
        links: Sequence[Sequence[Link]],
        powers: Sequence[Power],
        rise: NoiseRise,
        n_prb: int,
        *,
        pilots: int = 0,
        offset_db: float = 0.0,
    ) -> None:
        self.links, self.powers, self.rise, self.n_prb = links, powers, rise, n_prb
        self.pilots, self.offset_db = pilots, offset_db

    # --- what the scheduler expects -----------------------------------------------------------

    def expected_db(self, bearer: Bearer, slot: int, first_prb: int, n_prb: int) -> float:
        """Effective Es/(N0 + I0) that a grant would have had in the (past) slot of a report."""
        if bearer.report_slot != slot:
            gain_db = self.links[bearer.index][bearer.site].gain_db(slot) + self.offset_db
            bearer.report_db = gain_db - self.known_rise_db(bearer, slot)
            bearer.report_slot = slot
        level_db = bearer.report_db + self.powers[bearer.index].per_prb_db(n_prb, slot)
        return self._estimated(level_db) if self.pilots else level_db

    def wideband_db(self, bearer: Bearer, slot: int) -> float:
        """The same on the whole band."""
        return self.expected_db(bearer, slot, 0, self.n_prb)

    # --- what happens -------------------------------------------------------------------------

    def occupy(self, slot: int, grants: Sequence[Grant]) -> None:
        """The grants of the slot that begins now."""
        self.rise.occupy(slot, sum(grant.n_prb for grant in grants) / self.n_prb)

    def received_db(self, bearer: Bearer, slot: int, grant: Grant, block: Block) -> float:
        """Effective Es/(N0 + I0) of a transport block."""
        level_db = self._level_db(bearer, slot, grant.n_prb) - self.rise_db(bearer, slot, grant)
        return self._estimated(level_db) if self.pilots else level_db

    def symbol_pieces(self, bearer: Bearer, slot: int, grant: Grant, count: int) -> list[Piece]:
        """The pieces of ``count`` JSCC symbols on a grant, one per coefficient."""
        snr_db = self._level_db(bearer, slot, grant.n_prb) - self.rise_db(bearer, slot, grant)
        return [(count, snr_db, self._error_variance(snr_db))]

    def known_rise_db(self, bearer: Bearer, slot: int) -> float:
        """The noise rise that a report of this slot holds."""
        return self.rise.rise_db(slot)

    def rise_db(self, bearer: Bearer, slot: int, grant: Grant) -> float:
        """The noise rise that a grant suffers."""
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

    def _error_variance(self, snr_db: float) -> float:
        return estimation_error_variance(snr_db, self.pilots) if self.pilots else 0.0


class BandProfile:
    """Es/N0 per subband of grants on a frequency-selective channel."""

    def __init__(self, subbands: int, width: int) -> None:
        self._subbands, self._width = subbands, width
        self.parts = lru_cache(maxsize=4096)(self._parts)

    def _parts(self, first_prb: int, n_prb: int) -> tuple[int, tuple[int, ...]]:
        """First subband of a grant, and how many of its blocks lie in each from there on."""
        blocks = range(first_prb, first_prb + n_prb)
        bands = [prb * self._subbands // self._width for prb in blocks]
        return bands[0], tuple(bands.count(b) for b in range(bands[0], bands[-1] + 1))


class SelectiveAir(Air):
    """The same over a frequency-selective channel, reduced to effective SINR per grant.

    A resource block has the gain of the subband it lies in. The scheduler, which does not know the
    modulation yet, expects the SNR of equal capacity; a block gets MIESM or EESM for its scheme.
    """

    subbands = 1
    effective = "miesm"

    @cached_property
    def _bands(self) -> BandProfile:
        return BandProfile(self.subbands, self.n_prb)

    def _profile_db(
        self, bearer: Bearer, slot: int, first_prb: int, n_prb: int
    ) -> tuple[Floats, tuple[int, ...]]:
        """Es/N0 of each subband of the grant and how many of its blocks lie there."""
        low, counts = self._bands.parts(first_prb, n_prb)
        bands = self.links[bearer.index][bearer.site].bands_db(slot)[low : low + len(counts)]
        power_db = self.powers[bearer.index].per_prb_db(n_prb, slot)
        return bands + (power_db + self.offset_db), counts

    def expected_db(self, bearer: Bearer, slot: int, first_prb: int, n_prb: int) -> float:
        """See `Air`."""
        snr_db, counts = self._profile_db(bearer, slot, first_prb, n_prb)
        snr_db = snr_db - self.known_rise_db(bearer, slot)
        bits = np.average(np.log2(1.0 + 10.0 ** (0.1 * snr_db)), weights=counts)
        return self._estimated(10.0 * math.log10(2.0 ** float(bits) - 1.0))

    def received_db(self, bearer: Bearer, slot: int, grant: Grant, block: Block) -> float:
        """See `Air`."""
        snr_db, counts = self._profile_db(bearer, slot, grant.first_prb, grant.n_prb)
        snr_db = snr_db - self.rise_db(bearer, slot, grant)
        if self.pilots:
            snr_db = np.array([self._estimated(level_db) for level_db in snr_db.tolist()])
        each = block.snr_profile_db = np.repeat(snr_db, counts)
        scheme = block.scheme
        if self.effective == "eesm":
            return eesm_db(each, BETA[scheme.table, scheme.index])
        return miesm_db(each, scheme.bits_per_symbol)

    def symbol_pieces(self, bearer: Bearer, slot: int, grant: Grant, count: int) -> list[Piece]:
        """See `Air`; symbols fill the blocks of the grant evenly, subband by subband."""
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

    is_downlink = False
    memory_slots = 100.0

    def known_rise_db(self, bearer: Bearer, slot: int) -> float:
        """See `Air`."""
        return 10.0 * math.log10(1.0 + float(self._mean_inr[bearer.index]))

    def rise_db(self, bearer: Bearer, slot: int, grant: Grant) -> float:
        """See `Air`."""
        if self.is_downlink:
            inr = self._downlink_inr(bearer, slot, grant)
        else:
            blocks = self._inr[bearer.site, grant.first_prb : grant.first_prb + grant.n_prb]
            inr = float(blocks.mean())
        mean = self._mean_inr[bearer.index]
        self._mean_inr[bearer.index] = mean + (inr - mean) / self.memory_slots
        return 10.0 * math.log10(1.0 + inr)

    @cached_property
    def _mean_inr(self) -> Floats:
        return np.zeros(len(self.links))

    @cached_property
    def _inr(self) -> Floats:
        """Interference over noise, linear, (site, resource block)."""
        return np.zeros((self.n_sites, self.n_prb))

    def occupy(self, slot: int, grants: Sequence[Grant]) -> None:
        """See `Air`."""
        self._granted = grants
        if self.is_downlink:
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
