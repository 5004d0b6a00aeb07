"""Monte Carlo over the exact link -> block error rate table, with its card.

One curve = one (modulation, rate, base graph, attempt, code block size), see
phy/calibration_curve.py, and for those that the recipe names its lower end, see phy/tails.py. Every
curve has its own generators, so a run that was stopped goes on where it was, and any number of
workers gives the same table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import file_digest, json_digest, whole_file, write_whole
from simsplit.phy.calibration_curve import (
    FIT_COLUMNS,
    Floats,
    Job,
    Row,
    columns,
    fit_bent,
    fit_waterfall,
    fitted,
    intervals,
    is_waterfall,
    make_curve,
)
from simsplit.phy.ldpc import ITERATIONS
from simsplit.phy.mcs import MCS_TABLES
from simsplit.phy.sizes import base_graph_of
from simsplit.phy.tails import TailRule, count_tails
from simsplit.phy.waterfalls import rate_key
from simsplit.seeds import one_thread

_KEYS = (
    *("kind", "seed", "tables", "more_rates_x1024", "sizes_bits", "later_sizes_bits", "attempts"),
    *("later_rates_from_x1024", "errors_per_point", "blocks_per_point", "large_bits"),
    *("large_share", "later_share", "tail", "skew"),
)
_TAIL_KEYS = ("error_rates", "errors", "large_errors", "large_bits", "curves")
_SKEW_KEYS = ("mean", "spread")
_RULES = (  # what a single curve depends on
    *("seed", "errors_per_point", "blocks_per_point", "large_bits", "large_share", "later_share"),
)
_TAILS = "tails.jsonl"
_KEY_COLUMNS = ("bits_per_symbol", "rate_x1024", "base_graph", "attempt")
_JOB_COLUMNS = (*_KEY_COLUMNS, "code_block_bits")
_COLUMNS = (*_JOB_COLUMNS, "coded_bits")
_LAST_COLUMNS = ("skew", "tail_errors")
_LONGEST_BITS = {1: 8448, 2: 3840}  # TS 38.212 clause 5.2.2


def calibrate(
    recipe: Mapping[str, Any],
    out_dir: Path,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
) -> Path:
    """Make ``table.npz`` and ``card.json`` in ``out_dir``; returns the table's path.

    Curves done are kept in ``partial.jsonl`` until the end, tails in ``tails.jsonl``: from there a
    stopped run goes on. A finished table that was counted by the same rules is extended by the
    curves and the tails it lacks.

    Args:
        recipe: As ``models/bler_5g/recipe.yaml``, which explains the keys.
        out_dir: Made if missing.
        progress: Called after every curve with the curves done and their total; then after every
            tail likewise.
        workers: Processes, one torch thread each; the table does not depend on it.

    Raises:
        ScenarioError: Unknown or missing key in the recipe, or an MCS table that does not exist.
        ArtefactError: The finished table in the folder does not belong to its card.
    """
    jobs = all_jobs(recipe)
    out_dir.mkdir(parents=True, exist_ok=True)
    partial = out_dir / "partial.jsonl"
    digest = json_digest(dict(recipe))
    finished, hopeless = _finished(recipe, out_dir)
    done = finished | _resume(partial, digest)
    jobs = [job for job in jobs if job.name not in hopeless]
    pending = [job for job in jobs if job.name not in done]
    for count, (name, row) in enumerate(_run(recipe, pending, workers), len(done) + 1):
        done[name] = row
        _append(partial, {"key": name, "recipe": digest, "row": row})
        if progress is not None:
            progress(count, len(jobs))
    rows = [done[job.name] for job in jobs]
    kept = [row for row in rows if is_waterfall(row)]
    _add_tails(kept, recipe, out_dir, progress)
    kept = [_bent(row, recipe) for row in kept]
    table = _write_table(kept, out_dir)
    left_out = [*hopeless.values(), *(_summary(row) for row in rows if not is_waterfall(row))]
    _write_card(kept, left_out, recipe, digest, table)
    for temporary in (partial, out_dir / _TAILS):
        temporary.unlink(missing_ok=True)
    return table


def _add_tails(
    rows: list[Row],
    recipe: Mapping[str, Any],
    out_dir: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Count the tails that the recipe names and the rows lack; adds their points to the rows."""
    by_name = {_name(row): row for row in rows}
    wanted = [_row_of(name, by_name) for name in recipe["tail"]["curves"]]
    jobs = [_straight(row) for row in wanted if not row["tail_errors"]]
    tails = count_tails(jobs, TailRule.of(recipe), out_dir / _TAILS, progress)
    for name, points in tails.items():
        by_name[name]["points"] = by_name[name]["points"] + points
        by_name[name]["tail_errors"] = int(sum(errors for *_, errors in points))


