"""Models, points and folds that a study's steps name are held against what there is beforehand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from simsplit.cli import app
from simsplit.errors import SimsplitError
from simsplit.scenario.bundled import scenarios_dir
from simsplit.scenario.studies import read_study
from simsplit.study.reproduce import actions

HEAD = {"title": "A title", "shows": "Something", "published": ["README.md"], "minutes": 1}
POINTS = [
    {"name": "local", "scheme": "local"},
    {"name": "jpeg_90", "scheme": "raw", "codec": {"kind": "jpeg", "quality": 90}},
    {"name": "jpeg_40", "scheme": "raw", "codec": {"kind": "jpeg", "quality": 40}},
    {"name": "analog", "scheme": "jscc"},
]
DEVICE = {"name": "d", "count": 1, "hardware": "phone_soc", "operating_point": "local"}
RATES: dict[str, Any] = {
    "rates": "digits_smoke",
    "set": {
        "operating_points": POINTS,
        "devices": [DEVICE | {"arrivals": {"kind": "poisson", "rate_hz": 1}}],
    },
    "curve": {"jpeg": "jpeg_*", "device": "local"},
    "out": "r",
}
FIRST: dict[str, Any] = {"run": "digits_smoke", "out": "one"}
CLOTHES: dict[str, Any] = {
    "kind": "network",
    "network": {"source": "resnet18", "answer": "label"},
    "data": {"kind": "image_folder", "path": "clothing", "fit": "resize"},
    "height": 64,
    "width": 64,
    "phases": [{"train": "network", "steps": 1}],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIMSPLIT_PATH", raising=False)
    monkeypatch.setenv("SIMSPLIT_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "clothing").mkdir(parents=True)
    return tmp_path


def recipe(name: str, **changes: Any) -> None:
    place = Path("models") / name
    place.mkdir(parents=True)
    (place / "recipe.yaml").write_text(yaml.safe_dump(CLOTHES | changes))


def card(place: str) -> None:
    Path("models", place).mkdir(parents=True, exist_ok=True)
    Path("models", place, "card.json").write_text(json.dumps({"kind": "network"}))


def commands(*steps: dict[str, Any], is_short: bool = False) -> list[str]:
    """What a study of these steps comes to, as lines."""
    Path("mine.yaml").write_text(yaml.safe_dump(HEAD | {"steps": list(steps)}, sort_keys=False))
    study = read_study(Path("mine.yaml"))
    found = actions(study, Path("o"), beside=Path.cwd(), is_short=is_short)
    return [str(action) for action in found]


def mistake(*steps: dict[str, Any]) -> SimsplitError:
    with pytest.raises(SimsplitError) as caught:
        commands(*steps)
    return caught.value


def run_with_weights(weights: str, **changes: Any) -> dict[str, Any]:
    """A step that runs a scenario of its own, whose network has these weights."""
    network = {"name": "n", "source": "resnet18", "weights": weights, "answer": "label"}
    content = yaml.safe_load((scenarios_dir() / "digits_smoke.yaml").read_text())
    content |= {"model": None, "networks": [network]} | changes
    content["operating_points"] = [{"name": "p", "scheme": "local", "network": "n"}]
    content["devices"] = [RATES["set"]["devices"][0] | {"operating_point": "p"}]
    Path("own.yaml").write_text(yaml.safe_dump(content))
    return {"run": "own.yaml", "out": "x"}


# --- rates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path", "value", "choice"),
    [
        ({"curve": {"x": "jpg_*"}}, "steps[1].curve.x", "jpg_*", "jpeg_90"),
        ({"curve": {"x": "local, jpeg_9"}}, "steps[1].curve.x", "jpeg_9", "jpeg_90"),
        ({"curve": {"x": "analog"}}, "steps[1].curve.x", "analog", None),
        ({"curve": {"x": ","}}, "steps[1].curve.x", ",", None),
        ({"curve": {"a=b": "local"}}, "steps[1].curve.a=b", "local", None),
        ({"anchor": ["jpeg", "jpg"]}, "steps[1].anchor[1]", "jpg", "jpeg"),
        ({"reference": "teacher"}, "steps[1].reference", "teacher", "local"),
        ({"reference": "analog"}, "steps[1].reference", "analog", "local"),
        ({"style": "ieee"}, "steps[1]: style", "ieee", "ieee_column"),
        ({"method": "spline"}, "steps[1]: method", "spline", "akima"),
        ({"headers": "left out"}, "steps[1]: headers", "left out", "left-out"),
    ],
)
def test_points_and_curves_are_those_of_the_scenario(
    change: dict[str, Any], path: str, value: str, choice: str | None
) -> None:
    error = mistake(FIRST, RATES | change)
    assert (error.path, error.value) == (path, value)
    assert choice is None or choice in error.choices


def test_points_are_those_of_the_step_s_own_scenario() -> None:
    """The options of ``set`` count, and --short's too."""
    assert commands(RATES)[0].startswith("simsplit rates digits_smoke --set")
    other = {"short": {"set": {"operating_points": [POINTS[0]]}}}
    assert commands(RATES | other)
    with pytest.raises(SimsplitError, match=r"steps\[0\]\.curve\.jpeg: no such operating point"):
        commands(RATES | other, is_short=True)


