"""Street scenes: the same bytes each time, true geometry, labels that fit the picture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from simsplit.tasks import streets
from simsplit.tasks.canvas import CLASSES
from simsplit.tasks.layout import draw_layout
from simsplit.tasks.streets import Scene

HEIGHT, WIDTH = 64, 128
BOXED = [CLASSES.index(name) for name in ("vehicle", "person", "pole_sign")]


@lru_cache(maxsize=1)
def scenes() -> tuple[Scene, ...]:
    return tuple(streets.render(i, height=HEIGHT, width=WIDTH) for i in range(64))


def test_shapes_and_types() -> None:
    drawn = scenes()[0]
    assert drawn.image.shape == drawn.clean.shape == (HEIGHT, WIDTH, 3)
    assert drawn.segmentation.shape == drawn.disparity.shape == (HEIGHT, WIDTH)
    assert {drawn.image.dtype, drawn.clean.dtype, drawn.segmentation.dtype} == {np.dtype("uint8")}
    assert drawn.disparity.dtype == drawn.boxes.dtype == np.float32
    assert streets.PALETTE.shape == (len(CLASSES), 3)


def test_same_arguments_give_the_same_bytes() -> None:
    for index in (0, 5, 1_000_003):
        first, again = (streets.render(index, height=HEIGHT, width=WIDTH) for _ in range(2))
        for name in ("image", "clean", "segmentation", "disparity", "boxes"):
            assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
        assert first.attributes == again.attributes


def test_index_and_seed_both_matter() -> None:
    pictures = {
        streets.render(index, height=HEIGHT, width=WIDTH, seed=seed).image.tobytes()
        for index, seed in ((0, 0), (1, 0), (0, 1), (1, 1))
    }
    assert len(pictures) == 4


@pytest.mark.parametrize("index", range(12))
def test_both_sizes_show_the_same_street(index: int) -> None:
    small = scenes()[index]
    large = streets.render(index, height=2 * HEIGHT, width=2 * WIDTH)
    corners = [large.segmentation[i::2, j::2] == small.segmentation for i in (0, 1) for j in (0, 1)]
    assert np.mean(np.any(corners, axis=0)) > 0.95
    other = scenes()[index + 12].segmentation  # the check must tell streets apart
    assert np.mean(other == small.segmentation) < 0.95
    halved = large.clean.reshape(HEIGHT, 2, WIDTH, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - small.clean).mean() < 12
    for name in ("weather", "time_of_day"):
        assert large.attributes[name] == small.attributes[name]


@pytest.mark.parametrize("size", [(64, 128), (128, 256)])
def test_ground_disparity_follows_the_pinhole(size: tuple[int, int]) -> None:
    height, width = size
    for index in range(6):
        drawn = streets.render(index, height=height, width=width)
        layout = draw_layout(np.random.default_rng((0, index, 0)))
        below_px = np.arange(height) + 0.5 - layout.horizon * height
        rows, columns = np.nonzero(drawn.segmentation == CLASSES.index("road"))
        distance_m = width * 1.5 / below_px[rows]  # Z = f h / (y - horizon)
        expected = width * 0.5 / distance_m  # f b / Z
        assert len(rows) > 0
        np.testing.assert_allclose(drawn.disparity[rows, columns], expected, rtol=2e-4)


def test_disparity_is_finite_and_sky_is_at_infinity() -> None:
    for drawn in scenes():
        assert np.isfinite(drawn.disparity).all() and (drawn.disparity >= 0).all()
        sky = drawn.segmentation == CLASSES.index("sky")
        assert (drawn.disparity[sky] == 0).all()
        assert (drawn.disparity[~sky] > 0).all()


def test_boxes_lie_in_the_picture_and_touch_their_class_on_every_side() -> None:
    total = 0
    for drawn in scenes():
        for x0, y0, x1, y1, label in drawn.boxes.astype(int).tolist():
            assert 0 <= x0 < x1 <= WIDTH and 0 <= y0 < y1 <= HEIGHT
            inside = drawn.segmentation[y0:y1, x0:x1] == BOXED[label]
            assert inside[0].any() and inside[-1].any()
            assert inside[:, 0].any() and inside[:, -1].any()
            total += 1
    assert total > 64


def test_nearly_all_pixels_of_boxed_classes_have_a_box() -> None:
    boxed = covered = 0
    for drawn in scenes():
        cover = np.zeros((HEIGHT, WIDTH), bool)
        for x0, y0, x1, y1, label in drawn.boxes.astype(int).tolist():
            cover[y0:y1, x0:x1] |= drawn.segmentation[y0:y1, x0:x1] == BOXED[label]
        boxed += int(np.isin(drawn.segmentation, BOXED).sum())
        covered += int(cover.sum())
    assert covered / boxed > 0.95


def test_every_class_weather_and_time_appears() -> None:
    counts = np.bincount(np.concatenate([s.segmentation.ravel() for s in scenes()]), minlength=8)
    assert (counts / counts.sum() > 0.003).all()
    assert {s.attributes["weather"] for s in scenes()} == {0, 1, 2, 3}
    assert {s.attributes["time_of_day"] for s in scenes()} == {0, 1, 2}


def test_attributes_count_the_boxes() -> None:
    for drawn in scenes()[:8]:
        labels = drawn.boxes[:, 4].tolist()
        assert drawn.attributes["vehicle_count"] == labels.count(0)
        assert drawn.attributes["person_count"] == labels.count(1)
        assert drawn.attributes["sign_count"] == labels.count(2)


def test_the_nearest_vehicle_is_as_far_as_its_disparity_says() -> None:
    seen = []
    for drawn in scenes():
        disparity = drawn.disparity[drawn.segmentation == CLASSES.index("vehicle")]
        nearest_m = WIDTH * 0.5 / disparity.max(initial=1e-6)  # focal length W, base half a metre
        assert drawn.attributes["nearest_vehicle"] == int(nearest_m >= 8) + int(nearest_m >= 11)
        seen.append(drawn.attributes["nearest_vehicle"])
    assert min(np.bincount(seen)) > 8


def test_the_road_is_as_wide_as_its_pixels_say() -> None:
    """Three quarters down the picture, where the ground is some 9 m ahead: wider roads, more px."""
    widths: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for drawn in scenes():
        ground = np.isin(drawn.segmentation, [CLASSES.index("road"), CLASSES.index("vehicle")])
        widths[drawn.attributes["road_width"]].append(int(ground[HEIGHT * 3 // 4].sum()))
    means = [np.mean(widths[size]) for size in range(3)]
    assert min(map(len, widths.values())) > 10
    assert means[0] < means[1] < means[2]


def test_clean_is_the_picture_without_noise() -> None:
    for drawn in scenes()[:16]:
        error = drawn.image.astype(float) - drawn.clean
        assert 0.5 < np.sqrt(np.mean(error**2)) < 25


def test_noise_is_drawn_apart_from_the_layout() -> None:
    layouts = [draw_layout(np.random.default_rng((0, 3, 0))) for _ in range(2)]
    assert layouts[0].things == layouts[1].things and layouts[0].things


@pytest.mark.parametrize(("index", "height"), [(-1, 64), (0, 8)])
def test_impossible_arguments_are_refused(index: int, height: int) -> None:
    with pytest.raises(ValueError, match="no scene"):
        streets.render(index, height=height, width=128)