def _straight(row: Row) -> tuple[Job, float, float]:
    """A curve with mu and sigma of the straight probit through its first count, which it takes."""
    row["mu_db"], row["sigma_db"], *_ = fit_waterfall(*columns(row["points"]))
    return _job(row), row["mu_db"], row["sigma_db"]


def _row_of(name: str, by_name: Mapping[str, Row]) -> Row:
    if name not in by_name:
        choices = list(by_name)
        raise ScenarioError("no such curve", path="tail.curves", value=name, choices=choices)
    return by_name[name]


def _job(row: Row) -> Job:
    return Job(*(row[name] for name in _JOB_COLUMNS))


def _name(row: Row) -> str:
    return _job(row).name


def _bent(row: Row, recipe: Mapping[str, Any]) -> Row:
    """The row with mu, sigma and skew of a bent probit through all its points, whatever it had."""
    points, prior = columns(row["points"]), (recipe["skew"]["mean"], recipe["skew"]["spread"])
    mu_db, sigma_db, *errors_db = fit_waterfall(*points)
    bent = fit_bent(*points, prior, (mu_db, sigma_db))
    fit = dict(zip((*FIT_COLUMNS, "skew"), (*bent[:2], *errors_db, bent[2]), strict=True))
    return row | fit


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
        return job.name, make_curve(job, recipe["seed"], *enough) | {"tail_errors": 0}


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
    for part, keys in (("tail", _TAIL_KEYS), ("skew", _SKEW_KEYS)):
        if set(recipe[part]) != set(keys):
            raise ScenarioError("needs these keys", path=part, value=recipe[part], choices=keys)
    for table in recipe["tables"]:
        if table not in MCS_TABLES:
            choices = [str(t) for t in MCS_TABLES]
            raise ScenarioError("no such MCS table", path="tables", value=table, choices=choices)
    return list(chain.from_iterable(_jobs_of(recipe, *family) for family in _rates(recipe).items()))


def _rates(recipe: Mapping[str, Any]) -> dict[int, list[float]]:
    """Rising rates x 1024 by bits per symbol: those of the MCS tables and the recipe's own."""
    by_order: dict[int, set[float]] = {}
    for scheme in chain.from_iterable(MCS_TABLES[table] for table in recipe["tables"]):
        by_order.setdefault(scheme.bits_per_symbol, set()).add(rate_key(scheme.code_rate))
    for qm, rates in recipe["more_rates_x1024"].items():
        by_order.setdefault(qm, set()).update(float(rate) for rate in rates)
    return {qm: sorted(rates) for qm, rates in sorted(by_order.items())}


def _jobs_of(recipe: Mapping[str, Any], qm: int, rates: list[float]) -> Iterator[Job]:
    for attempt in range(1, recipe["attempts"] + 1):
        sizes = recipe["sizes_bits" if attempt == 1 else "later_sizes_bits"]
        if attempt > 1:
            rates = [rate for rate in rates if rate >= recipe["later_rates_from_x1024"]]
        for index, rate in enumerate(rates):
            around = rates[max(0, index - 1) : index + 2]
            for bits in sizes:
                for graph in graphs(bits, around):
                    yield Job(qm, rate, graph, attempt, bits)


def graphs(code_block_bits: int, rates_x1024: list[float]) -> list[int]:
    """Base graphs that a block of this size can have at any of these rates.

    A rate is calibrated with its neighbours' graphs too, so that the table can interpolate on both
    sides of a change of graph (TS 38.212 clause 7.2.2).
    """
    used = {base_graph_of(code_block_bits, rate / 1024) for rate in rates_x1024}
    return sorted(g for g in used if code_block_bits <= _LONGEST_BITS[g])


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


