"""How a device gets to send, how long decoding takes, and what headers a packet has (``cell:``)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simsplit.scenario.spec import NonNegative, Spec, Whole

SYMBOLS_PER_SLOT = 14
_PUSCH_PREPARATION = {15_000: 10, 30_000: 12, 60_000: 23, 120_000: 36}  # N2, Table 6.4-1
_PDSCH_PROCESSING = {15_000: (8, 13), 30_000: (10, 13), 60_000: (17, 20), 120_000: (20, 24)}
_FIRST_K2 = {15_000: 1, 30_000: 1, 60_000: 2, 120_000: 3}  # j, TS 38.214 Table 6.1.2.1.1-4

# --- access -----------------------------------------------------------------------------------


class DynamicAccess(Spec):
    """Every payload asks: scheduling request, grant, transmission (TS 38.321 clause 5.4.4).

    ``sr_period_slots``: each device may ask in one slot of so many, its own (TS 38.213 clause
    9.2.4, TS 38.331 SchedulingRequestResourceConfig). ``processing_slots``: from the end of the
    request's slot to the grant's slot, in the base station. ``k2_slots``: from the grant's slot to
    the PUSCH, at least (TS 38.214 clause 6.1.2.1); by default the least that leaves the device N2
    symbols (`least_k2_slots`). A device that sends meanwhile asks by a buffer status report in its
    next new block instead (TS 38.321 clause 5.4.5).
    """

    kind: Literal["dynamic"] = "dynamic"
    sr_period_slots: Literal[1, 2, 4, 5, 8, 10, 16, 20, 40, 80, 160, 320, 640] = 10
    processing_slots: Whole = 2
    k2_slots: Annotated[int, Field(ge=1, le=32, strict=True)] | None = None


class ConfiguredAccess(Spec):
    """A slot of its own for each device every so many, without asking (TS 38.321 clause 5.8.2).

    Type 1 and type 2 alike, once active. New data go in these slots only, retransmissions by
    grants. Periods: TS 38.331 ConfiguredGrantConfig.
    """

    kind: Literal["configured"]
    period_slots: Literal[1, 2, 4, 5, 8, 10, 16, 20, 32, 40, 64, 80, 128, 160, 320, 640] = 10


class ImmediateAccess(Spec):
    """Whatever arrives may be sent in the next slot: an ideal that costs no time."""

    kind: Literal["immediate"]


Access = Annotated[DynamicAccess | ConfiguredAccess | ImmediateAccess, Field(discriminator="kind")]


def least_k2_slots(spacing_hz: int, pdcch_symbols: int) -> int:
    """Fewest slots from a grant to its PUSCH, subcarriers ``spacing_hz`` wide.

    N2 + d_2,1 symbols lie between the PDCCH and a PUSCH from symbol 0 on (TS 38.214 clause 6.4,
    Table 6.4-1, capability 1, d_2,1 = 1); the default allocations begin with j slots
    (Table 6.1.2.1.1-4).
    """
    symbols = max(1, pdcch_symbols) + _PUSCH_PREPARATION[spacing_hz] + 1
    return max(_FIRST_K2[spacing_hz], -(-symbols // SYMBOLS_PER_SLOT))


def check_k2(access: Access, spacing_hz: int, pdcch_symbols: int) -> None:
    """Raise ValueError if a given k2 leaves a device less than it needs to prepare."""
    least = least_k2_slots(spacing_hz, pdcch_symbols)
    if isinstance(access, DynamicAccess) and access.k2_slots and access.k2_slots < least:
        raise ValueError(f"access.k2_slots must be at least {least}: N2 of TS 38.214 clause 6.4")


# --- decoding ---------------------------------------------------------------------------------


class StandardDecoding(Spec):
    """Half of N1 symbols at either end, after the last block's slot.

    N1 of capability 1 (TS 38.214 clause 5.3, Table 5.3-1) holds decoding and preparing the ACK;
    half of it is the receiver's part, in the device and in the base station alike (TR 37.910
    clause 5.7.1.1). A downlink of fixed rate has its own latency instead.
    """

    kind: Literal["capability_1"] = "capability_1"


class GivenDecoding(Spec):
    """Seconds of decoding after the last block's slot."""

    kind: Literal["given"]
    uplink_s: NonNegative = 0.0
    downlink_s: NonNegative = 0.0


