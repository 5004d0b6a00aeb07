"""Latency of operators never measured, by regressions fitted to profiles; needs no torch.

One regression per kind and form of operator (convolution, relu, max pooling), as in Neurosurgeon
(Kang et al., ASPLOS 2017, section 4.2). Two shapes, chosen by cross-validation::

    affine   t = c . f,  c >= 0,  f = (1, b macs, b in, b out, weights, b out window)
    kernel   t = c . f * exp(offset + sum_i a_i exp(-|z - z_i|^2 / 2))

with b the batch and z the logarithms of the figures over length scales: the mean of a Gaussian
process on what the affine shape leaves. `simsplit.hardware.fit_latency` fits them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ArtefactError
from simsplit.files import whole_file, write_whole
from simsplit.operators import Operator
from simsplit.scenario.bundled import model_dir
from simsplit.scenario.places import PREDICTOR, referred

Floats = NDArray[np.float64]
FORMAT = "simsplit-latency-1"
FEATURES = ("launch", "macs", "elements_in", "elements_out", "weights", "window_reads")
ANY = "any"  # regression over all kinds, for kinds that were never measured


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Work:
    """One operator at one batch size."""

    operator: Operator
    batch: int


def features(works: Sequence[Work]) -> Floats:
    """What time may be proportional to, ``(N, 6)`` in the order of `FEATURES`, for the batch."""
    rows = [
        (
            1.0,
            work.batch * one.macs,
            work.batch * one.elements_in,
            work.batch * one.elements_out,
            one.weights,
            work.batch * one.elements_out * one.window * (one.macs == 0),
        )
        for work in works
        for one in (work.operator,)
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))


def logarithms(works: Sequence[Work]) -> Floats:
    """log(1 + figure) of macs, in, out, weights, window (per sample) and log batch, ``(N, 6)``."""
    rows = [
        (one.macs, one.elements_in, one.elements_out, one.weights, one.window, work.batch - 1)
        for work in works
        for one in (work.operator,)
    ]
    return np.log1p(np.array(rows, dtype=np.float64).reshape(len(rows), 6))


@dataclass(frozen=True)
class Smooth:
    """Mean of a Gaussian process with a squared-exponential kernel.

    Attributes:
        scales: Length scale of each logarithm, ``(6,)``.
        centres: Measured points over their length scales, ``(N, 6)``.
        weights: Of each centre, ``(N,)``.
        offset: Far away from all centres.
    """

    scales: Floats
    centres: Floats
    weights: Floats
    offset: float

    def __call__(self, points: Floats) -> Floats:
        """Values at ``(M, 6)`` logarithms."""
        values: Floats = gaussian(points / self.scales, self.centres) @ self.weights
        return self.offset + values


def gaussian(one: Floats, other: Floats) -> Floats:
    """exp(-|x - y|^2 / 2) for all pairs, ``(M, N)``."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    near: Floats = np.exp(-np.maximum(squares, 0.0) / 2)  # rounding may leave squares below zero
    return near


@dataclass(frozen=True)
class Regression:
    """Seconds of one group of operators.

    Attributes:
        coefficients: Of `FEATURES`, none negative: seconds, seconds per MAC, per element ...
        smooth: Correction of the kernel shape; None for the affine shape.
        samples, networks: How many measured times it was fitted to, and from how many networks.
        error: Median absolute relative error of networks held out; None if too few to hold out.
        weighted_error: Sum of absolute errors over the sum of seconds, held out, likewise.
        low, high: Smallest and largest value of each logarithm fitted to, ``(6,)``.
    """

    coefficients: Floats
    smooth: Smooth | None
    samples: int
    networks: int
    error: Estimate | None
    weighted_error: float | None
    low: Floats
    high: Floats

    @property
    def shape(self) -> str:
        """``affine`` or ``kernel``."""
        return "affine" if self.smooth is None else "kernel"

    def seconds(self, works: Sequence[Work]) -> Floats:
        """Seconds per launch of each, ``(N,)``."""
        affine = features(works) @ self.coefficients
        return affine if self.smooth is None else affine * np.exp(self.smooth(logarithms(works)))

    def inside(self, works: Sequence[Work]) -> NDArray[np.bool_]:
        """Whether each lies within the figures fitted to, ``(N,)``."""
        points = logarithms(works)
        inside: NDArray[np.bool_] = np.all(
            (points >= self.low - 1e-9) & (points <= self.high + 1e-9), axis=1
        )
        return inside


