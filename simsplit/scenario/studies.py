"""A study as a YAML file: the steps that lead from scenarios and models to published figures.

.. code-block:: yaml

    title: Separate coding falls off a cliff
    shows: Accuracy against SNR, bits beside analog symbols
    published: [README.md]            # pages of the repository
    minutes: 2                        # on two cores
    short: {set: {duration_s: 2}}     # `--short`: what becomes smaller in every step that has it
    steps:
      - train: {recipe: digits_cnn, seeds: [1, 2, 3]}
      - {sweep: cliff_over_snr, out: awgn_cliff, short: {where: "cell.channel.snr_db in [0, 10]"}}
      - {plot: awgn_cliff, kind: cliff, out: published/awgn_cliff}
      - publish: {awgn_cliff/points.csv: published/awgn_cliff/points.csv}

A step is one verb of the command line with its options; paths lie below the results folder. What
``train`` makes stands in the recipe's own folder. Two verbs are a study's own: ``publish`` copies
files, ``tables`` writes generated tables of the pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from simsplit.errors import ScenarioError
from simsplit.scenario.bundled import bundled_studies
from simsplit.scenario.mistakes import mistake
from simsplit.scenario.places import STUDY, find_named, looked_in, names
from simsplit.scenario.spec import Count, Fraction, Name, Positive, Spec
from simsplit.scenario.study_figures import FIGURES, Limits, Style, check_limits
from simsplit.scenario.study_trainings import ShortTraining, Training
from simsplit.scenario.yaml import read_mapping


def _below(path: str) -> str:
    parts = path.split("/")
    if not all(part and not part.startswith(".") and "\\" not in part for part in parts):
        raise ValueError("a path below the results folder, e.g. published/awgn_cliff")
    return path


Inside = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_below)]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class Short(Spec):
    """What `--short` puts in place of a step's own options; ``set`` is added to them."""

    set: dict[str, Any] = Field(default_factory=dict)
    where: Text | None = None
    replications: Count | None = None
    max_devices: Count | None = None
    max_replications: Count | None = None
    drops: Count | None = None
    repetitions: Count | None = None


class Step(Spec):
    """One verb: the key that names it holds its subject, the other keys are its options."""

    verb: ClassVar[str]

    @property
    def reads(self) -> tuple[str, ...]:
        """Folders and files below the results folder that an earlier step must have written."""
        return ()

    @property
    def writes(self) -> tuple[str, ...]:
        """Folders and files below the results folder that are there afterwards."""
        return ()


class _OfScenario(Step):
    """A step about a scenario."""

    out: Inside
    set: dict[str, Any] = Field(default_factory=dict)
    short: Short = Short()

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.out,)


class _Run(_OfScenario):
    """A step that simulates."""

    replications: Count | None = None


class SweepStep(_Run):
    """`simsplit sweep`: a sweep file, by its bundled name or beside the study."""

    verb = "sweep"
    sweep: Text
    where: Text | None = None


class RunStep(_Run):
    """`simsplit run`: a scenario."""

    verb = "run"
    run: Text


class CapacityStep(_Run):
    """`simsplit capacity`: how many devices of a scenario fit."""

    verb = "capacity"
    capacity: Text
    where: Text
    max_devices: Count | None = None
    max_replications: Count | None = None


class CoverageStep(_Run):
    """`simsplit coverage`: how often the intervals of toys and of a scenario hold the truth."""

    verb = "coverage"
    coverage: Text
    other: dict[str, Any] = Field(default_factory=dict)
    drops: Count | None = None
    repetitions: Count | None = None


class TrainStep(Step):
    """`simsplit train` for every fold and seed, of those that have no card of this recipe yet."""

    verb = "train"
    train: Training
    short: ShortTraining = ShortTraining()

    @field_validator("train", mode="before")
    @classmethod
    def _recipe_alone(cls, value: Any) -> Any:
        return {"recipe": value} if isinstance(value, str) else value


class PlotStep(Step):
    """`simsplit plot`: one kind of figure of a sweep or run."""

    verb = "plot"
    plot: Inside
    kind: Literal[FIGURES]  # type: ignore[valid-type]
    metric: Text | None = None
    axis: Text | None = None
    against: Text | None = None
    by: Text | None = None
    where: list[Text] = Field(default_factory=list)
    style: Style | None = None
    scale: Literal["linear", "log"] | None = None
    limits: Limits | None = None
    label: dict[Text, Text] = Field(default_factory=dict)
    out: Inside

    @field_validator("limits")
    @classmethod
    def _of_this_axis(cls, limits: Limits | None, said: ValidationInfo) -> Limits | None:
        if limits is not None:
            check_limits(limits, said.data.get("kind"), said.data.get("scale"))
        return limits

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.plot,)

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.out,)


class RdStep(Step):
    """`simsplit rd`: pairs of trained networks, ANCHOR:TEST, from their cards."""

    verb = "rd"
    rd: list[Text] = Field(min_length=1)
    method: Literal["cubic", "pchip", "akima"] | None = None
    lowest_quality: Annotated[Count, Field(le=95)] | None = None
    style: Style | None = None
    out: Inside

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.out,)


