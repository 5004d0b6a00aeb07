"""How well a predictor or a roofline tells a network's latency, and one network measured here.

Errors are of networks that nothing was fitted to; intervals of a median are by resampling.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.hardware.measure import profile_networks, traced
from simsplit.hardware.predictor import (
    Estimate,
    Floats,
    LatencyModel,
    read_model,
)
from simsplit.hardware.profile import (
    MeasuredKind,
    NetworkProfile,
    Profile,
    main_kind,
    profile_rows,
)
from simsplit.hardware.profile_file import read_profile, write_profile
from simsplit.hardware.roofline import Hardware, load_hardware
from simsplit.networks.opened import open_graph
from simsplit.operators import Operator
from simsplit.scenario.bundled import model_dir
from simsplit.scenario.operating_points import Network
from simsplit.scenario.places import HARDWARE, PREDICTOR, referred
from simsplit.seeds import generator

RESAMPLES = 1000


# --- judging ----------------------------------------------------------------------------------


def median_estimate(values: Floats, units: Sequence[str], seed: int = 0) -> Estimate:
    """Median with a 95 % percentile interval from resampling units (values, if all are of one).

    Source: B. Efron & R. Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    names = sorted(set(units))
    members = [np.flatnonzero(np.array(units) == name) for name in names]
    if len(names) == 1:
        members = [np.array([index]) for index in range(len(values))]
    rng = generator(seed, len(values))
    medians = [_resampled_median(values, members, rng) for _ in range(RESAMPLES)]
    low, high = np.quantile(medians, [0.025, 0.975])
    figures = (float(np.median(values)), float(low), float(high))
    return Estimate(*(round(figure, 4) for figure in figures))


def _resampled_median(
    values: Floats, members: Sequence[NDArray[np.int64]], rng: np.random.Generator
) -> float:
    drawn = rng.integers(len(members), size=len(members))
    return float(np.median(values[np.concatenate([members[i] for i in drawn])]))


class Predictor(Protocol):
    """What predicts: a `LatencyModel` or a `simsplit.hardware.roofline.Hardware`."""

    def operator_s(self, operator: Operator, batch: int) -> float:
        """Seconds of one operator in one launch."""
        ...

    def seconds(self, operators: Iterable[Operator], batch: int) -> float:
        """Seconds of one launch."""
        ...


@dataclass(frozen=True, slots=True)
class Total:
    """Seconds of one launch of a whole network, measured with its interval, and predicted."""

    network: str  # its key
    batch: int
    measured_s: float
    low_s: float
    high_s: float
    predicted_s: float

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True, slots=True)
class KindError:
    """How well one kind of operator is predicted.

    Attributes:
        nodes: How many, times batch sizes.
        ratio: Sum of predicted over sum of measured seconds.
        error: Median absolute relative error.
    """

    kind: str
    nodes: int
    ratio: float
    error: Estimate


@dataclass(frozen=True, slots=True)
class RooflineError:
    """A roofline against a profile; ``total``: median absolute relative error of ``totals``."""

    total: Estimate
    totals: tuple[Total, ...]
    kinds: tuple[KindError, ...]


def total_rows(predictor: Predictor, profile: Profile) -> list[Total]:
    """Predicted against measured seconds of the whole, by network and batch size."""
    return [
        _total_row(predictor, key, network, batch)
        for key, network in profile.networks.items()
        for batch in network.batches
    ]


def _total_row(predictor: Predictor, key: str, network: NetworkProfile, batch: int) -> Total:
    measured, predicted_s = network.totals[batch], predictor.seconds(network.operators, batch)
    return Total(key, batch, measured.median_s, measured.low_s, measured.high_s, predicted_s)


def median_error(rows: Sequence[Total], seed: int = 0) -> Estimate:
    """Median absolute relative error of `total_rows`, resampling networks."""
    errors = np.abs([row.error for row in rows]).astype(np.float64)
    return median_estimate(errors, [row.network for row in rows], seed)


def kind_rows(predictor: Predictor, profile: Profile, seed: int = 0) -> list[KindError]:
    """How well nodes of each kind of operator are predicted, by the kind's name."""
    nodes_by_kind: dict[str, list[tuple[str, float, float]]] = {}
    for key, network in profile.networks.items():
        for batch in network.batches:
            for name, timing in network.scaled_nodes(batch).items():
                work = network.node_operators[name]
                predicted_s = sum(predictor.operator_s(one, batch) for one in work)
                row = (key, predicted_s, timing.median_s)
                nodes_by_kind.setdefault(main_kind(work), []).append(row)
    return [_kind_row(kind, rows, seed) for kind, rows in sorted(nodes_by_kind.items())]


def _kind_row(kind: str, rows: Sequence[tuple[str, float, float]], seed: int) -> KindError:
    units = [unit for unit, *_ in rows]
    predicted, measured = np.array([row[1:] for row in rows]).T
    error = median_estimate(np.abs(predicted / measured - 1), units, seed)
    ratio = float(predicted.sum() / measured.sum())
    return KindError(kind, len(rows), ratio, error)


def roofline_error(hardware: Predictor, profile: Profile) -> RooflineError:
    """The roofline of a hardware file against a profile of that machine."""
    totals = total_rows(hardware, profile)
    kinds = kind_rows(hardware, profile)
    return RooflineError(median_error(totals), tuple(totals), tuple(kinds))


@dataclass(frozen=True)
class Measured:
    """What was measured, and the file that it went into."""

    profile: Profile
    network: NetworkProfile
    file: Path
    title: str

    def kinds(self, batch: int) -> list[MeasuredKind]:
        """Seconds by kind of operator, largest share first, then the whole."""
        return profile_rows(self.network, batch)


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
    profile = profile_networks([one], threads=threads, repeats=rounds)
    write_profile(file, profile)
    cpu = f"{profile.machine.cpu}, {threads} thread{'s' if threads > 1 else ''}"
    return Measured(profile, profile.networks[one.key], file, f"{one.key} on {cpu}")


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
        _hardware(hardware)
    if predictor is not None:
        _predictor(predictor)


def _hardware(name: str) -> Hardware:
    return load_hardware(referred(HARDWARE, name, path="--hardware"))


def _predictor(name: str) -> LatencyModel:
    return read_model(model_dir(referred(PREDICTOR, name, path="--predictor")))


def opinions(
    measured: Measured, hardware: str | None, predictor: str | None
) -> Iterator[tuple[str, Total]]:
    """What a roofline and a predictor say of the whole network: its name, and each batch size.

    Raises:
        ScenarioError, ArtefactError: No such hardware or predictor.
    """
    judges: dict[str, Predictor] = {}
    if hardware is not None:
        judges[f"roofline of {hardware}"] = _hardware(hardware)
    if predictor is not None:
        judges[f"predictor {predictor}"] = _predictor(predictor)
    for name, judge in judges.items():
        yield from ((name, total) for total in total_rows(judge, measured.profile))