@dataclass(frozen=True)
class LatencyModel:
    """Regressions by group; a group is a kind and form (``pool:mean``), a kind, or `ANY`.

    Attributes:
        machine: What was measured on.
        trained_on: Networks fitted to.
        regressions: Group → regression; `ANY` is always there.
    """

    machine: Mapping[str, Any]
    trained_on: tuple[str, ...]
    regressions: Mapping[str, Regression]

    def group(self, operator: Operator) -> str:
        """The closest group that was fitted: kind and form, else kind, else any."""
        exact = group_of(operator)
        if exact in self.regressions:
            return exact
        return operator.kind if operator.kind in self.regressions else ANY

    def operators_s(self, operators: Iterable[Operator], batch: int = 1) -> Floats:
        """Seconds of each operator in one launch of ``batch`` samples, ``(N,)``; views take none.

        Raises:
            ValueError: batch below 1.
        """
        if batch < 1:
            raise ValueError(f"batch >= 1, found {batch}")
        works = [Work(one, batch) for one in operators]
        seconds = np.zeros(len(works))
        for name, indices in self._grouped(works).items():
            seconds[indices] = self.regressions[name].seconds([works[index] for index in indices])
        return seconds

    def operator_s(self, operator: Operator, batch: int = 1) -> float:
        """Seconds of one operator in one launch."""
        return float(self.operators_s([operator], batch)[0])

    def seconds(self, operators: Iterable[Operator], batch: int = 1) -> float:
        """Seconds of one launch of ``batch`` samples through all of them: the sum."""
        return float(self.operators_s(operators, batch).sum())

    def guessed_share(self, operators: Iterable[Operator], batch: int = 1) -> float:
        """Share of the predicted time in operators unlike all measured ones.

        Their kind was not measured, or a figure lies outside what was fitted; an extrapolation.
        """
        operators = tuple(operators)
        works = [Work(one, batch) for one in operators]
        seconds, is_inside = self.operators_s(operators, batch), np.zeros(len(works), dtype=bool)
        for name, indices in self._grouped(works).items():
            if name != ANY:
                is_inside[indices] = self.regressions[name].inside([works[i] for i in indices])
        whole = float(seconds.sum())
        return float(seconds[~is_inside].sum()) / whole if whole > 0 else 0.0

    def _grouped(self, works: Sequence[Work]) -> dict[str, list[int]]:
        indices: dict[str, list[int]] = {}
        for index, work in enumerate(works):
            if work.operator.kind != "reshape":
                indices.setdefault(self.group(work.operator), []).append(index)
        return indices


def group_of(operator: Operator) -> str:
    """Kind and form of an operator, e.g. ``pool:mean``."""
    return f"{operator.kind}:{operator.form}" if operator.form else operator.kind


# --- rows for a table -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PredictedKind:
    """What a model says of one kind of operator.

    Attributes:
        operators: How many.
        macs: Per sample.
        seconds: Per launch.
        share: Of the total.
        guessed_share: See `LatencyModel.guessed_share`.
    """

    kind: str
    operators: int
    macs: float
    seconds: float
    share: float
    guessed_share: float


def predict_rows(
    model: LatencyModel, operators: Iterable[Operator], batch: int = 1
) -> list[PredictedKind]:
    """One row per kind of operator, largest share first, then the total."""
    kinds: dict[str, list[Operator]] = {}
    for operator in operators:
        kinds.setdefault(operator.kind, []).append(operator)
    everything = [operator for group in kinds.values() for operator in group]
    whole = model.seconds(everything, batch)
    rows = [_kind(model, kind, group, batch, whole) for kind, group in kinds.items()]
    rows.sort(key=lambda row: -row.seconds)
    return [*rows, _kind(model, "total", everything, batch, whole)]


