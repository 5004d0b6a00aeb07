"""What every request of an operating point has to encode and decode, and how long that takes.

On the device: the payload (or a local answer that is sent up) is encoded, and the answer that comes
down is decoded. At the server: the payload is decoded and the answer encoded. A label needs no
coding, nor do JSCC symbols: their normalisation is one of the network's operators.
"""

from __future__ import annotations

from dataclasses import dataclass

from simsplit.codecs.workload import Coding, coding_of, map_coding, range_coding
from simsplit.hardware.codec_costs import Side
from simsplit.hardware.machine import Machine
from simsplit.messages import Prepared, Scheme, Workload
from simsplit.scenario.operating_points import OperatingPoint


@dataclass(frozen=True, slots=True)
class Codings:
    """What a request codes, by sample; empty where nothing is coded.

    Attributes:
        sent: What goes up.
        answer: What comes down.
        is_local: Whether the device answers.
    """

    sent: tuple[Coding, ...] = ()
    answer: tuple[Coding, ...] = ()
    is_local: bool = False

    def encode_s(self, device: Machine) -> list[float]:
        """Seconds of a device before it sends, per sample."""
        return _seconds(device, "encode", self.sent)

    def answer_s(self, device: Machine) -> list[float]:
        """Seconds of a device to decode the answer that came down, per sample."""
        return _seconds(device, "decode", self.answer)

    def server_s(self, server: Machine) -> list[float]:
        """Seconds of a server to decode what came up and to encode the answer, per sample.

        None for what was answered on the device: nobody waits for the server to read it.
        """
        if self.is_local:
            return []
        decoded = _seconds(server, "decode", self.sent)
        encoded = _seconds(server, "encode", self.answer)
        if not decoded or not encoded:
            return decoded or encoded
        return [up + down for up, down in zip(decoded, encoded, strict=True)]


def codings_of(point: OperatingPoint, work: Workload, prepared: Prepared) -> Codings:
    """What the samples of an operating point have to encode and decode."""
    answers: tuple[Coding, ...] = ()
    if work.answer_map:
        maps = prepared.answer_bits if prepared.map_bits is None else prepared.map_bits
        answers = tuple(map_coding(work.answer_map, bits / 8) for bits in maps)
    if point.scheme is Scheme.LOCAL:
        return Codings(answers if point.send_result else (), is_local=True)
    spec = point.codec
    if work.range_coded:
        coded = (range_coding(work.range_coded, bits / 8) for bits in prepared.payload_bits)
        return Codings(tuple(coded), answers)
    if spec is None:
        return Codings(answer=answers)
    sent = (coding_of(spec, work.coded, bits / 8) for bits in prepared.payload_bits)
    return Codings(tuple(sent), answers)


def _seconds(machine: Machine, side: Side, codings: tuple[Coding, ...]) -> list[float]:
    return [machine.codec_s(side, coding) for coding in codings]
