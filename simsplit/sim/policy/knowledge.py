"""What a device knows when it chooses, the form of its choice, and what it predicts by it.

It believes costs, has heard reports, and has measured the rate of its own transfers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from simsplit.messages import Scheme

# --- what is known ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Costs:
    """What a device believes that one operating point costs, on its own hardware.

    Attributes:
        name, scheme: Of the operating point.
        device_s: Predicted seconds of head + encoder + codec (``local``: of the whole network).
        edge_s: Predicted seconds of codec + decoder + tail for a batch of one; 0 for ``local``.
        payload_bits: What goes up with its headers, mean over the samples; 0 for JSCC.
        channel_uses: JSCC: complex symbols that go up, mean over the samples, and those of their
            control bits; else 0.
        answer_bits: Size of the answer, mean over the samples.
        sends: False for a local answer that stays on the device.
        read_answer_s: Predicted seconds on the device to decode the answer that came down.
    """

    name: str
    scheme: Scheme
    device_s: float
    edge_s: float
    payload_bits: float
    channel_uses: float
    answer_bits: float
    sends: bool = True
    read_answer_s: float = 0.0

    @property
    def is_remote(self) -> bool:
        """True if the edge computes the answer."""
        return self.scheme is not Scheme.LOCAL


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a device knows at the moment of choice; nothing in it is the truth (but the oracle's).

    Attributes:
        now_s: The clock.
        snr_db: Its last channel report; NaN before the first.
        air_s: (payload bits, JSCC channel uses) → seconds on the air at the rate that the device
            estimates; inf (or NaN) if it knows of no rate.
        access_s: Expected seconds until its payload may go on the air, and of decoding afterwards.
        queue_s: Seconds of work that wait at its own processor.
        edge_wait_s: Expected wait at the server by its last load report; 0 before the first.
        edge_load: Factor >= 1 on the server's seconds by its last load report (Neurosurgeon's K).
        downlink_s: Expected seconds for the answer to come down.
        deadline_s: Of its requests, from arrival; inf if there is none.
        battery_share: What is left of the battery; 1.0 without battery.
        compute_w, transmit_w, receive_w, idle_w: Processor computing; transmitter and receiver,
            beyond the processor; processor idle.
        transmit_share: Share of its seconds on the air in which the transmitter radiates (less
            than 1 if it waits for grants between slots).
        receive_share: Share of ``downlink_s`` in which the receiver is on for the answer.
    """

    now_s: float
    snr_db: float
    air_s: Callable[[float, float], float]
    queue_s: float
    edge_wait_s: float
    edge_load: float
    downlink_s: float
    deadline_s: float
    battery_share: float
    compute_w: float
    transmit_w: float
    receive_w: float
    idle_w: float
    transmit_share: float = 1.0
    receive_share: float = 1.0
    access_s: float = 0.0


# --- the choice -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decision:
    """The operating point of one request.

    Attributes:
        point: Its name.
        exit_s: Seconds on the device for an exit head that was not confident, beyond what
            ``point`` needs anyway.
    """

    point: str
    exit_s: float = 0.0


class Policy(Protocol):
    """The form of every policy: it chooses the operating point of each request of one device."""

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """The decision for a request that shows ``sample`` (its number in the task's range)."""

    def learn(self, point: str, reward: float) -> None:
        """A request over ``point`` has closed with this `reward`, in [0, 1]; 0 if it was lost."""


class Chooser(Protocol):
    """What a user's own policy must have; ``learn(point, reward)`` as of `Policy` if it learns.

    It is built with (costs by operating point, options, a generator of its own), once per device.
    """

    def choose(self, knowledge: Knowledge, sample: int) -> str | Decision:
        """The name of one of its operating points, or a `Decision`, for a request.

        Args:
            knowledge: What the device knows now; seconds, dB, joules as its attributes say.
            sample: Number of the request's sample in the task's range, from 0.
        """


# --- what a point is predicted to cost --------------------------------------------------------


def predicted_latency_s(costs: Costs, knowledge: Knowledge) -> float:
    """Seconds to the answer: queue + device + access + air + edge wait + K * edge + downlink.

    A local answer has neither edge nor downlink, and access and air only if it is sent up. inf if
    the device cannot tell (NaN among the terms). Source: Kang et al., ASPLOS 2017, Algorithm 1,
    with access, the waits at processor and server and the answer's way back added.
    """
    before_air_s = knowledge.queue_s + costs.device_s
    before_air_s += knowledge.access_s if costs.sends else 0.0
    return _or_never(before_air_s + _air_s(costs, knowledge) + _beyond_air_s(costs, knowledge))