class NoDecoding(Spec):
    """What was received is known at once: an ideal."""

    kind: Literal["none"]


Decoding = Annotated[StandardDecoding | GivenDecoding | NoDecoding, Field(discriminator="kind")]


def decoding_s(spec: Decoding, spacing_hz: int, dmrs_symbols: int) -> tuple[float, float]:
    """Seconds of decoding in the base station and in the device."""
    match spec:
        case StandardDecoding():
            symbols = _PDSCH_PROCESSING[spacing_hz][int(dmrs_symbols > 1)]
            seconds = symbols / 2 * 1e-3 * 15_000 / spacing_hz / SYMBOLS_PER_SLOT
            return seconds, seconds
        case GivenDecoding():
            return spec.uplink_s, spec.downlink_s
        case NoDecoding():
            return 0.0, 0.0


# --- headers ----------------------------------------------------------------------------------

Bytes = Annotated[int, Field(ge=0, le=200, strict=True)]


class PacketHeaders(Spec):
    """A payload goes in packets of ``mtu_bytes``, IP header included; each has these headers.

    IPv4 without options (RFC 791), UDP (RFC 768), SDAP (TS 37.324 clause 6.2.2), PDCP and RLC with
    18-bit numbers (TS 38.323 clause 6.2.2.3, TS 38.322 clause 6.2.2.4), MAC with a 16-bit length
    (TS 38.321 clause 6.1.2). ``compressed_bytes``: robust header compression sends so many instead
    of IP and UDP (RFC 5795, profile 2: context, CRC, UDP check sum). Analog symbols go with one
    packet's headers and ``side_information_bytes`` (sample, operating point, number of symbols,
    power scale) as robust control bits. A wired hop carries IP and UDP alone.
    """

    kind: Literal["packets"] = "packets"
    mtu_bytes: Annotated[int, Field(ge=576, le=65_535, strict=True)] = 1500
    ip_bytes: Bytes = 20
    udp_bytes: Bytes = 8
    sdap_bytes: Bytes = 1
    pdcp_bytes: Bytes = 3
    rlc_bytes: Bytes = 3
    mac_bytes: Bytes = 3
    compressed_bytes: Bytes | None = None
    side_information_bytes: Bytes = 6


class NoHeaders(Spec):
    """Payloads alone, and analog symbols that need no control: an ideal."""

    kind: Literal["none"]


Headers = Annotated[PacketHeaders | NoHeaders, Field(discriminator="kind")]


def packets(spec: PacketHeaders, payload_bits: int) -> int:
    """Packets that a payload needs; none for none."""
    room_bytes = spec.mtu_bytes - spec.ip_bytes - spec.udp_bytes
    return -(-payload_bits // (8 * room_bytes))


def header_bits(spec: Headers, payload_bits: int) -> int:
    """Bits of all headers of a payload on the air; 0 without a payload."""
    if isinstance(spec, NoHeaders):
        return 0
    return 8 * _air_bytes(spec) * packets(spec, payload_bits)


def wired_header_bits(spec: Headers, payload_bits: int) -> int:
    """Bits of the IP and UDP headers of a payload on a wired hop."""
    if isinstance(spec, NoHeaders):
        return 0
    return 8 * (spec.ip_bytes + spec.udp_bytes) * packets(spec, payload_bits)


def control_bits(spec: Headers) -> int:
    """Control bits that go with one payload of analog symbols."""
    if isinstance(spec, NoHeaders):
        return 0
    return 8 * (_air_bytes(spec) + spec.side_information_bytes)


def _air_bytes(spec: PacketHeaders) -> int:
    network = spec.ip_bytes + spec.udp_bytes
    if spec.compressed_bytes is not None:
        network = spec.compressed_bytes
    return network + spec.sdap_bytes + spec.pdcp_bytes + spec.rlc_bytes + spec.mac_bytes
