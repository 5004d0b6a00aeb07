"""Monte Carlo over the exact link -> block error rate table, with its card.

One curve = one (MCS, code block size): random blocks at random SNRs across the waterfall, then a
maximum-likelihood fit of BLER(snr) = Phi((mu - snr) / sigma). Every curve has its own generator, so
a run that was stopped goes on where it was and gives the same table.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.phy import link
from simsplit.phy.coded import CodeBlockLink
from simsplit.phy.decoder import ITERATIONS
from simsplit.seeds import generator

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Row = dict[str, Any]

_KEYS = ("kind", "seed", "mcs", "sizes_bits", "blocks_per_curve", "large_bits", "blocks_large")
_COLUMNS = ("mcs", "base_graph", "code_block_bits", "coded_bits", "blocks", "errors")
_FIT_COLUMNS = ("mu_db", "sigma_db", "mu_error_db", "sigma_error_db")
_BIN_DB = 0.25
_MAX_RATE = 0.95


def calibrate(
    recipe: Mapping[str, Any],
    out_dir: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make ``table.npz`` and ``card.json`` in ``out_dir``; returns the table's path.

    Curves done are kept in ``partial.jsonl`` until the end. ``progress(done, total)`` is called
    after every curve. Torch uses as many threads as the caller set; one is best.

    Raises:
        ScenarioError: Unknown or missing key in the recipe, or an MCS the exact link lacks.
    """
    jobs = _jobs(recipe)
    out_dir.mkdir(parents=True, exist_ok=True)
    partial = out_dir / "partial.jsonl"
    digest = _digest(json.dumps(dict(recipe), sort_keys=True).encode())
    done = _resume(partial, digest)
    for count, (scheme, bits) in enumerate(jobs, start=1):
        key = f"{scheme.index}/{bits}"
        if key not in done:
            done[key] = _curve(recipe, scheme, bits)
            _append(partial, {"key": key, "recipe": digest, "row": done[key]})
        if progress is not None:
            progress(count, len(jobs))
    rows = [done[f"{scheme.index}/{bits}"] for scheme, bits in jobs]
    kept = [row for row in rows if is_waterfall(row)]
    table = _write_table(kept, out_dir)
    left_out = [_summary(row) for row in rows if not is_waterfall(row)]
    _write_card(kept, left_out, recipe, digest, table)
    partial.unlink(missing_ok=True)
    return table


def _jobs(recipe: Mapping[str, Any]) -> list[tuple[link.Mcs, int]]:
    """Every (MCS, size) of the recipe that the standard allows."""
    for key in recipe:
        if key not in _KEYS:
            raise ScenarioError("unknown key", path=key, value=key, choices=_KEYS)
    missing = [key for key in _KEYS if key not in recipe]
    if missing or recipe["kind"] != "bler_table":
        raise ScenarioError("not a recipe for a BLER table", path=(missing or ["kind"])[0])
    supported = {m.index: m for m in link.SUPPORTED_MCS}
    for index in recipe["mcs"]:
        if index not in supported:
            choices = [str(i) for i in supported]
            raise ScenarioError("the exact link lacks it", path="mcs", value=index, choices=choices)
    schemes = [supported[index] for index in recipe["mcs"]]
    return [(m, bits) for m in schemes for bits in legal_sizes(m, recipe["sizes_bits"])]


def legal_sizes(mcs: link.Mcs, sizes_bits: list[int]) -> list[int]:
    """The sizes this MCS can have, with the smallest legal one put in front.

    Legal: effective rate within 0.95 (TS 38.214 clause 5.1.3) and no longer than the base graph's
    largest block (TS 38.212 clause 5.2.2).
    """
    limit = 8448 if mcs.code_rate > 0.25 else 3840
    largest = [bits for bits in sizes_bits if bits <= limit]
    smallest = next(
        bits for bits in range(min(sizes_bits), limit, 8) if _rate(mcs, bits) <= _MAX_RATE
    )
    return sorted({smallest, *(bits for bits in largest if bits >= smallest)})


def _rate(mcs: link.Mcs, bits: int) -> float:
    return bits / link.nominal_coded_bits(mcs, bits)


def _curve(recipe: Mapping[str, Any], mcs: link.Mcs, bits: int) -> Row:
    """Simulate and fit one curve."""
    started = time.process_time()
    large = bits >= recipe["large_bits"]
    n_blocks = recipe["blocks_large"] if large else recipe["blocks_per_curve"]
    rng = generator(recipe["seed"], mcs.index, bits)
    coded_bits = link.nominal_coded_bits(mcs, bits)
    graph = link.base_graph_of(bits, mcs.code_rate)
    air = CodeBlockLink(mcs, bits, coded_bits, graph)
    centre_db, width_db = _locate(air, mcs.bits_per_symbol, bits, coded_bits, rng)
    snr_db = centre_db + width_db * rng.uniform(-2.5, 3.0, n_blocks)
    wrong = air.errors(snr_db, rng)
    fit = fit_waterfall(snr_db, wrong)
    counts = (mcs.index, graph, bits, coded_bits, n_blocks, int(wrong.sum()))
    row: Row = dict(zip(_COLUMNS, counts, strict=True)) | dict(zip(_FIT_COLUMNS, fit, strict=True))
    row["bins"] = _bins(snr_db, wrong, fit[0], fit[1])
    row["near_10_percent"] = _near_ten_percent(snr_db, wrong, fit[0], fit[1])
    return row | {"seconds": time.process_time() - started}


