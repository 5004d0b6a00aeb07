"""All pipelines of a scenario as one: the model's, and one per network of ``networks:``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from simsplit.caches import file_digest
from simsplit.errors import SimsplitError
from simsplit.load import mistake
from simsplit.messages import Outcome, Prepared, Workload
from simsplit.network_pipeline import NetworkPipeline, cut_names, every_cut
from simsplit.pipeline import Pipeline, Request, open_pipeline, test_samples
from simsplit.scenario import EVERY, OperatingPoint, Scenario

Progress = Callable[[int, int], None]  # operating points done, all of them


def expanded(scenario: Scenario) -> Scenario:
    """The scenario with every ``split: every`` written out, one operating point per cut."""
    if not any(point.split == EVERY for point in scenario.operating_points):
        return scenario
    points: list[OperatingPoint] = []
    for point in scenario.operating_points:
        points += every_cut(point, _cuts(scenario, point))
    content = scenario.model_dump(mode="json")
    content["operating_points"] = [point.model_dump(mode="json") for point in points]
    try:
        return Scenario.model_validate(content)
    except ValidationError as error:
        raise mistake(error, content, Scenario, prefix="with every cut written out") from None


def _cuts(scenario: Scenario, point: OperatingPoint) -> list[str]:
    if point.split != EVERY:
        return []
    network = next(n for n in scenario.networks if n.name == point.network)
    with _named(network.name):
        return cut_names(network, scenario.task.height_px, scenario.task.width_px)


@contextmanager
def _named(network: str) -> Iterator[None]:
    """Mistakes about a network say which entry of ``networks:`` they are about."""
    try:
        yield
    except SimsplitError as error:
        if error.path.startswith("operating_points"):
            raise
        path = f"networks.{network}.{error.path}".removesuffix(".")
        raise type(error)(
            error.message, path=path, value=error.value, choices=error.choices
        ) from error


class Pipelines:
    """What `run` asks, handed to the pipeline that the operating point belongs to."""

    def __init__(
        self,
        points: Sequence[OperatingPoint],
        house: Pipeline | None,
        networks: dict[str, NetworkPipeline],
    ) -> None:
        self.points = {point.name: point for point in points}
        self._house, self._networks = house, networks

    def prepare(self, progress: Progress | None = None) -> dict[str, Prepared]:
        """Act one: every operating point over every sample."""
        done: dict[str, Prepared] = {} if self._house is None else self._house.prepare()
        for name in self.points:
            if name not in done:
                done[name] = self._network_of(name).prepare(name)
            if progress is not None:
                progress(len(done), len(self.points))
        return done

    def workload(self, name: str) -> Workload:
        """Operators of an operating point."""
        if self._house is not None and self.points[name].network is None:
            return self._house.workload(name)
        return self._network_of(name).workload(name)

    def score(self, requests: Sequence[Request]) -> list[Outcome]:
        """Act three, in the order asked."""
        parts: dict[str | None, list[int]] = {}
        for place, (name, _, _) in enumerate(requests):
            parts.setdefault(self.points[name].network, []).append(place)
        found: dict[int, Outcome] = {}
        for network, places in parts.items():
            asked = [requests[place] for place in places]
            found |= zip(places, self._scored(network, asked), strict=True)
        return [found[place] for place in range(len(requests))]

    def _scored(self, network: str | None, requests: Sequence[Request]) -> list[Outcome]:
        if network is not None:
            return self._networks[network].score(requests)
        assert self._house is not None
        return self._house.score(requests)

    def _network_of(self, name: str) -> NetworkPipeline:
        return self._networks[str(self.points[name].network)]


def opened_pipelines(scenario: Scenario, models_dir: Path, cache_dir: Path | None) -> Pipelines:
    """As `open_pipelines`, but the last few are kept open in this process.

    Points of a sweep that differ in nothing a pipeline depends on share one, with what it has
    prepared and scored. The seed is part of that: it keys the noise of JSCC symbols.
    """
    key = _everything_read(scenario, models_dir, cache_dir)
    return _opened(_Opening(key, scenario, models_dir, cache_dir))


@dataclass(frozen=True)
class _Opening:
    key: str
    scenario: Scenario = field(compare=False)
    models_dir: Path
    cache_dir: Path | None


@lru_cache(maxsize=4)
def _opened(asked: _Opening) -> Pipelines:
    return open_pipelines(asked.scenario, asked.models_dir, asked.cache_dir)


def _everything_read(scenario: Scenario, models_dir: Path, cache_dir: Path | None) -> str:
    """All that `open_pipelines` reads, files by content, as text."""
    said = {"task", "model", "networks", "operating_points", "seed"}
    cell = scenario.cell
    files = [Path(n.weights) for n in scenario.networks if n.weights != "random"]
    if scenario.model is not None:
        names = ("weights.safetensors", "card.json", "recipe.yaml")
        files += [models_dir / scenario.model / name for name in names]
    return json.dumps(
        [
            scenario.model_dump(mode="json", include=said),
            [cell.estimation.equaliser, cell.fidelity, cell.outside_table],
            [file_digest(path) for path in files if path.is_file()],
        ],
        sort_keys=True,
    )


def open_pipelines(scenario: Scenario, models_dir: Path, cache_dir: Path | None) -> Pipelines:
    """The pipelines of an expanded scenario.

    Raises:
        ScenarioError, ArtefactError: See `simsplit.pipeline.open_pipeline` and
            `simsplit.network_pipeline.open_graph`.
    """
    return Pipelines(
        scenario.operating_points,
        _house(scenario, models_dir, cache_dir),
        {network.name: _of(scenario, network.name, cache_dir) for network in scenario.networks},
    )


def _house(scenario: Scenario, models_dir: Path, cache_dir: Path | None) -> Pipeline | None:
    points = [point for point in scenario.operating_points if point.network is None]
    if not points:
        return None
    assert scenario.model is not None  # checked when the scenario was loaded
    return open_pipeline(
        dataset_name=scenario.task.dataset,
        height=scenario.task.height_px,
        width=scenario.task.width_px,
        samples=scenario.task.samples,
        model=scenario.model,
        models_dir=models_dir,
        operating_points=points,
        seed=scenario.seed,
        cache_dir=cache_dir,
        equaliser=scenario.cell.estimation.equaliser,
    )


def _of(scenario: Scenario, name: str, cache_dir: Path | None) -> NetworkPipeline:
    network = next(n for n in scenario.networks if n.name == name)
    task = scenario.task
    truth = test_samples(task.dataset, task.height_px, task.width_px, task.samples)
    points = {p.name: p for p in scenario.operating_points if p.network == name}
    exact = scenario.cell.fidelity == "exact" or scenario.cell.outside_table == "exact"
    with _named(name):
        return NetworkPipeline(network, points, truth, with_content=exact, cache_dir=cache_dir)
