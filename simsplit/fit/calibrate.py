"""Monte Carlo over the exact link -> block error rate table, with its card.

One curve = one (modulation, rate, base graph, attempt, code block size), see fit/curve.py. Every
curve has its own generator, so a run that was stopped goes on where it was, and any number of
workers gives the same table.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.fit.curve import (
    FIT_COLUMNS,
    Job,
    Row,
    columns,
    intervals,
    is_waterfall,
    make_curve,
)
from simsplit.fit.waterfall import Floats, fitted
from simsplit.nets.inference import one_thread
from simsplit.phy.decoder import ITERATIONS
from simsplit.phy.link import MCS_TABLES, base_graph_of, rate_key

_KEYS = (
    *("kind", "seed", "tables", "more_rates_x1024", "sizes_bits", "later_sizes_bits", "attempts"),
    *("later_rates_from_x1024", "errors_per_point", "blocks_per_point", "large_bits"),
    *("large_share", "later_share"),
)
_RULES = (  # what a single curve depends on
    *("seed", "errors_per_point", "blocks_per_point", "large_bits", "large_share", "later_share"),
)
_KEY_COLUMNS = ("bits_per_symbol", "rate_x1024", "base_graph", "attempt")
_JOB_COLUMNS = (*_KEY_COLUMNS, "code_block_bits")
_COLUMNS = (*_JOB_COLUMNS, "coded_bits")
_LONGEST_BITS = {1: 8448, 2: 3840}  # TS 38.212 clause 5.2.2


def calibrate(
    recipe: Mapping[str, Any],
    out_dir: Path,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
) -> Path:
    """Make ``table.npz`` and ``card.json`` in ``out_dir``; returns the table's path.

    Curves done are kept in ``partial.jsonl`` until the end, from which a stopped run goes on. A
    finished table that was counted by the same rules is extended by the curves it lacks.

    Args:
        recipe: As ``models/bler_5g/recipe.yaml``, which explains the keys.
        out_dir: Made if missing.
        progress: Called after every curve with the curves done and their total.
        workers: Processes, one torch thread each; the table does not depend on it.

    Raises:
        ScenarioError: Unknown or missing key in the recipe, or an MCS table that does not exist.
        ArtefactError: The finished table in the folder does not belong to its card.
    """
    jobs = all_jobs(recipe)
    out_dir.mkdir(parents=True, exist_ok=True)
    partial = out_dir / "partial.jsonl"
    digest = _digest(json.dumps(dict(recipe), sort_keys=True).encode())
    done = _finished(recipe, out_dir) | _resume(partial, digest)
    pending = [job for job in jobs if job.name not in done]
    for count, (name, row) in enumerate(_run(recipe, pending, workers), len(done) + 1):
        done[name] = row
        _append(partial, {"key": name, "recipe": digest, "row": row})
        if progress is not None:
            progress(count, len(jobs))
    rows = [done[job.name] for job in jobs]
    kept = [row for row in rows if is_waterfall(row)]
    table = _write_table(kept, out_dir)
    left_out = [_summary(row) for row in rows if not is_waterfall(row)]
    _write_card(kept, left_out, recipe, digest, table)
    partial.unlink(missing_ok=True)
    return table


def _run(recipe: Mapping[str, Any], jobs: list[Job], workers: int) -> Iterator[tuple[str, Row]]:
    """Curves as they are ready."""
    if workers == 1:
        yield from (_one(recipe, job) for job in jobs)
        return
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=workers, backend="loky", return_as="generator_unordered")
    yield from pool(delayed(_one)(dict(recipe), job) for job in jobs)


def _one(recipe: Mapping[str, Any], job: Job) -> tuple[str, Row]:
    share = recipe["large_share"] if job.code_block_bits >= recipe["large_bits"] else 1.0
    share *= recipe["later_share"] if job.attempt > 1 else 1.0
    enough = (round(recipe[key] * share) for key in ("errors_per_point", "blocks_per_point"))
    with one_thread():
        return job.name, make_curve(job, recipe["seed"], *enough)


def all_jobs(recipe: Mapping[str, Any]) -> list[Job]:
    """Every curve of a recipe, checked.

    Raises:
        ScenarioError: As `calibrate`.
    """
    for key in recipe:
        if key not in _KEYS:
            raise ScenarioError("unknown key", path=key, value=key, choices=_KEYS)
    missing = [key for key in _KEYS if key not in recipe]
    if missing or recipe["kind"] != "bler_table":
        raise ScenarioError("not a recipe for a BLER table", path=(missing or ["kind"])[0])
    for table in recipe["tables"]:
        if table not in MCS_TABLES:
            choices = [str(t) for t in MCS_TABLES]
            raise ScenarioError("no such MCS table", path="tables", value=table, choices=choices)
    return list(chain.from_iterable(_jobs_of(recipe, *family) for family in _rates(recipe).items()))


def _rates(recipe: Mapping[str, Any]) -> dict[int, list[float]]:
    """Rising rates x 1024 by bits per symbol: those of the MCS tables and the recipe's own."""
    found: dict[int, set[float]] = {}
    for scheme in chain.from_iterable(MCS_TABLES[table] for table in recipe["tables"]):
        found.setdefault(scheme.bits_per_symbol, set()).add(rate_key(scheme.code_rate))
    for qm, rates in recipe["more_rates_x1024"].items():
        found.setdefault(qm, set()).update(float(rate) for rate in rates)
    return {qm: sorted(rates) for qm, rates in sorted(found.items())}


