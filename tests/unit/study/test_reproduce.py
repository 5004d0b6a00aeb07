"""Studies as files: what they may say, the commands they come to, and all of them shortened."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from typer.testing import CliRunner

from simsplit.cli import app
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.figures.kinds import KINDS as FIGURE_KINDS
from simsplit.figures.style import STYLES
from simsplit.scenario.bundled import bundled_studies, data_root, scenarios_dir
from simsplit.scenario.studies import read_study, study_path
from simsplit.scenario.study_figures import FIGURES, LIMITED, Style
from simsplit.scenario.sweeps import read_sweep, sweep_path
from simsplit.study import reproduce as reproducing
from simsplit.study.reproduce import Command, Publication, Tables, actions

HEAD = {"title": "A title", "shows": "Something", "published": ["README.md"], "minutes": 1}
SWEEP = {"sweep": "cliff_over_snr", "out": "cliff"}
PLOT = {"plot": "cliff", "kind": "metric", "out": "p"}
DIGITS: dict[str, Any] = {"recipe": "digits_cnn"}
TRAIN: dict[str, Any] = {"train": DIGITS}
STUDIES = bundled_studies()
PUBLISHED = Path(__file__).resolve().parents[3] / "results" / "published"


def written(folder: Path, *steps: dict[str, Any], **more: Any) -> Path:
    """A study file with these steps."""
    path = folder / "mine.yaml"
    content = HEAD | more | {"steps": list(steps)}
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def commands(path: Path, root: str = "results", *, is_short: bool = False) -> list[str]:
    """What a study file comes to, as lines."""
    study = read_study(path)
    found = actions(study, Path(root), beside=path.parent, is_short=is_short)
    return [str(action) for action in found]


# --- what a study may say ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"fly": "x"}], r"steps\[0\]: a step has exactly one verb \(found: 'fly'\)"),
        ([SWEEP | {"run": "awgn_cliff"}], r"exactly one verb \(found: 'sweep, run'\)"),
        (["sweep"], r"steps\[0\]: a step is a mapping with one verb"),
        ([SWEEP | {"axis": "a=1"}], r"steps\[0\]: axis: unknown key .*Choices: .*replications"),
        ([{"sweep": "cliff_over_snr"}], r"steps\[0\]: out: this key is required"),
        ([SWEEP | {"out": "../cliff"}], r"out: a path below the results folder.*'\.\./cliff'"),
        ([SWEEP | {"out": "/cliff"}], "out: a path below the results folder"),
        ([SWEEP | {"out": "a/./b"}], "out: a path below the results folder"),
        ([{"publish": {"a": "../../b"}}], "a path below the results folder"),
        ([SWEEP | {"replications": 0}], r"replications: must be greater than or equal to 1"),
        ([SWEEP | {"short": {"axes": 1}}], r"short\.axes: unknown key"),
        (
            [SWEEP, {"plot": "cliff", "kind": "clif", "out": "p"}],
            r"steps\[1\]: kind: not among the choices \(found: 'clif'\).*mean 'cliff'",
        ),
        (
            [SWEEP, {"plot": "clif", "kind": "cliff", "out": "p"}],
            r"steps\[1\]\.plot: no step before this one writes it .*Did you mean 'cliff'",
        ),
        (
            [SWEEP, PLOT | {"limits": [1, 0]}],
            r"\[1\]: limits: .*low below high .*\[1, 0\]",
        ),
        ([SWEEP, PLOT | {"limits": [1, 1]}], r"limits: \[low, high\], low below high"),
        ([SWEEP, PLOT | {"limits": [0.5]}], r"limits: two numbers, \[low, high\]"),
        ([SWEEP, PLOT | {"limits": 0.5}], r"limits: two numbers, \[low, high\] .*found: 0.5"),
        ([SWEEP, PLOT | {"limits": [0, "x"]}], r"limits\[1\]: expected a plain number"),
        (
            [SWEEP, PLOT | {"limits": [0, 1], "scale": "log"}],
            "limits: a logarithmic axis lies",
        ),
        ([SWEEP, PLOT | {"kind": "pareto", "limits": [0, 1]}], "no limits; metric, cliff have"),
        (
            [{"plot": "cliff", "kind": "cliff", "out": "p"}, SWEEP],
            r"steps\[0\]\.plot: no step before",
        ),
        ([SWEEP, {"publish": {"cliffs/points.csv": "p"}}], r"steps\[1\]\.publish: no step before"),
        ([{"train": 3}], r"steps\[0\]: train: must be .*found: 3"),
        ([{"train": {"seeds": [1]}}], r"steps\[0\]: train\.recipe: this key is required"),
        ([TRAIN | {"out": "x"}], r"steps\[0\]: out: unknown key .*Choices: train, short"),
        ([{"train": DIGITS | {"seed": 1}}], r"train\.seed: unknown key.*Did you mean 'seeds'"),
        ([{"train": DIGITS | {"seeds": []}}], r"steps\[0\]: train\.seeds: .*at least 1"),
        ([{"train": DIGITS | {"seeds": 3}}], r"train\.seeds: .*found: 3"),
        ([{"train": DIGITS | {"seeds": [2, 2]}}], r"train\.seeds: each number once"),
        ([{"train": DIGITS | {"folds": [0]}}], r"train\.folds\[0\]: .*equal to 1 \(found: 0\)"),
        ([TRAIN | {"short": {"max_steps": 0}}], r"short\.max_steps: .*found: 0"),
        ([TRAIN | {"short": {"replications": 2}}], r"short\.replications: unknown key"),
        ([], "steps: "),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, steps: list[Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        read_study(written(tmp_path, *steps))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            SWEEP | {"sweep": "cliff_over_snt"},
            r"steps\[0\]\.sweep: no such sweep .*mean 'cliff_over_snr'",
        ),
        (SWEEP | {"where": "snr == 1"}, r"steps\[0\]\.sweep.*speaks of no axis"),
        (SWEEP | {"set": {"duration": 1}}, r"steps\[0\]\.sweep: duration: unknown key"),
        (
            {"run": "urban_6g", "out": "u"},
            r"steps\[0\]\.run: no such scenario file .*mean 'urban_5g'",
        ),
        (
            {"run": "urban_5g", "set": {"seed": "many"}, "out": "u"},
            r"steps\[0\]\.run: seed: must be",
        ),
        (
            {"train": {"recipe": "digits_cn"}},
            r"steps\[0\]\.train\.recipe: no such model .*mean 'digits_cnn'",
        ),
        (
            {"train": {"recipe": "bler_5g"}},
            r"steps\[0\]\.train\.recipe: a study trains networks and codes.*'bler_table'",
        ),
    ],
)
def test_every_step_is_checked_before_the_first_runs(
    tmp_path: Path, step: dict[str, Any], said: str
) -> None:
    with pytest.raises(ScenarioError, match=said):
        commands(written(tmp_path, step))


def test_an_unknown_study_names_the_choices() -> None:
    with pytest.raises(ScenarioError, match=r"no such study.*mean 'snr_split'"):
        study_path("snr_splits")


def test_names_of_figures_and_styles_are_those_there_are() -> None:
    assert set(FIGURES) == {*FIGURE_KINDS, "policies"}
    assert set(get_args(Style)) == set(STYLES)
    assert set(LIMITED) == {name for name, kind in FIGURE_KINDS.items() if "limits" in kind.takes}


# --- what it comes to -------------------------------------------------------------------------


def test_steps_as_commands_by_hand(tmp_path: Path) -> None:
    one, two = "features_e1_baseline", "features_e1_proposed"
    path = written(
        tmp_path,
        SWEEP | {"set": {"duration_s": 2.5, "cell.fading": {"kind": "none"}}, "replications": 3},
        {"plot": "cliff", "kind": "cliff", "where": ["a == 1", "b == 2, 3"], "out": "p/q"},
        {"plot": "cliff", "kind": "metric", "scale": "log", "label": {"a": "b, c"}, "out": "p/l"},
        {"plot": "cliff", "kind": "metric", "limits": [-0.5, 1], "by": "a", "out": "p/m"},
        {"run": "awgn_cliff", "set": {"cell.harq.max_transmissions": 2}, "out": "one"},
        {"run": "awgn_cliff", "out": "two"},
        {"compare": ["one", "two"], "kpi": ["energy_j", "latency_s.p95"], "out": "p/c.json"},
        {"rd": [f"{one}:{two}", f"{two}:{one}"], "lowest_quality": 80, "out": "p/rd"},
        {"publish": {"cliff/points.csv": "p/points.csv"}},
        {"tables": ["policies", "capacity"]},
    )
    assert commands(path, "out") == [
        'simsplit sweep cliff_over_snr --set duration_s=2.5 --set \'cell.fading={"kind": "none"}\''
        " --replications 3 --out out/cliff",
        "simsplit plot out/cliff --kind cliff --where 'a == 1' --where 'b == 2, 3' --out out/p/q",
        "simsplit plot out/cliff --kind metric --scale log --label 'a=b, c' --out out/p/l",
        "simsplit plot out/cliff --kind metric --by a --limits -0.5 1.0 --out out/p/m",
        "simsplit run awgn_cliff --set cell.harq.max_transmissions=2 --out out/one",
        "simsplit run awgn_cliff --out out/two",
        "simsplit compare out/one out/two --kpi energy_j --kpi latency_s.p95 --json > out/p/c.json",
        f"simsplit rd {one}:{two} {two}:{one} --lowest-quality 80 --out out/p/rd",
        "publish out/p/points.csv",
        "tables policies, capacity",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [("image", "image"), ("1", '"1"'), (1, "1"), (True, "true"), ("true", '"true"'), (None, "null"),
     ({"kind": "fixed"}, '{"kind": "fixed"}'), ([1, 2], "[1, 2]"), ("a: b", '"a: b"')],
)  # fmt: skip
def test_a_value_reads_back_as_itself(value: Any, text: str) -> None:
    assert reproducing._as_text(value) == text
    assert yaml.safe_load(text) == value


def test_nothing_of_a_file_reaches_a_shell(tmp_path: Path) -> None:
    name = "$(touch gone); rm -rf ~"
    path = written(tmp_path, SWEEP, {"plot": "cliff", "kind": "cliff", "by": name, "out": "p"})
    found = actions(read_study(path), Path("results"), beside=tmp_path)[1]
    assert isinstance(found, Command)
    assert found.words[found.words.index("--by") + 1] == name


def test_short_replaces_the_steps_own_options(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        SWEEP | {"set": {"seed": 2, "duration_s": 9}, "replications": 7},
        SWEEP | {"out": "b", "short": {"where": "cell.channel.snr_db == 0", "replications": 3}},
        {"plot": "cliff", "kind": "cliff", "where": ["a == 1"], "out": "p"},
        short={"set": {"duration_s": 1}, "replications": 2},
    )
    assert commands(path, "o", is_short=True) == [
        "simsplit sweep cliff_over_snr --set seed=2 --set duration_s=1 --replications 2"
        " --out o/cliff",
        "simsplit sweep cliff_over_snr --set duration_s=1 --replications 3"
        " --where 'cell.channel.snr_db == 0' --out o/b",
        "simsplit plot o/cliff --kind cliff --where 'a == 1' --out o/p",
    ]
    assert "--set seed=2 --set duration_s=9 --replications 7" in commands(path)[0]


def test_sweeps_and_scenarios_lie_beside_the_study(tmp_path: Path) -> None:
    shutil.copy(scenarios_dir() / "awgn_cliff.yaml", tmp_path / "mine_too.yaml")
    axis = {"path": "cell.channel.snr_db", "values": [1, 2]}
    sweep = {"scenario": "mine_too.yaml", "axes": [axis]}
    (tmp_path / "my_sweep.yaml").write_text(yaml.safe_dump(sweep))
    path = written(
        tmp_path, {"sweep": "my_sweep.yaml", "out": "a"}, {"run": "mine_too.yaml", "out": "b"}
    )
    assert commands(path) == [
        f"simsplit sweep {tmp_path}/my_sweep.yaml --out results/a",
        f"simsplit run {tmp_path}/mine_too.yaml --out results/b",
    ]


def test_trainings_are_commands(tmp_path: Path) -> None:
    seeds = {"recipe": "streets_nested", "seeds": [1, 2]}
    folds = {"recipe": "clothing_lite0", "folds": [1, 2], "seeds": [3], "keep_weights": True}
    path = written(tmp_path, TRAIN, {"train": "digits_cnn"}, {"train": seeds}, {"train": folds})
    assert commands(path) == [
        "simsplit train digits_cnn --if-needed",
        "simsplit train digits_cnn --if-needed",
        "simsplit train streets_nested --seed 1 --if-needed",
        "simsplit train streets_nested --seed 2 --if-needed",
        "simsplit train clothing_lite0 --fold 1 --seed 3 --keep-weights --if-needed",
        "simsplit train clothing_lite0 --fold 2 --seed 3 --keep-weights --if-needed",
    ]


def test_shortened_trainings_go_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSPLIT_DATA", str(tmp_path))
    folds = {"train": {"recipe": "clothing_lite0", "folds": [1, 2], "keep_weights": True}}
    less = {"short": {"folds": [2], "max_steps": 3}}
    path = written(tmp_path, TRAIN, folds | less, short={"replications": 2})
    first = "simsplit train digits_cnn --max-steps 40 --out o/trained/digits_cnn"
    assert commands(path, "o", is_short=True) == [first, "train clothing_lite0 (left out)"]
    (tmp_path / "clothing").mkdir()
    end = "--keep-weights --max-steps 3 --out o/trained/clothing_lite0"
    assert commands(path, "o", is_short=True)[1] == f"simsplit train clothing_lite0 --fold 2 {end}"


def test_a_training_can_be_left_out_of_the_shortened_study(tmp_path: Path) -> None:
    path = written(tmp_path, TRAIN | {"short": {"left_out": True}})
    assert commands(path, is_short=True) == ["train digits_cnn (left out)"]
    assert commands(path) == ["simsplit train digits_cnn --if-needed"]
    path = written(tmp_path, TRAIN | {"short": {"left_out": True, "max_steps": 4}})
    with pytest.raises(ScenarioError, match="has no steps") as caught:
        commands(path, is_short=True)
    assert caught.value.path == "steps[0]: short"


def test_a_step_without_its_pictures_is_left_out_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("SIMSPLIT_DATA", "CITYSCAPES_DATASET"):
        monkeypatch.delenv(variable, raising=False)
    names = ("clothing_lite0", "cityscapes_e1_baseline")
    photos, roads = ({"train": {"recipe": name}} for name in names)
    text = said_by(str(written(tmp_path, photos, roads)), "--short")
    flat = " ".join(text.split())
    assert "Left out: no such data set" in flat and "SIMSPLIT_DATA is not set" in flat
    assert "Left out: the environment variable CITYSCAPES_DATASET is not set" in flat
    assert "done in" in flat


@pytest.mark.slow
def test_a_study_trains_what_is_not_trained_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "mine" / "recipe.yaml"
    recipe.parent.mkdir()
    text = (data_root() / "models" / "digits_cnn" / "recipe.yaml").read_text()
    recipe.write_text(re.sub(r"(?m)^steps: .*$", "steps: 4", text))
    path = written(tmp_path, {"train": {"recipe": "mine/recipe.yaml", "seeds": [1, 2]}})
    first, again = said_by(str(path)), said_by(str(path))
    assert first.count("Fitted: ") == 2 and "Up to date" not in first
    assert again.count("Up to date: ") == 2 and "Fitted" not in again
    assert {f.name for f in (recipe.parent / "seed2").iterdir()} >= {"card.json", "recipe.yaml"}
    said_by(str(path), "--short")
    small = tmp_path / "results" / "short" / "trained" / "mine"
    assert (small / "card.json").is_file() and (small / "seed2" / "card.json").is_file()
    assert said_by(str(path)).count("Up to date: ") == 2


def test_files_are_published_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", tmp_path / "p" / "b.csv"
    with pytest.raises(ArtefactError, match=r"a\.csv: not there"):
        Publication(((source, target),)).do()
    assert not target.parent.exists()
    source.write_text("1,2\n")
    assert str(target) in Publication(((source, target),)).do()
    assert [file.name for file in target.parent.iterdir()] == ["b.csv"]
    assert target.read_text() == "1,2\n"


SCRIPT = """
import sys
from pathlib import Path

