"""Studies as files: what they may say, the commands they come to, and all of them shortened."""

from __future__ import annotations

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
from simsplit.scenario.bundled import bundled_studies, scenarios_dir
from simsplit.scenario.studies import (
    FIGURES,
    Style,
    read_study,
    study_path,
)
from simsplit.scenario.sweeps import read_sweep, sweep_path
from simsplit.study import reproduce as reproducing
from simsplit.study.reproduce import Command, Publication, Tables, actions

HEAD = {"title": "A title", "shows": "Something", "published": ["README.md"], "minutes": 1}
SWEEP = {"sweep": "cliff_over_snr", "out": "cliff"}
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
            [{"plot": "cliff", "kind": "cliff", "out": "p"}, SWEEP],
            r"steps\[0\]\.plot: no step before",
        ),
        ([SWEEP, {"publish": {"cliffs/points.csv": "p"}}], r"steps\[1\]\.publish: no step before"),
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


# --- what it comes to -------------------------------------------------------------------------


def test_steps_as_commands_by_hand(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        SWEEP | {"set": {"duration_s": 2.5, "cell.fading": {"kind": "none"}}, "replications": 3},
        {"plot": "cliff", "kind": "cliff", "where": ["a == 1", "b == 2, 3"], "out": "p/q"},
        {"run": "awgn_cliff", "set": {"cell.harq.max_transmissions": 2}, "out": "one"},
        {"run": "awgn_cliff", "out": "two"},
        {"compare": ["one", "two"], "kpi": ["energy_j", "latency_s.p95"], "out": "p/c.json"},
        {"rd": ["a:b", "c:d"], "lowest_quality": 80, "out": "p/rd"},
        {"publish": {"cliff/points.csv": "p/points.csv"}},
        {"tables": ["policies", "capacity"]},
    )
    assert commands(path, "out") == [
        'simsplit sweep cliff_over_snr --set duration_s=2.5 --set \'cell.fading={"kind": "none"}\''
        " --replications 3 --out out/cliff",
        "simsplit plot out/cliff --kind cliff --where 'a == 1' --where 'b == 2, 3' --out out/p/q",
        "simsplit run awgn_cliff --set cell.harq.max_transmissions=2 --out out/one",
        "simsplit run awgn_cliff --out out/two",
        "simsplit compare out/one out/two --kpi energy_j --kpi latency_s.p95 --json > out/p/c.json",
        "simsplit rd a:b c:d --lowest-quality 80 --out out/p/rd",
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
    assert text.count("simsplit capacity") == 8
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
    path = written(tmp_path, {"rd": ["no_such_model:other"], "out": "rd"}, {"tables": ["all"]})
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