class RatesStep(_OfScenario):
    """`simsplit rates`: rate and score of a scenario's operating points; ``curve``: points by name
    or pattern, separated by commas, of each curve."""

    verb = "rates"
    rates: Text
    curve: dict[Text, Text] = Field(default_factory=dict)
    metric: Text | None = None
    anchor: list[Text] = Field(default_factory=list)
    reference: Text | None = None
    method: Literal["cubic", "pchip", "akima"] | None = None
    min_overlap: Fraction | None = None
    headers: Literal["counted", "left-out"] | None = None
    style: Style | None = None


class CardsStep(Step):
    """`simsplit cards`: networks A+A2:B compared by their cards, into the file ``out``."""

    verb = "cards"
    cards: list[Text] = Field(min_length=1)
    way: Text | None = None
    score: list[Text] = Field(default_factory=list)
    out: Inside

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.out,)


class CompareStep(Step):
    """`simsplit compare --json` of two runs, into the file ``out``."""

    verb = "compare"
    compare: list[Inside] = Field(min_length=2, max_length=2)
    kpi: list[Text] = Field(default_factory=list)
    out: Inside

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(self.compare)

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.out,)


class PublishStep(Step):
    """Files that are copied: from → to."""

    verb = "publish"
    publish: dict[Inside, Inside] = Field(min_length=1)

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(self.publish)

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(self.publish.values())


class TablesStep(Step):
    """Generated tables of README and docs, by the names of their blocks; ``all``: every one."""

    verb = "tables"
    tables: list[Name] = Field(min_length=1)


KINDS: dict[str, type[Step]] = {
    kind.verb: kind
    for kind in (
        SweepStep,
        RunStep,
        CapacityStep,
        CoverageStep,
        TrainStep,
        PlotStep,
        RdStep,
        RatesStep,
        CardsStep,
        CompareStep,
        PublishStep,
        TablesStep,
    )
}
AnyStep = (
    SweepStep
    | RunStep
    | CapacityStep
    | CoverageStep
    | TrainStep
    | PlotStep
    | RdStep
    | RatesStep
    | CardsStep
    | CompareStep
    | PublishStep
    | TablesStep
)


class Study(Spec):
    """Everything that a study file may say; ``name`` is the file's if not said."""

    name: Name
    title: Text
    shows: Text
    published: list[Text] = Field(min_length=1, description="Pages that show it.")
    minutes: Positive = Field(description="About, on two cores.")
    short: Short = Short()
    steps: Annotated[list[AnyStep], Field(min_length=1)]


def studies_of(names: Sequence[str]) -> dict[str, Path]:
    """The files of studies by name, in order; ``all`` stands for the bundled ones.

    Raises:
        ScenarioError: No name, or one of no study.
    """
    if not names:
        choices = [*bundled_studies(), "all"]
        raise ScenarioError("say which study, or --list", path="NAMES", choices=choices)
    wanted = [one for name in names for one in (bundled_studies() if name == "all" else [name])]
    return {name: study_path(name) for name in dict.fromkeys(wanted)}


def study_path(source: str) -> Path:
    """The file of a study: a name or a path (see `simsplit.scenario.places`).

    Raises:
        ScenarioError: Neither.
    """
    found = find_named(STUDY, source)
    if found is None:
        choices = [*names(STUDY), "all"]
        message = f"no such study ({looked_in()})"
        raise ScenarioError(message, value=source, choices=choices)
    return found


def read_study(path: Path) -> Study:
    """The study in a file.

    Raises:
        ScenarioError: It says something impossible, or a step reads what none before it writes;
            the error names the path in the YAML.
    """
    raw = {"name": path.stem, **read_mapping(path)}
    steps = raw.get("steps")
    content = dict(raw)
    if isinstance(steps, list):
        content["steps"] = [_step(step, f"steps[{index}]") for index, step in enumerate(steps)]
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise mistake(error, raw, Study) from None
    _in_order(study.steps)
    return study


def _step(raw: Any, path: str) -> Step:
    """A step is checked by the model of its verb, so that an error speaks of that verb only."""
    if not isinstance(raw, Mapping):
        raise ScenarioError("a step is a mapping with one verb", path=path, value=raw)
    verbs = [key for key in raw if key in KINDS]
    if len(verbs) != 1:
        value = ", ".join(verbs) or next(iter(raw), None)
        raise ScenarioError("a step has exactly one verb", path=path, value=value, choices=[*KINDS])
    try:
        return KINDS[verbs[0]].model_validate(raw)
    except ValidationError as error:
        raise mistake(error, raw, KINDS[verbs[0]], prefix=path) from None


def _in_order(steps: Sequence[Step]) -> None:
    """What a step reads is, or lies in, something that a step before it writes."""
    there: list[str] = []
    for index, step in enumerate(steps):
        for path in step.reads:
            if not any(path == known or path.startswith(f"{known}/") for known in there):
                message = "no step before this one writes it"
                place = f"steps[{index}].{step.verb}"
                raise ScenarioError(message, path=place, value=path, choices=there)
        there += step.writes
