"""Cards compared over training seeds: differences, intervals by hand, and what cannot be paired."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from simsplit.cli import app
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.results.paired_cards import paired_cards, score_lines, size_lines

T_2 = 4.30265272975  # Student's t, 0.975, 2 degrees of freedom


def write_card(folder: Path, means_of: dict[str, float], **more: Any) -> None:
    folder.mkdir(parents=True)
    means = {
        name: {"mean": value, "low_95": 0.0, "high_95": 1.0} for name, value in means_of.items()
    }
    card = {
        "kind": "network", "parameters": 100, "height": 64, "test_images": 20,
        "data_digest": "d", "scores": {"direct": means},
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card | more))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two single-task networks and one of both tasks, three seeds each."""
    monkeypatch.chdir(tmp_path)
    of_size, of_form = (0.60, 0.62, 0.64), (0.80, 0.80, 0.83)
    both = ((0.61, 0.85), (0.64, 0.84), (0.63, 0.85))
    for number in range(3):
        below = "" if number == 0 else f"seed{number + 1}"
        write_card(tmp_path / "size" / below, {"accuracy_size": of_size[number]})
        write_card(tmp_path / "form" / below, {"accuracy_form": of_form[number]})
        size, form = both[number]
        scores = {"accuracy_size": size, "accuracy_form": form}
        write_card(tmp_path / "both" / below, scores, parameters=150)
    return tmp_path


def test_differences_are_paired_by_seed(models: Path) -> None:
    size, form, mean = paired_cards(["size+form:both"]).rows
    assert size["score"] == "accuracy_size" and form["score"] == "accuracy_form"
    assert size["by_seed"] == pytest.approx({1: 0.01, 2: 0.02, 3: -0.01})
    assert form["by_seed"] == pytest.approx({1: 0.05, 2: 0.04, 3: 0.02})
    assert mean["score"] == "mean"
    assert mean["by_seed"] == pytest.approx({1: 0.03, 2: 0.03, 3: 0.005})
    assert (size["a"], size["b"]) == pytest.approx((0.62, 0.6266667))


def test_intervals_are_students_over_the_seeds(models: Path) -> None:
    """0.01, 0.02 and -0.01: mean 0.00667, s = 0.01528, half width 4.303 s / sqrt(3) = 0.03794."""
    gap = paired_cards(["size+form:both"]).rows[0]["difference"]
    half = T_2 * math.sqrt((0.0033333**2 + 0.0133333**2 + 0.0166667**2) / 2) / math.sqrt(3)
    assert gap["mean"] == pytest.approx(0.0066667, abs=1e-6)
    assert (gap["low"], gap["high"]) == pytest.approx(
        (0.0066667 - half, 0.0066667 + half), abs=1e-5
    )
    assert gap["n"] == 3


def test_the_mean_over_comparisons_is_taken_within_a_seed(models: Path) -> None:
    result = paired_cards(["size:both", "form:both"])
    last = result.rows[-1]
    assert (last["networks"], last["score"]) == ("all", "mean")
    assert last["by_seed"] == pytest.approx({1: 0.03, 2: 0.03, 3: 0.005})


def test_sizes_are_summed_over_the_several(models: Path) -> None:
    (size,) = paired_cards(["size+form:both"]).sizes
    assert (size["parameters_a"], size["parameters_b"]) == (200, 150)
    assert size_lines(paired_cards(["size+form:both"])) == [["both", "200", "150", "0.75"]]


def test_a_seed_of_one_side_is_left_out_and_told(models: Path) -> None:
    (models / "form" / "seed3" / "card.json").unlink()
    result = paired_cards(["size+form:both"])
    assert [*result.rows[0]["by_seed"]] == [1, 2]
    assert any("both, seed 3" in note for note in result.notes)


