"""Rate and score of a scenario's operating points over its pictures, with no air between.

Acts one and three alone: every picture is coded, arrives intact and is answered. What the radio and
the queues make of the same points is what `simsplit run` tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.codecs.headers import header_bytes
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.messages import Delivery, Outcome, Prepared, Scheme, ScoreRequest
from simsplit.results.bd import METHODS
from simsplit.results.coded_rates import (
    COUNTED,
    Question,
    Rates,
    Rung,
    SeedPoint,
    check_headers,
    compare_rates,
)
from simsplit.results.metric_kinds import Better
from simsplit.results.metrics import metric as about_metric
from simsplit.results.pooled import pooled_names, resampled_score
from simsplit.scenario.codes import CARD, code_folder
from simsplit.scenario.operating_points import OperatingPoint
from simsplit.scenario.permission import takes_permission
from simsplit.study.run import Source, open_scenario_pipeline, resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simsplit.pipeline.pipeline import Pipeline
    from simsplit.scenario.scenario import Scenario

SCORE = "score_"


@takes_permission
def rates(
    source: Source,
    *,
    curves: Mapping[str, Sequence[str]] | None = None,
    metric: str | None = None,
    anchors: Sequence[str] = (),
    reference: str | None = None,
    method: str = "pchip",
    min_overlap: float = 0.5,
    headers: str = COUNTED,
    overrides: Sequence[str] = (),
    allow_code: bool = False,
) -> Rates:
    """Rate and score of a scenario's operating points, and Bjøntegaard's deltas of their curves.

    Args:
        source: The scenario.
        curves: Curves by name, each of operating points by name or pattern (``jpeg_*``); points
            that no curve takes are left out. None: every operating point is a curve of its own.
        metric: ``score_NAME`` of one request, or a pooled score (``map50``); None: the first one.
        anchors: Curves that all others are compared with.
        reference: An operating point whose scores are taken off the others', picture by picture.
        method: Of the deltas: cubic, pchip or akima.
        min_overlap: Share of the anchor's range of the score that both must reach.
        headers: ``counted``; or ``left-out`` of every payload, see `simsplit.codecs.headers`.
        overrides: ``path=value``, as for a run.
        allow_code: Modules of a user's own may be imported (`simsplit.scenario.permission`).

    Returns:
        A row per operating point and per further training seed of its code (from the cards in the
        code's ``seed<n>`` folders), and a row per pair of curves.

    Raises:
        ScenarioError: No such operating point, curve or score; an analog operating point, whose
            score depends on an SNR; nothing that is scored.
    """
    if method not in METHODS:
        raise ScenarioError("no such BD method", path="method", value=method, choices=METHODS)
    check_headers(headers)
    scenario = resolve(source, overrides, {})
    chosen = points_of_curves(scenario, curves, anchors, reference)
    measured = _Measured(scenario, metric)
    rungs = [measured.rung(curve, name) for curve, names in chosen.items() for name in names]
    assert measured.metric is not None
    about = about_metric(measured.metric)
    question = Question(
        metric=measured.metric,
        lower_is_better=about is not None and about.better is Better.LOWER,
        anchors=tuple(anchors),
        reference=reference,
        method=method,
        min_overlap=min_overlap,
        seed=scenario.seed,
        headers=headers,
    )
    return compare_rates(rungs, question)


def points_of_curves(
    scenario: Scenario,
    curves: Mapping[str, Sequence[str]] | None,
    anchors: Sequence[str] = (),
    reference: str | None = None,
) -> dict[str, list[str]]:
    """Names of operating points by curve, in the scenario's order; see `rates`.

    Raises:
        ScenarioError: A pattern that no operating point has (path ``curves.NAME``), an ``anchor``
            that is no curve, a ``reference`` in none, an analog operating point.
    """
    chosen = _chosen([point.name for point in scenario.operating_points], curves)
    _check_asked(scenario, chosen, anchors, reference)
    return chosen


def _chosen(
    points: Sequence[str], curves: Mapping[str, Sequence[str]] | None
) -> dict[str, list[str]]:
    if not curves:
        return {name: [name] for name in points}
    chosen: dict[str, list[str]] = {}
    for curve, patterns in curves.items():
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in points):
                path = f"curves.{curve}"
                message = "no such operating point"
                raise ScenarioError(message, path=path, value=pattern, choices=points)
        chosen[curve] = [n for n in points if any(fnmatchcase(n, p) for p in patterns)]
    return chosen


def _check_asked(
    scenario: Scenario,
    chosen: Mapping[str, Sequence[str]],
    anchors: Sequence[str],
    reference: str | None,
) -> None:
    """What is wrong is told before anything is coded, which can take hours."""
    points = list(dict.fromkeys(name for names in chosen.values() for name in names))
    for anchor in anchors:
        if anchor not in chosen:
            raise ScenarioError("no such curve", path="anchor", value=anchor, choices=[*chosen])
    if reference is not None and reference not in points:
        message = "no such operating point in any curve"
        raise ScenarioError(message, path="reference", value=reference, choices=points)
    schemes = {point.name: point.scheme for point in scenario.operating_points}
    for curve, names in chosen.items():
        for name in names:
            if schemes[name] is Scheme.JSCC:
                message = (
                    "an analog operating point has a score only at an SNR: sweep it with a run"
                )
                raise ScenarioError(message, path=f"curves.{curve}", value=name)


@dataclass
class _Measured:
    """Operating points over all pictures of a scenario; ``metric``: what is asked, or the first."""

    scenario: Scenario
    metric: str | None

    def __post_init__(self) -> None:
        self.points = {point.name: point for point in self.scenario.operating_points}
        self.pipeline: Pipeline = open_scenario_pipeline(self.scenario)
        self.prepared = self.pipeline.prepare()

    def rung(self, curve: str, name: str) -> Rung:
        """One operating point."""
        point = self.points[name]
        outcomes = self.pipeline.score(_intact(point, self.scenario.task.samples))
        metric = self._metric_of(outcomes[0])
        work = self.pipeline.workload(name)
        evidence = [outcome.evidence for outcome in outcomes]
        pooled = None if metric.startswith(SCORE) else resampled_score(metric, evidence)
        plain = metric.removeprefix(SCORE)
        values = None if pooled else np.array([one.as_dict()[plain] for one in outcomes])
        return Rung(
            curve=curve,
            name=name,
            bits=self.prepared[name].payload_bits.astype(float),
            values=values,
            pooled=pooled,
            device_macs=work.device_macs,
            edge_macs=work.edge_macs,
            seeds=_further_seeds(point, plain),
            payload_header_bits=_payload_header_bits(
                self.pipeline.chains[name], self.prepared[name]
            ),
        )

    def _metric_of(self, outcome: Outcome) -> str:
        """The score that is asked for, if this outcome has it.

        Raises:
            ScenarioError: It has none, or not this one.
        """
        names = [f"{SCORE}{name}" for name in outcome.as_dict()]
        choices = [*names, *pooled_names([outcome.evidence])]
        if not choices:
            path = "networks" if self.scenario.networks else "model"
            raise ScenarioError("nothing is scored: no network has an answer", path=path)
        metric = self.metric or choices[0]
        if f"{SCORE}{metric}" in names:
            metric = f"{SCORE}{metric}"
        if metric not in choices:
            raise ScenarioError("no such score", path="metric", value=metric, choices=choices)
        self.metric = metric
        return metric


def _intact(point: OperatingPoint, samples: int) -> list[ScoreRequest]:
    """Every picture, arrived, or answered on the device."""
    is_local = point.scheme is Scheme.LOCAL
    return [ScoreRequest(point.name, i, Delivery(i, True, is_local)) for i in range(samples)]


def _payload_header_bits(chain: Any, prepared: Prepared) -> NDArray[np.float64]:
    """Of every payload ``(N,)``, 0 where nothing is sent; nothing is coded for it.

    A code has as many in each, or does not tell (a user's own) and counts none.
    """
    bits = np.zeros(len(prepared.payload_bits))
    if code := getattr(chain, "code", None):
        bits += 8 * (code.header_bytes or 0)
    elif prepared.payloads:
        bits += [8 * header_bytes(payload, chain.codec) for payload in prepared.payloads]
    return bits


def _further_seeds(point: OperatingPoint, metric: str) -> tuple[SeedPoint, ...]:
    """The point's code of other training seeds, from the cards in its ``seed<n>`` folders.

    Raises:
        ArtefactError: A card that is damaged.
    """
    if point.code is None:
        return ()
    seeds = []
    for file in sorted(code_folder(point.code).glob(f"seed*/{CARD}")):
        try:
            card = json.loads(file.read_text(encoding="utf-8"))
            bits, score = card["payload_bits"]["mean"], _of_card(card, metric)
            if score is not None:
                headers = 8.0 * card.get("header_bytes", 0)
                seeds.append(SeedPoint(card["seed"], float(bits), score, headers))
        except (ValueError, KeyError, TypeError) as error:
            raise ArtefactError(f"damaged card: {error!r}", path=str(file)) from None
    return tuple(seeds)


def _of_card(card: Mapping[str, Any], metric: str) -> float | None:
    """A mean over the card's pictures, or a score of all of them together; None: it has none."""
    found = card["scores"]["coded"].get(metric) or card.get("pooled", {}).get("coded", {}).get(
        metric
    )
    return None if found is None else float(found["mean"] if "mean" in found else found["value"])


def curve_options(texts: Sequence[str]) -> dict[str, list[str]]:
    """Texts ``NAME=point,pattern`` of the command line, by name.

    Raises:
        ScenarioError: One is not of that form, or a name is there twice.
    """
    curves: dict[str, list[str]] = {}
    for text in texts:
        name, equals, patterns = (part.strip() for part in text.partition("="))
        points = [one.strip() for one in patterns.split(",") if one.strip()]
        if not (equals and name and points):
            raise ScenarioError("a curve is NAME=point,pattern_*", path="--curve", value=text)
        if name in curves:
            message = f"curve '{name}' is there twice: name all of its points at once"
            raise ScenarioError(message, path="--curve", value=text)
        curves[name] = points
    return curves