def test_a_pattern_reaches_the_command_as_it_is() -> None:
    (line,) = commands(RATES | {"curve": {"all of it": "*peg_*, local", "1": "local"}})
    assert "--curve 'all of it=*peg_*, local' --curve 1=local" in line


def test_headers_may_be_left_out() -> None:
    (line,) = commands(RATES | {"headers": "left-out"})
    assert "--headers left-out" in line


# --- cards and pairs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cards", "path", "value", "said"),
    [
        (["digits_cnn:"], "cards[0]", "digits_cnn:", "A:B or A+A2:B"),
        ([":digits_cnn"], "cards[0]", ":digits_cnn", "A:B or A+A2:B"),
        (["a+:b"], "cards[0]", "a+:b", "A:B or A+A2:B"),
        (["digits_cnn:digits_cn"], "cards[0]", "digits_cn", "Did you mean 'digits_cnn'"),
        (["digits_cnn+digit:digits_cnn"], "cards[0]", "digit", "no such network or folder"),
        (["digits_cnn:streets_exit", "digits_cnn"], "cards[1]", "digits_cnn", "not both"),
        (["digits_cnn:streets_exit"] * 2, "cards[1]", "digits_cnn:streets_exit", "twice"),
        (["digits_cn"], "cards[0]", "digits_cn", "Did you mean 'digits_cnn'"),
        (["empty"], "cards[0]", "empty", "no card yet, and no step before this one trains it"),
        (["digits_cnn:empty"], "cards[0]", "empty", "no card yet, and no step before"),
    ],
)
def test_networks_of_cards_are_there(cards: list[str], path: str, value: str, said: str) -> None:
    recipe("empty")
    error = mistake(FIRST, {"cards": cards, "out": "c.json"})
    assert (error.path, error.value) == (f"steps[1].{path}", value)
    assert said in str(error)


@pytest.mark.parametrize(
    ("pair", "value", "said"),
    [
        ("digits_cnn", "digits_cnn", "ANCHOR:TEST"),
        ("digits_cn:streets_exit", "digits_cn", "Did you mean 'digits_cnn'"),
        ("digits_cnn:empty", "empty", "no card yet, and no step before"),
    ],
)
def test_networks_of_pairs_are_there(pair: str, value: str, said: str) -> None:
    recipe("empty")
    error = mistake(FIRST, {"rd": [pair], "out": "rd"})
    assert (error.path, error.value) == ("steps[1].rd[0]", value)
    assert said in str(error)


def test_a_quality_is_one_of_jpeg() -> None:
    step = {"rd": ["digits_cnn:digits_cnn"], "lowest_quality": 96, "out": "rd"}
    assert mistake(step).path == "steps[0]: lowest_quality"


def test_what_a_step_before_trains_counts_as_there() -> None:
    recipe("a")
    recipe("b")
    cards = {"cards": ["a:b"], "out": "c.json"}
    train = [{"train": "a"}, {"train": {"recipe": "b", "seeds": [1, 2]}}]
    assert commands(*train, cards)[-1] == "simsplit cards a:b --out o/c.json"
    assert mistake(train[0], cards).value == "b"
    assert mistake(cards, *train).value == "a"  # too early
    folds = {"train": {"recipe": "b", "folds": [1, 2]}}
    assert mistake(train[0], folds, cards).value == "b"  # a pair is of the recipe as it is
    assert commands(folds, {"cards": ["b"], "out": "c.json"})  # a code over its folds


