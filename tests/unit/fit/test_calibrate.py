"""Making the BLER table: legal sizes, resuming, and a card that can be checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simsplit.errors import ScenarioError
from simsplit.fit.calibrate import calibrate, is_waterfall, legal_sizes, wilson_interval
from simsplit.phy import link

pytestmark = pytest.mark.filterwarnings("ignore")
RECIPE: dict[str, Any] = {
    "kind": "bler_table",
    "seed": 4,
    "mcs": [11, 20],
    "sizes_bits": [40, 160],
    "blocks_per_curve": 120,
    "large_bits": 3840,
    "blocks_large": 60,
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


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
    with np.load(whole) as first, np.load(parts) as second:
        assert set(first) == set(second)
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])
        assert first["bin_blocks"].sum() == first["blocks"].sum()
        assert first["bin_errors"].sum() == first["errors"].sum()
    assert seen[-1] == (4, 4)
    assert sorted(p.name for p in parts.parent.iterdir()) == ["card.json", "table.npz"]


def test_card_names_table_and_table_opens(tmp_path: Path) -> None:
    path = calibrate(RECIPE | {"mcs": [11]}, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["table_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card["blocks"] == 240
    table = link.BlerTable.load(path)
    low, high = table.bler(11, 100, 15.0), table.bler(11, 100, 0.0)
    assert low < 0.01 < 0.99 < high


@pytest.mark.parametrize("change", [{"mcs": [4]}, {"mcs": [0]}, {"blocks": 3}, {"kind": "digits"}])
def test_bad_recipes(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ScenarioError):
        calibrate(RECIPE | change, tmp_path)


def test_legal_sizes_keep_the_standards_limits() -> None:
    sizes = [40, 88, 3840, 3864, 8448]
    assert legal_sizes(link.mcs(3), sizes) == [40, 88, 3840]
    assert legal_sizes(link.mcs(12), sizes) == sizes
    smallest, *rest = legal_sizes(link.mcs(28), sizes)
    assert rest == [3840, 3864, 8448]
    assert smallest / link.nominal_coded_bits(link.mcs(28), smallest) <= 0.95


def test_wilson_interval_by_hand() -> None:
    low, high = wilson_interval(10, 100)
    assert (low, high) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_curves_without_a_waterfall_are_named_and_left_out(tmp_path: Path) -> None:
    """MCS 25 at its smallest legal block shows no fall within the SNRs tried."""
    path = calibrate(RECIPE | {"mcs": [25]}, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert [row["code_block_bits"] for row in card["left_out_because_no_waterfall"]] == [96]
    with np.load(path) as stored:
        assert stored["code_block_bits"].tolist() == [160]
        assert stored["bin_curve"].max() == 0
    assert is_waterfall({"code_block_bits": 100, "mu_error_db": 0.05, "sigma_db": 1.0})
