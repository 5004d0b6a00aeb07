"""What a trained network is worth and costs: its entropy tables, scores with intervals, card."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simsplit.codecs.contract import Codec
from simsplit.codecs.entropy import EntropyCodec, count_codes
from simsplit.codecs.picture import ImageCodec
from simsplit.codecs.quantise import dequantise, quantise
from simsplit.codecs.tiles import PngTilesCodec
from simsplit.networks.artefact import Artefact, Tables, load_artefact, write_card, write_weights
from simsplit.networks.inference import Inference, count_operators
from simsplit.networks.split_model import SplitModel
from simsplit.operators import Operators, total_macs
from simsplit.phy.analog import pad_erased, transmit
from simsplit.pipeline.trained import HEADLINES, headline_of
from simsplit.pipeline.workloads import exit_workload, workloads
from simsplit.scenario.bundled import models_dir
from simsplit.scenario.data import portable
from simsplit.seeds import Cause, generator
from simsplit.tasks import metrics
from simsplit.tasks.answers import segmentation_counts, target_picture, task_scores
from simsplit.tasks.datasets import Arrays, cached_arrays, open_dataset
from simsplit.training.ladder import rate_distortion
from simsplit.training.recipe import NetRecipe

DEPTHS = (8, 6, 4)
SNRS_DB = (-5, 0, 5, 10, 15, 20)
PREFIX_EIGHTHS = (1, 2, 4, 6, 8)  # of k: prefixes of a nested code that the card scores
PREFIX_SNRS_DB = (0, 10, 20)
JPEG_QUALITY = WEBP_QUALITY = 75  # of the sizes stated in the card
EXIT_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of the test pictures, for the table of thresholds
_NORMAL_95 = 1.959964  # two-sided 95 % quantile of the normal distribution

Floats = NDArray[np.float32]


def finish(
    recipe: NetRecipe, model: SplitModel, train: Arrays, folder: Path, run: Mapping[str, Any]
) -> None:
    """Write ``weights.safetensors`` and ``card.json`` for a trained network.

    Args:
        recipe: How it was trained.
        model: The network; it is left in evaluation mode.
        train: Arrays of the training range, for entropy tables and constant answers.
        folder: Where both files go.
        run: What the loop knows: ``recipe_digest``, ``steps``, ``seconds``; maybe ``threads``,
            ``log_variance`` and ``beginning``.
    """
    inference = Inference(model.eval())
    start = None if recipe.start_from is None else load_artefact(models_dir(), recipe.start_from)
    tables = entropy_tables(inference, train["image"])
    digest = write_weights(folder, model, tables)
    test = _arrays(recipe, "test", recipe.test_images)
    card = {
        "kind": recipe.kind,
        "dataset": portable(recipe.dataset),
        "height": recipe.height,
        "width": recipe.width,
        "splits": list(model.splits),
        "weights_digest": digest,
        "recipe_digest": run["recipe_digest"],
        **({"network": recipe.network.model_dump(mode="json")} if recipe.network else {}),
        "trained": trained(run),
        **({"beginning": run["beginning"]} if run.get("beginning") else {}),
        "versions": versions(),
        "parameters": parameters(model),
        **costs(model, recipe.height, recipe.width),
        "channel_uses": {"jscc": model.symbol_count} if model.has_jscc else {},
        "payload_bits": payload_bits(inference, tables, model.latent_shape, test["image"]),
        "constant_answer": constant_answer(train),
        "headline_metric": headline_of(recipe.dataset),
        "test_images": len(test["image"]),
        "scores": test_scores(inference, test, recipe.seed),
    }
    sections = _origin(start) | _prefixes(recipe, inference, start, test)
    if recipe.kind == "compressible":
        artefact = Artefact("", model, tables, card)
        sections["rate_distortion"] = rate_distortion(artefact, test)
        if recipe.validation_images:
            chosen_by = _arrays(recipe, "validation", recipe.validation_images)
            sections["rate_distortion_validation"] = rate_distortion(artefact, chosen_by)
    write_card(folder, card | sections | _exit(model, inference, test))


def _arrays(recipe: NetRecipe, split: str, most: int) -> Arrays:
    dataset = open_dataset(recipe.dataset, split, height=recipe.height, width=recipe.width)
    return cached_arrays(dataset, min(most, len(dataset)))


def trained(run: Mapping[str, Any]) -> dict[str, Any]:
    """Steps, seconds, threads if several and, of learned weights, their log variances at last."""
    seconds = round(float(run["seconds"]), 1)
    threads = {"threads": run["threads"]} if run.get("threads", 1) > 1 else {}
    learned = {"log_variance": run["log_variance"]} if "log_variance" in run else {}
    return {"steps": run["steps"], "seconds": seconds, **threads, **learned}


def _origin(start: Artefact | None) -> dict[str, Any]:
    if start is None:
        return {}
    return {"started_from": {"model": start.name, "weights_digest": start.card["weights_digest"]}}


def _prefixes(
    recipe: NetRecipe, nested: Inference, start: Artefact | None, test: Arrays
) -> dict[str, Any]:
    """Of a nested code: what its prefixes are worth, beside those of the code it came from."""
    if not recipe.nested:
        return {}
    codes = {"nested": nested}
    if start is not None:
        codes[start.name] = Inference(start.model)
    return {"prefixes": {name: prefix_scores(code, test, recipe) for name, code in codes.items()}}


def entropy_tables(inference: Inference, images: NDArray[np.uint8]) -> Tables:
    """Per bit depth, how often each code occurs in each latent channel over these pictures."""
    latents = inference.latents(inference.features(images))
    return {bits: count_codes(_codes(latents, bits), bits) for bits in DEPTHS}


def _codes(latents: Floats, bits: int) -> NDArray[np.uint8]:
    return np.stack([quantise(latent, bits).codes for latent in latents])


def constant_answer(train: Arrays) -> dict[str, Any]:
    """The best constant guess of disparity (px) and colour (0..255): means over the range."""
    if "label" in train:
        return {}
    colour = target_picture(train).mean(axis=(0, 1, 2), dtype=np.float64)
    mean_px = float(np.nanmean(train["disparity"], dtype=np.float64))
    return {"disparity_px": round(mean_px, 4), "colour": [round(float(c), 3) for c in colour]}


# --- scores -----------------------------------------------------------------------------------


def test_scores(inference: Inference, test: Arrays, seed: int) -> dict[str, Any]:
    """Scores of every way over the cut: mean over pictures, half width of its 95 % interval.

    The interval is the normal approximation over pictures; JSCC has one noise draw per picture.
    """
    features = inference.features(test["image"])
    latents = inference.latents(features)
    scores = {"direct": _summary(inference.answers(features), test)}
    for bits in DEPTHS:
        rounded = np.stack([dequantise(quantise(latent, bits)) for latent in latents])
        arrived = inference.from_latents(rounded)
        scores[f"digital_{bits}_bit"] = _summary(inference.answers(arrived), test)
    return scores | (_jscc_scores(inference, features, test, seed) if inference.has_jscc else {})


def _jscc_scores(inference: Inference, features: Floats, test: Arrays, seed: int) -> dict[str, Any]:
    symbols, scores = inference.symbols(features), {}
    for snr_db in SNRS_DB:
        arrived = inference.from_symbols(*over_awgn(symbols, snr_db, seed))
        scores[f"jscc_{snr_db}_db"] = _summary(inference.answers(arrived), test)
    return scores


def prefix_scores(inference: Inference, test: Arrays, recipe: NetRecipe) -> dict[str, Any]:
    """Scores when only the first symbols are sent over AWGN, and the power of those symbols.

    Returns:
        ``{"48_symbols": {"power": ..., "0_db": {"miou": ...}, ...}, ...}``, each with interval.
    """
    symbols = inference.symbols(inference.features(test["image"]))
    return {
        f"{sent}_symbols": _prefix_score(inference, symbols, sent, test, recipe.seed)
        for sent in (symbols.shape[1] * eighths // 8 for eighths in PREFIX_EIGHTHS)
    }


def _prefix_score(
    inference: Inference, symbols: NDArray[np.complex64], sent: int, test: Arrays, seed: int
) -> dict[str, Any]:
    scores: dict[str, Any] = {"power": interval((np.abs(symbols[:, :sent]) ** 2).mean(axis=1))}
    for snr_db in PREFIX_SNRS_DB:
        arrived = inference.from_symbols(*prefix_over_awgn(symbols, sent, snr_db, seed))
        rows = _score_rows(inference.answers(arrived), test)
        scores[f"{snr_db}_db"] = {name: interval(row[name] for row in rows) for name in rows[0]}
    return scores


def prefix_over_awgn(
    symbols: NDArray[np.complex64], sent: int, snr_db: float, seed: int
) -> tuple[NDArray[np.complex64], Floats]:
    """The first ``sent`` of ``(N, k)`` symbols after AWGN, then erasures; and their variances."""
    heard = zip(*over_awgn(symbols[:, :sent], snr_db, seed), strict=True)
    rows = [pad_erased(*row, symbols.shape[1]) for row in heard]
    received, variance = zip(*rows, strict=True)
    return np.stack(received), np.stack(variance)


def over_awgn(
    symbols: NDArray[np.complex64], snr_db: float, seed: int
) -> tuple[NDArray[np.complex64], Floats]:
    """Symbols ``(N, k)`` after AWGN and their noise variances; row i has its own generator."""
    rows = [
        transmit(row, snr_db, generator(seed, index, Cause.ANALOG_NOISE))
        for index, row in enumerate(symbols)
    ]
    received, variance = zip(*rows, strict=True)
    return np.stack(received), np.stack(variance)


def _summary(answers: Arrays, test: Arrays) -> dict[str, Any]:
    rows = _score_rows(answers, test)
    summary: dict[str, Any] = {name: interval(row[name] for row in rows) for name in rows[0]}
    if "segmentation" in answers:
        counts = segmentation_counts(answers["segmentation"], test["segmentation"])
        summary["dataset_miou"] = round(metrics.mean_iou(counts), 4)
        summary["class_iou"] = [round(float(iou), 4) for iou in metrics.class_iou(counts)]
    return summary


def _score_rows(answers: Arrays, test: Arrays) -> list[dict[str, float]]:
    """Scores of every picture, by name."""
    count = len(next(iter(answers.values())))
    return [dict(task_scores(_row(answers, i), _row(test, i))) for i in range(count)]


def _row(arrays: Mapping[str, NDArray[Any]], index: int) -> dict[str, NDArray[Any]]:
    return {name: values[index] for name, values in arrays.items()}


def interval(values: Iterable[float]) -> dict[str, float]:
    """Mean and half width of the 95 % interval of the mean (normal approximation).

    NaN, the score of a picture whose truth is unknown, does not count.
    """
    array = np.array(list(values), np.float64)
    array = array[~np.isnan(array)]
    half = _NORMAL_95 * array.std(ddof=1) / np.sqrt(len(array)) if len(array) > 1 else 0.0
    return {"mean": round(float(array.mean()), 4), "half_width_95": round(float(half), 4)}


# --- the early exit ---------------------------------------------------------------------------


def _exit(model: SplitModel, inference: Inference, test: Arrays) -> dict[str, Any]:
    """Of a network with an early exit: what the exit's answers are worth, and when."""
    return {"exit": exit_section(inference, test)} if model.has_exit else {}