def _locate(
    air: CodeBlockLink, bits_per_symbol: int, bits: int, coded_bits: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Centre and width in dB of the waterfall from two coarse rounds around Shannon's limit."""
    guess_db = 10.0 / math.sqrt(bits)  # sigma falls as 1 / sqrt(K)
    efficiency = bits_per_symbol * bits / coded_bits
    centre_db = 10.0 * math.log10(2.0**efficiency - 1.0) + 1.0 + 2.0 * guess_db
    n_blocks = 96 if bits < 2000 else 64
    width_db = guess_db
    for half_db in (3.5, 3.0 * guess_db + 0.3):
        snr_db = centre_db + half_db * rng.uniform(-1.0, 1.0, n_blocks)
        found = fit_waterfall(snr_db, air.errors(snr_db, rng), prior_sigma_db=guess_db)
        centre_db = float(np.clip(found[0], centre_db - half_db, centre_db + half_db))
        width_db = float(np.clip(found[1], 0.4 * guess_db, 2.0 * guess_db))
    return centre_db, width_db


def fit_waterfall(
    snr_db: Floats, wrong: Bools, prior_sigma_db: float | None = None
) -> tuple[float, float, float, float]:
    """Maximum-likelihood (mu, sigma) in dB of BLER(snr) = Phi((mu - snr) / sigma) and their errors.

    Args:
        snr_db: ``(N,)`` SNR of each block.
        wrong: ``(N,)`` whether it was lost.
        prior_sigma_db: For few blocks: a log-normal prior of one neper on sigma, which keeps the
            fit finite when losses and successes do not overlap.

    Returns:
        mu, sigma and their standard errors from the observed Fisher information.
    """
    snr = torch.from_numpy(np.asarray(snr_db, dtype=np.float64))
    sign = torch.from_numpy(np.where(wrong, 1.0, -1.0))
    prior = math.log(prior_sigma_db or 1.0)

    def loss(point: torch.Tensor) -> torch.Tensor:
        z = sign * (point[0] - snr) * torch.exp(-point[1])
        penalty = 0.0 if prior_sigma_db is None else 0.5 * (point[1] - prior) ** 2
        total: torch.Tensor = penalty - torch.special.log_ndtr(z).sum()
        return total

    middle = float(snr[0]) if wrong.all() or not wrong.any() else _middle_db(snr_db, wrong)
    point = _minimise(loss, torch.tensor([middle, prior if prior_sigma_db else -1.0]).double())
    information = torch.func.hessian(loss)(point)
    variance = torch.linalg.pinv(information).diagonal().clamp(min=0.0).sqrt().tolist()
    mu_db, sigma_db = float(point[0]), math.exp(float(point[1]))
    return mu_db, sigma_db, variance[0], variance[1] * sigma_db


def _middle_db(snr_db: Floats, wrong: Bools) -> float:
    """Halfway between the mean SNR of lost and of good blocks."""
    return float(0.5 * (snr_db[wrong].mean() + snr_db[~wrong].mean()))


def _minimise(loss: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor) -> torch.Tensor:
    """The minimum of a smooth function of a few numbers, by L-BFGS."""
    point = start.clone().requires_grad_(True)
    solver = torch.optim.LBFGS([point], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> float:
        solver.zero_grad()
        value = loss(point)
        torch.autograd.backward(value)
        return float(value.detach())

    step: Callable[[Callable[[], float]], Any] = solver.step
    step(closure)
    return point.detach()


def _fitted(snr_db: Floats, mu_db: float, sigma_db: float) -> Floats:
    chances: Floats = torch.special.ndtr(torch.from_numpy((mu_db - snr_db) / sigma_db)).numpy()
    return chances


def _bins(snr_db: Floats, wrong: Bools, mu_db: float, sigma_db: float) -> list[list[float]]:
    """Raw counts by 0.25 dB: [centre in dB, blocks, errors, errors that the fit expects]."""
    place = np.floor(snr_db / _BIN_DB).astype(int)
    expected = _fitted(snr_db, mu_db, sigma_db)
    rows: list[list[float]] = []
    for step in np.unique(place).tolist():
        inside = place == step
        counts = (int(inside.sum()), int(wrong[inside].sum()), float(expected[inside].sum()))
        rows.append([(step + 0.5) * _BIN_DB, *counts])
    return rows


def is_waterfall(row: Row) -> bool:
    """Whether the fit found a fall from 1 to 0: mu known to 0.5 dB, sigma below 30 / sqrt(K) dB.

    Some of the smallest blocks at rates near 0.95 have none within the SNRs tried; probably because
    two lifted columns are never sent (TS 38.212 clause 5.3.2) and hardly any parity is. Such a size
    is left out of the table, where asking for it is an error, and named in the card.
    """
    limit_db = 30.0 / math.sqrt(row["code_block_bits"])
    return bool(row["mu_error_db"] < 0.5 and row["sigma_db"] < limit_db)


def _near_ten_percent(snr_db: Floats, wrong: Bools, mu_db: float, sigma_db: float) -> Row:
    """Observed against fitted error rate from 0.8 to 1.8 sigma above mu, with Wilson's interval."""
    inside = (snr_db > mu_db + 0.8 * sigma_db) & (snr_db < mu_db + 1.8 * sigma_db)
    blocks, errors = int(inside.sum()), int(wrong[inside].sum())
    low, high = wilson_interval(errors, blocks)
    fitted = float(_fitted(snr_db[inside], mu_db, sigma_db).mean()) if blocks else None
    return {"blocks": blocks, "errors": errors, "low": low, "high": high, "fitted": fitted}


def wilson_interval(errors: int, blocks: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % confidence interval of a proportion (E. B. Wilson, JASA 22, 1927); (0, 1) of nothing."""
    if blocks == 0:
        return 0.0, 1.0
    rate, scale = errors / blocks, 1.0 + z * z / blocks
    centre = (rate + z * z / (2 * blocks)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / blocks + z * z / (4 * blocks * blocks))
    return max(0.0, centre - half), min(1.0, centre + half)


def _append(path: Path, entry: Row) -> None:
    with path.open("a") as file:
        file.write(json.dumps(entry) + "\n")


def _resume(path: Path, digest: str) -> dict[str, Row]:
    """Curves already made from this very recipe; a torn last line is dropped."""
    done: dict[str, Row] = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry["recipe"] == digest:
            done[entry["key"]] = entry["row"]
    return done


def _write_table(rows: list[Row], out_dir: Path) -> Path:
    """``table.npz``: one row per curve, and one per (curve, 0.25 dB bin); renamed into place."""
    columns = {name: np.array([row[name] for row in rows]) for name in (*_COLUMNS, *_FIT_COLUMNS)}
    bins = np.array([[i, *values] for i, row in enumerate(rows) for values in row["bins"]])
    columns |= {
        "bin_curve": bins[:, 0].astype(np.int64),
        "bin_snr_db": bins[:, 1],
        "bin_blocks": bins[:, 2].astype(np.int64),
        "bin_errors": bins[:, 3].astype(np.int64),
        "bin_expected_errors": bins[:, 4],
    }
    aside, table = out_dir / "partial_table.npz", out_dir / "table.npz"
    np.savez_compressed(aside, allow_pickle=False, **columns)
    os.replace(aside, table)
    return table


def _summary(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "bins"}


def _write_card(
    rows: list[Row], left_out: list[Row], recipe: Mapping[str, Any], digest: str, table: Path
) -> None:
    """``card.json``: how the table was made and how well it fits."""
    card = {
        "recipe": dict(recipe),
        "recipe_sha256": digest,
        "table_sha256": _digest(table.read_bytes()),
        "decoder": "flooding belief propagation, tanh rule, parity check every 2 iterations",
        "iterations": ITERATIONS,
        "error_detection": "all bits compared (genie); ideal channel knowledge; AWGN",
        "snr": "Es/N0 per complex symbol in dB",
        **_quality(rows),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "versions": {p: version(p) for p in ("sionna-no-rt", "torch", "numpy")},
        "left_out_because_no_waterfall": left_out,
        "curves": [_summary(row) for row in rows],
    }
    (table.parent / "card.json").write_text(json.dumps(card, indent=1, allow_nan=False) + "\n")


def _quality(rows: list[Row]) -> Row:
    """Totals, residuals of the fit and how often Wilson's interval near 10 % holds the fit."""
    blocks, errors, expected = np.array([v[1:] for row in rows for v in row["bins"]]).T
    rate = expected / blocks
    residual, chance = (errors / blocks - rate) ** 2, rate * (1 - rate) / blocks
    checks = [row["near_10_percent"] for row in rows if row["near_10_percent"]["blocks"]]
    inside = [c["low"] <= c["fitted"] <= c["high"] for c in checks]
    return {
        "n_curves": len(rows),
        "blocks": sum(row["blocks"] for row in rows),
        "errors": sum(row["errors"] for row in rows),
        "fit_rms_residual_bler": _rms(residual, blocks),
        "fit_rms_residual_expected_by_chance": _rms(chance, blocks),
        "mean_standard_error_of_mu_db": float(np.mean([row["mu_error_db"] for row in rows])),
        "share_with_fit_inside_wilson_95_near_10_percent": sum(inside) / len(inside),
        "wilson_95_half_width_near_10_percent": float(
            np.mean([(c["high"] - c["low"]) / 2 for c in checks])
        ),
    }


def _rms(squares: Floats, weights: Floats) -> float:
    return float(np.sqrt(np.average(squares, weights=weights)))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
