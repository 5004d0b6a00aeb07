"""Making the BLER table: which curves, adaptive counting, resuming, a card that can be checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.phy import waterfalls
from simsplit.phy.calibrate import all_jobs, calibrate, graphs
from simsplit.phy.calibration_curve import (
    Job,
    count,
    fit_bent,
    fit_waterfall,
    fitted,
    is_waterfall,
    locate,
    wilson_interval,
)
from simsplit.phy.link import BlerTable
from simsplit.phy.mcs import MCS_TABLES, mcs
from simsplit.phy.sizes import base_graph_of

pytestmark = pytest.mark.filterwarnings("ignore")
RECIPE: dict[str, Any] = {
    "kind": "bler_table",
    "seed": 4,
    "tables": [],
    "more_rates_x1024": {4: [378, 658], 6: [972.8]},
    "sizes_bits": [40, 160],
    "later_sizes_bits": [160],
    "attempts": 2,
    "later_rates_from_x1024": 0,
    "errors_per_point": 8,
    "blocks_per_point": 24,
    "large_bits": 160,
    "large_share": 0.5,
    "later_share": 1.0,
    "tail": {
        "error_rates": [0.05],
        "errors": 20,
        "large_errors": 10,
        "large_bits": 100,
        "curves": ["4/658/2/1/40"],
    },
    "skew": {"mean": 0.2, "spread": 0.15},
}


def test_a_stopped_run_gives_the_same_table(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise Stopped

    whole = calibrate(RECIPE, tmp_path / "whole")
    with pytest.raises(Stopped):
        calibrate(RECIPE, tmp_path / "parts", stop)
    kept = (tmp_path / "parts" / "partial.jsonl").read_text()
    (tmp_path / "parts" / "partial.jsonl").write_text(kept + '{"key": "torn')
    seen: list[tuple[int, int]] = []
    parts = calibrate(RECIPE, tmp_path / "parts", lambda *count: seen.append(count))
    assert_same_tables(whole, parts)
    assert seen == [*((done, 9) for done in range(3, 10)), (1, 1)]
    assert not list((tmp_path / "parts").glob("*.jsonl"))


def assert_same_tables(first_path: Path, second_path: Path) -> None:
    with np.load(first_path) as first, np.load(second_path) as second:
        assert set(first) == set(second)
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_a_finished_table_is_extended(tmp_path: Path) -> None:
    """Further sizes cost only themselves, and the table is the one made at once."""
    small = RECIPE | {"sizes_bits": [40], "attempts": 1, "tail": RECIPE["tail"] | {"curves": []}}
    large = small | {"sizes_bits": [40, 56]}
    seen: list[tuple[int, int]] = []
    calibrate(small, tmp_path / "grown")
    grown = calibrate(large, tmp_path / "grown", lambda *count: seen.append(count))
    assert seen == [(4, 6), (5, 6), (6, 6)]
    assert_same_tables(grown, calibrate(large, tmp_path / "at_once"))
    other = large | {"seed": 5}
    calibrate(other, tmp_path / "grown", lambda *count: seen.append(count))
    assert len(seen) == 9


def test_a_finished_table_is_extended_by_tails(tmp_path: Path) -> None:
    """A tail costs only itself; counted once, it stays while the rule is the same."""
    small = RECIPE | {"sizes_bits": [40], "attempts": 1}
    without = small | {"tail": RECIPE["tail"] | {"curves": []}}
    calibrate(without, tmp_path / "grown")
    seen: list[tuple[int, int]] = []
    grown = calibrate(small, tmp_path / "grown", lambda *count: seen.append(count))
    assert seen == [(1, 1)]
    with np.load(grown) as stored:
        rate = stored["rate_x1024"].tolist().index(658)
        assert stored["tail_errors"][rate] >= 20
        assert stored["tail_errors"].sum() == stored["tail_errors"][rate]
    assert_same_tables(grown, calibrate(small, tmp_path / "at_once"))
    calibrate(small, tmp_path / "grown", lambda *count: seen.append(count))
    assert seen == [(1, 1)]
    with pytest.raises(ScenarioError, match="no such curve"):
        wrong = {"curves": ["4/658/2/1/41"]}
        calibrate(small | {"tail": RECIPE["tail"] | wrong}, tmp_path / "grown")


@pytest.mark.parametrize("skew", [-0.4, 0.0, 0.35])
def test_a_bent_waterfall_is_found_again(skew: float) -> None:
    rng = np.random.default_rng(3)
    snr_db = np.arange(2.0, 5.0, 0.1)
    blocks = np.full(len(snr_db), 20_000)
    errors = rng.binomial(blocks, fitted(snr_db, 3.0, 0.4, skew))
    mu_db, sigma_db, found = fit_bent(snr_db, blocks, errors, (0.2, 0.5), (3.1, 0.5))
    assert (mu_db, sigma_db) == pytest.approx((3.0, 0.4), abs=0.01)
    assert found == pytest.approx(skew, abs=0.05)


def test_another_prior_fits_the_counts_anew_and_counts_nothing(tmp_path: Path) -> None:
    small = RECIPE | {"sizes_bits": [40], "attempts": 1}
    calibrate(small, tmp_path / "table")
    seen: list[tuple[int, int]] = []
    other = small | {"skew": {"mean": -0.3, "spread": 0.05}}
    grown = calibrate(other, tmp_path / "table", lambda *count: seen.append(count))
    assert seen == []
    assert_same_tables(grown, calibrate(other, tmp_path / "at_once"))
    with np.load(grown) as stored:
        assert stored["skew"] == pytest.approx(-0.3, abs=0.1)


def test_a_table_of_another_card_is_refused(tmp_path: Path) -> None:
    small = RECIPE | {"sizes_bits": [40], "attempts": 1}
    path = calibrate(small, tmp_path)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ArtefactError, match="card"):
        calibrate(small, tmp_path)


@pytest.mark.slow
def test_two_workers_give_the_same_table(tmp_path: Path) -> None:
    assert_same_tables(
        calibrate(RECIPE, tmp_path / "one"), calibrate(RECIPE, tmp_path / "two", workers=2)
    )


def test_the_card_can_be_checked(tmp_path: Path) -> None:
    path = calibrate(RECIPE, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["table_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card["recipe"]["sizes_bits"] == [40, 160]
    with np.load(path) as stored:
        assert card["n_curves"] == len(stored["mu_db"])
        assert card["blocks"] == stored["point_blocks"].sum()
        assert card["errors"] == stored["point_errors"].sum()
        rates = stored["point_errors"] / stored["point_blocks"]
        assert (stored["point_wilson_low"] <= rates + 1e-6).all()
        assert (rates <= stored["point_wilson_high"] + 1e-6).all()
        assert set(stored["point_curve"]) == set(range(card["n_curves"]))
    table = BlerTable.load(path)
    low, high = table.bler(mcs(11), 100, 15.0), table.bler(mcs(11), 100, 0.0)
    assert low < 0.01 < 0.99 < high
    assert table.fit(mcs(11), 160, 2)[0] < table.fit(mcs(11), 160)[0] - 3.0


def test_curves_without_a_waterfall_are_named_and_left_out(tmp_path: Path) -> None:
    """The smallest block hardly falls at a rate of 0.95: two lifted columns are never sent."""
    recipe = RECIPE | {"more_rates_x1024": {2: [972.8]}, "sizes_bits": [56, 160], "attempts": 1}
    recipe |= {"tail": RECIPE["tail"] | {"curves": []}}
    path = calibrate(recipe, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert [row["code_block_bits"] for row in card["left_out_because_no_waterfall"]] == [56]
    with np.load(path) as stored:
        assert stored["code_block_bits"].tolist() == [160]
    row = {"code_block_bits": 100, "mu_error_db": 0.05, "sigma_db": 1.0}
    assert is_waterfall(row)
    assert not is_waterfall(row | {"mu_error_db": float("inf")})
    assert not is_waterfall(row | {"sigma_db": 4.0})


@pytest.mark.parametrize(
    "change",
    [{"tables": [4]}, {"blocks": 3}, {"kind": "digits"}, {"mcs": [3]}, {"skew": {"short": 0.1}}],
)
def test_bad_recipes(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ScenarioError):
        calibrate(RECIPE | change, tmp_path)
    with pytest.raises(ScenarioError):
        calibrate({k: v for k, v in RECIPE.items() if k != "seed"}, tmp_path)


def test_every_mcs_is_calibrated_with_every_graph_it_uses() -> None:
    recipe = RECIPE | {
        "tables": [1, 2, 3],
        "sizes_bits": [40, 304, 320, 3840, 3864, 8448],
        "later_sizes_bits": [40, 320, 3840, 3864, 8448],
        "attempts": 4,
    }
    jobs = {
        (j.bits_per_symbol, j.rate_x1024, j.base_graph, j.attempt, j.code_block_bits)
        for j in all_jobs(recipe)
    }
    for scheme in (m for table in MCS_TABLES.values() for m in table):
        for attempt in (1, 4):
            for bits in (40, 320, 3840, 3864, 8448):
                if bits <= 3840 or scheme.code_rate > 0.25:
                    rate = waterfalls.rate_key(scheme.code_rate)
                    graph = base_graph_of(bits, scheme.code_rate)
                    assert (scheme.bits_per_symbol, rate, graph, attempt, bits) in jobs

    beside = {(6, 666.0, 1, 1, 320), (6, 719.0, 2, 1, 320), (2, 251.0, 1, 1, 3864)}
    assert beside <= jobs  # the other side of a change of base graph


def test_later_attempts_are_left_out_at_low_rates() -> None:
    recipe = RECIPE | {"more_rates_x1024": {2: [120, 193]}, "later_rates_from_x1024": 150}
    jobs = [(j.rate_x1024, j.attempt, j.code_block_bits) for j in all_jobs(recipe)]
    assert jobs == [(120, 1, 40), (120, 1, 160), (193, 1, 40), (193, 1, 160), (193, 2, 160)]


def test_neighbours_bring_their_graph() -> None:
    assert graphs(320, [616, 666, 719]) == [1, 2]
    assert graphs(320, [517, 567, 616]) == [2]
    assert graphs(304, [616, 666, 719]) == [2]
    assert graphs(3864, [193, 251, 308]) == [1]
    assert graphs(3864, [157, 193, 251]) == []


def test_a_job_has_whole_symbols_within_the_legal_rate() -> None:
    for bits in (40, 56, 304, 8448):
        job = Job(6, 948.0, 2, 1, bits)
        assert job.coded_bits % 6 == 0
        assert bits <= 0.95 * job.coded_bits
    assert Job(2, 120.0, 2, 1, 40).coded_bits == 206  # 24 / (120 / 1024) = 204.8
    assert Job(2, 120.0, 2, 1, 40).name != Job(2, 120.0, 2, 2, 40).name


def made_up(mu_db: float, sigma_db: float, rng: np.random.Generator) -> Any:
    """A channel with a known waterfall that remembers what was sent."""

    def send(snr_db: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(rng.random(len(snr_db)) < stats.norm.sf((snr_db - mu_db) / sigma_db))

    return send


@pytest.mark.parametrize(("mu_db", "sigma_db"), [(3.0, 1.4), (3.0, 0.3), (3.0, 0.08)])
def test_counting_covers_the_waterfall_and_stops(mu_db: float, sigma_db: float) -> None:
    rng = np.random.default_rng(7)
    send = made_up(mu_db, sigma_db, rng)
    centre_db, width_db = locate(send, mu_db - 1.5, 1.3 * sigma_db, rng)
    points = np.array(count(send, centre_db, width_db, 24, 96))
    snr_db, blocks, errors = points.T
    step_db = np.diff(snr_db)
    assert step_db.max() - step_db.min() < 1e-9
    assert step_db.max() <= min(0.25, 0.5 * width_db) + 1e-9
    assert errors[-1] == 0 or (errors / blocks)[-3:].max() < 0.1
    assert (errors / blocks)[:3].max() > 0.9
    assert blocks.max() <= 96
    inner = abs(snr_db - mu_db) < sigma_db
    assert ((errors[inner] >= 24) | (blocks[inner] == 96) | (errors == blocks)[inner]).all()
    mu, sigma, mu_error, sigma_error = fit_waterfall(snr_db, blocks, errors)
    assert mu == pytest.approx(mu_db, abs=3 * mu_error)
    assert sigma == pytest.approx(sigma_db, abs=3 * sigma_error)


@pytest.mark.parametrize("offset_db", [-1.5, 1.5])
def test_a_grid_beside_the_waterfall_is_widened(offset_db: float) -> None:
    """Five widths off: the far end of the first grid sees one side of the waterfall alone."""
    points = np.array(
        count(made_up(3.0, 0.3, np.random.default_rng(7)), 3.0 + offset_db, 0.3, 24, 96)
    )
    snr_db, blocks, errors = points.T
    assert snr_db[0] < 2.6 and errors[0] > 0.8 * blocks[0]
    assert snr_db[-1] > 3.4 and errors[-1] < 0.1 * blocks[-1]


def test_a_point_stops_once_it_has_errors_enough() -> None:
    points = np.array(count(made_up(3.0, 0.5, np.random.default_rng(8)), 3.0, 0.5, 24, 960))
    snr_db, blocks, errors = points.T
    even = abs(snr_db - 3.0) < 0.3
    assert (errors[even] >= 24).all()
    assert (blocks[even] <= 144).all()
    assert blocks.max() == 960


def test_a_channel_that_never_passes_is_given_up() -> None:
    points = count(lambda snr_db: np.ones(len(snr_db), dtype=bool), 0.0, 0.5, 8, 24)
    assert len(points) < 120
    assert all(blocks == errors for _, blocks, errors in points)


def test_wilson_interval_by_hand() -> None:
    low, high = wilson_interval(10, 100)
    assert (low, high) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)