def exit_section(inference: Inference, test: Arrays) -> dict[str, Any]:
    """Scores of the exit's answers on all pictures, their confidence, and a table of thresholds."""
    features = inference.exit_features(test["image"])
    early = inference.exit_answers(features)
    whole = inference.answers(inference.features(test["image"]))
    confidence = inference.exit_confidence(features)
    headline = next(name for name in _score_rows(early, test)[0] if name in HEADLINES.values())
    scores = (_column(answers, test, headline) for answers in (early, whole))
    return {
        "scores": _summary(early, test),
        "confidence": interval(confidence),
        "thresholds": threshold_table(confidence, *scores),
    }


def _column(answers: Arrays, test: Arrays, name: str) -> NDArray[np.float64]:
    return np.array([row[name] for row in _score_rows(answers, test)])


def threshold_table(
    confidence: NDArray[np.float64], early: NDArray[np.float64], whole: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """For thresholds of confidence that let about `EXIT_SHARES` of the pictures exit, what follows.

    Args:
        confidence: Of the exit's answers, ``(N,)``.
        early, whole: Score of the exit's and of the whole network's answer, ``(N,)``.

    Returns:
        Rows of ``threshold``, ``exit_share``; ``exited`` and ``exited_by_whole``: score of those
        that exit, by the exit's answer and by the whole network's; ``onward_by_exit`` and
        ``onward``: of those that go on, likewise; ``all``: of all pictures, each by its own way.
    """
    thresholds = [round(float(np.quantile(confidence, 1.0 - share)), 4) for share in EXIT_SHARES]
    return [_threshold_row(t, confidence >= t, early, whole) for t in thresholds]


def _threshold_row(
    threshold: float,
    exits: NDArray[np.bool_],
    early: NDArray[np.float64],
    whole: NDArray[np.float64],
) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "exit_share": round(float(exits.mean()), 4),
        "exited": interval(early[exits]),
        "exited_by_whole": interval(whole[exits]),
        "onward_by_exit": interval(early[~exits]),
        "onward": interval(whole[~exits]),
        "all": interval(np.where(exits, early, whole)),
    }


