"""Ways over time: speeds, bounds, reproducibility, length of the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from simsplit.errors import ScenarioError
from simsplit.seeds import generator
from simsplit.sim.radio.mobility import Path, RandomWaypoint, Recorded, Static, StraightLine

TRACK = ([1.0, 2.0, 4.0], [0.0, 3.0, 3.0], [0.0, 4.0, 10.0])


def walk(
    *seed: int, inner_m: float = 20.0, outer_m: float = 100.0, pause_s: float = 2.0
) -> RandomWaypoint:
    return RandomWaypoint((60.0, 0.0), inner_m, outer_m, 1.0, 3.0, pause_s, generator(*seed))


def line(heading_rad: float = 0.3, speed_mps: float = 7.0) -> StraightLine:
    return StraightLine((30.0, -40.0), heading_rad, speed_mps, 100.0)


PATHS: dict[str, Callable[[], Path]] = {
    "static": lambda: Static(3.0, 4.0),
    "walk": lambda: walk(1),
    "stroll": lambda: walk(2, pause_s=0.0),
    "line": line,
    "track": lambda: Recorded(*TRACK),
}


LEGGED = ("walk", "stroll", "line")


def places(path: Path, times_s: Sequence[float]) -> np.ndarray:
    return np.array([path.at(time_s) for time_s in times_s])


def test_static_stays() -> None:
    path = Static(3.0, 4.0)
    assert path.at(0.0) == path.at(1e6) == (3.0, 4.0)
    assert path.travelled_m(1e6) == 0.0


@pytest.mark.parametrize("name", PATHS)
def test_way_travelled_is_the_integral_of_speed(name: str) -> None:
    path, step_s = PATHS[name](), 0.002
    times_s = np.arange(0.0, 200.0, step_s)
    steps_m = np.linalg.norm(np.diff(places(path, times_s.tolist()), axis=0), axis=1)
    travelled_m = [path.travelled_m(time_s) for time_s in times_s.tolist()]
    # a step across a corner is shorter than the way around it
    assert np.abs(travelled_m[1:] - np.cumsum(steps_m)).max() < 0.3
    assert np.all(steps_m <= np.diff(travelled_m) + 1e-9)
    assert np.median(np.abs(np.diff(travelled_m) - steps_m)) < 1e-9


@pytest.mark.parametrize("name", PATHS)
def test_way_travelled_never_shrinks(name: str) -> None:
    """Not by a rounding either: shadowing refuses to go back."""
    path = PATHS[name]()
    corners_s = [start_s for start_s, _ in path.legs(500.0)] if name in LEGGED else TRACK[0]
    assert len(corners_s) > 2
    near = {t for c in corners_s for t in (math.nextafter(c, 0.0), c, math.nextafter(c, 1e9))}
    random = generator(4).uniform(0.0, 500.0, 5000).tolist()
    times_s = sorted(near | set(random))
    travelled_m = [path.travelled_m(time_s) for time_s in times_s]
    assert travelled_m == sorted(travelled_m)
    assert min(travelled_m) >= 0.0


def test_an_end_of_a_leg_is_the_next_ones_start() -> None:
    """Asked for exactly there, before and after later legs are known."""
    path = line()
    starts_s = [start_s for start_s, _ in line().legs(10_000.0)]
    assert len(starts_s) > 300
    for end_s in starts_s[1:301]:
        before = path.travelled_m(math.nextafter(end_s, 0.0))
        reached = path.travelled_m(end_s), path.at(end_s)
        path.at(end_s + 100.0)
        assert before <= reached[0]
        assert (path.travelled_m(end_s), path.at(end_s)) == reached


@pytest.mark.parametrize("name", PATHS)
def test_any_order_of_times(name: str) -> None:
    times_s = generator(5).uniform(0.0, 300.0, 200).tolist()
    forward, other = PATHS[name](), PATHS[name]()
    rising = {
        time_s: (forward.at(time_s), forward.travelled_m(time_s)) for time_s in sorted(times_s)
    }
    assert all((other.at(t), other.travelled_m(t)) == rising[t] for t in times_s)


def test_another_seed_walks_elsewhere() -> None:
    assert walk(1).at(100.0) == walk(1).at(100.0) != walk(2).at(100.0)


def test_walk_speeds_and_pauses() -> None:
    path = walk(3)
    legs = [leg for _, leg in path.legs(5000.0)]
    assert len(legs) > 50
    assert (path.at(0.0), legs[0].x_m) == ((60.0, 0.0), 60.0)
    for number, leg in enumerate(legs):
        speed_mps = math.hypot(leg.velocity_x_mps, leg.velocity_y_mps)
        if number % 2:
            assert (speed_mps, leg.duration_s) == (0.0, 2.0)
        else:
            assert 1.0 <= speed_mps <= 3.0 + 1e-12
    mid_s = 0.5 * legs[0].duration_s
    seen = places(path, [mid_s, mid_s + 1e-3])
    found_mps = np.linalg.norm(seen[1] - seen[0]) / 1e-3
    assert found_mps == pytest.approx(math.hypot(*legs[0][2:4]), rel=1e-6)


def test_walk_without_pauses() -> None:
    path = walk(3, pause_s=0.0)
    legs = [leg for _, leg in path.legs(2000.0)]
    assert len(legs) > 20
    assert all(math.hypot(leg.velocity_x_mps, leg.velocity_y_mps) > 0.0 for leg in legs)


@pytest.mark.parametrize(("inner_m", "outer_m"), [(0.0, 100.0), (20.0, 100.0), (59.5, 60.5)])
def test_walk_keeps_to_its_ring(inner_m: float, outer_m: float) -> None:
    path = walk(6, inner_m=inner_m, outer_m=outer_m)
    radii_m = np.linalg.norm(places(path, np.arange(0.0, 3000.0, 0.1).tolist()), axis=1)
    assert inner_m - 1e-6 <= radii_m.min()
    assert radii_m.max() <= outer_m + 1e-6


def test_waypoints_are_uniform_over_the_area() -> None:
    """Without an inner circle nothing hides: the squared radius is uniform (statistical, 1 %)."""
    path = walk(7, inner_m=0.0, pause_s=0.0)
    legs = [leg for _, leg in path.legs(250_000.0)][:3000]
    assert len(legs) == 3000
    x_m, y_m = np.array([leg[:2] for leg in legs[1:]]).T
    assert stats.kstest((x_m**2 + y_m**2) / 100.0**2, "uniform").pvalue > 0.01
    assert stats.kstest(np.arctan2(y_m, x_m) / (2 * math.pi) + 0.5, "uniform").pvalue > 0.01


def test_start_on_the_rim() -> None:
    for angle in np.linspace(0.0, 6.0, 50).tolist():
        start = (20.0 * math.cos(angle), 20.0 * math.sin(angle))
        path = RandomWaypoint(start, 20.0, 100.0, 1.0, 1.0, 0.0, generator(8))
        assert path.travelled_m(50.0) == pytest.approx(50.0)


def test_line_goes_straight_and_turns_at_the_circle() -> None:
    path = StraightLine((0.0, 0.0), 0.0, 10.0, 100.0)
    assert path.at(4.0) == pytest.approx((40.0, 0.0))
    assert path.at(15.0) == pytest.approx((50.0, 0.0))
    assert path.at(35.0) == pytest.approx((-50.0, 0.0))
    assert path.travelled_m(35.0) == pytest.approx(350.0)


def test_line_reflects_like_light() -> None:
    """45 degrees from (0, -R): a square with its corners on the circle."""
    path = StraightLine((0.0, -100.0), math.pi / 4, 1.0, 100.0)
    side_s = 100.0 * math.sqrt(2.0)
    corners = [(100.0, 0.0), (0.0, 100.0), (-100.0, 0.0), (0.0, -100.0)]
    for number, corner in enumerate(corners, 1):
        assert path.at(number * side_s) == pytest.approx(corner, abs=1e-6)


def test_line_stays_within_at_constant_speed() -> None:
    path = line()
    times_s = np.arange(0.0, 2000.0, 0.25).tolist()
    assert np.linalg.norm(places(path, times_s), axis=1).max() <= 100.0 + 1e-6
    assert [path.travelled_m(t) for t in times_s] == pytest.approx([7.0 * t for t in times_s])


def test_line_from_the_circle_outwards_turns_at_once() -> None:
    path = StraightLine((100.0, 0.0), 0.0, 10.0, 100.0)
    assert path.at(0.0) == (100.0, 0.0)
    assert path.at(1.0) == pytest.approx((90.0, 0.0))


def test_line_without_speed_stands() -> None:
    path = line(speed_mps=0.0)
    assert path.at(0.0) == path.at(1e5) == (30.0, -40.0)
    assert path.travelled_m(1e5) == 0.0


def test_track_is_followed() -> None:
    path = Recorded(*TRACK)
    assert path.at(0.0) == path.at(1.0) == (0.0, 0.0)
    assert path.at(1.5) == (1.5, 2.0)
    assert path.at(3.0) == (3.0, 7.0)
    assert path.at(4.0) == path.at(99.0) == (3.0, 10.0)
    assert [path.travelled_m(t) for t in (0.0, 1.5, 2.0, 3.0, 99.0)] == [0.0, 2.5, 5.0, 8.0, 11.0]


def test_track_of_one_point() -> None:
    assert Recorded([5.0], [1.0], [2.0]).at(0.0) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: walk(1, inner_m=100.0), "area"),
        (lambda: walk(1, inner_m=70.0), "start"),
        (lambda: walk(1, pause_s=-1.0), "pause_s"),
        (lambda: RandomWaypoint((5, 0), 0, 9, 0.0, 1.0, 0, generator(1)), "decay"),
        (lambda: RandomWaypoint((5, 0), 0, 9, 2.0, 1.0, 0, generator(1)), "min <= max"),
        (lambda: StraightLine((9.1, 0), 0.0, 1.0, 9.0), "start"),
        (lambda: StraightLine((9, 0), math.pi / 2, 1.0, 9.0), "along the outer circle"),
        (lambda: StraightLine((0, 0), 0.0, -1.0, 9.0), "speed_mps"),
        (lambda: StraightLine((0, 0), 0.0, 1.0, 0.0), "radius"),
        (lambda: Recorded([], [], []), "at least one"),
        (lambda: Recorded([0, 1], [0, 1], [0]), "as many"),
        (lambda: Recorded([0, 0], [0, 1], [0, 1]), "rise"),
        (lambda: Recorded([0, math.nan], [0, 1], [0, 1]), "finite"),
        (lambda: walk(1).at(-1.0), "time 0"),
        (lambda: walk(1).travelled_m(math.inf), "time 0"),
    ],
)
def test_impossible_ways(make: Callable[[], object], word: str) -> None:
    with pytest.raises(ScenarioError, match=word):
        make()
