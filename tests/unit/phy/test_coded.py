"""The exact link against Sionna's own blocks, and its contract."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.phy import coded
from simsplit.phy.mcs import MCS_TABLES, Mcs
from simsplit.phy.mcs import mcs as mcs_of
from simsplit.phy.modem import add_noise, modem
from simsplit.phy.ratematch import combine, symbols_of, versions_in
from simsplit.phy.sizes import is_decodable, resource_elements, segment, transport_block_bits

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def random_blocks(mcs: Mcs, n_prb: int, n: int, seed: int = 1) -> NDArray[np.uint8]:
    bits = transport_block_bits(mcs, n_prb)
    return np.random.default_rng(seed).integers(0, 2, (n, bits), dtype=np.uint8)


def test_import_keeps_torchs_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    coded.sionna_module("fec.ldpc")
    assert torch.equal(torch.rand(3), expected)


EVERY_MCS = [scheme for table in MCS_TABLES.values() for scheme in table]


@pytest.mark.parametrize("table", [1, 2, 3])
def test_mcs_tables_equal_sionnas(table: int) -> None:
    nr: Any = coded.sionna_module("nr")
    rows = MCS_TABLES[table]
    orders, rates = nr.decode_mcs_index(torch.arange(len(rows)), table, is_pusch=False)
    assert [m.bits_per_symbol for m in rows] == orders.tolist()
    assert [m.code_rate for m in rows] == pytest.approx(rates.tolist(), rel=1e-6)
    if len(rows) < 29:
        with pytest.raises(ValueError):
            nr.decode_mcs_index(len(rows), table, is_pusch=False)


def test_transport_blocks_equal_sionnas() -> None:
    nr: Any = coded.sionna_module("nr")
    for mcs in EVERY_MCS:
        for n_prb in (1, 2, 3, 5, 8, 13, 20, 25, 37, 50, 52, 79, 106, 133, 217, 273):
            coded_bits = resource_elements(n_prb) * mcs.bits_per_symbol
            expected = nr.calculate_tb_size(
                mcs.bits_per_symbol, mcs.code_rate, num_coded_bits=coded_bits, verbose=False
            )
            tb_bits = transport_block_bits(mcs, n_prb)
            parts = segment(tb_bits, mcs.code_rate)
            ours = (tb_bits, parts.code_block_bits, parts.n_code_blocks)
            assert ours == tuple(int(x) for x in expected[:3])


@pytest.mark.parametrize(
    ("bits", "coded_bits", "graph", "deviation"),  # deviation of the noise: near the waterfall
    [(40, 80, 2, 0.95), (100, 200, 2, 0.93), (1024, 2048, 2, 0.87), (320, 400, 1, 0.57)],
)
def test_decoder_decides_as_sionnas(
    bits: int, coded_bits: int, graph: int, deviation: float
) -> None:
    code, sionna = coded.ldpc_code(bits, graph), coded.sionna_module("fec.ldpc")
    encoder = sionna.LDPC5GEncoder(bits, coded_bits, bg=f"bg{graph}")
    noise = torch.Generator().manual_seed(bits)
    sent = torch.randint(0, 2, (96, bits), generator=noise)
    wave = 2 * encoder(sent.float()) - 1
    received = wave + deviation * torch.randn(wave.shape, generator=noise)
    llr = 2 / deviation**2 * received
    soft = torch.zeros(96, code.buffer.length)
    soft[:, code.buffer.positions(coded_bits, 0)] = llr
    with torch.inference_mode():
        theirs = sionna.LDPC5GDecoder(encoder, cn_update="boxplus")(llr)
        ours = code.decode(soft)
    lost = (theirs != sent).any(1)
    assert torch.equal(lost, (ours != sent.bool()).any(1))
    assert 0 < int(lost.sum()) < len(sent)


def test_redundancy_versions_decide_as_sionnas() -> None:
    """Two attempts, versions 0 and 2, in one soft buffer against Sionna's HARQ mode."""
    bits, coded_bits, deviation = 500, 750, 1.15
    code, sionna = coded.ldpc_code(bits, 2), coded.sionna_module("fec.ldpc")
    encoder = sionna.LDPC5GEncoder(bits, coded_bits, bg="bg2")
    noise = torch.Generator().manual_seed(3)
    sent = torch.randint(0, 2, (64, bits), generator=noise)
    wave = 2 * encoder(sent.float(), rv=[0, 2]) - 1
    llr = 2 / deviation**2 * (wave + deviation * torch.randn(wave.shape, generator=noise))
    soft = torch.zeros(64, code.buffer.length)
    for rv, part in zip((0, 2), llr.unbind(1), strict=True):
        soft.index_add_(1, torch.from_numpy(code.buffer.positions(coded_bits, rv)), part)
    with torch.inference_mode():
        decoder = sionna.LDPC5GDecoder(encoder, cn_update="boxplus", harq_mode=True)
        theirs, ours = decoder(llr, rv=[0, 2]), code.decode(soft)
    lost = (theirs != sent).any(1)
    assert torch.equal(lost, (ours != sent.bool()).any(1))
    assert 0 < int(lost.sum()) < len(sent)


