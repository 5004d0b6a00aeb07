"""Blocks per second of the exact link against Sionna's stock blocks one at a time; table look-up.

`python -m pytest tests/bench/test_coded_bench.py -m slow --benchmark-only`. No assertion on time.
Both do the same work per transport block: check sums, segmentation, encoding, rate matching,
scrambling, mapping, noise, demapping, decoding with 20 iterations, check of the check sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from simsplit.phy import coded
from simsplit.phy.mcs import Mcs, mcs
from simsplit.phy.sizes import resource_elements, transport_block_bits
from simsplit.study.inputs import open_bler_table

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
BATCH = 32
CASES = [(5, 12), (16, 5), (16, 50), (28, 20)]
ABOVE_DB = [0.0, 2.0]  # from the SNR of 10 %


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def setting(index: int, n_prb: int, above_db: float) -> tuple[Mcs, int, float, Any]:
    """(scheme, block size, SNR in dB, blocks (BATCH, bits))."""
    scheme = mcs(index)
    tb_bits, n_re = transport_block_bits(scheme, n_prb), resource_elements(n_prb)
    snr_db = open_bler_table().required_snr_db(scheme, tb_bits, 0.1, n_re) + above_db
    blocks = np.random.default_rng(1).integers(0, 2, (BATCH, tb_bits), dtype=np.uint8)
    return scheme, tb_bits, snr_db, blocks


@pytest.mark.parametrize("above_db", ABOVE_DB)
@pytest.mark.parametrize(("index", "n_prb"), CASES)
def test_exact_link(benchmark, index, n_prb, above_db):
    """A batch of 32 transport blocks."""
    scheme, tb_bits, snr_db, blocks = setting(index, n_prb, above_db)
    air, rng = coded.CodedLink(1), np.random.default_rng(2)

    def send() -> list[coded.BlockResult]:
        return air.transmit_batch(blocks, scheme, n_prb, snr_db, rng)

    got = benchmark.pedantic(send, rounds=3, warmup_rounds=1)
    lost = sum(not result.crc_ok for result in got)
    assert lost < BATCH / 2
    benchmark.extra_info.update(lost=lost, tb_bits=tb_bits)
    if benchmark.stats is not None:
        benchmark.extra_info["blocks_per_s"] = BATCH / benchmark.stats.stats.min


@pytest.mark.parametrize("above_db", ABOVE_DB)
@pytest.mark.parametrize(("index", "n_prb"), CASES)
def test_sionna_stock_block_by_block(benchmark, index, n_prb, above_db):
    """TBEncoder, Mapper, AWGN, Demapper and TBDecoder with their own defaults, 4 blocks."""
    scheme, tb_bits, snr_db, blocks = setting(index, n_prb, above_db)
    nr, mapping, channel = (coded.sionna_module(name) for name in ("nr", "mapping", "channel"))
    n_coded = resource_elements(n_prb) * scheme.bits_per_symbol
    encoder = nr.TBEncoder(tb_bits, n_coded, scheme.code_rate, scheme.bits_per_symbol)
    decoder = nr.TBDecoder(encoder, num_bp_iter=20)
    mapper = mapping.Mapper("qam", scheme.bits_per_symbol)
    demapper = mapping.Demapper("app", "qam", scheme.bits_per_symbol)
    air, variance = channel.AWGN(), torch.tensor(10 ** (-snr_db / 10))
    rows = torch.from_numpy(blocks[:4]).float().split(1)

    def send() -> list[bool]:
        with torch.inference_mode():
            received = [air(mapper(encoder(row)), variance) for row in rows]
            verdicts = [decoder(demapper(symbols, variance))[1] for symbols in received]
        return [bool(verdict) for verdict in verdicts]

    got = benchmark.pedantic(send, rounds=2, warmup_rounds=1)
    benchmark.extra_info.update(lost=got.count(False), tb_bits=tb_bits)
    if benchmark.stats is not None:
        benchmark.extra_info["blocks_per_s"] = len(rows) / benchmark.stats.stats.min


@pytest.mark.parametrize("attempt", [1, 3])
def test_table_look_up(benchmark, attempt):
    """Error probability of a transport block of three code blocks; goal: 5 us."""
    table, scheme = open_bler_table(), mcs(16)
    arguments = (scheme, 19968, 8.4 if attempt == 1 else 0.5, attempt, 7800)
    assert 0 <= benchmark(table.transport_block_error, *arguments) <= 1


def test_choice_of_scheme(benchmark):
    """Adaptive choice for 50 resource blocks."""
    table = open_bler_table()
    assert benchmark(table.select_mcs, 8.4, 50).index > 3
