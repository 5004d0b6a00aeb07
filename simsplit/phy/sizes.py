"""Resource elements, transport block sizes and code block segmentation of 5G NR. Plain Python."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from functools import cache

from simsplit.errors import ScenarioError
from simsplit.phy.mcs import Mcs

MAX_EFFECTIVE_RATE = 0.95  # TS 38.214 clause 5.1.3: above it the receiver may skip decoding
_MAX_RE_PER_PRB = 156  # TS 38.214 clause 5.1.3.2, step 1
_SUBCARRIERS_PER_PRB = 12

# 3GPP TS 38.214 V17, Table 5.1.3.2-1: transport block sizes for N_info <= 3824.
_TBS_BITS: tuple[int, ...] = (
    *range(24, 193, 8),
    *range(208, 385, 16),
    *(408, 432, 456, 480, 504, 528, 552, 576, 608, 640, 672, 704, 736, 768, 808, 848, 888, 928),
    *(984, 1032, 1064, 1128, 1160, 1192, 1224, 1256, 1288, 1320, 1352, 1416, 1480, 1544, 1608),
    *(1672, 1736, 1800, 1864, 1928, 2024, 2088, 2152, 2216, 2280, 2408, 2472, 2536, 2600, 2664),
    *(2728, 2792, 2856, 2976, 3104, 3240, 3368, 3496, 3624, 3752, 3824),
)


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How a transport block is cut into code blocks (TS 38.212 clauses 5.2.2 and 7.2).

    Attributes:
        crc_bits: Check bits of the transport block alone: 16 or 24.
        n_code_blocks: C.
        code_block_bits: K', bits per code block with all check bits, without fillers.
        base_graph: LDPC base graph, 1 or 2.
    """

    crc_bits: int
    n_code_blocks: int
    code_block_bits: int
    base_graph: int


def resource_elements(n_prb: int, n_symbols: int = 14, dmrs_re_per_prb: int = 12) -> int:
    """Resource elements that carry data, N_RE = min(156, 12 n_symbols - dmrs) n_prb.

    TS 38.214 clause 5.1.3.2 step 1, no higher-layer overhead. Raises ScenarioError if none is left.
    """
    per_prb = min(_MAX_RE_PER_PRB, _SUBCARRIERS_PER_PRB * n_symbols - dmrs_re_per_prb)
    if n_prb < 1 or per_prb < 1:
        raise ScenarioError("the allocation holds no resource element for data", value=n_prb)
    return per_prb * n_prb


@cache
def transport_block_bits(
    mcs: Mcs, n_prb: int, n_symbols: int = 14, dmrs_re_per_prb: int = 12, layers: int = 1
) -> int:
    """Transport block size in bits, without check bits (TS 38.214 clause 5.1.3.2)."""
    n_re = resource_elements(n_prb, n_symbols, dmrs_re_per_prb)
    n_info = n_re * mcs.code_rate * mcs.bits_per_symbol * layers
    return _small_tbs_bits(n_info) if n_info <= 3824 else _large_tbs_bits(n_info, mcs.code_rate)


def _small_tbs_bits(n_info: float) -> int:
    """Clause 5.1.3.2 step 3: N_info <= 3824."""
    step = 1 << max(3, math.floor(math.log2(n_info)) - 6)
    quantised = max(24, step * math.floor(n_info / step))
    return _TBS_BITS[bisect.bisect_left(_TBS_BITS, quantised)]


def _large_tbs_bits(n_info: float, code_rate: float) -> int:
    """Clause 5.1.3.2 step 4: N_info > 3824; ties round up."""
    step = 1 << (math.floor(math.log2(n_info - 24)) - 5)
    quantised = max(3840, step * math.floor((n_info - 24) / step + 0.5))
    blocks = 1
    if code_rate <= 0.25:
        blocks = math.ceil((quantised + 24) / 3816)
    elif quantised > 8424:
        blocks = math.ceil((quantised + 24) / 8424)
    return 8 * blocks * math.ceil((quantised + 24) / (8 * blocks)) - 24


@cache
def segment(tb_bits: int, code_rate: float) -> Segmentation:
    """Check bits, base graph and code blocks of a transport block.

    TS 38.212 clauses 7.2.1 (CRC24A above 3824 bits, else CRC16), 7.2.2 (base graph) and 5.2.2
    (Kcb = 8448 or 3840 bits; CRC24B on each block if there are several).
    """
    crc_bits = 24 if tb_bits > 3824 else 16
    base_graph = _base_graph(tb_bits, code_rate)
    limit = 8448 if base_graph == 1 else 3840
    total = tb_bits + crc_bits
    if total <= limit:
        return Segmentation(crc_bits, 1, total, base_graph)
    n_blocks = math.ceil(total / (limit - 24))
    return Segmentation(crc_bits, n_blocks, math.ceil(total / n_blocks) + 24, base_graph)


def _base_graph(tb_bits: int, code_rate: float) -> int:
    """TS 38.212 clause 7.2.2."""
    small = tb_bits <= 292 or (tb_bits <= 3824 and code_rate <= 0.67) or code_rate <= 0.25
    return 2 if small else 1


def base_graph_of(code_block_bits: int, code_rate: float) -> int:
    """Base graph of a code block, from its size alone.

    Unambiguous: blocks cut from a longer one exceed 3840 bits unless R <= 1/4 (base graph 2).
    """
    return _base_graph(code_block_bits - check_bits(code_block_bits), code_rate)


def check_bits(code_block_bits: int) -> int:
    """Check bits in a code block of K' bits: 24 above 3840 bits, else 16 (clause 7.2.1)."""
    return 24 if code_block_bits > 3840 else 16


def nominal_coded_bits(code_block_bits: int, code_rate: float, bits_per_symbol: int) -> int:
    """Bits on air of a code block of K' bits at its target rate, in whole symbols.

    The target rate counts payload, not check bits (TS 38.214 clause 5.1.3.2 sizes the block so),
    hence the check bits are taken off first; but K' stays within 0.95 of the coded bits.
    """
    payload_bits = code_block_bits - check_bits(code_block_bits)
    coded_bits = max(payload_bits / code_rate, code_block_bits / MAX_EFFECTIVE_RATE)
    return math.ceil(coded_bits / bits_per_symbol) * bits_per_symbol


@cache
def is_decodable(mcs: Mcs, n_prb: int, n_symbols: int = 14, dmrs_re_per_prb: int = 12) -> bool:
    """True if the bits with all checks stay within 0.95 of the coded bits."""
    tb_bits = transport_block_bits(mcs, n_prb, n_symbols, dmrs_re_per_prb)
    parts = segment(tb_bits, mcs.code_rate)
    coded_bits = resource_elements(n_prb, n_symbols, dmrs_re_per_prb) * mcs.bits_per_symbol
    return parts.n_code_blocks * parts.code_block_bits <= MAX_EFFECTIVE_RATE * coded_bits