def _kind(
    model: LatencyModel, kind: str, operators: list[Operator], batch: int, whole: float
) -> PredictedKind:
    seconds = model.seconds(operators, batch)
    return PredictedKind(
        kind=kind,
        operators=len(operators),
        macs=sum(operator.macs for operator in operators),
        seconds=seconds,
        share=seconds / whole if whole > 0 else 0.0,
        guessed_share=model.guessed_share(operators, batch),
    )


def predicted_kinds(name: str, operators: Iterable[Operator]) -> list[PredictedKind]:
    """What a model of ``models/`` says of a launch with a batch of one, kind by kind.

    Raises:
        ArtefactError: No such model.
    """
    model = read_model(model_dir(referred(PREDICTOR, name, path="--predictor")))
    return predict_rows(model, operators)


# --- files ------------------------------------------------------------------------------------


def write_model(folder: Path, model: LatencyModel, extra: Mapping[str, Any] | None = None) -> None:
    """Write ``card.json`` (coefficients, errors, ``extra``) and ``table.npz`` (kernel centres)."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {
        "format": FORMAT,
        "machine": dict(model.machine),
        "trained_on": list(model.trained_on),
        "features": list(FEATURES),
        "regressions": {name: _card(one) for name, one in model.regressions.items()},
    }
    with whole_file(folder / "table.npz") as aside:
        np.savez_compressed(aside, **_arrays(model))  # type: ignore[arg-type]
    text = json.dumps(card | dict(extra or {}), indent=1)
    write_whole(folder / "card.json", text + "\n")


def _card(one: Regression) -> dict[str, Any]:
    return {
        "shape": one.shape,
        "coefficients": [float(f"{value:.6g}") for value in one.coefficients],
        "samples": one.samples,
        "networks": one.networks,
        "error": None if one.error is None else asdict(one.error),
        "weighted_error": one.weighted_error,
        "offset": None if one.smooth is None else one.smooth.offset,
    }


def _arrays(model: LatencyModel) -> dict[str, Floats]:
    arrays: dict[str, Floats] = {}
    for name, one in model.regressions.items():
        arrays |= {f"{name}/low": one.low, f"{name}/high": one.high}
        if one.smooth is not None:
            arrays |= {
                f"{name}/{part}": getattr(one.smooth, part)
                for part in ("scales", "centres", "weights")
            }
    return arrays


def read_model(folder: Path) -> LatencyModel:
    """The model that `write_model` wrote.

    Raises:
        ArtefactError: A file is missing or damaged.
    """
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        with np.load(folder / "table.npz", allow_pickle=False) as table:
            arrays = dict(table)
        return _model(card, arrays)
    except OSError:
        raise ArtefactError(
            f"{folder}: no latency model: card.json or table.npz is missing"
        ) from None
    except (KeyError, ValueError, TypeError) as error:
        raise ArtefactError(f"{folder}: damaged latency model: {error}") from None


def _model(card: Mapping[str, Any], arrays: Mapping[str, Floats]) -> LatencyModel:
    if card["format"] != FORMAT:
        raise ValueError(f"format is {card['format']!r}, not {FORMAT!r}")
    cards = card["regressions"]
    regressions = {name: _regression(name, cards[name], arrays) for name in (ANY, *cards)}
    return LatencyModel(card["machine"], tuple(card["trained_on"]), regressions)


def _regression(name: str, card: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Regression:
    smooth = None
    if card["shape"] == "kernel":
        parts = {part: arrays[f"{name}/{part}"] for part in ("scales", "centres", "weights")}
        smooth = Smooth(**parts, offset=float(card["offset"]))
    return Regression(
        coefficients=np.array(card["coefficients"], dtype=np.float64),
        smooth=smooth,
        samples=card["samples"],
        networks=card["networks"],
        error=None if card["error"] is None else Estimate(**card["error"]),
        weighted_error=card["weighted_error"],
        low=arrays[f"{name}/low"],
        high=arrays[f"{name}/high"],
    )