def predicted_energy_j(costs: Costs, knowledge: Knowledge) -> float:
    """Joules of the device: compute_w * device + transmit_w * air + receive_w * downlink.

    The request's own energy, as its row counts it: waiting costs nothing here, since idle power
    flows whatever is chosen. inf if the device cannot tell. Source: Kang et al. 2017,
    Algorithm 1, with the receiver added.
    """
    on_air_s = _air_s(costs, knowledge) * knowledge.transmit_share
    received_s = knowledge.downlink_s * knowledge.receive_share if costs.is_remote else 0.0
    return _or_never(
        knowledge.compute_w * (costs.device_s + costs.read_answer_s)
        + knowledge.transmit_w * on_air_s
        + knowledge.receive_w * received_s
    )


def _air_s(costs: Costs, knowledge: Knowledge) -> float:
    return knowledge.air_s(costs.payload_bits, costs.channel_uses) if costs.sends else 0.0


def _beyond_air_s(costs: Costs, knowledge: Knowledge) -> float:
    if not costs.is_remote:
        return 0.0
    server_s = knowledge.edge_wait_s + knowledge.edge_load * costs.edge_s
    return server_s + knowledge.downlink_s + costs.read_answer_s


def _or_never(value: float) -> float:
    """What cannot be told counts as never: nobody relies on it while there is something better."""
    return math.inf if math.isnan(value) else value


# --- the uplink's speed ------------------------------------------------------------------------


class RateMeter:
    """Measured uplink speed: exponentially weighted amount over exponentially weighted seconds.

    Each transfer has ``weight`` in both sums (memory: about 1 / weight transfers). The ratio of
    the sums, not the mean of the ratios, so that amount / speed has no bias as a duration. The
    initial value counts as one earlier transfer, as long as the first.

    Args:
        initial_per_s: Speed before the first transfer, e.g. the cell's without other devices.
        weight: Of the newest transfer, in (0, 1].

    Raises:
        ValueError: A weight or a speed that cannot be.
    """

    def __init__(self, initial_per_s: float, weight: float = 0.2) -> None:
        if not 0.0 < weight <= 1.0:
            raise ValueError(f"weight must lie in (0, 1]: {weight}")
        if not 0.0 <= initial_per_s < math.inf:
            raise ValueError(f"initial_per_s must be finite and not negative: {initial_per_s}")
        self.per_s = initial_per_s
        self._weight = weight
        self._amount = self._seconds = math.nan

    def observe(self, amount: float, seconds: float) -> None:
        """A transfer took ``seconds`` from its first slot to its end; one of length 0 says nothing.

        ``amount``: what the air gave meanwhile, in the unit of ``per_s``; resource elements count
        with padding, or a small payload would look like a slow cell.
        """
        if seconds <= 0.0:
            return
        if math.isnan(self._seconds):
            self._amount, self._seconds = self.per_s * seconds, seconds
        self._amount += self._weight * (amount - self._amount)
        self._seconds += self._weight * (seconds - self._seconds)
        self.per_s = self._amount / self._seconds


def air_seconds(
    bits: float, uses: float, *, bits_per_re: float, re_per_s: float, slot_s: float
) -> float:
    """Expected seconds to carry ``bits`` (digital) or ``uses`` (JSCC symbols): rate, slot, wait.

    (uses + bits / bits_per_re) / re_per_s, at least one slot, plus half a slot until the next slot
    begins; 0 if nothing is sent.

    Args:
        bits, uses: Payload; one of them is 0.
        bits_per_re: Bits per resource element by the last channel report; 0: no scheme works;
            NaN: no report yet. Digital payloads then take inf.
        re_per_s: Resource elements per second, as metered.
        slot_s: Length of a slot.
    """
    if bits == 0 and uses == 0:
        return 0.0
    if re_per_s <= 0.0 or (bits > 0 and not bits_per_re > 0.0):
        return math.inf
    elements = uses + (bits / bits_per_re if bits else 0.0)
    return max(elements / re_per_s, slot_s) + slot_s / 2
