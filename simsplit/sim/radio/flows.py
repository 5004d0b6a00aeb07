"""What travels over the air: flows of payloads on the bearers of devices, in blocks on grants."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy

from simsplit.phy.mcs import Mcs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simsplit.sim.device.device import Device
    from simsplit.sim.request import Request


@dataclass(slots=True, eq=False)
class Flow:
    """One payload in the air.

    Attributes:
        sent: Fires at its end with True if it was delivered.
        payload: Its bytes; empty where only its size counts.
        total: Its size in bits, or in JSCC symbols if ``is_analog``.
        is_control: The control bits of the JSCC symbols that come right after it.
        begun: Bits of the payload that were put into a block at least once, from its front.
        again: Slices (from, to, RLC tries) that must be sent anew.
        remaining: Bits not in a block, or JSCC symbols not yet sent.
        stop_s, min_symbols: A JSCC flow ends then, delivered if it has sent so many.
        in_flight: Blocks that were sent and have neither passed nor been lost.
        papr_db: JSCC: resource blocks of the first grant -> PAPR of the waveform in dB.
        snr_sum_db, mcs_sum, grants: Sums over its grants, and their number.
    """

    request: Request
    bearer: Bearer
    sent: simpy.Event
    payload: bytes
    total: int
    is_analog: bool
    is_control: bool = False
    stop_s: float = math.inf
    min_symbols: int = 0
    papr_db: Callable[[int], float] | None = None
    begun: int = 0
    again: deque[tuple[int, int, int]] = field(default_factory=deque)
    remaining: int = 0
    in_flight: int = 0
    snr_sum_db: float = 0.0
    mcs_sum: float = 0.0
    grants: int = 0
    is_over: bool = False

    def __post_init__(self) -> None:
        self.remaining = self.total

    def take(self, bits: int) -> tuple[int, int, int]:
        """The next slice (from, to, RLC tries) of at most so many bits; it leaves the rest."""
        if not self.again:
            start, tries = self.begun, 0
            end = start + bits
            end = self.begun = end if end < self.total else self.total
        else:
            start, last, tries = self.again.popleft()
            end = min(last, start + bits)
            if end < last:
                self.again.appendleft((end, last, tries))
        self.remaining -= end - start
        return start, end, tries

    def next_bits(self) -> int:
        """Bits of the slice that `take` would begin with."""
        return self.again[0][1] - self.again[0][0] if self.again else self.total - self.begun


@dataclass(slots=True, eq=False)
class Bearer:
    """One device as a cell sees it: unsent flows, busy HARQ processes, SNR offset, last report.

    ``in_flight`` counts processes whose block waits for its feedback or another attempt;
    ``passed_bits`` counts bits in blocks that passed their CRC, headers included; ``is_shut``:
    between two slots of a configured grant.
    """

    index: int
    device: Device
    weight: float = 1.0
    site: int = 0
    flows: deque[Flow] = field(default_factory=deque)
    in_flight: int = 0
    offset_db: float = 0.0
    passed_bits: int = 0
    report_slot: int = -1
    report_db: float = 0.0
    is_ready: bool = False
    is_barred: bool = False
    is_shut: bool = False


@dataclass(slots=True)
class Block:
    """A transport block: fixed scheme and size over all its attempts.

    Attributes:
        n_re: Resource elements that carry it in each attempt.
        bits_from, bits_to: Its slice of the payload.
        snrs_db: Effective SNR of each attempt so far.
        rlc_tries: How often its bits were given up and sent anew before.
        snr_profile_db: The last attempt's SNR per resource block, if the channel is selective.
        state: What the block channel keeps.
    """

    scheme: Mcs
    n_prb: int
    n_re: int
    tb_bits: int
    bits_from: int
    bits_to: int
    rlc_tries: int = 0
    snrs_db: list[float] = field(default_factory=list)
    snr_profile_db: NDArray[np.float64] | None = None
    state: Any = None


@dataclass(slots=True, eq=False)
class Grant:
    """Resource blocks of one slot for one flow; ``block`` is None for JSCC symbols.

    ``symbols``: JSCC symbols that share the grant with their control's block, which takes
    ``block.n_prb`` of its resource blocks; both are spread evenly over all of them.
    """

    flow: Flow
    block: Block | None
    first_prb: int
    n_prb: int
    symbols: Flow | None = None