def _jobs_of(recipe: Mapping[str, Any], qm: int, rates: list[float]) -> Iterator[Job]:
    for attempt in range(1, recipe["attempts"] + 1):
        sizes = recipe["sizes_bits" if attempt == 1 else "later_sizes_bits"]
        if attempt > 1:
            rates = [rate for rate in rates if rate >= recipe["later_rates_from_x1024"]]
        for place, rate in enumerate(rates):
            around = rates[max(0, place - 1) : place + 2]
            for bits in sizes:
                for graph in graphs(bits, around):
                    yield Job(qm, rate, graph, attempt, bits)


def graphs(code_block_bits: int, rates_x1024: list[float]) -> list[int]:
    """Base graphs that a block of this size can have at any of these rates.

    A rate is calibrated with its neighbours' graphs too, so that the table can interpolate on both
    sides of a change of graph (TS 38.212 clause 7.2.2).
    """
    found = {base_graph_of(code_block_bits, rate / 1024) for rate in rates_x1024}
    return sorted(g for g in found if code_block_bits <= _LONGEST_BITS[g])


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


def _finished(recipe: Mapping[str, Any], out_dir: Path) -> dict[str, Row]:
    """Curves of the table in this folder, if its card names the same rules of counting."""
    table, card = out_dir / "table.npz", out_dir / "card.json"
    if not (table.is_file() and card.is_file()):
        return {}
    told = json.loads(card.read_text())
    if any(told["recipe"].get(key) != recipe[key] for key in _RULES):
        return {}
    if told["table_sha256"] != _digest(table.read_bytes()):
        raise ArtefactError("the table is not the one its card tells of", value=str(table))
    with np.load(table, allow_pickle=False) as stored:
        rows = _rows(stored)
    share = {"seconds": told["seconds"] / max(1, len(rows))}
    return {Job(*(row[name] for name in _JOB_COLUMNS)).name: row | share for row in rows}


def _rows(stored: Mapping[str, Any]) -> list[Row]:
    """A stored table's curves with their points."""
    names = (*_COLUMNS, *FIT_COLUMNS)
    rows = [
        dict(zip(names, values, strict=True))
        for values in zip(*(stored[name].tolist() for name in names), strict=True)
    ]
    columns_of_points = (stored[f"point_{n}"].tolist() for n in ("snr_db", "blocks", "errors"))
    points = zip(*columns_of_points, strict=True)
    for curve, point in zip(stored["point_curve"].tolist(), points, strict=True):
        rows[curve].setdefault("points", []).append(list(point))
    return rows


