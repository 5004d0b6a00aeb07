"""What a code costs its network, picture by picture: the card's section, and ``simsplit cards``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from simsplit.cli import app
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.messages import Evidence, Outcome
from simsplit.results.code_losses import Loss, code_losses
from simsplit.scenario.answers import ClassificationAnswer, SegmentationAnswer
from simsplit.training.paired import differences, differences_by_way

ANSWER = ClassificationAnswer(kind="classification")


def outcomes(right: list[int]) -> list[Outcome]:
    return [Outcome((("accuracy", float(value)),)) for value in right]


def of_counts(counts: np.ndarray[Any, Any]) -> list[Outcome]:
    """Pictures with these confusions ``(N, C, C + 1)``."""
    return [Outcome((("miou", 0.5),), (Evidence("", {"confusion": each}),)) for each in counts]


def test_differences_are_paired_over_pictures() -> None:
    direct = [1] * 90 + [0] * 10
    coded = [1] * 88 + [0] * 2 + [1] * 1 + [0] * 9  # two are lost, one is won
    found = differences((ANSWER,), outcomes(coded), outcomes(direct))["accuracy"]
    gaps = np.array(coded) - np.array(direct)
    assert found["mean"] == pytest.approx(-0.01)
    assert found["half_width_95"] == pytest.approx(
        1.959964 * gaps.std(ddof=1) / math.sqrt(100), abs=1e-4
    )
    apart = 1.96 * math.sqrt(0.9 * 0.1 / 100 + 0.89 * 0.11 / 100)
    assert found["half_width_95"] < 0.5 * apart  # which is what pairing is for


def test_pooled_scores_are_paired_too() -> None:
    draw = np.random.default_rng(3)
    direct = np.zeros((200, 2, 3), np.int64)
    direct[:, 0, 0] = draw.integers(40, 60, 200)
    direct[:, 1, 1] = draw.integers(40, 60, 200)
    direct[:, 0, 1] = draw.integers(0, 20, 200)  # pictures differ much
    coded = direct.copy()
    coded[:, 1, 1] -= 2  # and the code costs each of them nearly the same
    coded[:, 1, 0] += 2
    answers = (SegmentationAnswer(kind="segmentation"),)
    found = differences(answers, of_counts(coded), of_counts(direct))["dataset_miou"]

    def miou(counts: np.ndarray[Any, Any]) -> float:
        total = counts.sum(axis=0)[:, :2]
        right = np.diag(total)
        return float((right / (total.sum(0) + total.sum(1) - right)).mean())

    assert found["value"] == pytest.approx(miou(coded) - miou(direct), abs=1e-4)
    assert found["half_width_95"] < 0.001
    swapped = differences(answers, of_counts(direct), of_counts(coded))["dataset_miou"]
    assert swapped["value"] == pytest.approx(-found["value"])


def test_every_range_and_way_has_its_section() -> None:
    same = outcomes([1, 0, 1, 1])
    ranges = {
        "test": {"direct": same, "coded": same},
        "validation": {"direct": same, "coded": same},
    }
    found = differences_by_way(ranges, (ANSWER,), "direct")
    assert found.keys() == {"paired", "paired_validation"}
    never = {"mean": 0.0, "half_width_95": 1.0}  # 4 pictures without a difference prove little
    assert found["paired"] == {"coded": {"accuracy": never}}
    assert differences_by_way({"test": {"direct": [], "coded": []}}, (ANSWER,), "direct") == {}


# --- in cards -----------------------------------------------------------------------------------


def card(folder: Path, images: int, without: float, gap: float, half: float, **more: Any) -> Path:
    """A model's folder with a card of such scores."""
    content = {
        "test_images": images,
        "payload_bytes": {"mean": 1000.0 + images},
        "scores": {
            "direct": {"accuracy": {"mean": without}},
            "coded": {"accuracy": {"mean": without + gap}},
        },
        "paired": {"coded": {"accuracy": {"mean": gap, "half_width_95": half}}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").write_text(json.dumps(content | more))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    card(tmp_path / "student", 100, 0.9, -0.02, 0.03)
    card(tmp_path / "student" / "seed2", 100, 0.9, -0.04, 0.03)
    card(tmp_path / "student" / "fold1", 300, 0.92, -0.01, 0.02)
    card(tmp_path / "student" / "fold2", 100, 0.88, -0.03, 0.04)
    card(tmp_path / "student" / "partial-40", 100, 0.5, -0.4, 0.1)  # a trial counts nowhere
    return tmp_path / "student"


def test_folds_are_one_test_of_all_their_pictures(model: Path) -> None:
    rows = {row.code: row for row in code_losses([str(model)])}
    names = ["student", "student fold1", "student fold2", "student, all folds", "student seed2"]
    assert sorted(rows) == sorted(names)
    whole = rows["student, all folds"]
    assert whole.pictures == 400
    assert whole.direct == pytest.approx(0.75 * 0.92 + 0.25 * 0.88)
    assert whole.difference == pytest.approx(0.75 * -0.01 + 0.25 * -0.03)
    assert whole.half_width_95 == pytest.approx(math.hypot(300 * 0.02, 100 * 0.04) / 400)
    assert whole.payload_bytes == pytest.approx(0.75 * 1300 + 0.25 * 1100)


def test_pooled_scores_do_not_add_up_over_folds(tmp_path: Path) -> None:
    for fold in (1, 2):
        card(
            tmp_path / "m" / f"fold{fold}",
            50,
            0.9,
            0.0,
            0.0,
            pooled={"direct": {"own": {"value": 0.6}}, "coded": {"own": {"value": 0.5}}},
            paired={"coded": {"own": {"value": -0.1, "half_width_95": 0.02}}},
        )
    assert [row.code for row in code_losses([str(tmp_path / "m")])] == ["m fold1", "m fold2"]


def test_means_add_up_over_folds_whatever_they_are_called(tmp_path: Path) -> None:
    for fold in (1, 2):
        scores = {way: {"mapping": {"mean": 0.5}} for way in ("direct", "coded")}
        gaps = {"coded": {"mapping": {"mean": 0.0, "half_width_95": 0.0}}}
        card(tmp_path / "m" / f"fold{fold}", 50, 0.9, 0.0, 0.0, scores=scores, paired=gaps)
    last = code_losses([str(tmp_path / "m")])[-1]
    assert (last.code, last.half_width_95) == ("m, all folds", 0.0)


def test_the_command_prints_and_writes_them(model: Path, tmp_path: Path) -> None:
    said = ["cards", str(model), "--out", str(tmp_path / "out" / "losses.json")]
    result = CliRunner().invoke(app, said)
    assert result.exit_code == 0 and "all folds" in result.output
    rows = json.loads((tmp_path / "out" / "losses.json").read_text())["rows"]
    assert [Loss(**row) for row in rows] == list(code_losses([str(model)]))
    assert CliRunner().invoke(app, ["cards", str(model), "--way", "jscc"]).exit_code == 2


def test_what_is_missing_is_said(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no such score"):
        code_losses([str(model)], ["miou"])
    with pytest.raises(ScenarioError, match="no such scores") as caught:
        code_losses([str(model)], (), "direct")
    assert caught.value.path == "way"
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtefactError, match="no card yet"):
        code_losses([str(tmp_path / "empty")])
    old = card(tmp_path / "old", 4, 0.5, 0.0, 0.0)
    content = json.loads((old / "card.json").read_text())
    del content["paired"]
    (old / "card.json").write_text(json.dumps(content))
    with pytest.raises(ArtefactError, match="no section 'paired'"):
        code_losses([str(old)])
    card(old, 4, 0.5, 0.0, 0.0, scores={})
    with pytest.raises(ArtefactError, match="damaged card"):
        code_losses([str(old)])
    (old / "card.json").write_text("{")
    with pytest.raises(ArtefactError, match="damaged card"):
        code_losses([str(old)])
