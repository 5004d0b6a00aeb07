"""Fit latency predictors to profiles, with errors from held-out networks, and judge predictions.

    simsplit train models/latency_cpu/recipe.yaml

measures, fits and tests what the recipe names, all networks in the same rounds, and writes
``card.json``, ``table.npz`` and ``profile.json`` beside it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import nnls

from simsplit.errors import ScenarioError
from simsplit.hardware.grid import grid
from simsplit.hardware.judge import Total, median_error, median_estimate, total_rows
from simsplit.hardware.measure import profile_networks, subject
from simsplit.hardware.predictor import (
    ANY,
    Estimate,
    Floats,
    LatencyModel,
    Regression,
    Smooth,
    Work,
    features,
    gaussian,
    group_of,
    logarithms,
    write_model,
)
from simsplit.hardware.profile import NetworkProfile, Profile, rounded
from simsplit.hardware.profile_file import write_profile
from simsplit.networks.catalogue import open_network
from simsplit.operators import Operator
from simsplit.scenario.yaml import read_mapping
from simsplit.seeds import generator

if TYPE_CHECKING:
    from simsplit.hardware.measure import Subject


RECIPE_KEYS = ("kind", "seed", "threads", "rounds", "max_seconds", "clock", "fit", "grid", "test")
FEWEST_SAMPLES = 12  # a kind and form measured less often shares its kind's regression
FEWEST_FOR_KERNEL = 24
FOLDS = 5
MOST_CENTRES = 500
MOST_FOR_SCALES = 250


@dataclass(frozen=True, slots=True)
class Sample:
    """One node of one network at one batch size: its work and its measured seconds.

    ``share`` is its part of the network's total, ``unit`` what is held out together with it.
    """

    unit: str
    work: Work
    seconds: float
    share: float


def samples_of(profile: Profile) -> list[Sample]:
    """What a profile teaches: nodes of exactly one operator, scaled to the measured whole."""
    names = {key.split("@")[0] for key in profile.networks}
    samples: list[Sample] = []
    for key, network in profile.networks.items():
        unit = key.split("@")[0] if len(names) > 1 else key
        for batch in network.batches:
            samples += _samples(unit, network, batch)
    return samples


def _samples(unit: str, network: NetworkProfile, batch: int) -> list[Sample]:
    timings, whole_s = network.scaled_nodes(batch), network.totals[batch].median_s
    return [
        Sample(unit, Work(one[0], batch), timings[name].median_s, timings[name].median_s / whole_s)
        for name, one in network.node_operators.items()
        if len(one) == 1 and one[0].kind != "reshape"
    ]


# --- fitting ----------------------------------------------------------------------------------


def fit_latency(profile: Profile, seed: int = 0) -> LatencyModel:
    """Regressions for everything measured often enough; see `simsplit.hardware.predictor`.

    Every kind and form with 12 samples has its own, in the shape with the smaller held-out error;
    every kind, and all kinds together, have an affine one for what is left. Networks are held out
    whole (input sizes, if only one network was measured).

    Raises:
        ValueError: The profile has no node to learn from.
    """
    samples = samples_of(profile)
    if not samples:
        raise ValueError("no node of a single operator was measured")
    regressions = {ANY: _fit_group([_plain(sample) for sample in samples], (fit_affine,), seed)}
    for kind, group in _grouped(samples, lambda one: one.kind).items():
        regressions[kind] = _fit_group([_plain(sample) for sample in group], (fit_affine,), seed)
    for name, group in _grouped(samples, group_of).items():
        if len(group) >= FEWEST_SAMPLES and ":" in name:
            regressions[name] = _fit_group(group, _shapes(group), seed)
    networks = sorted({key.split("@")[0] for key in profile.networks})
    return LatencyModel(asdict(profile.machine), tuple(networks), regressions)


def _plain(sample: Sample) -> Sample:
    """Without form and window, which what falls back on a kind may lack."""
    operator = replace(sample.work.operator, form="", window=0.0)
    return replace(sample, work=Work(operator, sample.work.batch))


def _grouped(samples: Iterable[Sample], key: Callable[[Operator], str]) -> dict[str, list[Sample]]:
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(key(sample.work.operator), []).append(sample)
    return groups


Fit = Callable[[Sequence[Sample], int], Regression]


def _shapes(samples: Sequence[Sample]) -> tuple[Fit, ...]:
    return (fit_affine, fit_kernel) if len(samples) >= FEWEST_FOR_KERNEL else (fit_affine,)


def _fit_group(samples: Sequence[Sample], shapes: Sequence[Fit], seed: int) -> Regression:
    """The shape with the smallest held-out error, refitted to all samples."""
    held_out = [held_out_s(samples, fit, seed) for fit in shapes]
    if held_out[0] is None:
        return shapes[0](samples, seed)
    share = np.array([sample.share for sample in samples])
    losses = [_loss(samples, guess, share) for guess in held_out]
    best = int(np.argmin(losses))
    regression = shapes[best](samples, seed)
    error, weighted = _errors(samples, held_out[best], seed)
    return replace(regression, error=error, weighted_error=weighted)


def _loss(samples: Sequence[Sample], guess: Floats | None, share: Floats) -> float:
    """Mean error of a network's total that this group causes, up to a constant."""
    assert guess is not None
    seconds = np.array([sample.seconds for sample in samples])
    return float((np.abs(guess / seconds - 1) * share).sum())