def _write_table(rows: list[Row], out_dir: Path) -> Path:
    """``table.npz``: one row per curve, and one per (curve, SNR point); renamed into place."""
    table = {name: np.array([row[name] for row in rows]) for name in (*_COLUMNS, *FIT_COLUMNS)}
    snr_db, blocks, errors = columns([point for row in rows for point in row["points"]])
    wilson = np.concatenate([intervals(row["points"]) for row in rows]).astype(np.float32)
    lengths = [len(row["points"]) for row in rows]
    table |= {
        "point_curve": np.repeat(np.arange(len(rows), dtype=np.int32), lengths),
        "point_snr_db": snr_db.astype(np.float32),
        "point_blocks": blocks.astype(np.int32),
        "point_errors": errors.astype(np.int32),
        "point_wilson_low": wilson[:, 0],
        "point_wilson_high": wilson[:, 1],
    }
    aside, path = out_dir / "partial_table.npz", out_dir / "table.npz"
    np.savez_compressed(aside, allow_pickle=False, **table)
    os.replace(aside, path)
    return path


def _summary(row: Row) -> Row:
    """A curve's numbers without its points, fit that JSON can hold."""
    numbers = {key: value for key, value in row.items() if key != "points"}
    _, blocks, errors = columns(row["points"])
    numbers |= {"blocks": int(blocks.sum()), "errors": int(errors.sum())}
    return {k: v if np.isfinite(v) else None for k, v in numbers.items()}


def _write_card(
    rows: list[Row], left_out: list[Row], recipe: Mapping[str, Any], digest: str, table: Path
) -> None:
    """``card.json``: how the table was made and how well it fits."""
    card = {
        "recipe": dict(recipe),
        "recipe_sha256": digest,
        "table_sha256": _digest(table.read_bytes()),
        "seed": recipe["seed"],
        "decoder": "flooding belief propagation, tanh rule, parity check every 2 iterations",
        "iterations": ITERATIONS,
        "demapper": "app",
        "error_detection": "all bits compared (genie); ideal channel knowledge; AWGN",
        "attempts": "redundancy versions 0, 2, 3, 1 combined, all at the same SNR",
        "snr": "Es/N0 per complex symbol in dB",
        "fit": "BLER = Phi((mu - snr) / sigma), maximum likelihood over the counted points",
        "between_points": "distance of mu to Shannon's SNR of the true rate over all attempts: "
        "linear in log2 K and Shannon's SNR of the rate; sigma: geometric likewise (phy/link.py)",
        **_quality(rows),
        "seconds": round(sum(row["seconds"] for row in (*rows, *left_out)), 1),
        "versions": {p: version(p) for p in ("sionna-no-rt", "torch", "numpy", "scipy")},
        "left_out_because_no_waterfall": left_out,
    }
    (table.parent / "card.json").write_text(json.dumps(card, indent=1, allow_nan=False) + "\n")


def _quality(rows: list[Row]) -> Row:
    """Totals, residuals of the fit against chance, share of points whose interval holds the fit."""
    points = [columns(row["points"]) for row in rows]
    rates = [
        fitted(p[0], row["mu_db"], row["sigma_db"]) for p, row in zip(points, rows, strict=True)
    ]
    blocks, errors = (np.concatenate([p[k] for p in points]) for k in (1, 2))
    rate = np.concatenate(rates)
    wilson = np.concatenate([intervals(row["points"]) for row in rows])
    inside = (wilson[:, 0] <= rate) & (rate <= wilson[:, 1])
    return {
        "n_curves": len(rows),
        "n_points": len(rate),
        "blocks": int(blocks.sum()),
        "errors": int(errors.sum()),
        "fit_rms_residual_bler": _rms((errors / blocks - rate) ** 2, blocks),
        "fit_rms_residual_expected_by_chance": _rms(rate * (1 - rate) / blocks, blocks),
        "share_of_points_with_fit_inside_wilson_95": float(inside.mean()),
        "median_standard_error_of_mu_db": float(np.median([row["mu_error_db"] for row in rows])),
        "largest_standard_error_of_mu_db": float(max(row["mu_error_db"] for row in rows)),
        "median_standard_error_of_mu_over_sigma": float(
            np.median([row["mu_error_db"] / row["sigma_db"] for row in rows])
        ),
    }


def _rms(squares: Floats, weights: Any) -> float:
    return float(np.sqrt(np.average(squares, weights=weights)))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
