"""Every noun that a scenario's YAML may say about the radio, below the key ``cell``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from simsplit.scenario.access import (
    Access,
    Decoding,
    DynamicAccess,
    Headers,
    PacketHeaders,
    StandardDecoding,
    check_k2,
)
from simsplit.scenario.channel import Channel, Fading, Multipath, NoFading
from simsplit.scenario.schedulers import RoundRobin, Scheduler
from simsplit.scenario.spec import (
    Count,
    Fraction,
    Level,
    NonNegative,
    Number,
    Positive,
    Spec,
    Whole,
)

# --- frame ------------------------------------------------------------------------------------


class Fdd(Spec):
    """Uplink and downlink on two carriers; every slot is both."""

    kind: Literal["fdd"] = "fdd"


class Tdd(Spec):
    """One carrier in turns: D, U, and S slots with the symbols given (TS 38.213 clause 11.1)."""

    kind: Literal["tdd"]
    pattern: Annotated[str, Field(pattern=r"^[DSU]{1,40}$")] = "DDDSU"
    special_downlink_symbols: Annotated[int, Field(ge=0, le=14, strict=True)] = 10
    special_uplink_symbols: Annotated[int, Field(ge=0, le=14, strict=True)] = 2

    @model_validator(mode="after")
    def _both_ways(self) -> Tdd:
        down, up = self.special_downlink_symbols, self.special_uplink_symbols
        if down + up > 14 or (down + up == 14 and down and up):
            raise ValueError("a special slot has 14 symbols for downlink, a gap and uplink")
        if "U" not in self.pattern or "D" not in self.pattern:
            raise ValueError("the pattern needs at least one U and one D slot")
        return self


Duplex = Annotated[Fdd | Tdd, Field(discriminator="kind")]


class Overhead(Spec):
    """What of a slot carries no data: pilots and control.

    ``dmrs_symbols``: DMRS symbols per PUSCH or PDSCH, 12 resource elements of each resource block
    (type 1, no data beside them; TS 38.211 clauses 6.4.1.1 and 7.4.1.1). ``pdcch_symbols``: control
    of a downlink slot; ``pucch_symbols``, ``srs_symbols``: control and sounding of an uplink slot.
    """

    dmrs_symbols: Annotated[int, Field(ge=1, le=4, strict=True)] = 1
    pdcch_symbols: Annotated[int, Field(ge=0, le=3, strict=True)] = 2
    pucch_symbols: Annotated[int, Field(ge=0, le=4, strict=True)] = 0
    srs_symbols: Annotated[int, Field(ge=0, le=4, strict=True)] = 0


# --- link adaptation, HARQ --------------------------------------------------------

_LAST_MCS = {1: 28, 2: 27, 3: 28}


class FixedMcs(Spec):
    """Always this index of TS 38.214 Table 5.1.3.1-1, -2 or -3."""

    kind: Literal["fixed"]
    index: Annotated[int, Field(ge=0, le=28, strict=True)]
    table: Literal[1, 2, 3] = 1

    @model_validator(mode="after")
    def _is_in_the_table(self) -> FixedMcs:
        if self.index > _LAST_MCS[self.table]:
            raise ValueError(f"MCS table {self.table} ends at index {_LAST_MCS[self.table]}")
        return self


class OuterLoop(Spec):
    """OLLA: each NACK of a first transmission lowers the assumed SNR by ``step_db``, each ACK lifts
    it by step_db x target / (1 - target), so that it rests where the target is met (Sampath 1997).
    """

    step_db: Annotated[Number, Field(gt=0, le=5)] = 0.5
    limit_db: Annotated[Number, Field(gt=0, le=40)] = 20.0


class AdaptiveMcs(Spec):
    """Most bits at a predicted block error within the target, at the last reported SNR.

    Reports (CQI or SRS) come every ``csi_period_slots`` and are ``csi_delay_slots`` old when used.
    """

    kind: Literal["adaptive"] = "adaptive"
    table: Literal[1, 2, 3] = 1
    bler_target: Annotated[Number, Field(gt=0, lt=1)] = 0.1
    csi_delay_slots: Whole = 4
    csi_period_slots: Count = 10
    backoff_db: NonNegative = 0.0
    outer_loop: OuterLoop | None = None


Mcs = Annotated[FixedMcs | AdaptiveMcs, Field(discriminator="kind")]


class Harq(Spec):
    """Stop-and-wait per process; up to ``processes`` blocks of a device are under way at once.

    ``round_trip_slots``: from a block's slot to the first in which its process may send again, the
    same block after a NACK or another after an ACK. All slots count; with TDD a slot of the other
    direction must lie between, and the next slot of the block's own direction is used.
    ``chase`` repeats the same bits; ``incremental_redundancy`` walks through the redundancy
    versions 0, 2, 3, 1 (TS 38.212 clause 5.4.2.1).
    """

    max_transmissions: Annotated[int, Field(ge=1, le=16, strict=True)] = 4
    round_trip_slots: Count = 8
    combining: Literal["chase", "incremental_redundancy"] = "chase"
    processes: Annotated[int, Field(ge=1, le=32, strict=True)] = 16


class Rlc(Spec):
    """Acknowledged mode above HARQ: a block that failed for good is sent anew, so many times.

    ``status_delay_slots``: from the last NACK to the new transmission (TS 38.322 clause 5.3).
    """

    max_retransmissions: Annotated[int, Field(ge=0, le=32, strict=True)] = 0
    status_delay_slots: Whole = 20


# --- power, interference, cells ---------------------------------------------------------------


class FullPower(Spec):
    """The device's whole power, spread over the granted blocks."""

    kind: Literal["full"] = "full"


