"""`simsplit profile`: one network on this machine, as a table and a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from simsplit.errors import ScenarioError
from simsplit.fit.latency import Predictor, total_rows
from simsplit.fit.profile import profile_networks, traced
from simsplit.hardware import load_hardware
from simsplit.load import models_dir
from simsplit.network_pipeline import open_graph
from simsplit.predictor import read_model
from simsplit.profiles import NetworkProfile, Profile, profile_rows, read_profile, write_profile
from simsplit.scenario import Network

MEASURED = ("batch", "kind", "nodes", "MMAC", "ms", "95 % interval", "share %")


@dataclass(frozen=True)
class Measured:
    """What was measured, and the file that it went into."""

    profile: Profile
    network: NetworkProfile
    file: Path
    title: str


def measure_network(
    source: str,
    *,
    batches: Sequence[int],
    threads: int,
    size_px: tuple[int, int],
    rounds: int,
    out: Path | None,
    hardware: str | None = None,
    predictor: str | None = None,
) -> Measured:
    """Profile a network at random weights; times do not depend on them.

    Args:
        source: torchvision model or ``package.module:Name``.
        size_px: Height and width of the picture.
        rounds: Times everything is measured, at least six.
        out: ``<network>.profile.json`` here if None.
        hardware, predictor: What it will be compared with; looked up before anything is measured.

    Raises:
        ScenarioError: Unknown network or hardware, or a network without a graph.
        ArtefactError: ``out`` is a profile of another machine; no such predictor.
    """
    file = out or Path(f"{source.replace(':', '.')}.profile.json")
    _check_names(file, hardware, predictor)
    graph = open_graph(Network(name="network", source=source, weights="random"), *size_px)
    one = traced(source, graph, *size_px, batches)
    found = profile_networks([one], threads=threads, repeats=rounds)
    write_profile(file, found)
    cpu = f"{found.machine.cpu}, {threads} thread{'s' if threads > 1 else ''}"
    return Measured(found, found.networks[one.key], file, f"{one.key} on {cpu}")


def whole_numbers(text: str) -> list[int]:
    """Batch sizes from ``1,2,4``; ScenarioError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and int(part) for part in parts):
        raise ScenarioError("batch sizes read 1,2,4", path="--batch", value=text)
    return [int(part) for part in parts]


def _check_names(file: Path, hardware: str | None, predictor: str | None) -> None:
    """A measurement takes minutes: say beforehand what would be refused after it."""
    if file.exists():
        read_profile(file)
    if hardware is not None:
        load_hardware(hardware)
    if predictor is not None:
        read_model(models_dir() / predictor)


def measured_rows(found: Measured) -> list[list[str]]:
    """The table: one row per batch size and kind of operator, and the whole."""
    return [
        [
            str(batch),
            row["kind"],
            str(row["nodes"]),
            f"{row['macs'] / 1e6:,.4g}",
            f"{1e3 * row['seconds']:.4g}",
            f"{1e3 * row['low_s']:.4g} … {1e3 * row['high_s']:.4g}",
            f"{100 * row['share']:.1f}",
        ]
        for batch in found.network.batches
        for row in profile_rows(found.network, batch)
    ]


def comparison(found: Measured, hardware: str | None, predictor: str | None) -> Iterator[str]:
    """Lines on what a roofline and a predictor would have said of the whole network."""
    for batch in found.network.batches:
        unrest = found.network.p90_over_median[batch]
        if unrest > 1.2:
            yield f"! the machine was busy: p90 is {unrest:.2f} x the median at batch {batch}"
    if hardware is not None:
        yield from _against(found, load_hardware(hardware), f"roofline of {hardware}")
    if predictor is not None:
        yield from _against(found, read_model(models_dir() / predictor), f"predictor {predictor}")


def _against(found: Measured, other: Predictor, name: str) -> Iterator[str]:
    for row in total_rows(other, found.profile):
        predicted_s, measured_s = row["predicted_s"], row["measured_s"]
        yield (
            f"{name}, batch {row['batch']}: {1e3 * predicted_s:.4g} ms where "
            f"{1e3 * measured_s:.4g} were measured ({100 * (predicted_s / measured_s - 1):+.0f} %)"
        )
