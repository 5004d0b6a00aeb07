"""The pipeline of a scenario: its operating points written out, and their chains opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simsplit.errors import Mistakes, SimsplitError
from simsplit.files import file_digest, json_digest
from simsplit.networks.devices import CPU, check_device
from simsplit.networks.opened import cut_names, every_cut, network_digest
from simsplit.pipeline.chains import Chain
from simsplit.pipeline.coded import network_chains
from simsplit.pipeline.pipeline import Pipeline
from simsplit.pipeline.trained import model_chains
from simsplit.scenario.bundled import model_files
from simsplit.scenario.codes import code_digest, named_codes
from simsplit.scenario.mistakes import mistake
from simsplit.scenario.operating_points import EVERY, Network, OperatingPoint
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.targets import targets_digest
from simsplit.tasks.datasets import class_counts, test_samples


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
    except Mistakes as several:
        raise Mistakes([_of_entry(one, network) for one in several.mistakes]) from several
    except SimsplitError as error:
        named = _of_entry(error, network)
        if named is error:
            raise
        raise named from error


def _of_entry(error: SimsplitError, network: str) -> SimsplitError:
    """The error with the path of the network's entry, unless it says so itself."""
    if error.path.startswith(("operating_points", "networks.")):
        return error
    path = f"networks.{network}.{error.path}".removesuffix(".")
    return type(error)(error.message, path=path, value=error.value, choices=error.choices)


def open_pipeline(
    scenario: Scenario, models_dir: Path, cache_dir: Path | None, device: str = CPU
) -> Pipeline:
    """The pipeline of an expanded scenario: of its model, and of every network of ``networks:``.

    Args:
        scenario: What is asked.
        models_dir: Folder of all trained things.
        cache_dir: Where act one and the scores are kept between runs; None keeps nothing.
        device: What runs the networks, one of `simsplit.networks.devices.DEVICES`. Scores are
            those of the published results on the CPU alone.

    Raises:
        ScenarioError, ArtefactError: See `simsplit.pipeline.trained.model_chains` and
            `simsplit.pipeline.coded.network_chains`; no such device.
    """
    check_device(device)
    if device != CPU:  # numbers of another processor are not the CPU's
        cache_dir = None if cache_dir is None else cache_dir / device
    chains = [*_of_model(scenario, models_dir, device)]
    for network in scenario.networks:
        chains += _of_network(scenario, network, device)
    by_name = {chain.point.name: chain for chain in chains}
    return Pipeline(
        [by_name[point.name] for point in scenario.operating_points],
        seed=scenario.seed,
        equaliser=scenario.cell.estimation.equaliser,
        cache_dir=cache_dir,
    )


def _of_model(scenario: Scenario, models_dir: Path, device: str) -> list[Chain[Any]]:
    points = {
        f"operating_points[{index}]": point
        for index, point in enumerate(scenario.operating_points)
        if point.network is None
    }
    if not points:
        return []
    assert scenario.model is not None  # checked when the scenario was loaded
    return model_chains(scenario.model, scenario.task, points, models_dir, device)


def _of_network(scenario: Scenario, network: Network, device: str) -> list[Chain[Any]]:
    task = scenario.task
    exact = scenario.cell.fidelity == "exact" or scenario.cell.outside_table == "exact"
    truth = test_samples(task.dataset, task.height_px, task.width_px, task.samples)
    with _named(network.name):
        return network_chains(
            network,
            [point for point in scenario.operating_points if point.network == network.name],
            truth,
            with_content=exact,
            classes=class_counts(task.dataset, task.height_px, task.width_px),
            device=device,
        )


# --- kept open --------------------------------------------------------------------------------

MOST_OPEN = 4
_open: dict[str, Pipeline] = {}  # by all that they depend on; the last used is the last


def opened_pipeline(scenario: Scenario, models_dir: Path, cache_dir: Path | None) -> Pipeline:
    """As `open_pipeline` on the CPU, but the last `MOST_OPEN` are kept open in this process.

    Points of a sweep that differ in nothing a pipeline depends on share one, with what it has
    prepared and scored. The seed is part of that: it keys the noise of JSCC symbols.
    """
    key = _all_that_decides(scenario, models_dir, cache_dir)
    pipeline = _open.pop(key, None) or open_pipeline(scenario, models_dir, cache_dir)
    _open[key] = pipeline
    for oldest in list(_open)[:-MOST_OPEN]:
        del _open[oldest]
    return pipeline


def _all_that_decides(scenario: Scenario, models_dir: Path, cache_dir: Path | None) -> str:
    """Digest of all that `open_pipeline` depends on, files by content."""
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
