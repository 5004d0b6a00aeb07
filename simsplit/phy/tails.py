"""The lower end of block error curves: points far enough down, with errors enough, to rest on.

A curve's first count (phy/calibration_curve.py) sends every point until it has a few dozen errors
or a hundred blocks, which says little below a few percent. Here points at given error rates are
sent until they have many errors, curve after curve. What was stopped goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from simsplit.files import json_digest
from simsplit.phy.calibration_curve import Job
from simsplit.phy.coded import CodeBlockLink
from simsplit.seeds import generator, one_thread

Points = list[list[float]]
"""Rows ``[snr in dB, blocks, errors]``."""

_TAIL = 1  # last word of a tail's generator, which its curve's first count lacks
_MOST = 2  # times the blocks that the rate so far asks for: then a point is left with fewer errors
_ROUND_BITS = 4_000_000  # coded bits sent between two looks at the errors


@dataclass(frozen=True, slots=True)
class TailRule:
    """How far down a curve is counted and how well.

    Attributes:
        seed: Of the recipe.
        error_rates: A point is sent at the SNR at which the fit so far has each.
        errors: With which a point is done.
        large_errors: Those of blocks from ``large_bits`` on, which take longer.
        large_bits: K' from which a block is large.
    """

    seed: int
    error_rates: tuple[float, ...]
    errors: int
    large_errors: int
    large_bits: int

    @classmethod
    def of(cls, recipe: Mapping[str, Any]) -> TailRule:
        """The rule in a recipe's ``tail``."""
        tail = recipe["tail"]
        counts = (tail["errors"], tail["large_errors"], tail["large_bits"])
        return cls(recipe["seed"], tuple(tail["error_rates"]), *counts)

    @property
    def digest(self) -> str:
        """Names the rule: tails counted by another one do not go together with it."""
        return json_digest(asdict(self))

    def enough(self, code_block_bits: int) -> int:
        """Errors to count at each point of a block of this size."""
        return self.large_errors if code_block_bits >= self.large_bits else self.errors


def tail_points(job: Job, rule: TailRule, mu_db: float, sigma_db: float) -> Points:
    """Count the lower end of a curve whose probit so far is BLER = Phi((mu - snr) / sigma)."""
    rng = generator(rule.seed, *job.words, _TAIL)
    link = CodeBlockLink(job, job.code_block_bits, job.coded_bits, job.base_graph, job.attempt)
    enough, size = rule.enough(job.code_block_bits), max(64, _ROUND_BITS // job.coded_bits)
    points = []
    for rate in rule.error_rates:
        snr_db = mu_db - NormalDist().inv_cdf(rate) * sigma_db
        most, blocks, errors = _MOST * enough / rate, 0, 0
        while errors < enough and blocks < most:
            errors += int(link.errors(np.full(size, snr_db), rng).sum())
            blocks += size
        points.append([snr_db, blocks, errors])
    return points


def count_tails(
    jobs: Sequence[tuple[Job, float, float]],
    rule: TailRule,
    kept: Path,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Points]:
    """Tails by their curves' names, in this order; each is kept in ``kept`` as soon as it is done.

    Args:
        jobs: Curves with mu and sigma in dB of their probit so far.
        rule: Of all of them.
        kept: File of JSON lines, from which a stopped run goes on.
        progress: Called after every tail with the tails done and their total.
    """
    done = dict(_kept(kept, rule.digest))
    for number, (job, mu_db, sigma_db) in enumerate(jobs, 1):
        if job.name not in done:
            with one_thread():
                done[job.name] = tail_points(job, rule, mu_db, sigma_db)
            entry = {"key": job.name, "rule": rule.digest, "points": done[job.name]}
            with kept.open("a") as file:
                file.write(json.dumps(entry) + "\n")
        if progress is not None:
            progress(number, len(jobs))
    return {job.name: done[job.name] for job, *_ in jobs}


def _kept(path: Path, digest: str) -> Iterator[tuple[str, Points]]:
    """Tails counted by this very rule; a torn last line is dropped."""
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry["rule"] == digest:
            yield entry["key"], entry["points"]