def _errors(samples: Sequence[Sample], guess: Floats | None, seed: int) -> tuple[Estimate, float]:
    assert guess is not None
    seconds = np.array([sample.seconds for sample in samples])
    relative = np.abs(guess / seconds - 1)
    units = [sample.unit for sample in samples]
    weighted = float(np.abs(guess - seconds).sum() / seconds.sum())
    return median_estimate(relative, units, seed), round(weighted, 4)


def held_out_s(samples: Sequence[Sample], fit: Fit, seed: int) -> Floats | None:
    """Prediction of every sample by a fit without its unit; None if all are of one unit."""
    units = sorted({sample.unit for sample in samples})
    if len(units) < 2:
        return None
    order = generator(seed, len(units)).permutation(len(units))
    fold_of = {units[index]: i % FOLDS for i, index in enumerate(order)}
    folds = np.array([fold_of[sample.unit] for sample in samples])
    guess = np.zeros(len(samples))
    for fold in range(min(FOLDS, len(units))):
        kept = [sample for sample, one in zip(samples, folds, strict=True) if one != fold]
        away = [sample.work for sample, one in zip(samples, folds, strict=True) if one == fold]
        guess[folds == fold] = fit(kept, seed).seconds(away)
    return guess


def fit_affine(samples: Sequence[Sample], seed: int = 0) -> Regression:
    """Non-negative least squares of relative errors: min sum (c . f / t - 1)^2, c >= 0."""
    works = [sample.work for sample in samples]
    seconds = np.array([sample.seconds for sample in samples])
    rows, points = features(works), logarithms(works)
    scale = np.where(rows.max(axis=0) > 0, rows.max(axis=0), 1.0)
    coefficients, _ = nnls(rows / scale / seconds[:, None], np.ones(len(seconds)))
    return Regression(
        coefficients=coefficients / scale,
        smooth=None,
        samples=len(samples),
        networks=len({sample.unit for sample in samples}),
        error=None,
        weighted_error=None,
        low=points.min(axis=0),
        high=points.max(axis=0),
    )


def fit_kernel(samples: Sequence[Sample], seed: int = 0) -> Regression:
    """The affine fit times the exponential of a Gaussian process on the logarithm of its error.

    Length scales and noise maximise the marginal likelihood of at most 250 samples (Rasmussen &
    Williams, Gaussian Processes for Machine Learning, 2006, section 5.4.1; mean: eq. 2.25).
    """
    affine = fit_affine(samples, seed)
    works = [sample.work for sample in samples]
    seconds = np.array([sample.seconds for sample in samples])
    points, left = logarithms(works), np.log(seconds / affine.seconds(works))
    chosen = generator(seed, len(samples)).permutation(len(samples))[:MOST_CENTRES]
    points, left = points[chosen], left[chosen]
    offset = float(np.median(left))
    scales, variance, noise = _hyperparameters(
        points[:MOST_FOR_SCALES], left[:MOST_FOR_SCALES] - offset
    )
    centres = points / scales
    kernel = variance * gaussian(centres, centres) + noise * np.eye(len(centres))
    weights = np.asarray(variance * np.linalg.solve(kernel, left - offset), dtype=np.float64)
    return replace(affine, smooth=Smooth(scales, centres, weights, offset))


