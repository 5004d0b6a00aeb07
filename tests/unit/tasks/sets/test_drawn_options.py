"""Pairs of hues that training never shows; labels and noise of streets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.scenario.data import ShapesData, StreetsData, truth_of
from simsplit.scenario.load import load
from simsplit.tasks import streets
from simsplit.tasks.datasets import SPLITS, open_dataset
from simsplit.tasks.layout import TIMES, WEATHERS
from simsplit.tasks.sets import shapes
from simsplit.tasks.sets.streets import RANGES, label_of

HELD_OUT = ShapesData(kind="shapes", hold_out=0.3)
LABELLED = StreetsData(kind="streets", labels=("weather", "time", "vehicles", "persons", "signs"))


def pairs_of(split: str) -> set[tuple[int, int]]:
    data = open_dataset(HELD_OUT, split)
    factors = shapes.factors_of(data.indices(range(len(data))))  # type: ignore[attr-defined]
    return {(int(floor), int(wall)) for floor, wall in np.unique(factors[:, :2], axis=0)}


# --- shapes -------------------------------------------------------------------------------------


def test_training_shows_no_pair_that_is_held_out_and_the_rest_only_those() -> None:
    trained, validated, tested = (pairs_of(split) for split in SPLITS)
    assert len(trained) == 70 and len(tested) == 30
    assert validated == tested and not trained & tested
    assert {10 * floor + wall for floor, wall in tested} == shapes.held_out(0.3)


def test_every_hue_is_seen_in_training() -> None:
    """Only combinations are new, no hue."""
    floors, walls = zip(*pairs_of("train"), strict=True)
    assert set(floors) == set(walls) == set(range(10))


def test_the_splits_still_share_no_combination() -> None:
    lots = [shapes.indices_of(split, 0.3) for split in ("train", "validation", "test")]
    together = np.concatenate(lots)
    assert len(np.unique(together)) == len(together)
    for lot, split in zip(lots, ("train", "validation", "test"), strict=True):
        assert set(lot) <= set(shapes.indices_of(split, 0.0))  # type: ignore[arg-type]
        assert len(open_dataset(HELD_OUT, split)) == len(lot)


def test_a_larger_share_holds_out_the_same_pairs_and_more() -> None:
    assert not shapes.held_out(0.0)
    assert shapes.held_out(0.2) < shapes.held_out(0.3) and len(shapes.held_out(0.01)) == 1


def test_noise_goes_with_it_and_the_pictures_are_those_of_the_combination() -> None:
    noisy = ShapesData(kind="shapes", hold_out=0.3, noise=0.4)
    one, other = (open_dataset(spec, "test").arrays(range(3)) for spec in (HELD_OUT, noisy))
    np.testing.assert_array_equal(one["image"], other["clean"])
    np.testing.assert_array_equal(one["label_wall_hue"], other["label_wall_hue"])


def test_what_is_not_said_leaves_digests_as_they_were() -> None:
    plain = ShapesData(kind="shapes").model_dump(mode="json")
    assert plain == {"kind": "shapes", "path": None, "noise": 0.0}
    assert StreetsData(kind="streets").model_dump(mode="json") == {"kind": "streets"}
    assert HELD_OUT.model_dump(mode="json")["hold_out"] == 0.3
    assert open_dataset("shapes", "test").identity() == []
    assert open_dataset("streets", "test").identity() == []
    assert open_dataset(HELD_OUT, "test").identity() and open_dataset(LABELLED, "test").identity()


# --- streets ------------------------------------------------------------------------------------


def test_labels_are_what_the_scene_shows() -> None:
    data = open_dataset(LABELLED, "validation", height=32, width=64)
    arrays = data.arrays(range(12))
    for position in range(12):
        scene = streets.render(RANGES["validation"][position], height=32, width=64)
        seen = scene.attributes
        told = {name: int(arrays[f"label_{name}"][position]) for name in LABELLED.labels}
        assert told == {
            "weather": seen["weather"],
            "time": seen["time_of_day"],
            "vehicles": min(3, seen["vehicle_count"]),
            "persons": min(3, seen["person_count"]),
            "signs": min(3, seen["sign_count"]),
        }
        assert label_of(scene, "time") == seen["time_of_day"]
    assert data.heads["label_weather"] == WEATHERS and data.heads["label_time"] == TIMES
    assert data.heads["label_persons"] == ("0", "1", "2", "3 or more")
    assert arrays["label_time"].dtype == np.int64


def test_streets_say_their_truth_and_without_labels_have_none() -> None:
    assert truth_of(StreetsData(kind="streets", labels=("time",))) == (
        "segmentation", "disparity", "clean", "boxes", "box_labels", "label_time",
    )  # fmt: skip
    assert not any(key.startswith("label") for key in open_dataset("streets", "test").arrays([0]))


def test_noise_on_streets_leaves_the_clean_picture() -> None:
    noisy = open_dataset(StreetsData(kind="streets", noise=0.3), "test", height=32, width=64)
    arrays, plain = (
        noisy.arrays(range(8)),
        open_dataset("streets", "test", height=32, width=64).arrays(range(8)),
    )
    np.testing.assert_array_equal(arrays["clean"], plain["clean"])
    changed = (arrays["image"] != plain["image"]).any(axis=-1)
    assert abs(changed.mean() - 0.3) < 0.02  # of 16,384 pixels; standard deviation 0.0036
    assert set(np.unique(arrays["image"][changed])) == {0, 255}


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({"kind": "shapes", "hold_out": 1.0}, "task.dataset.hold_out: .*0.99"),
        ({"kind": "shapes", "hold_out": -0.1}, "task.dataset.hold_out: .*greater than or equal"),
        ({"kind": "shapes", "hold_out": 0.003}, "hold_out is 0, or 0.01"),
        ({"kind": "shapes", "holdout": 0.3}, "Did you mean 'hold_out'"),
        ({"kind": "streets", "labels": ["wether"]}, "Did you mean 'weather'"),
        ({"kind": "streets", "labels": ["time", "time"]}, "each label once"),
        ({"kind": "streets", "noise": 2}, "task.dataset.noise: .*less than or equal to 1"),
        ({"kind": "digits", "labels": ["time"]}, "unknown key"),
    ],
)
def test_mistakes_are_told_with_their_path(dataset: dict[str, Any], message: str) -> None:
    scenario = load("digits_smoke").model_dump(mode="json") | {"name": "bad"}
    scenario["task"] = {"dataset": dataset, "height_px": 64, "width_px": 64, "samples": 1}
    with pytest.raises(ScenarioError, match=message):
        load(scenario)