def test_a_card_that_is_there_needs_no_step() -> None:
    recipe("a")
    recipe("b")
    card("a/seed3")
    card("b")
    assert commands({"cards": ["a:b"], "out": "c.json"})


def test_what_a_shortened_study_trains_elsewhere_is_left_out() -> None:
    recipe("a")
    steps = [
        {"train": "a"},
        {"cards": ["digits_cnn:a"], "out": "c.json"},
        {"publish": {"c.json": "published/c.json"}},
        {"cards": ["digits_cnn:digits_cnn"], "out": "d.json"},
    ]
    assert commands(*steps, is_short=True)[1:] == [
        "cards digits_cnn:a (left out)",
        "publish c.json (left out)",
        "simsplit cards digits_cnn:digits_cnn --out o/d.json",
    ]
    assert commands(*steps)[1] == "simsplit cards digits_cnn:a --out o/c.json"


def test_a_scenario_may_name_what_a_step_before_trains() -> None:
    recipe("a")
    run = run_with_weights("models/a/weights.safetensors")
    assert commands({"train": "a"}, run)[1] == f"simsplit run {Path.cwd()}/own.yaml --out o/x"
    assert commands({"train": "a"}, run, is_short=True)[1] == "run own.yaml (left out)"
    error = mistake(run)
    assert error.path.startswith("steps[0].run: networks") and "no such weights" in str(error)


def test_of_several_mistakes_only_those_are_told_that_no_training_mends() -> None:
    recipe("a")
    data = {"kind": "image_folder", "path": "nowhere"}
    run = run_with_weights("models/a/weights.safetensors", task={"dataset": data})
    assert "no such weights" in str(mistake(run)) and "task.dataset" in str(mistake(run))
    error = mistake({"train": "a"}, run)
    assert error.path.startswith("steps[1].run: task.dataset") and "weights" not in str(error)


# --- folds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "path", "value", "choices"),
    [
        ({"train": {"recipe": "a", "folds": [1, 6]}}, "train.folds[1]", 6, "12345"),
        ({"train": {"recipe": "three", "folds": [4]}}, "train.folds[0]", 4, "123"),
        ({"train": {"recipe": "digits_cnn", "folds": [1]}}, "train.folds", "digits", ""),
        ({"train": {"recipe": "streets_light", "folds": [2]}}, "train.folds", "streets", ""),
    ],
)
def test_folds_are_those_of_the_recipe_s_data(
    step: dict[str, Any], path: str, value: object, choices: str
) -> None:
    recipe("a")
    recipe("three", data=CLOTHES["data"] | {"folds": 3, "fold": 1})
    error = mistake(FIRST, step)
    assert (error.path, error.value) == (f"steps[1].{path}", value)
    assert error.choices == tuple(choices)


def test_folds_of_a_shortened_study_are_checked_too() -> None:
    recipe("a")
    step = {"train": {"recipe": "a", "folds": [1]}, "short": {"folds": [7]}}
    assert commands(step)
    with pytest.raises(
        SimsplitError, match=r"^steps\[0\]\.short\.folds\[0\]: no such fold among 5"
    ):
        commands(step, is_short=True)


def test_weights_that_are_kept_anyway_are_told() -> None:
    recipe("a")
    error = mistake({"train": {"recipe": "a", "keep_weights": True}})
    assert error.path == "steps[0]: train.keep_weights"
    assert "always kept" in str(error)
    assert commands({"train": {"recipe": "a", "seeds": [1], "keep_weights": True}})


def test_the_command_says_it_before_the_first_step_runs() -> None:
    commands(FIRST)
    Path("mine.yaml").write_text(
        yaml.safe_dump(HEAD | {"steps": [FIRST, {"cards": ["digits_cn:digits_cnn"], "out": "c"}]})
    )
    done = CliRunner().invoke(app, ["reproduce", "mine.yaml"])
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert "steps[1].cards[0]: no such network" in " ".join(done.output.split())
    assert not Path("results").exists()
