"""MCS, transport block size, segmentation, rate matching and table look-up."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from simsplit.errors import ArtefactError, OutOfTable, ScenarioError
from simsplit.phy import link, ratematch, waterfalls
from simsplit.phy.calibration_curve import fitted
from simsplit.phy.mcs import MCS_TABLES, SUPPORTED_MCS, Mcs, mcs
from simsplit.phy.sizes import (
    Segmentation,
    base_graph_of,
    nominal_coded_bits,
    resource_elements,
    segment,
    transport_block_bits,
)

MCS_16 = mcs(16)
SIZES = (40, 100, 1024, 8448)
EVERY_MCS = [scheme for table in MCS_TABLES.values() for scheme in table]


def make_table() -> link.BlerTable:
    """A made-up table: mu rises with the rate and size, sigma falls as 1 over sqrt(K)."""
    curves: dict[tuple[int, float, int, int], waterfalls.Curve] = {}
    for scheme in EVERY_MCS:
        for graph in (1, 2):
            curves[scheme.bits_per_symbol, waterfalls.rate_key(scheme.code_rate), graph, 1] = (
                waterfalls.Curve(
                    tuple(math.log2(k) for k in SIZES),
                    tuple(4 * scheme.spectral_efficiency + math.log10(k / 40.0) / 3 for k in SIZES),
                    tuple(10.0 / math.sqrt(k) for k in SIZES),
                )
            )
    return link.BlerTable(curves)


def rated_table(distance_db: float = 2.0) -> link.BlerTable:
    """64-QAM at three rates, every attempt at the same distance from Shannon."""
    curves: dict[tuple[int, float, int, int], waterfalls.Curve] = {}
    for rate in (616.0, 666.0, 719.0):
        for attempt in (1, 2):
            coded = [nominal_coded_bits(k, rate / 1024, 6) for k in SIZES]
            rates = [k / e / attempt for k, e in zip(SIZES, coded, strict=True)]
            shannon = [waterfalls.shannon_snr_db(6, r) for r in rates]
            curves[6, rate, 2, attempt] = waterfalls.Curve(
                tuple(math.log2(k) for k in SIZES),
                tuple(x + distance_db for x in shannon),
                tuple(10.0 / math.sqrt(k) for k in SIZES),
                tuple(shannon),
            )
    return link.BlerTable(curves)


def test_does_not_import_torch_or_sionna() -> None:
    code = (
        "import sys, simsplit.phy.link, simsplit.phy.fading, simsplit.phy.analog;"
        "print([m for m in ('torch', 'sionna') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_mcs_tables_spot_values() -> None:
    expected = {(1, 0): (2, 120), (1, 17): (6, 438), (1, 28): (6, 948), (2, 4): (2, 602)}
    expected |= {(2, 5): (4, 378), (2, 20): (8, 682.5), (2, 27): (8, 948), (3, 0): (2, 30)}
    expected |= {(3, 14): (2, 602), (3, 15): (4, 340), (3, 28): (6, 772)}
    for (table, index), (qm, rate) in expected.items():
        scheme = mcs(index, table)
        assert (scheme.table, scheme.index) == (table, index)
        assert (scheme.bits_per_symbol, waterfalls.rate_key(scheme.code_rate)) == (qm, rate)
        assert scheme.spectral_efficiency == pytest.approx(qm * rate / 1024)
    assert [len(rows) for rows in MCS_TABLES.values()] == [29, 28, 29]
    assert MCS_TABLES[1] == SUPPORTED_MCS


def test_a_scheme_exists_once_and_survives_copying() -> None:
    assert pickle.loads(pickle.dumps(MCS_16)) is MCS_16
    assert copy.deepcopy(MCS_16) is MCS_16
    assert mcs(16, 1) is MCS_16
    assert mcs(5, 3) != mcs(5, 1)


@pytest.mark.parametrize(
    ("index", "table", "n_prb", "tb_bits"),  # worked by hand from 5.1.3.2
    [(16, 1, 50, 19968), (0, 1, 1, 32), (28, 1, 1, 888), (3, 1, 1, 72), (0, 3, 1, 24)],
)
def test_transport_block_bits(index: int, table: int, n_prb: int, tb_bits: int) -> None:
    assert transport_block_bits(mcs(index, table), n_prb) == tb_bits


def test_resource_elements_are_capped_at_156_per_prb() -> None:
    assert resource_elements(10, 14, 0) == 1560
    assert resource_elements(10, 14, 12) == 1560
    assert resource_elements(10, 7, 12) == 720
    with pytest.raises(ScenarioError):
        resource_elements(0)
    with pytest.raises(ScenarioError):
        resource_elements(1, 1, 12)


def test_segmentation_by_hand() -> None:
    assert segment(292, 0.9) == Segmentation(16, 1, 308, 2)
    assert segment(3824, 0.5) == Segmentation(16, 1, 3840, 2)
    assert segment(3840, 0.5) == Segmentation(24, 1, 3864, 1)
    assert segment(8424, 0.5) == Segmentation(24, 1, 8448, 1)
    assert segment(19968, 0.6426) == Segmentation(24, 3, 6688, 1)
    assert segment(7608, 0.245) == Segmentation(24, 2, 3840, 2)


@given(st.sampled_from(EVERY_MCS), st.integers(1, 273), st.integers(2, 14), st.integers(1, 4))
def test_segments_fill_exactly(mcs: Mcs, n_prb: int, n_symbols: int, layers: int) -> None:
    tb_bits = transport_block_bits(mcs, n_prb, n_symbols, 12, layers)
    parts = segment(tb_bits, mcs.code_rate)
    per_block = 24 if parts.n_code_blocks > 1 else 0
    total = tb_bits + parts.crc_bits + parts.n_code_blocks * per_block
    assert parts.n_code_blocks * parts.code_block_bits == total
    assert parts.code_block_bits <= (8448 if parts.base_graph == 1 else 3840)
    assert base_graph_of(parts.code_block_bits, mcs.code_rate) == parts.base_graph


def test_lifting_by_hand() -> None:
    """TS 38.212 clause 5.2.2: K_b, Z_c and fillers."""
    buffers = [ratematch.circular_buffer(k, g) for k, g in ((40, 2), (640, 2), (641, 2), (8448, 1))]
    assert [(b.used_columns, b.lifting) for b in buffers] == [(6, 7), (9, 72), (10, 72), (22, 384)]
    assert buffers[0].fillers == slice(26, 56)
    assert [b.length for b in buffers] == [350, 3600, 3600, 25344]


@given(
    st.integers(40, 3840),
    st.sampled_from([1, 2]),
    st.sampled_from([0, 1, 2, 3]),
    st.integers(1, 30_000),
)
def test_bit_selection_is_the_standards_loop(bits: int, graph: int, rv: int, coded: int) -> None:
    """TS 38.212 clause 5.4.2.1 word for word: j and k, NULL bits skipped."""
    buffer = ratematch.circular_buffer(bits, graph)
    z = buffer.lifting
    is_null = np.zeros(buffer.length, dtype=bool)
    is_null[bits - 2 * z : (22 if graph == 1 else 10) * z - 2 * z] = True
    start = {1: (0, 17, 33, 56), 2: (0, 13, 25, 43)}[graph][rv] * z
    coded = min(coded, 2 * buffer.length)
    selected: list[int] = []
    j = 0
    while len(selected) < coded:
        index = (start + j) % buffer.length
        if not is_null[index]:
            selected.append(index)
        j += 1
    np.testing.assert_array_equal(buffer.positions(coded, rv), selected)


def test_coded_bits_of_the_parts_fill_the_allocation() -> None:
    sizes = ratematch.code_block_sizes(1001, 6, 4)  # three blocks of 250 symbols, one of 251
    assert sizes == [1500, 1500, 1500, 1506]


def test_chase_combining_adds_linear_snr() -> None:
    assert link.combined_snr_db([3.0, 3.0]) == pytest.approx(3.0 + 10 * math.log10(2))
    assert link.combined_snr_db([-4.0]) == pytest.approx(-4.0)


def test_bler_is_a_gaussian_waterfall() -> None:
    table = make_table()
    mu_db, sigma_db, skew = table.fit(MCS_16, 100)
    assert skew == 0.0
    assert table.bler(MCS_16, 100, mu_db) == pytest.approx(0.5)
    assert table.bler(MCS_16, 100, mu_db + 1.2815515655446004 * sigma_db) == pytest.approx(0.1)


def test_fit_lies_between_sizes() -> None:
    table = make_table()
    low, high = table.fit(MCS_16, 100), table.fit(MCS_16, 1024)
    middle = table.fit(MCS_16, 320)  # 320^2 = 100 * 1024
    assert middle[0] == pytest.approx(low[0] + (high[0] - low[0]) / 2)
    assert middle[1] == pytest.approx(math.sqrt(low[1] * high[1]))


@pytest.mark.parametrize("coded_bits", [480.0, 500.0, 510.0])
def test_the_true_rate_moves_the_waterfall(coded_bits: float) -> None:
    """Every rate at 2 dB from Shannon: so is every rate between, wherever the sizes lie."""
    table, scheme = rated_table(), mcs(22)  # 666 / 1024
    for attempt in (1, 2):
        shannon_db = 10 * math.log10(2 ** (6 * 320 / (attempt * coded_bits)) - 1)
        found_db = table.fit(scheme, 320, attempt, coded_bits)[0]
        assert found_db == pytest.approx(shannon_db + 2.0)


def test_the_target_rate_is_the_default() -> None:
    table, scheme = rated_table(), mcs(22)
    nominal = nominal_coded_bits(320, scheme.code_rate, 6)
    assert nominal == 468  # 304 bits without check bits over 0.65, whole symbols of 6 bits
    assert table.fit(scheme, 320) == table.fit(scheme, 320, 1, nominal)
    n_re = 79  # 474 coded bits
    error = table.transport_block_error(scheme, 304, 14.0, 1, n_re)
    assert error == table.bler(scheme, 320, 14.0, 1, 474.0)
    assert error < table.transport_block_error(scheme, 304, 14.0)


def test_outside_the_table_is_an_error() -> None:
    table, rated = make_table(), rated_table()
    attempts: list[Any] = [
        lambda: table.bler(MCS_16, 32, 0.0),
        lambda: table.bler(MCS_16, 8456, 0.0),
        lambda: table.bler(MCS_16, 100, 0.0, attempt=2),
        lambda: rated.bler(MCS_16, 100, 0.0),
        lambda: rated.bler(mcs(22), 320, 0.0, 1, 370.0),
        lambda: rated.bler(mcs(22), 320, 0.0, 1, 700.0),
        lambda: mcs(29),
        lambda: mcs(28, 2),
        lambda: mcs(-1),
        lambda: mcs(3, 4),
    ]
    for attempt in attempts:
        with pytest.raises(OutOfTable):
            attempt()


def test_short_blocks_with_hardly_any_parity_are_outside() -> None:
    """Some of them never decode, see test_coded.py; 96 bits on 102 for one."""
    coded = [nominal_coded_bits(k, 0.9, 6) for k in SIZES]
    shannon = tuple(waterfalls.shannon_snr_db(6, k / e) for k, e in zip(SIZES, coded, strict=True))
    curve = waterfalls.Curve(tuple(math.log2(k) for k in SIZES), (20.0,) * 4, (1.0,) * 4, shannon)
    table = link.BlerTable({(6, rate, 2, 1): curve for rate in (822.0, 948.0)})
    assert table.fit(mcs(28), 304, 1, 336.0)
    with pytest.raises(OutOfTable, match="decodable"):
        table.fit(mcs(28), 96, 1, 102.0)


def test_transport_block_error_of_several_blocks() -> None:
    table, tb_bits = make_table(), 19968
    mu_db, sigma_db, _ = table.fit(MCS_16, 6688)
    snr_db = mu_db + sigma_db
    bler = table.bler(MCS_16, 6688, snr_db)
    assert bler == pytest.approx(0.158655, abs=1e-6)
    error = table.transport_block_error(MCS_16, tb_bits, snr_db)
    assert error == pytest.approx(1 - (1 - bler) ** 3)
    assert table.transport_block_error(MCS_16, tb_bits, -40.0) == 1.0
    assert table.transport_block_error(MCS_16, tb_bits, 60.0) == 0.0


def test_required_snr_inverts_the_error() -> None:
    table = make_table()
    need_db = table.required_snr_db(MCS_16, 19968, 0.03)
    assert table.transport_block_error(MCS_16, 19968, need_db) == pytest.approx(0.03)


@pytest.mark.parametrize("mcs_table", [1, 2, 3])
@pytest.mark.parametrize("n_prb", [1, 2, 7, 50, 273])
def test_selection_is_monotone_and_meets_the_target(n_prb: int, mcs_table: int) -> None:
    table, last = make_table(), 0
    for snr_db in np.arange(-10.0, 40.0, 0.25):
        chosen = table.select_mcs(float(snr_db), n_prb, 0.1, table=mcs_table)
        assert chosen.table == mcs_table
        tb_bits = transport_block_bits(chosen, n_prb)
        assert tb_bits >= last
        last = tb_bits
        if chosen is not table.select_mcs(-90.0, n_prb, 0.1, table=mcs_table):
            assert table.transport_block_error(chosen, tb_bits, float(snr_db)) <= 0.1 + 1e-9


def test_choices_are_thresholds_and_schemes_and_kept() -> None:
    table = make_table()
    thresholds, schemes = table.choices(50, 0.1, 14, 12, 2)
    assert thresholds == sorted(thresholds)
    assert {scheme.table for scheme in schemes} == {2}
    assert table.choices(50, 0.1, 14, 12, 2)[0] is thresholds
    assert table.select_mcs(thresholds[5] + 1e-9, 50, 0.1, table=2) is schemes[5]
    assert table.select_mcs(thresholds[5] - 1e-9, 50, 0.1, table=2) is schemes[4]


def test_selection_leaves_out_what_cannot_be_decoded_or_is_not_known() -> None:
    assert make_table().select_mcs(60.0, 1).index < 28  # 904 bits on 936: above 0.95
    assert {scheme.index for scheme in rated_table().choices(2)[1]} <= {21, 22, 23}
    with pytest.raises(OutOfTable):
        rated_table().choices(200)  # base graph 1 is not in it


def test_missing_and_damaged_tables(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="simsplit train"):
        link.BlerTable.load(tmp_path / "table.npz")
    (tmp_path / "table.npz").write_bytes(b"not a zip")
    with pytest.raises(ArtefactError, match="damaged"):
        link.BlerTable.load(tmp_path / "table.npz")


def test_load_reads_what_calibrate_writes(tmp_path: Path) -> None:
    columns = {
        "bits_per_symbol": np.array([4, 4, 4, 4]),
        "rate_x1024": np.array([658.0, 658.0, 616.0, 616.0]),
        "base_graph": np.array([2, 2, 2, 2]),
        "attempt": np.array([1, 1, 1, 1]),
        "code_block_bits": np.array([100, 1024, 100, 1024]),
        "coded_bits": np.array([132, 1572, 140, 1676]),
        "mu_db": np.array([10.0, 9.0, 9.0, 8.0]),
        "sigma_db": np.array([1.0, 0.3, 1.0, 0.3]),
        "skew": np.array([0.1, 0.3, 0.1, 0.3]),
    }
    np.savez(tmp_path / "table.npz", allow_pickle=False, **columns)
    table = link.BlerTable.load(tmp_path / "table.npz")
    assert table.keys == ((4, 616.0, 2, 1), (4, 658.0, 2, 1))
    assert table.fit(MCS_16, 1024) == pytest.approx((9.0, 0.3, 0.3))
    between = table.fit(MCS_16, 1024, 1, 1620.0)
    assert 8.0 < between[0] < 9.0
    with pytest.raises(OutOfTable):
        table.bler(MCS_16, 8448, 8.0)


@pytest.mark.parametrize("skew", [-0.5, 0.0, 0.35])
def test_a_bent_probit_has_the_inverse_it_says(skew: float) -> None:
    for q in (-6.0, -1.0, 0.0, 1e-9, 2.33, 3.09, 8.0):
        assert waterfalls.probit(waterfalls.normalised_snr(q, skew), skew) == pytest.approx(q)
    assert waterfalls.probit(0.0, skew) == pytest.approx(0.0)
    assert waterfalls.probit(1e-5, skew) == pytest.approx(1e-5)  # sigma is the slope in the middle
    y = np.array([-4.0, -0.5, 0.0, 2.0, 5.0])
    same = [-special.ndtri(rate) for rate in fitted(y, 0.0, 1.0, skew)]
    assert same == pytest.approx([waterfalls.probit(one, skew) for one in y.tolist()])
    rising = [waterfalls.probit(y, skew) for y in np.linspace(-9, 9, 99).tolist()]
    assert rising == sorted(rising)


def test_required_snr_inverts_a_bent_waterfall() -> None:
    sizes = tuple(math.log2(k) for k in (24, 8448))
    curve = waterfalls.Curve(sizes, (5.0,) * 2, (0.3,) * 2, (), (0.35,) * 2)
    table = link.BlerTable({(4, 658.0, graph, 1): curve for graph in (1, 2)})
    for tb_bits in (1000, 19968):
        for rate in (0.5, 0.1, 1e-3, 1e-6):
            need_db = table.required_snr_db(MCS_16, tb_bits, rate)
            assert table.transport_block_error(MCS_16, tb_bits, need_db) == pytest.approx(rate)
    assert table.bler(MCS_16, 1000, 5.0) == pytest.approx(0.5)