_ALPHAS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # TS 38.331, PUSCH-PowerControl


def _is_alpha(value: float) -> float:
    if value not in _ALPHAS:
        raise ValueError(f"must be one of {', '.join(f'{alpha:g}' for alpha in _ALPHAS)}")
    return value


class FractionalPower(Spec):
    """P = min(P_max, P0 + 10 log10(2^mu M_RB) + alpha PL) (TS 38.213 clause 7.1.1)."""

    kind: Literal["fractional"]
    p0_dbm: Annotated[Number, Field(ge=-202, le=24)] = -80.0
    alpha: Annotated[Fraction, AfterValidator(_is_alpha)] = 0.8


PowerControl = Annotated[FullPower | FractionalPower, Field(discriminator="kind")]


class NoInterference(Spec):
    """Noise alone."""

    kind: Literal["none"] = "none"


class InterferenceMargin(Spec):
    """Noise raised by a constant."""

    kind: Literal["margin"]
    margin_db: NonNegative


class NeighbourCells(Spec):
    """Neighbours that are on or off: each, when on, adds ``inr_db`` over the noise.

    ``load``: the share of bursts in which a neighbour is on, or ``coupled``: as loaded as this cell
    is itself (its share of granted blocks over ``window_slots``; load coupling, Fehske & Fettweis
    2012). A burst lasts ``burst_slots``.
    """

    kind: Literal["neighbours"]
    inr_db: Annotated[tuple[Level, ...], Field(min_length=1, max_length=60)]
    load: Fraction | Literal["coupled"] = 0.5
    burst_slots: Count = 4
    window_slots: Count = 400


Interference = Annotated[
    NoInterference | InterferenceMargin | NeighbourCells, Field(discriminator="kind")
]


class SingleSite(Spec):
    """One cell at the origin."""

    kind: Literal["single"] = "single"


class HexSites(Spec):
    """A hexagonal grid of equal cells around the origin, all simulated, reusing the whole band.

    Devices belong to the strongest cell by path gain and change when another one is stronger by
    ``hysteresis_db`` for ``time_to_trigger_s`` (event A3, TS 38.331 clause 5.5.4.4); what is under
    way stays lost until ``interruption_s`` is over.
    """

    kind: Literal["hex"]
    rings: Annotated[int, Field(ge=1, le=3, strict=True)] = 1
    inter_site_distance_m: Positive = 200.0
    hysteresis_db: NonNegative = 3.0
    time_to_trigger_s: NonNegative = 0.16
    interruption_s: NonNegative = 0.03


Sites = Annotated[SingleSite | HexSites, Field(discriminator="kind")]


class Drx(Spec):
    """Discontinuous reception (TS 38.321 clause 5.7).

    After ``inactivity_s`` without a grant the radio sleeps and wakes for ``on_s`` of every
    ``cycle_s``; uplink data wakes it within the sleep's transition time (TR 38.840), an answer
    waits for the next on-duration.
    """

    inactivity_s: Positive = 0.02
    cycle_s: Positive = 0.16
    on_s: Positive = 0.008

    @model_validator(mode="after")
    def _fits(self) -> Drx:
        if self.on_s > self.cycle_s:
            raise ValueError("on_s must not be longer than cycle_s")
        return self