@pytest.mark.parametrize(
    ("bits", "coded_bits", "graph"),
    [
        *((40, 90, 2), (190, 400, 2), (555, 2000, 2), (600, 900, 2), (3840, 19_000, 2)),
        *((320, 400, 1), (1000, 2000, 1), (8448, 25_000, 1)),
    ],
)
def test_encoder_and_rate_matching_equal_sionnas(bits: int, coded_bits: int, graph: int) -> None:
    """Every K_b, both base graphs, all redundancy versions, with and without fillers."""
    encoder = coded.sionna_module("fec.ldpc").LDPC5GEncoder(bits, coded_bits, bg=f"bg{graph}")
    code = coded.ldpc_code(bits, graph)
    sent = torch.randint(0, 2, (3, bits), generator=torch.Generator().manual_seed(1))
    ours, theirs = code.encode(sent), encoder(sent.float(), rv=[0, 1, 2, 3])
    for rv in range(4):
        places = code.buffer.positions(coded_bits, rv)
        assert torch.equal(ours[:, places].float(), theirs[:, rv])


@pytest.mark.parametrize(
    ("demapper", "theirs_name"), [("app", "app"), ("max_log", "maxlog")], ids=["app", "max_log"]
)
@pytest.mark.parametrize("bits_per_symbol", [2, 4, 6, 8])
def test_modem_equals_sionnas(bits_per_symbol: int, demapper: str, theirs_name: str) -> None:
    mapping: Any = coded.sionna_module("mapping")
    ours = modem(bits_per_symbol, demapper)
    random = torch.Generator().manual_seed(1)
    bits = torch.randint(0, 2, (3, 60 * bits_per_symbol), generator=random).float()
    symbols = ours.symbols(bits)
    torch.testing.assert_close(symbols, mapping.Mapper("qam", bits_per_symbol)(bits))
    received = symbols + 0.3 * torch.randn(symbols.shape, generator=random, dtype=torch.complex64)
    variance = torch.linspace(0.05, 0.4, 180).reshape(3, 60)
    theirs = mapping.Demapper(theirs_name, "qam", bits_per_symbol)
    for level, wide in ((variance, variance), (variance[:, 0], variance[:, :1].expand(3, 60))):
        expected = theirs(received, wide)
        torch.testing.assert_close(ours.llrs(received, level), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("n_prb", [1, 3])
@pytest.mark.parametrize("table", [1, 2, 3])
def test_clean_channel_gives_the_bits_back(table: int, n_prb: int) -> None:
    for mcs in MCS_TABLES[table]:
        if is_decodable(mcs, n_prb):
            sent = random_blocks(mcs, n_prb, 1)
            got = coded.CodedLink(3).transmit_batch(sent, mcs, n_prb, 36.0, generator())
            assert got[0].crc_ok, mcs
            np.testing.assert_array_equal(got[0].bits, sent[0])


@pytest.mark.slow
@pytest.mark.parametrize("demapper", ["app", "max_log"])
def test_many_code_blocks_come_back(demapper: str) -> None:
    for mcs in EVERY_MCS:
        sent = random_blocks(mcs, 110, 1)
        air = coded.CodedLink(3, demapper=demapper)
        got = air.transmit_batch(sent, mcs, 110, 36.0, generator())
        assert got[0].crc_ok, mcs
        np.testing.assert_array_equal(got[0].bits, sent[0])


@pytest.mark.parametrize(("index", "table"), [(0, 3), (5, 3), (0, 1)])
def test_every_redundancy_version_of_a_low_rate_decodes_alone(index: int, table: int) -> None:
    mcs = mcs_of(index, table)
    sent = random_blocks(mcs, 4, 1)
    for rv in range(4):
        got = coded.CodedLink(3).transmit_batch(sent, mcs, 4, 20.0, generator(), rv=rv)
        assert got[0].crc_ok
        np.testing.assert_array_equal(got[0].bits, sent[0])


def generator() -> np.random.Generator:
    return np.random.default_rng(2)


@pytest.mark.parametrize(("bits", "coded_bits", "decodes"), [(96, 102, False), (88, 96, True)])
def test_some_short_blocks_never_decode(bits: int, coded_bits: int, decodes: bool) -> None:
    """Why the table refuses rates above 0.925 for short blocks: all is lost without noise too."""
    lost = coded.CodeBlockLink(mcs_of(28), bits, coded_bits, 2).errors(
        np.full(50, 60.0), np.random.default_rng(1)
    )
    assert lost.mean() == (0.0 if decodes else 1.0)


def test_all_zero_payload_is_no_special_case() -> None:
    mcs = mcs_of(16)
    sent = np.zeros_like(random_blocks(mcs, 4, 1)[0])
    got = coded.CodedLink(3).transmit(sent, mcs, 4, 20.0, np.random.default_rng(2))
    assert got.crc_ok
    assert not got.bits.any()


def test_crc_tells_lost_blocks() -> None:
    mcs = mcs_of(11)
    sent = random_blocks(mcs, 4, 40)
    got = coded.CodedLink(1).transmit_batch(sent, mcs, 4, 4.05, np.random.default_rng(4))
    right = [bool((r.bits == s).all()) for r, s in zip(got, sent, strict=True)]
    assert [r.crc_ok for r in got] == right
    assert 0 < sum(right) < len(right)


def test_chase_combining_gains_three_db() -> None:
    mcs = mcs_of(5)
    sent = random_blocks(mcs, 6, 1)[0]
    air, rng = coded.CodedLink(1), np.random.default_rng(4)
    first = air.transmit(sent, mcs, 6, -2.6, rng)
    second = air.transmit(sent, mcs, 6, -2.6, rng, first.soft)
    assert not first.crc_ok
    assert second.crc_ok
    np.testing.assert_array_equal(second.bits, sent)


def test_result_does_not_depend_on_order_or_batch() -> None:
    mcs = mcs_of(11)
    sent = random_blocks(mcs, 4, 3)
    air = coded.CodedLink(1)
    rngs = [np.random.default_rng(i) for i in range(3)]
    batch = air.transmit_batch(sent, mcs, 4, np.array([3.5, 4.0, 4.5]), rngs)
    for i in (2, 0, 1):
        alone = air.transmit(sent[i], mcs, 4, 3.5 + 0.5 * i, np.random.default_rng(i))
        assert alone.crc_ok == batch[i].crc_ok
        np.testing.assert_array_equal(alone.bits, batch[i].bits)
        np.testing.assert_allclose(alone.soft, batch[i].soft, rtol=1e-4, atol=1e-4)


def test_incremental_redundancy_beats_chase_combining() -> None:
    mcs, n_prb, snr_db = mcs_of(9), 6, -0.9
    sent = random_blocks(mcs, n_prb, 24)
    air, rng = coded.CodedLink(1), np.random.default_rng(4)
    first = air.transmit_batch(sent, mcs, n_prb, snr_db, rng)
    soft = np.stack([r.soft for r in first])
    lost = {
        rv: sum(not r.crc_ok for r in air.transmit_batch(sent, mcs, n_prb, snr_db, rng, soft, rv))
        for rv in (0, 2)
    }
    assert not any(r.crc_ok for r in first)
    assert lost[2] < 3
    assert lost[0] > 12


def test_the_soft_buffer_adds_up_attempts_by_version() -> None:
    mcs = mcs_of(3)
    sent = random_blocks(mcs, 2, 1)[0]
    air = coded.CodedLink(1)
    first = air.transmit(sent, mcs, 2, 0.0, np.random.default_rng(1))
    other = air.transmit(sent, mcs, 2, 3.0, np.random.default_rng(2), rv=3)
    both = air.transmit(sent, mcs, 2, 3.0, np.random.default_rng(2), first.soft, 3)
    again = air.transmit(sent, mcs, 2, 3.0, np.random.default_rng(2), first.soft, 0)
    assert first.soft.shape == (4, 3, resource_elements(2))
    np.testing.assert_allclose(both.soft, first.soft + other.soft, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(again.soft[0, 2], 1.0 + 10**0.3, rtol=1e-5)
    assert not again.soft[1:].any()


@pytest.mark.parametrize("bits_per_symbol", [2, 4, 6, 8])
def test_equal_versions_combine_to_the_sum_of_their_snrs(bits_per_symbol: int) -> None:
    """Maximum ratio combining: noise of the combined symbols has variance 1 / (sum of SNRs)."""
    qam, rng = modem(bits_per_symbol), np.random.default_rng(3)
    bits = torch.from_numpy(rng.integers(0, 2, (1, 40_000 * bits_per_symbol), dtype=np.uint8))
    sent, combined = qam.symbols(bits), None
    for snr_db in (0.0, 4.0, -3.0):
        level = torch.full((1, 1), snr_db)
        combined = combine(add_noise(sent, level, [rng]), level, 2, combined)
    assert versions_in(combined) == [2]
    symbols, variance = symbols_of(combined, 2)
    expected = 1 / (1 + 10**0.4 + 10**-0.3)
    np.testing.assert_allclose(variance, expected, rtol=1e-5)
    error = (symbols - sent).abs().square()
    assert float(error.mean()) == pytest.approx(expected, abs=3 * expected / math.sqrt(40_000))


def test_what_was_never_received_says_nothing() -> None:
    combined = torch.zeros(1, 4, 3, 5)
    assert versions_in(combined) == []
    assert not modem(4).llrs(*symbols_of(combined, 1)).any()


def test_snr_may_differ_by_resource_element() -> None:
    mcs, n_prb = mcs_of(5), 4
    sent = random_blocks(mcs, n_prb, 2)
    n_re = resource_elements(n_prb)
    air = coded.CodedLink(1)
    flat = air.transmit_batch(sent, mcs, n_prb, 1.0, generator())
    same = air.transmit_batch(sent, mcs, n_prb, np.full((2, n_re), 1.0), generator())
    np.testing.assert_allclose(flat[1].soft, same[1].soft, rtol=1e-5, atol=1e-5)
    half = np.where(np.arange(n_re) % 2, 8.0, -40.0)
    got = air.transmit(sent[0], mcs, n_prb, half, generator())
    assert got.crc_ok  # what is lost is known to be lost: LLRs near zero
    np.testing.assert_array_equal(got.bits, sent[0])


def test_mistakes_are_named() -> None:
    air, rng = coded.CodedLink(1), np.random.default_rng(1)
    mcs, bits = mcs_of(5), random_blocks(mcs_of(5), 1, 2)
    with pytest.raises(ScenarioError, match="bits"):
        air.transmit(np.zeros(10, np.uint8), mcs, 1, 0.0, rng)
    with pytest.raises(ScenarioError, match=r"0\.95"):  # 904 bits on 936
        air.transmit(np.zeros(888, np.uint8), mcs_of(28), 1, 30.0, rng)
    with pytest.raises(ScenarioError, match="redundancy version"):
        air.transmit_batch(bits, mcs, 1, 0.0, rng, rv=4)
    with pytest.raises(ScenarioError, match="SNR"):
        air.transmit_batch(bits, mcs, 1, np.zeros(3), rng)
    with pytest.raises(ScenarioError, match="finite"):
        air.transmit_batch(bits, mcs, 1, float("-inf"), rng)
    with pytest.raises(ScenarioError, match="demapper"):
        coded.CodedLink(1, demapper="minsum")