import parts_of_tables

if "--only" in sys.argv and "nothing" in sys.argv[2]:
    sys.exit("Error: no such block")
Path("said.txt").write_text(" ".join(sys.argv[1:]))
"""


def test_tables_are_written_in_a_checkout_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproducing, "data_root", lambda: tmp_path)
    root, said = tmp_path / "results", tmp_path / "said.txt"
    assert "left alone" in Tables(("a",), root).do()  # no checkout: no script
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "x.md").touch()
    (tmp_path / "docs" / "readme_tables.py").write_text(SCRIPT)
    (tmp_path / "docs" / "parts_of_tables.py").touch()  # found whether or not Python looks beside
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as the command line sets it
    assert "left alone" in Tables(("a",), tmp_path / "elsewhere").do()
    assert not said.exists()
    assert Tables(("a", "b"), root).do() == "Tables: a, b"
    assert said.read_text() == "--only a,b README.md docs/x.md"
    Tables(("all",), root).do()
    assert said.read_text() == "README.md docs/x.md"
    with pytest.raises(ArtefactError, match="tables of README and docs: Error: no such block"):
        Tables(("nothing",), root).do()


# --- the bundled ones -------------------------------------------------------------------------


@pytest.mark.parametrize("is_short", [False, True])
@pytest.mark.parametrize("name", STUDIES)
def test_every_command_of_a_bundled_study_parses(name: str, is_short: bool) -> None:
    path = study_path(name)
    group: Any = typer.main.get_command(app)
    for action in actions(read_study(path), Path("r"), beside=path.parent, is_short=is_short):
        if isinstance(action, Command):
            verb, *arguments = action.words
            group.commands[verb].make_context(verb, list(arguments))


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("cliff_over_snr", 31),
        ("snr_split", 13 * 6),
        ("neurosurgeon_rate", 4 * 13 * 5),
        ("neurosurgeon_load", 2 * 7 * 4),
        ("early_exit_policies", 4),
        ("snr_threshold_policies", 3),
        ("compressible_features", 4 * 8 + 4 * 5),
        ("mtl_split_rate", 9 * 7),
        ("mtl_split_load", 5 * 4),
    ],
)
def test_points_of_the_bundled_sweeps(name: str, points: int) -> None:
    file = sweep_path(name)
    assert file is not None
    assert len(read_sweep(file).points) == points


# --- the command line -------------------------------------------------------------------------


def said_by(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["reproduce", *words])
    assert done.exit_code == code, done.output
    return done.output


def test_the_list_says_what_where_and_how_long() -> None:
    text = said_by("--list")
    for name in STUDIES:
        study = read_study(study_path(name))
        assert name in text and study.title in text and study.published[0] in text
    minutes = sum(read_study(study_path(name)).minutes for name in STUDIES)
    assert minutes > 30 and f"about {minutes:g} minutes" in text


def test_a_dry_run_prints_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = said_by("all", "--dry-run")
    assert text.splitlines()[0] == "simsplit sweep cliff_over_snr --out results/awgn_cliff"
    assert text.count("simsplit capacity") == 13
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say which study, or --list"),
        (("snr_splits",), "no such study"),
        (("awgn_cliff", "--short", "--out", "results"), "must not take the place of published"),
    ],
)
def test_mistakes_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in said_by(*words, code=2)
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_fails_stops_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, {"rd": ["digits_cnn:streets_exit"], "out": "rd"}, {"tables": ["all"]})
    text = said_by(str(path), code=2)
    assert "mine stopped at step 1 of 2" in text.replace(str(path), "mine")
    assert "tables" not in text


def test_a_study_runs_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(
        tmp_path,
        {"run": "digits_smoke", "set": {"duration_s": 2}, "out": "one"},
        {"run": "digits_smoke", "set": {"duration_s": 2, "seed": 2}, "out": "two"},
        {"compare": ["one", "two"], "kpi": ["energy_j"], "out": "p/both.json"},
        {"publish": {"one/summary.json": "p/one.json"}},
    )
    said_by(str(path))
    found = yaml.safe_load((tmp_path / "results" / "p" / "both.json").read_text())
    assert [one["kpi"] for one in found["differences"]] == ["energy_j"]
    results = tmp_path / "results"
    assert (results / "p" / "one.json").read_bytes() == (results / "one/summary.json").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_shortened(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves just those files, under the names, that are published of it."""
    monkeypatch.chdir(tmp_path)
    before = {file: file.stat().st_mtime_ns for file in PUBLISHED.rglob("*")}
    said_by(name, "--short", "--out", "small")
    made = {f.relative_to("small/published") for f in Path("small/published").rglob("*.*")}
    tops = {file.parts[0] for file in made}
    there = {file.relative_to(PUBLISHED) for file in PUBLISHED.rglob("*.*")}
    assert made == {file for file in there if file.parts[0] in tops}
    assert before == {file: file.stat().st_mtime_ns for file in PUBLISHED.rglob("*")}
