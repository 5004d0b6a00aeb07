"""What a study file comes to: commands of the command line, files copied, tables written.

Nothing from a file reaches a shell: a step becomes the words of one command, which the caller runs
in this process (`simsplit reproduce`), or is done here.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from simsplit.errors import ArtefactError, Mistakes, ScenarioError, SimsplitError
from simsplit.files import write_whole
from simsplit.scenario.axes import as_yaml
from simsplit.scenario.bundled import data_root
from simsplit.scenario.data import KINDS, NAMES, find_data
from simsplit.scenario.load import load
from simsplit.scenario.places import MODEL, SCENARIO, SWEEP, find_named, reference, unknown
from simsplit.scenario.studies import (
    CapacityStep,
    CardsStep,
    CompareStep,
    CoverageStep,
    PublishStep,
    RatesStep,
    RdStep,
    RunStep,
    Step,
    Study,
    SweepStep,
    TablesStep,
    TrainStep,
)
from simsplit.scenario.study_trainings import Training
from simsplit.scenario.sweeps import read_sweep
from simsplit.study.step_checks import Made, check_cards, check_pairs, check_rates
from simsplit.tasks.cityscapes import root as cityscapes_root
from simsplit.training.recipe import TRAINED, read_mapping

OfScenario = SweepStep | RunStep | CapacityStep | CoverageStep | RatesStep
_ELSEWHERE = "is not there yet, and --short trains elsewhere"
_SAID = "its step says so"
PAGES = "docs/readme_tables.py"  # in a checkout alone; it is no part of the package


@dataclass(frozen=True)
class Command:
    """A command of the command line, as words; ``into``: the file that takes what it prints."""

    words: tuple[str, ...]
    into: Path | None = None

    def __str__(self) -> str:
        text = shlex.join(("simsplit", *self.words))
        return text if self.into is None else f"{text} > {self.into}"

    def keep(self, printed: str) -> None:
        """Write what the command printed into its file, as a whole or not at all."""
        if self.into is not None:
            write_whole(self.into, printed)


@dataclass(frozen=True)
class Publication:
    """Files that are copied, each as a whole or not at all."""

    files: tuple[tuple[Path, Path], ...]

    def __str__(self) -> str:
        return "publish " + ", ".join(str(target) for _, target in self.files)

    def do(self) -> str:
        """Copy them; says what was done.

        Raises:
            ArtefactError: One is not there.
        """
        for source, target in self.files:
            if not source.is_file():
                raise ArtefactError("not there, so it cannot be published", path=str(source))
            write_whole(target, source.read_bytes())
        return f"Published: {', '.join(str(target) for _, target in self.files)}"


@dataclass(frozen=True)
class Tables:
    """Generated tables of README and docs, made from the results that a checkout publishes."""

    blocks: tuple[str, ...]
    root: Path

    def __str__(self) -> str:
        return "tables " + ", ".join(self.blocks)

    def do(self) -> str:
        """Write them, if the results are those that the pages show; says what was done.

        Raises:
            ArtefactError: A table could not be made.
        """
        checkout = data_root()
        script = checkout / PAGES
        if not script.is_file() or self.root.resolve() != checkout / "results":
            return "Tables of README and docs are left alone: they show a checkout's results/"
        pages = ["README.md", *sorted(f"docs/{page.name}" for page in script.parent.glob("*.md"))]
        only = [] if "all" in self.blocks else ["--only", ",".join(self.blocks)]
        words = [sys.executable, str(script), *only, *pages]
        beside = (str(checkout), str(script.parent), os.environ.get("PYTHONPATH"))  # if -P is set
        done = subprocess.run(
            words,
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, beside))},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise ArtefactError(f"tables of README and docs: {reason[0]}", value=str(self))
        return f"Tables: {', '.join(self.blocks)}"


@dataclass(frozen=True)
class Omission:
    """A step that cannot be done here, and why."""

    step: str
    reason: str

    def __str__(self) -> str:
        return f"{self.step} (left out)"

    def do(self) -> str:
        """Says why."""
        return f"Left out: {self.reason}"


Action = Command | Publication | Tables | Omission


def actions(study: Study, root: Path, *, beside: Path, is_short: bool = False) -> list[Action]:
    """What to do for a study, in order; every step is checked before the first is done.

    Args:
        root: The folder that results are written to, ``published/`` among them.
        beside: The study file's folder: sweeps and scenarios are looked for there first, then
            as `simsplit.scenario.places` says.
        is_short: With the options of ``short:``.

    Raises:
        ScenarioError: A step says something impossible; the error names it.
    """
    done: list[Action] = []
    plan = _Plan(root, beside, is_short)
    for index, step in enumerate(study.steps):
        path = f"steps[{index}]"
        if isinstance(step, TrainStep):
            done += _trainings(step, plan, path)
            continue
        asked = shortened(step, study) if is_short else step
        try:
            _check_models(asked, plan, path)
            done.append(_action(asked, plan, path))
        except _LeftOut as reason:
            done.append(Omission(f"{step.verb} {_subject(step)}", str(reason)))
            plan.omitted += step.writes
    return done


@dataclass
class _Plan:
    """Where steps read and write, and what those before a step will have left.

    Attributes:
        made: By trainings; with ``is_short`` they go elsewhere, and it will not be there.
        omitted: Files and folders of steps that are left out.
    """

    root: Path
    beside: Path
    is_short: bool
    made: Made = field(default_factory=Made)
    omitted: list[str] = field(default_factory=list)


class _LeftOut(Exception):
    """Why a step of a shortened study cannot be done."""


def _subject(step: Step) -> str:
    subject = getattr(step, step.verb)
    return subject if isinstance(subject, str) else ", ".join(subject)


def _check_models(step: Step, plan: _Plan, path: str) -> None:
    """What a step reads of trained models, and of steps that are left out.

    Raises:
        ScenarioError: A model that is not there, nor made by a step before.
        _LeftOut: It is made only where nothing is shortened.
    """
    for one in step.reads:
        if any(one == gone or one.startswith(f"{gone}/") for gone in plan.omitted):
            raise _LeftOut(f"{one} is of a step that is left out")
    later: list[str] = []
    if isinstance(step, CardsStep):
        later = check_cards(step, plan.made, path)
    elif isinstance(step, RdStep):
        later = check_pairs(step, plan.made, path)
    if later and plan.is_short:
        raise _LeftOut(f"{later[0]} {_ELSEWHERE}")


def shortened(step: Step, study: Study) -> Step:
    """The step with what ``short:`` of the study, then its own, put in place of its options."""
    changes: dict[str, Any] = {}
    for short in (study.short, getattr(step, "short", study.short)):
        for key in short.model_fields_set & type(step).model_fields.keys():
            value = getattr(short, key)
            changes[key] = changes.get(key, getattr(step, key)) | value if key == "set" else value
    return step.model_copy(update=changes) if hasattr(step, "short") else step


def _action(step: Step, plan: _Plan, path: str) -> Action:
    root = plan.root
    match step:
        case PublishStep():
            return Publication(tuple((root / a, root / b) for a, b in step.publish.items()))
        case TablesStep():
            return Tables(tuple(step.tables), root)
        case CompareStep():
            words = ("compare", *(str(root / one) for one in step.compare), *_options(step))
            return Command((*words, "--json"), root / step.out)
    subject = getattr(step, step.verb)
    if isinstance(step, OfScenario):
        subject = _source(step, subject, plan, path)
    elif step.verb == "plot":
        subject = str(root / subject)
    subjects = [subject] if isinstance(subject, str) else subject
    out = str(root / step.writes[0])
    return Command((step.verb, *subjects, *_options(step), "--out", out))


def _options(step: Step) -> Iterator[str]:
    """Flags and values of the keys that are neither subject nor folder."""
    for key in type(step).model_fields:
        if key in (step.verb, "out", "short"):
            continue
        flag, value = "--" + key.replace("_", "-"), getattr(step, key)
        for values in _values(key, value):
            yield from (flag, *values)


def _values(key: str, value: Any) -> Iterator[tuple[str, ...]]:
    """What stands behind a key's flag, once for every time that the flag is said."""
    if isinstance(value, Mapping):
        texts = [f"{a}={b}" for a, b in value.items()] if key == "curve" else _overrides(value)
        yield from ((text,) for text in texts)
    elif isinstance(value, list):
        yield from ((str(one),) for one in value)
    elif value is not None:
        yield tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)


def _overrides(values: Mapping[str, Any]) -> list[str]:
    return [f"{path}={_as_text(value)}" for path, value in values.items()]


def _as_text(value: Any) -> str:
    """YAML that reads back as the value: plain where it can be, else as JSON."""
    if isinstance(value, str | int | float | bool):
        text = as_yaml(value)
        if yaml.safe_load(text) == value:
            return text
    return json.dumps(value)


def _source(step: OfScenario, subject: str, plan: _Plan, path: str) -> str:
    """The sweep file or scenario, read once with the step's options.

    Raises:
        SimsplitError: There is none of that name, or the options do not fit it.
        _LeftOut: It needs a model that is made only where nothing is shortened.
    """
    kind, place = SWEEP if isinstance(step, SweepStep) else SCENARIO, f"{path}.{step.verb}"
    found = find_named(kind, subject, plan.beside)
    if found is None:
        raise unknown(kind, subject, beside=plan.beside, path=place)
    try:
        if isinstance(step, SweepStep):
            read_sweep(found, overrides=_overrides(step.set), where=step.where)
            return reference(kind, found)
        scenario = load(found, overrides=_overrides(step.set))
    except SimsplitError as error:
        if left := plan.made.unmade(error):
            for one in left:
                one.path = ": ".join(part for part in (place, one.path) if part)
            raise (Mistakes(left) if len(left) > 1 else left[0]) from None
        if plan.is_short:
            raise _LeftOut(f"{error.value} {_ELSEWHERE}") from None
        return reference(kind, found)
    if isinstance(step, RatesStep):
        check_rates(step, scenario, path)
    return reference(kind, found)


# --- trainings --------------------------------------------------------------------------------


def _trainings(step: TrainStep, plan: _Plan, path: str) -> list[Action]:
    """A command for every fold and seed; shortened ones go below the results folder.

    Raises:
        ScenarioError: There is no such recipe, it is none of a network or code, or has no such
            folds.
    """
    asked, end = step.train, ["--if-needed"]
    recipe = _recipe(asked, plan.beside, f"{path}.train")
    content = read_mapping(recipe)
    if content["kind"] not in TRAINED:
        message, place = "a study trains networks and codes; this recipe is of kind", "train.recipe"
        raise ScenarioError(message, path=f"{path}.{place}", value=content["kind"], choices=TRAINED)
    plan.made.add(asked, recipe, content, f"{path}.train")
    if plan.is_short:
        fewer = {key: getattr(step.short, key) for key in ("seeds", "folds")}
        asked = asked.model_copy(update={key: value for key, value in fewer.items() if value})
        Made().add(asked, recipe, content, f"{path}.short")
        reason = _SAID if step.short.left_out else _lacking_data(content, recipe.parent)
        if reason is not None:
            return [Omission(f"train {asked.recipe}", reason)]
        out = plan.root / "trained" / recipe.parent.name
        end = ["--max-steps", str(step.short.max_steps), "--out", str(out)]
    if asked.keep_weights:
        end.insert(0, "--keep-weights")
    named = reference(MODEL, recipe.parent)
    words = ("train", str(recipe) if Path(named).is_absolute() else named)
    variants = product(_options_of("--fold", asked.folds), _options_of("--seed", asked.seeds))
    return [Command((*words, *fold, *seed, *end)) for fold, seed in variants]


def _options_of(flag: str, numbers: tuple[int, ...] | None) -> list[tuple[str, ...]]:
    return [()] if numbers is None else [(flag, str(number)) for number in numbers]


def _recipe(asked: Training, beside: Path, path: str) -> Path:
    """The file of a recipe: a path, or a model's name."""
    if (beside / asked.recipe).is_file():
        return beside / asked.recipe
    model = find_named(MODEL, asked.recipe, beside)
    if model is None or not (model / "recipe.yaml").is_file():
        raise unknown(MODEL, asked.recipe, beside=beside, path=f"{path}.recipe")
    return model / "recipe.yaml"


def _lacking_data(content: Mapping[str, Any], folder: Path) -> str | None:
    """Why a recipe's data are not here; None if they are."""
    data = content.get("data", content.get("dataset"))
    named = data.get("path") or data.get("kind") if isinstance(data, Mapping) else data
    try:
        if named == "cityscapes":
            cityscapes_root()
        elif isinstance(named, str) and named not in (*NAMES, *KINDS):
            find_data(named, beside=folder)
    except ScenarioError as error:
        return f"{error.message} (found: {named!r})"
    return None
