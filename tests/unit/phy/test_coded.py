"""The exact link against Sionna's own blocks, and its contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.phy import coded, link

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def random_blocks(mcs: link.Mcs, n_prb: int, n: int, seed: int = 1) -> NDArray[np.uint8]:
    bits = link.transport_block_bits(mcs, n_prb)
    return np.random.default_rng(seed).integers(0, 2, (n, bits), dtype=np.uint8)


def test_import_keeps_torchs_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    coded._sionna("fec.ldpc")
    assert torch.equal(torch.rand(3), expected)


def test_transport_blocks_equal_sionnas() -> None:
    nr: Any = coded._sionna("nr")
    for index in link.MCS_TABLE_1:
        mcs = link.mcs(index)
        for n_prb in (1, 2, 3, 5, 8, 13, 20, 25, 37, 50, 52, 79, 106, 133, 217, 273):
            coded_bits = link.resource_elements(n_prb) * mcs.bits_per_symbol
            found = nr.calculate_tb_size(
                mcs.bits_per_symbol, mcs.code_rate, num_coded_bits=coded_bits, verbose=False
            )
            tb_bits = link.transport_block_bits(mcs, n_prb)
            parts = link.segment(tb_bits, mcs.code_rate)
            ours = (tb_bits, parts.code_block_bits, parts.n_code_blocks)
            assert ours == tuple(int(x) for x in found[:3])


@pytest.mark.parametrize(
    ("bits", "coded_bits", "graph", "deviation"),  # deviation of the noise: near the waterfall
    [(40, 80, 2, 0.95), (100, 200, 2, 0.93), (1024, 2048, 2, 0.87), (320, 400, 1, 0.57)],
)
def test_decoder_decides_as_sionnas(
    bits: int, coded_bits: int, graph: int, deviation: float
) -> None:
    code = coded.LdpcCode(bits, coded_bits, graph)
    stock = coded._sionna("fec.ldpc").LDPC5GDecoder(code.encoder, cn_update="boxplus")
    noise = torch.Generator().manual_seed(bits)
    sent = torch.randint(0, 2, (96, bits), generator=noise).float()
    wave = 2 * code.encode(sent) - 1
    received = wave + deviation * torch.randn(wave.shape, generator=noise)
    llr = 2 / deviation**2 * received
    with torch.inference_mode():
        theirs, ours = stock(llr), code.decode(llr)
    lost = (theirs != sent).any(1)
    assert torch.equal(lost, (ours != sent.bool()).any(1))
    assert 0 < int(lost.sum()) < len(sent)


@pytest.mark.parametrize("bits_per_symbol", [2, 4, 6])
def test_modem_equals_sionnas(bits_per_symbol: int) -> None:
    mapping: Any = coded._sionna("mapping")
    ours = coded.modem(bits_per_symbol)
    random = torch.Generator().manual_seed(1)
    bits = torch.randint(0, 2, (3, 60 * bits_per_symbol), generator=random).float()
    symbols = ours.symbols(bits)
    torch.testing.assert_close(symbols, mapping.Mapper("qam", bits_per_symbol)(bits))
    received = symbols + 0.3 * torch.randn(symbols.shape, generator=random, dtype=torch.complex64)
    variance = torch.tensor([0.05, 0.1, 0.4])
    expected = mapping.Demapper("app", "qam", bits_per_symbol)(
        received, variance[:, None].expand(3, 60)
    )
    torch.testing.assert_close(ours.llrs(received, variance), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("index", "n_prb"), [(3, 1), (5, 12), (16, 1), (16, 50), (28, 24)])
def test_clean_channel_gives_the_bits_back(index: int, n_prb: int) -> None:
    mcs = link.mcs(index)
    sent = random_blocks(mcs, n_prb, 1)[0]
    got = coded.CodedLink(3).transmit(sent, mcs, n_prb, 35.0, np.random.default_rng(2))
    assert got.crc_ok
    np.testing.assert_array_equal(got.bits, sent)


def test_all_zero_payload_is_no_special_case() -> None:
    mcs = link.mcs(16)
    sent = np.zeros_like(random_blocks(mcs, 4, 1)[0])
    got = coded.CodedLink(3).transmit(sent, mcs, 4, 20.0, np.random.default_rng(2))
    assert got.crc_ok
    assert not got.bits.any()


def test_crc_tells_lost_blocks() -> None:
    mcs = link.mcs(11)
    sent = random_blocks(mcs, 4, 40)
    got = coded.CodedLink(1).transmit_batch(sent, mcs, 4, 4.05, np.random.default_rng(4))
    right = [bool((r.bits == s).all()) for r, s in zip(got, sent, strict=True)]
    assert [r.crc_ok for r in got] == right
    assert 0 < sum(right) < len(right)


def test_chase_combining_gains_three_db() -> None:
    mcs = link.mcs(5)
    sent = random_blocks(mcs, 6, 1)[0]
    air, rng = coded.CodedLink(1), np.random.default_rng(4)
    first = air.transmit(sent, mcs, 6, -2.6, rng)
    second = air.transmit(sent, mcs, 6, -2.6, rng, first.soft)
    assert not first.crc_ok
    assert second.crc_ok
    np.testing.assert_array_equal(second.bits, sent)


def test_result_does_not_depend_on_order_or_batch() -> None:
    mcs = link.mcs(11)
    sent = random_blocks(mcs, 4, 3)
    air = coded.CodedLink(1)
    rngs = [np.random.default_rng(i) for i in range(3)]
    batch = air.transmit_batch(sent, mcs, 4, np.array([3.5, 4.0, 4.5]), rngs)
    for i in (2, 0, 1):
        alone = air.transmit(sent[i], mcs, 4, 3.5 + 0.5 * i, np.random.default_rng(i))
        assert alone.crc_ok == batch[i].crc_ok
        np.testing.assert_array_equal(alone.bits, batch[i].bits)
        np.testing.assert_allclose(alone.soft, batch[i].soft, rtol=1e-4, atol=1e-4)


def test_mistakes_are_named() -> None:
    air, rng = coded.CodedLink(1), np.random.default_rng(1)
    with pytest.raises(ScenarioError, match="MCS"):
        air.transmit(np.zeros(10, np.uint8), link.mcs(0), 1, 0.0, rng)
    with pytest.raises(ScenarioError, match="bits"):
        air.transmit(np.zeros(10, np.uint8), link.mcs(5), 1, 0.0, rng)
    with pytest.raises(ScenarioError, match="no LDPC code"):  # 904 bits on 936: above 0.95
        air.transmit(np.zeros(888, np.uint8), link.mcs(28), 1, 30.0, rng)