class FixedRateDownlink(Spec):
    """Answers share a pipe of fixed rate, then a fixed latency; no errors."""

    kind: Literal["fixed_rate"]
    rate_bps: Positive = 20e6
    latency_s: NonNegative = 0.001


class RadioDownlink(Spec):
    """Answers go down over the same kind of air: slots, MCS, HARQ, with the cell's rules.

    ``tx_power_dbm`` is spread over the whole band (TR 38.901 Table 7.8-1: 44 dBm for UMi at
    20 MHz); ``latency_s`` is what the core and the stack add.
    """

    kind: Literal["radio"] = "radio"
    tx_power_dbm: Level = 44.0
    device_noise_figure_db: NonNegative = 9.0
    latency_s: NonNegative = 0.001


Downlink = Annotated[FixedRateDownlink | RadioDownlink, Field(discriminator="kind")]


class ChannelEstimation(Spec):
    """What the receiver knows of the channel.

    ``perfect``, or ``estimated`` from the pilots of the grant: error variance 1 / (1 + P SNR) for P
    pilots per resource block and slot (Hassibi & Hochwald 2003).
    """

    kind: Literal["perfect", "estimated"] = "perfect"
    equaliser: Literal["zf", "mmse"] = "zf"


class Cell(Spec):
    """One cell, or several alike: carrier, frame, channel, link adaptation, scheduler, downlink.

    The width is ``resource_blocks`` or ``bandwidth_hz`` (TS 38.101-1 and -2, Table 5.3.2-1); 51
    blocks (20 MHz at 30 kHz) if neither is said.
    """

    carrier_hz: Annotated[Number, Field(ge=1e8, le=1e11)] = 3.5e9
    subcarrier_spacing_hz: Literal[15_000, 30_000, 60_000, 120_000] = 30_000
    resource_blocks: Annotated[int, Field(ge=1, le=275, strict=True)] | None = None
    bandwidth_hz: Positive | None = None
    duplex: Duplex = Fdd()
    overhead: Overhead = Overhead()
    access: Access = DynamicAccess()
    decoding: Decoding = StandardDecoding()
    headers: Headers = PacketHeaders()
    noise_figure_db: NonNegative = 5.0
    channel: Channel
    fading: Fading = NoFading()
    interference: Interference = NoInterference()
    sites: Sites = SingleSite()
    power_control: PowerControl = FullPower()
    mcs: Mcs = AdaptiveMcs()
    harq: Harq = Harq()
    rlc: Rlc = Rlc()
    scheduler: Scheduler = RoundRobin()
    estimation: ChannelEstimation = ChannelEstimation()
    drx: Drx | None = None
    fidelity: Literal["table", "exact"] = "table"
    outside_table: Literal["error", "exact"] = "error"
    demapper: Literal["app", "max_log"] = "app"
    downlink: Downlink = RadioDownlink()

    @model_validator(mode="after")
    def _one_width(self) -> Cell:
        if self.resource_blocks is not None and self.bandwidth_hz is not None:
            raise ValueError("say resource_blocks or bandwidth_hz, not both")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Cell:
        check_k2(self.access, self.subcarrier_spacing_hz, self.overhead.pdcch_symbols)
        placeless = self.channel.kind in ("fixed_snr", "trace", "custom")
        if placeless and self.sites.kind != "single":
            raise ValueError(f"channel {self.channel.kind} knows no places: sites must be single")
        if self.channel.kind in ("fixed_snr", "custom") and self.power_control.kind != "full":
            message = "has no path loss to compensate: power_control must be full"
            raise ValueError(f"{self.channel.kind} {message}")
        if self.demapper != "app" and self.fidelity != "exact":
            raise ValueError("the table was made with demapper app; max_log needs fidelity exact")
        is_eesm = isinstance(self.fading, Multipath) and self.fading.effective_sinr == "eesm"
        if is_eesm and self.mcs.table == 3:
            raise ValueError("EESM has no betas for MCS table 3: effective_sinr must be miesm")
        return self

    @property
    def slot_s(self) -> float:
        """Slot duration, TS 38.211 clause 4.3.2: 1 ms / 2^mu, 14 symbols."""
        return 1e-3 * 15_000 / self.subcarrier_spacing_hz
