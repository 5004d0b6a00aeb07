"""Splits: disjoint, whole, by the shares in every class, the same again, stable."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from simsplit.scenario.data import Shares
from simsplit.tasks.sets.contract import DataError, NoSplit
from simsplit.tasks.sets.splits import divided, folded, mixed, split_path, split_paths

NAMES = [f"{number:04d}.png" for number in range(400)]
CLASSES = [0] * 200 + [1] * 120 + [2] * 80


def test_every_sample_is_in_one_split() -> None:
    parts = divided(NAMES, CLASSES, Shares())
    assert sorted(sum(parts.values(), ())) == list(range(400))
    assert [len(part) for part in parts.values()] == [320, 40, 40]


def test_every_class_has_its_shares() -> None:
    parts = divided(NAMES, CLASSES, Shares(train=0.5, validation=0.25, test=0.25))
    counts = {split: Counter(CLASSES[p] for p in part) for split, part in parts.items()}
    assert counts["train"] == {0: 100, 1: 60, 2: 40}
    assert counts["validation"] == counts["test"] == {0: 50, 1: 30, 2: 20}


def test_small_classes_leave_no_split_empty() -> None:
    parts = divided(NAMES[:40], [n // 4 for n in range(40)], Shares())  # ten classes of four
    assert [len(part) for part in parts.values()] == [32, 4, 4]


def test_the_first_are_a_mixed_lot() -> None:
    test = divided(NAMES, CLASSES, Shares(train=0.2, validation=0.2, test=0.6))["test"]
    first = Counter(CLASSES[position] for position in test[:40])
    assert len(first) == 3 and max(first.values()) < 32


def test_the_seed_decides_and_nothing_else() -> None:
    assert divided(NAMES, CLASSES, Shares()) == divided(NAMES, CLASSES, Shares(seed=0))
    assert divided(NAMES, CLASSES, Shares()) != divided(NAMES, CLASSES, Shares(seed=1))


def test_an_order_outlives_a_new_picture() -> None:
    before = [NAMES[place] for place in mixed(NAMES, 3)]
    more = [*NAMES, "another.png"]
    after = [more[place] for place in mixed(more, 3)]
    assert [name for name in after if name != "another.png"] == before != NAMES


def test_folders_by_any_of_their_names(tmp_path: Path) -> None:
    for name in ("training", "val", "classes"):
        (tmp_path / name).mkdir()
    paths = split_paths(tmp_path)
    assert {split: path.name for split, path in paths.items()} == {
        "train": "training", "validation": "val",
    }  # fmt: skip
    with pytest.raises(NoSplit, match="there is no test split, only training, val"):
        split_path(tmp_path, paths, "test")
    (tmp_path / "validation").mkdir()
    with pytest.raises(DataError, match="both validation and val are there"):
        split_paths(tmp_path)


def test_the_folds_are_all_samples_once_and_even_in_every_class() -> None:
    parts = [folded(NAMES, CLASSES, 5, fold) for fold in (1, 2, 3, 4, 5)]
    assert sorted(sum((part["test"] for part in parts), ())) == list(range(400))
    for part in parts:
        assert sorted(sum(part.values(), ())) == list(range(400))
        assert Counter(CLASSES[p] for p in part["test"]) == {0: 40, 1: 24, 2: 16}
        assert Counter(CLASSES[p] for p in part["validation"]) == {0: 16, 1: 10, 2: 6}


def test_folds_of_an_uneven_lot_differ_by_one() -> None:
    sizes = [len(folded(NAMES[:38], CLASSES[:38], 5, fold)["test"]) for fold in range(1, 6)]
    assert sorted(sizes) == [7, 7, 8, 8, 8]


def test_a_fold_s_seed_and_validation_share() -> None:
    assert folded(NAMES, CLASSES, 5, 1) == folded(NAMES, CLASSES, 5, 1, 0.1, 0)
    assert folded(NAMES, CLASSES, 5, 1)["test"] != folded(NAMES, CLASSES, 5, 1, seed=1)["test"]
    wide = folded(NAMES, CLASSES, 5, 1, validation=0.25)
    assert [len(part) for part in wide.values()] == [240, 80, 80]
    assert folded(NAMES, CLASSES, 5, 1, validation=0.0)["validation"] == ()