# --- costs ------------------------------------------------------------------------------------


def payload_bits(
    inference: Inference, tables: Tables, shape: tuple[int, int, int], images: NDArray[np.uint8]
) -> dict[str, float]:
    """Mean size of a sample's payload per ``scheme/codec``, at 8 bits or quality 75."""
    latents = inference.latents(inference.features(images))
    coded: dict[str, tuple[Codec, NDArray[Any]]] = {
        "raw/png": (ImageCodec("png"), images),
        "raw/jpeg": (ImageCodec("jpeg", JPEG_QUALITY), images),
        "raw/webp": (ImageCodec("webp", WEBP_QUALITY), images),
        "separate/entropy": (EntropyCodec(shape, tables[8]), latents),
        "separate/png_tiles": (PngTilesCodec(shape, 8), latents),
    }
    return {
        name: round(float(np.mean([len(codec.encode(array)) * 8 for array in arrays])), 1)
        for name, (codec, arrays) in coded.items()
    }


def costs(model: SplitModel, height: int, width: int) -> dict[str, Any]:
    """The card's section on computation per image: ``macs`` by scheme, and all parts' operators."""
    parts = count_operators(model, height, width)
    return {
        "macs": _macs_of_schemes(parts),
        "macs_by_part": {part: float(total_macs(work)) for part, work in parts.items()},
        "operators_by_part": {part: [one.row() for one in work] for part, work in parts.items()},
    }


def _macs_of_schemes(parts: Mapping[str, Operators]) -> dict[str, dict[str, float]]:
    ways = {scheme.value: work for scheme, work in workloads(parts).items()}
    if "exit_head" in parts:
        ways["exit"] = exit_workload(parts)
    return {
        way: {"device_macs": float(work.device_macs), "edge_macs": float(work.edge_macs)}
        for way, work in ways.items()
    }


def refresh_costs(folder: Path) -> None:
    """Count a trained network's computation anew and write it to its card; all else stays.

    Raises:
        ArtefactError: Weights or card are missing, damaged, or do not belong together.
    """
    artefact = load_artefact(folder.parent, folder.name, with_costs=False)
    card = artefact.card
    fresh = costs(artefact.model, card["height"], card["width"])
    kept: dict[str, Any] = {}
    for key, value in card.items():
        kept |= fresh if key == "macs" else {} if key in fresh else {key: value}
    write_card(folder, kept)


def parameters(model: SplitModel) -> dict[str, int]:
    """Learned numbers per part and in total."""
    parts = {
        name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
    }
    return parts | {"total": sum(parts.values())}


def versions() -> dict[str, str]:
    """What the training ran on."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }
