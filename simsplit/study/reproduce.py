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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import write_whole
from simsplit.scenario.axes import as_yaml
from simsplit.scenario.bundled import data_root
from simsplit.scenario.load import load
from simsplit.scenario.places import SCENARIO, SWEEP, find_named, reference, unknown
from simsplit.scenario.studies import (
    CapacityStep,
    CompareStep,
    CoverageStep,
    PublishStep,
    RatesStep,
    RunStep,
    Step,
    Study,
    SweepStep,
    TablesStep,
)
from simsplit.scenario.sweeps import read_sweep

OfScenario = SweepStep | RunStep | CapacityStep | CoverageStep | RatesStep
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
        path = os.pathsep.join(filter(None, (str(checkout), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            words,
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise ArtefactError(f"tables of README and docs: {reason[0]}", value=str(self))
        return f"Tables: {', '.join(self.blocks)}"


Action = Command | Publication | Tables


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
    steps = [shortened(step, study) if is_short else step for step in study.steps]
    return [_action(step, root, beside, f"steps[{i}]") for i, step in enumerate(steps)]


def shortened(step: Step, study: Study) -> Step:
    """The step with what ``short:`` of the study, then its own, put in place of its options."""
    changes: dict[str, Any] = {}
    for short in (study.short, getattr(step, "short", study.short)):
        for key in short.model_fields_set & type(step).model_fields.keys():
            value = getattr(short, key)
            changes[key] = changes.get(key, getattr(step, key)) | value if key == "set" else value
    return step.model_copy(update=changes) if hasattr(step, "short") else step


def _action(step: Step, root: Path, beside: Path, path: str) -> Action:
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
        subject = _source(step, subject, beside, f"{path}.{step.verb}")
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
        if isinstance(value, Mapping):
            for text in _overrides(value):
                yield from (flag, text)
        elif isinstance(value, list):
            for one in value:
                yield from (flag, str(one))
        elif value is not None:
            yield from (flag, str(value))


def _overrides(values: Mapping[str, Any]) -> list[str]:
    return [f"{path}={_as_text(value)}" for path, value in values.items()]


def _as_text(value: Any) -> str:
    """YAML that reads back as the value: plain where it can be, else as JSON."""
    if isinstance(value, str | int | float | bool):
        text = as_yaml(value)
        if yaml.safe_load(text) == value:
            return text
    return json.dumps(value)


def _source(step: OfScenario, subject: str, beside: Path, path: str) -> str:
    """The sweep file or scenario, read once with the step's options.

    Raises:
        ScenarioError: There is none of that name, or the options do not fit it.
    """
    kind = SWEEP if isinstance(step, SweepStep) else SCENARIO
    found = find_named(kind, subject, beside)
    if found is None:
        raise unknown(kind, subject, beside=beside, path=path)
    try:
        if isinstance(step, SweepStep):
            read_sweep(found, overrides=_overrides(step.set), where=step.where)
        else:
            load(found, overrides=_overrides(step.set))
    except ScenarioError as error:
        place = ": ".join(part for part in (path, error.path) if part)
        raise ScenarioError(
            error.message, path=place, value=error.value, choices=error.choices
        ) from error
    return reference(kind, found)
