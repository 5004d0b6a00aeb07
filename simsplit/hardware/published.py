"""Latencies that others measured and published, and the operators of the networks they are of.

``scenarios/hardware/published/latencies.csv`` holds a row per hardware file, network, picture size
and batch; ``sources.yaml`` beside it says of each source where it stands, with which runtime it was
measured and under which licence. Networks are torchvision's: ``name`` or ``name*width``.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import torch
import torchvision

from simsplit.hardware.roofline import Hardware, load_hardware
from simsplit.networks.costs import record
from simsplit.operators import Operators
from simsplit.scenario.bundled import hardware_dir
from simsplit.scenario.yaml import read_mapping

LATENCY_COLUMNS = ("network", "picture", "batch", "published ms", "roofline ms", "ratio")


@dataclass(frozen=True, slots=True)
class Latency:
    """One published figure: seconds of one launch.

    Attributes:
        hardware: Name of the hardware file, with ``@level`` if at a frequency level.
        network: torchvision's name, perhaps with ``*width``.
        size_px: Side of the square picture.
        source: Key in ``sources.yaml``.
    """

    hardware: str
    network: str
    size_px: int
    batch: int
    seconds: float
    source: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where latencies stand, what ran the networks, and under which licence they are published."""

    title: str
    runtime: str
    licence: str


def published_dir() -> Path:
    """Folder of the bundled latencies."""
    return hardware_dir() / "published"


def read_latencies(hardware: str | None = None) -> list[Latency]:
    """All rows, or those of one hardware file, in the file's order."""
    rows = _rows(published_dir() / "latencies.csv")
    return [row for row in rows if hardware is None or row.hardware == hardware]


@lru_cache(maxsize=1)
def _rows(file: Path) -> tuple[Latency, ...]:
    with file.open(encoding="utf-8", newline="") as lines:
        return tuple(_latency(row) for row in csv.DictReader(lines))


def _latency(row: Mapping[str, str]) -> Latency:
    return Latency(
        row["hardware"],
        row["network"],
        int(row["size_px"]),
        int(row["batch"]),
        float(row["ms"]) / 1e3,
        row["source"],
    )


def read_sources() -> dict[str, Source]:
    """Key of a source → what it is."""
    content = read_mapping(published_dir() / "sources.yaml")
    return {key: Source(**figures) for key, figures in content.items()}


def described(latencies: list[Latency]) -> str:
    """The sources of some latencies in one line, with runtime and licence."""
    sources = read_sources()
    keys = dict.fromkeys(row.source for row in latencies)
    parts = (sources[key] for key in keys)
    return "; ".join(f"{one.title} ({one.runtime}; {one.licence})" for one in parts)


@cache
def operators_of(network: str, size_px: int) -> Operators:
    """Of torchvision's ``name`` or ``name*width`` for one picture; its weights are zeros."""
    name, _, width = network.partition("*")
    options: dict[str, object] = {"width_mult": float(width)} if width else {}
    options |= {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    # no time for random weights, which nobody looks at; RegNet computes its widths with tensors
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        module = torchvision.models.get_model(name, weights=None, **options)
    module = module.to_empty(device="cpu").eval()
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data.zero_()
    return record(module, torch.zeros(1, 3, size_px, size_px))


def latency_rows(name: str) -> list[list[str]]:
    """A row per published latency of a bundled file, with what the roofline of the file says."""
    rows = read_latencies()
    return [_latency_row(row) for row in rows if row.hardware.partition("@")[0] == name]


def _latency_row(row: Latency) -> list[str]:
    work = operators_of(row.network, row.size_px)
    seconds = at(row.hardware).seconds(work, row.batch)
    milliseconds = (f"{1e3 * row.seconds:.2f}", f"{1e3 * seconds:.2f}")
    picture = f"{row.size_px} x {row.size_px}"
    return [row.network, picture, str(row.batch), *milliseconds, f"{seconds / row.seconds:.2f}"]


def at(name: str) -> Hardware:
    """The hardware of ``name`` or ``name@level``."""
    reference, _, level = name.partition("@")
    return load_hardware(reference).at_level(level) if level else load_hardware(reference)
