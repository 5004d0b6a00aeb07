"""All pipelines of a scenario as one: the model's, and one per network of ``networks:``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from simsplit.errors import SimsplitError
from simsplit.files import file_digest, json_digest
from simsplit.messages import Outcome, Prepared, ScoreRequest, Workload
from simsplit.networks.opened import cut_names, every_cut, network_digest
from simsplit.pipeline.coded import CodedPipeline
from simsplit.pipeline.contract import Chain
from simsplit.pipeline.traced import NetworkPipeline
from simsplit.pipeline.trained import Pipeline, PipelineSpec, open_pipeline
from simsplit.scenario.bundled import model_files
from simsplit.scenario.codes import code_digest, named_codes
from simsplit.scenario.mistakes import mistake
from simsplit.scenario.operating_points import EVERY, Network, OperatingPoint
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.targets import targets_digest
from simsplit.tasks.datasets import class_counts, test_samples

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
        if error.path.startswith(("operating_points", "networks.")):  # it says so itself
            raise
        path = f"networks.{network}.{error.path}".removesuffix(".")
        raise type(error)(
            error.message, path=path, value=error.value, choices=error.choices
        ) from error


class Pipelines:
    """What `run` asks, handed to the pipeline that the operating point belongs to.

    Args:
        points: All operating points of the scenario.
        of_model: The pipeline of the scenario's model; None: no point uses it.
        of_networks: Those of ``networks:``, by name.
        of_codes: Those of the same networks' points that have a trained code, by network.
    """

    def __init__(
        self,
        points: Sequence[OperatingPoint],
        of_model: Pipeline | None,
        of_networks: Mapping[str, NetworkPipeline],
        of_codes: Mapping[str, CodedPipeline] | None = None,
    ) -> None:
        self.points = {point.name: point for point in points}
        self._of_model, self._of_networks = of_model, of_networks
        self._of_codes = of_codes or {}

    def prepare(self, progress: Progress | None = None) -> dict[str, Prepared]:
        """Act one: every operating point over every sample."""
        done: dict[str, Prepared] = {} if self._of_model is None else self._of_model.prepare()
        for name in self.points:
            if name not in done:
                done[name] = self._network_of(name).prepare(name)
            if progress is not None:
                progress(len(done), len(self.points))
        return done

    def workload(self, name: str) -> Workload:
        """Operators of an operating point."""
        if self._of_model is not None and self.points[name].network is None:
            return self._of_model.workload(name)
        return self._network_of(name).workload(name)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Outcome]:
        """Act three, in the order asked."""
        parts: dict[tuple[str | None, bool], list[int]] = {}
        for index, request in enumerate(requests):
            point = self.points[request.operating_point]
            parts.setdefault((point.network, point.code is not None), []).append(index)
        outcomes: dict[int, Outcome] = {}
        for (network, coded), indices in parts.items():
            asked = [requests[index] for index in indices]
            outcomes |= zip(indices, self._scored(network, coded, asked), strict=True)
        return [outcomes[index] for index in range(len(requests))]

    def _scored(
        self, network: str | None, coded: bool, requests: Sequence[ScoreRequest]
    ) -> list[Outcome]:
        if network is not None:
            return (self._of_codes if coded else self._of_networks)[network].score(requests)
        assert self._of_model is not None
        return self._of_model.score(requests)

    def _network_of(self, name: str) -> Chain:
        point = self.points[name]
        chains: Mapping[str, Chain] = self._of_networks if point.code is None else self._of_codes
        return chains[str(point.network)]


def open_pipelines(scenario: Scenario, models_dir: Path, cache_dir: Path | None) -> Pipelines:
    """The pipelines of an expanded scenario.

    Args:
        scenario: What is asked.
        models_dir: Folder of all trained things.
        cache_dir: Where act one and the scores are kept between runs; None keeps nothing.

    Raises:
        ScenarioError, ArtefactError: See `simsplit.pipeline.trained.open_pipeline` and
            `simsplit.networks.opened.open_graph`.
    """
    points = [point for point in scenario.operating_points if point.network is None]
    of_model = None
    if points:
        assert scenario.model is not None  # checked when the scenario was loaded
        equaliser = scenario.cell.estimation.equaliser
        of_model = open_pipeline(
            PipelineSpec(
                scenario.task,
                scenario.model,
                points,
                scenario.seed,
                models_dir,
                cache_dir,
                equaliser,
            )
        )
    of_networks = {n.name: _of_network(scenario, n, cache_dir) for n in scenario.networks}
    of_codes = {name: _of_codes(scenario, plain, cache_dir) for name, plain in of_networks.items()}
    return Pipelines(scenario.operating_points, of_model, of_networks, of_codes)


def _of_codes(scenario: Scenario, plain: NetworkPipeline, cache_dir: Path | None) -> CodedPipeline:
    points = {name: point for name, point in plain.points.items() if point.code is not None}
    equaliser = scenario.cell.estimation.equaliser
    with _named(plain.network.name):
        return CodedPipeline(
            points, plain, seed=scenario.seed, equaliser=equaliser, cache_dir=cache_dir
        )


def _of_network(scenario: Scenario, network: Network, cache_dir: Path | None) -> NetworkPipeline:
    task = scenario.task
    truth = test_samples(task.dataset, task.height_px, task.width_px, task.samples)
    points = {p.name: p for p in scenario.operating_points if p.network == network.name}
    exact = scenario.cell.fidelity == "exact" or scenario.cell.outside_table == "exact"
    with _named(network.name):
        return NetworkPipeline(
            network,
            points,
            truth,
            with_content=exact,
            cache_dir=cache_dir,
            classes=class_counts(task.dataset, task.height_px, task.width_px),
        )


# --- kept open --------------------------------------------------------------------------------

MOST_OPEN = 4
_open: dict[str, Pipelines] = {}  # by all that they depend on; the last used is the last


def opened_pipelines(scenario: Scenario, models_dir: Path, cache_dir: Path | None) -> Pipelines:
    """As `open_pipelines`, but the last `MOST_OPEN` are kept open in this process.

    Points of a sweep that differ in nothing a pipeline depends on share one, with what it has
    prepared and scored. The seed is part of that: it keys the noise of JSCC symbols.
    """
    key = _all_that_decides(scenario, models_dir, cache_dir)
    pipelines = _open.pop(key, None) or open_pipelines(scenario, models_dir, cache_dir)
    _open[key] = pipelines
    for oldest in list(_open)[:-MOST_OPEN]:
        del _open[oldest]
    return pipelines


def _all_that_decides(scenario: Scenario, models_dir: Path, cache_dir: Path | None) -> str:
    """Digest of all that `open_pipelines` depends on, files by content."""
    keys = {"task", "model", "networks", "operating_points", "seed"}
    cell, model = scenario.cell, scenario.model
    files = {} if model is None else model_files(models_dir / model)
    return json_digest(
        [
            [str(models_dir), str(cache_dir)],
            scenario.model_dump(mode="json", include=keys),
            [cell.estimation.equaliser, cell.fidelity, cell.outside_table],
            {name: file_digest(path) for name, path in files.items()},
            [network_digest(network) for network in scenario.networks],
            [code_digest(code) for code in named_codes(scenario)],
            targets_digest(scenario),
        ]
    )
