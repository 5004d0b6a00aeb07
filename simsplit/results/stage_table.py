"""Every stage of a request and every part of its energy, once: columns and meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a request is between two columns of its row; of a row that skips it one is null."""

    name: str
    start: str
    end: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a request's energy: its column, and the stage in which it is spent."""

    name: str
    column: str
    stage: str


STAGES: tuple[Stage, ...] = (
    Stage("device wait", "arrival_s", "device_start_s", "Waits for the device's processor."),
    Stage(
        "device compute", "device_start_s", "device_end_s", "Head, encoder and codec; the network."
    ),
    Stage("radio", "radio_start_s", "radio_end_s", "Uplink: access, sends, repeats, is decoded."),
    Stage("edge wait", "edge_arrival_s", "edge_start_s", "Queue and batch; the hop to a cloud."),
    Stage("edge compute", "edge_start_s", "edge_end_s", "Codec, decoder and tail of its batch."),
    Stage("downlink", "edge_end_s", "closed_s", "The hop back, the answer's way, its decoding."),
    Stage("local retry", "radio_end_s", "closed_s", "After a lost payload: the device answers."),
)
"""In order of time. ``local retry`` stands instead of edge and downlink (delivered is false)."""

PARTS: tuple[Part, ...] = (
    Part("device compute", "compute_energy_j", "device compute"),
    Part("transmission", "tx_energy_j", "radio"),
    Part("reception", "rx_energy_j", "downlink"),
    Part("edge", "edge_energy_j", "edge compute"),
)
"""Parts of ``energy_j``, in order of time of their stages but for the edge, which is no device."""
