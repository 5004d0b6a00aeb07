"""MCS, transport block size, segmentation and table look-up."""

from __future__ import annotations

import math
import subprocess
import sys
import timeit
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit.errors import ArtefactError, OutOfTable, ScenarioError
from simsplit.phy import link

MCS_16 = link.mcs(16)


def make_table() -> link.BlerTable:
    """A made-up table: mu rises with index and size, sigma falls as 1 over sqrt(K)."""
    curves: dict[tuple[int, int], link.Curve] = {}
    for scheme in link.SUPPORTED_MCS:
        for graph in (1, 2):
            sizes = (40.0, 100.0, 1024.0, 8448.0)
            curves[scheme.index, graph] = link.Curve(
                tuple(math.log2(k) for k in sizes),
                tuple(scheme.index - 1.0 + math.log10(k / 40.0) / 3 for k in sizes),
                tuple(10.0 / math.sqrt(k) for k in sizes),
            )
    return link.BlerTable(curves)


def test_does_not_import_torch_or_sionna() -> None:
    code = (
        "import sys, simsplit.phy.link, simsplit.phy.fading, simsplit.phy.analog;"
        "print([m for m in ('torch', 'sionna') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_mcs_table_spot_values() -> None:
    assert link.MCS_TABLE_1[0] == (2, 120)
    assert link.MCS_TABLE_1[9] == (2, 679)
    assert link.MCS_TABLE_1[10] == (4, 340)
    assert link.MCS_TABLE_1[17] == (6, 438)
    assert link.MCS_TABLE_1[28] == (6, 948)
    assert [m.index for m in link.SUPPORTED_MCS] == [3, *range(5, 10), *range(11, 29)]


@pytest.mark.parametrize(
    ("index", "n_prb", "tb_bits"),
    [(16, 50, 19968), (0, 1, 32), (28, 1, 888), (3, 1, 72)],  # worked by hand from 5.1.3.2
)
def test_transport_block_bits(index: int, n_prb: int, tb_bits: int) -> None:
    assert link.transport_block_bits(link.mcs(index), n_prb) == tb_bits


def test_resource_elements_are_capped_at_156_per_prb() -> None:
    assert link.resource_elements(10, 14, 0) == 1560
    assert link.resource_elements(10, 14, 12) == 1560
    assert link.resource_elements(10, 7, 12) == 720
    with pytest.raises(ScenarioError):
        link.resource_elements(0)
    with pytest.raises(ScenarioError):
        link.resource_elements(1, 1, 12)


def test_segmentation_by_hand() -> None:
    assert link.segment(292, 0.9) == link.Segmentation(16, 1, 308, 2)
    assert link.segment(3824, 0.5) == link.Segmentation(16, 1, 3840, 2)
    assert link.segment(3840, 0.5) == link.Segmentation(24, 1, 3864, 1)
    assert link.segment(8424, 0.5) == link.Segmentation(24, 1, 8448, 1)
    assert link.segment(19968, 0.6426) == link.Segmentation(24, 3, 6688, 1)
    assert link.segment(7608, 0.245) == link.Segmentation(24, 2, 3840, 2)


@given(
    st.sampled_from(link.SUPPORTED_MCS), st.integers(1, 273), st.integers(2, 14), st.integers(1, 4)
)
def test_segments_fill_exactly(mcs: link.Mcs, n_prb: int, n_symbols: int, layers: int) -> None:
    tb_bits = link.transport_block_bits(mcs, n_prb, n_symbols, 12, layers)
    parts = link.segment(tb_bits, mcs.code_rate)
    per_block = 24 if parts.n_code_blocks > 1 else 0
    total = tb_bits + parts.crc_bits + parts.n_code_blocks * per_block
    assert parts.n_code_blocks * parts.code_block_bits == total
    assert parts.code_block_bits <= (8448 if parts.base_graph == 1 else 3840)
    assert link.base_graph_of(parts.code_block_bits, mcs.code_rate) == parts.base_graph


def test_chase_combining_adds_linear_snr() -> None:
    assert link.combined_snr_db([3.0, 3.0]) == pytest.approx(3.0 + 10 * math.log10(2))
    assert link.combined_snr_db([-4.0]) == pytest.approx(-4.0)


def test_bler_is_a_gaussian_waterfall() -> None:
    table = make_table()
    mu_db, sigma_db = table.fit(16, 100)
    assert table.bler(16, 100, mu_db) == pytest.approx(0.5)
    assert table.bler(16, 100, mu_db + 1.2815515655446004 * sigma_db) == pytest.approx(0.1)


def test_fit_is_linear_in_log2_of_size() -> None:
    table = make_table()
    low, high = table.fit(16, 100), table.fit(16, 1024)
    middle = table.fit(16, 320)
    assert middle[0] == pytest.approx(low[0] + (high[0] - low[0]) / 2)  # 320^2 = 100 * 1024
    assert middle[1] == pytest.approx((low[1] + high[1]) / 2)


def test_outside_the_table_is_an_error() -> None:
    table = make_table()
    for index, bits in ((4, 100), (16, 32), (16, 8456), (99, 100)):
        with pytest.raises(OutOfTable):
            table.bler(index, bits, 0.0)
    with pytest.raises(OutOfTable):
        link.mcs(29)


def test_transport_block_error_of_several_blocks() -> None:
    table, tb_bits = make_table(), 19968
    bler = table.bler(16, 6688, 15.8)
    assert 0 < bler < 1
    assert table.transport_block_error(MCS_16, tb_bits, 15.8) == pytest.approx(1 - (1 - bler) ** 3)
    assert table.transport_block_error(MCS_16, tb_bits, -40.0) == 1.0
    assert table.transport_block_error(MCS_16, tb_bits, 60.0) == 0.0


def test_required_snr_inverts_the_error() -> None:
    table = make_table()
    need_db = table.required_snr_db(MCS_16, 19968, 0.03)
    assert table.transport_block_error(MCS_16, 19968, need_db) == pytest.approx(0.03)


@pytest.mark.parametrize("n_prb", [1, 2, 7, 50, 273])
def test_selection_is_monotone_and_meets_the_target(n_prb: int) -> None:
    table, last = make_table(), 0
    for snr_db in np.arange(-10.0, 40.0, 0.25):
        chosen = table.select_mcs(float(snr_db), n_prb, 0.1)
        tb_bits = link.transport_block_bits(chosen, n_prb)
        assert tb_bits >= last
        last = tb_bits
        if chosen.index > 3:
            assert table.transport_block_error(chosen, tb_bits, float(snr_db)) <= 0.1 + 1e-9
    assert table.select_mcs(-30.0, n_prb).index == 3


def test_selection_leaves_out_what_cannot_be_decoded() -> None:
    assert make_table().select_mcs(60.0, 1).index < 28  # 904 bits on 936: above 0.95


def test_missing_and_damaged_tables(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="simsplit train"):
        link.BlerTable.load(tmp_path / "table.npz")
    (tmp_path / "table.npz").write_bytes(b"not a zip")
    with pytest.raises(ArtefactError, match="damaged"):
        link.BlerTable.load(tmp_path / "table.npz")


def test_load_reads_what_calibrate_writes(tmp_path: Path) -> None:
    columns = {
        "mcs": np.array([16, 16]),
        "base_graph": np.array([2, 2]),
        "code_block_bits": np.array([100, 1024]),
        "mu_db": np.array([9.0, 8.0]),
        "sigma_db": np.array([1.0, 0.3]),
    }
    np.savez(tmp_path / "table.npz", allow_pickle=False, **columns)
    table = link.BlerTable.load(tmp_path / "table.npz")
    assert table.mcs_indices == (16,)
    assert table.fit(16, 320) == pytest.approx((8.5, 0.65))
    with pytest.raises(OutOfTable):
        table.bler(16, 8448, 8.0)


def test_look_ups_are_fast() -> None:
    table, n = make_table(), 20_000
    table.transport_block_error(MCS_16, 19968, 15.0)
    table.select_mcs(15.0, 50)
    error_s = min(timeit.repeat(lambda: table.transport_block_error(MCS_16, 19968, 15.8), number=n))
    select_s = min(timeit.repeat(lambda: table.select_mcs(15.0, 50), number=n))
    assert error_s / n < 5e-6
    assert select_s / n < 5e-6
    bler_s = min(timeit.repeat(lambda: table.bler(16, 6688, 15.8), number=n))
    assert bler_s / n < 5e-6
