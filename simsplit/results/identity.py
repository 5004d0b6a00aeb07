"""Which run a result is of: digests of all that decides its rows, and the manifest."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from simsplit.files import file_digest, json_digest
from simsplit.hardware.codec_costs import default_costs_file
from simsplit.hardware.machine import predictor_files
from simsplit.hardware.roofline import load_hardware
from simsplit.scenario.bundled import hardware_file, model_dir, model_files
from simsplit.scenario.codes import code_files, named_codes
from simsplit.scenario.data import data_spec, is_on_disk
from simsplit.scenario.load import digest as scenario_digest
from simsplit.scenario.places import bler_table_file
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.targets import targets
from simsplit.scenario.user_sources import source_digest
from simsplit.sources import code_digest
from simsplit.tasks.datasets import open_dataset

CODE = ("simsplit.study.run", "simsplit.study.replicate")  # import all that decides a result
_PACKAGES = {
    "simsplit": ("simsplit",),
    "torch": ("torch",),
    "sionna": ("sionna", "sionna-no-rt"),
    "simpy": ("simpy",),
    "numpy": ("numpy",),
    "pandas": ("pandas",),
}


# --- manifest ---------------------------------------------------------------------------------


def make_manifest(
    scenario: Scenario,
    digests: Mapping[str, str],
    seeds: Mapping[str, int] | Sequence[int],
    wall_time_s: float,
) -> dict[str, Any]:
    """Where a result comes from: its identity, artefacts, seeds, versions, wall time."""
    return {
        "digest": run_identity(scenario, digests),
        "scenario": scenario.name,
        "artefacts": dict(sorted(digests.items())),
        "seeds": dict(seeds) if isinstance(seeds, Mapping) else list(seeds),
        "versions": {"python": platform.python_version()} | _versions(),
        "platform": platform.platform(),
        "wall_time_s": wall_time_s,
    }


def run_identity(scenario: Scenario, digests: Mapping[str, str]) -> str:
    """SHA-256 of the resolved scenario and its artefacts' digests: what a run is."""
    return json_digest({"scenario": scenario_digest(scenario), "artefacts": dict(digests)})


def _versions() -> dict[str, str | None]:
    return {name: _version(candidates) for name, candidates in _PACKAGES.items()}


def _version(candidates: tuple[str, ...]) -> str | None:
    for name in candidates:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def default_folder(scenario: Scenario, digests: Mapping[str, str]) -> Path:
    """``results/<name>-<first 10 digits of the run's identity>``."""
    return Path("results") / f"{scenario.name}-{run_identity(scenario, digests)[:10]}"


def artefact_digests(scenario: Scenario) -> dict[str, str]:
    """SHA-256 of everything besides the scenario that decides a result, by what it is.

    Every file that a run reads: the model's weights, card and recipe, the block error table,
    hardware files with the profiles and predictors they name, a user's own modules with their
    packages and all that these import, names and sizes of a user's data set. And ``code``: every
    module of simsplit that a run imports, found by syntax tree, since a result made by other code
    is another result. Files that the scenario names (traces, weights of ``networks:``) are in its
    own digest. Each is read once per process unless it changes.

    Raises:
        ScenarioError, ArtefactError: A hardware file or the data set's folder says something wrong.
    """
    digests = {name: file_digest(path) for name, path in read_files(scenario).items()}
    digests |= _source_digests(scenario)
    digests |= _dataset_digest(scenario)
    if scenario.networks:
        digests["torchvision"] = version("torchvision")
    return digests | {"code": code_digest(*CODE)}


def read_files(scenario: Scenario) -> dict[str, Path]:
    """The files besides those that the scenario names that a run of it reads, if they are there."""
    files = {"bler_table": bler_table_file()}
    if scenario.model is not None:
        files |= model_files(model_dir(scenario.model))
    for name in named_codes(scenario):
        label = Path(name).name
        files |= {f"code.{label}.{what}": path for what, path in code_files(name).items()}
    names = {group.hardware for group in scenario.devices} | {scenario.edge.hardware}
    if scenario.edge.cloud is not None:
        names.add(scenario.edge.cloud.hardware)
    for name in sorted(names):
        files |= _hardware_files(name)
    return {name: path for name, path in files.items() if path.is_file()}


def _hardware_files(name: str) -> dict[str, Path]:
    """A hardware file, its measured profiles and its latency predictor."""
    hardware, file = load_hardware(name), hardware_file(name)
    label = name if file.stem == name else f"{file.stem}-{file_digest(file)[:8]}"  # no path in it
    files = {f"hardware.{label}": file}
    if hardware.profile is not None:
        files[f"profile.{label}"] = Path(hardware.profile)
    if hardware.codec_profile is not None:
        files[f"codecs.{label}"] = Path(hardware.codec_profile)
    elif hardware.seven_zip_mips is not None:
        files["codecs"] = default_costs_file()
    if hardware.predictor is not None:
        for part in predictor_files(model_dir(hardware.predictor)):
            files[f"predictor.{label}.{part.name}"] = part
    return files


def _source_digests(scenario: Scenario) -> dict[str, str]:
    """Of a user's own classes, all the files each is made of."""
    own = sorted(set(targets(scenario).values()))
    digests = {f"source.{target}": source_digest(target) for target in own}
    return {name: digest for name, digest in digests.items() if digest is not None}


def _dataset_digest(scenario: Scenario) -> dict[str, str]:
    """Of a data set that is a user's own: what its samples depend on."""
    task = scenario.task
    spec = data_spec(task.dataset)
    if not is_on_disk(spec):
        return {}
    dataset = open_dataset(
        spec, "test", height=task.height_px, width=task.width_px, where="task.dataset"
    )
    return {"dataset": json_digest(dataset.identity(task.samples))}