def _hyperparameters(points: Floats, values: Floats) -> tuple[Floats, float, float]:
    """Length scale per logarithm, variance of the process, variance of the noise."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    spread = points.std(axis=0) + 1e-6
    radial = RBF(np.full(points.shape[1], 2.0), (0.3, 50.0))
    kernel = ConstantKernel(0.1, (1e-3, 10.0)) * radial + WhiteKernel(0.02, (1e-4, 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length scale at its bound: the figure does not matter
        fitted = GaussianProcessRegressor(kernel).fit(points / spread, values).kernel_
    scales: Floats = np.asarray(fitted.k1.k2.length_scale, dtype=np.float64) * spread
    return scales, float(fitted.k1.k1.constant_value), float(fitted.k2.noise_level)


# --- the recipe -------------------------------------------------------------------------------


def make(folder: Path) -> dict[str, Any]:
    """Measure, fit and test what ``recipe.yaml`` in a folder names; write the rest of the folder.

    Returns:
        What the card says under ``test``: per fit, the errors on networks not fitted to.

    Raises:
        ScenarioError: The recipe lacks a key.
    """
    recipe = read_mapping(folder / "recipe.yaml")
    missing = [key for key in RECIPE_KEYS if key not in recipe]
    if missing or recipe["kind"] != "latency":
        raise ScenarioError("not a recipe for a latency model", path=(missing or ["kind"])[0])
    profile, parts = measure(recipe)
    (folder / "profile.json").unlink(missing_ok=True)
    write_profile(folder / "profile.json", profile)
    return fit_and_test(folder, profile, parts, seed=int(recipe["seed"]))


def measure(recipe: Mapping[str, Any]) -> tuple[Profile, dict[str, tuple[str, ...]]]:
    """Profile of all networks of a recipe, rounds interleaved, and the keys of each part."""
    parts = {"fit": _subjects(recipe["fit"]), "test": _subjects(recipe["test"])}
    parts["grid"] = _grid_subjects(recipe["grid"], int(recipe["seed"]))
    profile = profile_networks(
        [one for part in parts.values() for one in part],
        threads=int(recipe["threads"]),
        repeats=int(recipe["rounds"]),
        max_seconds=float(recipe["max_seconds"]),
        clock=str(recipe["clock"]),
    )
    return profile, {name: tuple(one.key for one in part) for name, part in parts.items()}


def _subjects(part: Mapping[str, Any]) -> list[Subject]:
    return [
        subject(name, open_network(name, height=side, width=side), side, side, part["batches"])
        for name in part["networks"]
        for side in part["sides"]
    ]


def _grid_subjects(part: Mapping[str, Any], seed: int) -> list[Subject]:
    return [
        subject(
            one.name, one.network, one.side, one.side, part["batches"][i % len(part["batches"])]
        )
        for i, one in enumerate(grid(int(part["count"]), seed))
    ]


def fit_and_test(
    folder: Path, profile: Profile, parts: Mapping[str, Sequence[str]], *, seed: int
) -> dict[str, Any]:
    """Fit to the parts ``fit`` and ``grid``, test on ``test``, write card and table.

    The card also says what the part ``fit`` alone is worth.
    """
    test = part_of(profile, parts["test"])
    alone = fit_latency(part_of(profile, parts["fit"]), seed)
    model = fit_latency(part_of(profile, [*parts["fit"], *parts["grid"]]), seed)
    report = {"fit_alone": _test(alone, test, seed), "fit_and_grid": _test(model, test, seed)}
    write_model(folder, model, {"test": report})
    return report


def part_of(profile: Profile, keys: Iterable[str]) -> Profile:
    """The profile with these networks only."""
    return replace(profile, networks={key: profile.networks[key] for key in keys})


def _test(model: LatencyModel, test: Profile, seed: int) -> dict[str, Any]:
    totals = total_rows(model, test)
    return {
        "median_absolute_error": asdict(median_error(totals, seed)),
        "networks": len(test.networks),
        "rows": [_test_row(total, model, test.networks[total.network]) for total in totals],
    }


def _test_row(total: Total, model: LatencyModel, network: NetworkProfile) -> dict[str, Any]:
    """As the card has it."""
    guessed = model.guessed_share(network.operators, total.batch)
    figures = asdict(total) | {"error": total.error, "guessed_share": guessed}
    return {
        key: rounded(value) if isinstance(value, float) else value for key, value in figures.items()
    }