def test_one_seed_has_no_interval(models: Path) -> None:
    for folder in ("seed2", "seed3"):
        (models / "form" / folder / "card.json").unlink()
    result = paired_cards(["form:both"])
    assert result.rows[0]["difference"]["low"] is None
    assert score_lines(result)[0][5] == "-"


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("size", "A:B or A\\+A2:B"),
        ("size+:both", "A:B or A\\+A2:B"),
        ("nothing:both", "no such network or folder"),
        ("size:form", "no score of both sides"),
        ("size+both:both", "two networks of A have the score accuracy_size"),
    ],
)
def test_what_cannot_be_compared(models: Path, pair: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        paired_cards([pair])


def test_only_scores_that_are_asked_for(models: Path) -> None:
    card = json.loads((models / "size" / "card.json").read_text())
    card["scores"]["direct"]["top5_size"] = {"mean": 0.9}
    (models / "size" / "card.json").write_text(json.dumps(card))
    for score in ("accuracy", "accuracy_size"):
        rows = paired_cards(["size:both"], scores=[score]).rows
        assert [row["score"] for row in rows] == ["accuracy_size"]
    with pytest.raises(ScenarioError, match="no score of both sides"):
        paired_cards(["size:both"], scores=["accura"])


def test_the_same_comparison_twice(models: Path) -> None:
    with pytest.raises(ScenarioError, match="twice"):
        paired_cards(["size:both", "size:both"])


def test_another_way_lists_those_there_are(models: Path) -> None:
    with pytest.raises(ScenarioError, match=r"way: .*Choices: direct"):
        paired_cards(["size:both"], way="coded")


def test_codes_are_compared_by_what_they_send(tmp_path: Path) -> None:
    """Not by the network without the code, which is the same for all of them."""
    for name, share in (("one", 0.7), ("other", 0.9)):
        ways = {"direct": {"accuracy": {"mean": 0.95}}, "coded": {"accuracy": {"mean": share}}}
        write_card(tmp_path / name, {}, kind="code", scores=ways)
    pair = f"{tmp_path / 'one'}:{tmp_path / 'other'}"
    result = paired_cards([pair])
    assert result.way == "coded"
    assert result.rows[0]["difference"]["mean"] == pytest.approx(0.2)
    assert paired_cards([pair], way="direct").rows[0]["difference"]["mean"] == 0.0


def test_other_test_pictures_are_refused(models: Path) -> None:
    card = json.loads((models / "both" / "card.json").read_text())
    (models / "both" / "card.json").write_text(json.dumps(card | {"data_digest": "other"}))
    with pytest.raises(ScenarioError, match="seed 1: scored on other pictures"):
        paired_cards(["size:both"])


def test_damaged_and_missing_cards(models: Path) -> None:
    (models / "empty").mkdir()
    with pytest.raises(ArtefactError, match="no card yet"):
        paired_cards(["empty:both"])
    (models / "both" / "card.json").write_text("{")
    with pytest.raises(ArtefactError, match="damaged card"):
        paired_cards(["size:both"])
    (models / "both" / "card.json").write_text("{}")
    with pytest.raises(ArtefactError, match="lacks height"):
        paired_cards(["size:both"])


@pytest.mark.parametrize(
    "more",
    [
        {"scores": 3},
        {"scores": {"direct": [1]}},
        {"scores": {"direct": {"accuracy_size": {"mean": None}}}},
        {"parameters": "many"},
    ],
)
def test_entries_of_a_card_of_another_type(models: Path, more: dict[str, Any]) -> None:
    card = json.loads((models / "both" / "card.json").read_text())
    (models / "both" / "card.json").write_text(json.dumps(card | more))
    with pytest.raises(ArtefactError, match="damaged card"):
        paired_cards(["size:both"])


def test_a_score_that_one_seed_lacks(models: Path) -> None:
    card = json.loads((models / "both" / "seed2" / "card.json").read_text())
    del card["scores"]["direct"]["accuracy_size"]
    (models / "both" / "seed2" / "card.json").write_text(json.dumps(card))
    with pytest.raises(ScenarioError, match="both, seed 2: the card has no such score"):
        paired_cards(["size:both"])


def test_the_command_writes_all_of_it(models: Path) -> None:
    out = models / "below" / "pairs.json"
    done = CliRunner().invoke(app, ["cards", "size+form:both", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "accuracy_form" in done.output
    written = json.loads(out.read_text())
    assert written["rows"][1]["by_seed"]["2"] == pytest.approx(0.04)
    assert written["sizes"][0]["parameters_b"] == 150
    wrong = CliRunner().invoke(app, ["cards", "size", "--json"])
    assert wrong.exit_code == 2