def _finished(recipe: Mapping[str, Any], out_dir: Path) -> tuple[dict[str, Row], dict[str, Row]]:
    """Of a finished table whose card names the same rules, all that need not be counted.

    Returns:
        Its curves with their points, and what the card says of those without a waterfall; by name.
    """
    table, card = out_dir / "table.npz", out_dir / "card.json"
    if not (table.is_file() and card.is_file()):
        return {}, {}
    told = json.loads(card.read_text())
    if any(told["recipe"].get(key) != recipe[key] for key in _RULES):
        return {}, {}
    if "tail" in told["recipe"] and TailRule.of(told["recipe"]) != TailRule.of(recipe):
        return {}, {}
    if told["table_sha256"] != file_digest(table):
        raise ArtefactError("the table is not the one its card tells of", value=str(table))
    with np.load(table, allow_pickle=False) as stored:
        rows = _rows(stored)
    left_out = told["left_out_because_no_waterfall"]
    share = (told["seconds"] - sum(row["seconds"] for row in left_out)) / max(1, len(rows))
    curves = {_name(row): row | {"seconds": share} for row in rows}
    return curves, {_name(row): row for row in left_out}


def _rows(stored: Mapping[str, Any]) -> list[Row]:
    """A stored table's curves with their points."""
    names = tuple(n for n in (*_COLUMNS, *FIT_COLUMNS, *_LAST_COLUMNS) if n in stored)
    rows = [
        {"tail_errors": 0} | dict(zip(names, values, strict=True))
        for values in zip(*(stored[name].tolist() for name in names), strict=True)
    ]
    columns_of_points = (stored[f"point_{n}"].tolist() for n in ("snr_db", "blocks", "errors"))
    points = zip(*columns_of_points, strict=True)
    for curve, point in zip(stored["point_curve"].tolist(), points, strict=True):
        rows[curve].setdefault("points", []).append(list(point))
    return rows


def _write_table(rows: list[Row], out_dir: Path) -> Path:
    """``table.npz``: one row per curve, and one per (curve, SNR point); renamed into place."""
    names = (*_COLUMNS, *FIT_COLUMNS, *_LAST_COLUMNS)
    table = {name: np.array([row[name] for row in rows]) for name in names}
    snr_db, blocks, errors = columns([point for row in rows for point in row["points"]])
    wilson = np.concatenate([intervals(row["points"]) for row in rows]).astype(np.float32)
    lengths = [len(row["points"]) for row in rows]
    table |= {
        "point_curve": np.repeat(np.arange(len(rows), dtype=np.int32), lengths),
        "point_snr_db": snr_db,
        "point_blocks": blocks.astype(np.int32),
        "point_errors": errors.astype(np.int32),
        "point_wilson_low": wilson[:, 0],
        "point_wilson_high": wilson[:, 1],
    }
    path = out_dir / "table.npz"
    with whole_file(path) as aside:
        np.savez_compressed(aside, allow_pickle=False, **table)
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
        "table_sha256": file_digest(table),
        "seed": recipe["seed"],
        "decoder": "flooding belief propagation, tanh rule, parity check every 2 iterations",
        "iterations": ITERATIONS,
        "demapper": "app",
        "error_detection": "all bits compared (genie); ideal channel knowledge; AWGN",
        "attempts": "redundancy versions 0, 2, 3, 1 combined, all at the same SNR",
        "snr": "Es/N0 per complex symbol in dB",
        "fit": "snr = mu + sigma (q + skew (sqrt(1 + (q - 2)^2) - sqrt(5))) / (1 - 2 skew / "
        "sqrt(5)), BLER = Phi(-q), by posterior over the counts; prior of artanh(skew): the recipe",
        "tails": "errors at the points of the recipe's tail, by curve: tail_errors in the table",
        "n_curves_with_tail": sum(row["tail_errors"] > 0 for row in rows),
        "between_points": "distance of mu to Shannon's SNR of the true rate over all attempts: "
        "linear in log2 K and Shannon's SNR of the rate; skew likewise; sigma: geometric",
        **_quality(rows),
        "seconds": round(sum(row["seconds"] for row in (*rows, *left_out)), 1),
        "versions": {p: version(p) for p in ("sionna-no-rt", "torch", "numpy", "scipy")},
        "left_out_because_no_waterfall": left_out,
    }
    write_whole(table.parent / "card.json", json.dumps(card, indent=1, allow_nan=False) + "\n")


def _quality(rows: list[Row]) -> Row:
    """Totals, residuals of the fit against chance, share of points whose interval holds the fit."""
    points = [columns(row["points"]) for row in rows]
    rates = [
        fitted(p[0], row["mu_db"], row["sigma_db"], row["skew"])
        for p, row in zip(points, rows, strict=True)
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
