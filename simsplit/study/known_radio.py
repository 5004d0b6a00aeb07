"""The radio's known answers, run through the real engine: part of `simsplit validate`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special, stats

from simsplit.messages import Scheme
from simsplit.phy import analog
from simsplit.phy.coded import CodeBlockLink
from simsplit.phy.fading import JakesFading
from simsplit.phy.mcs import mcs
from simsplit.phy.modem import add_noise, modem
from simsplit.phy.sizes import resource_elements, segment, transport_block_bits
from simsplit.seeds import generator
from simsplit.sim.request import Request
from simsplit.sim.world import History, World
from simsplit.study.inputs import open_bler_table
from simsplit.study.worlds import Case, interval_case, step_table, toy_plan, toy_world, within_case


def block_errors() -> list[Case]:
    """Lost share with one transmission = Phi((mu - snr) / sigma); mean attempts with chase HARQ."""
    table = step_table(mu_db=30.0, sigma_db=1.0)
    plan = toy_plan(Scheme.RAW, bits=1000)
    lost, attempts = [], []
    for replication in range(20):
        kw: dict[str, Any] = {"rate_hz": 20.0, "devices": 10, "duration_s": 10.0, "table": table}
        single = toy_world(
            plan, replication=replication, cell={"harq": {"max_transmissions": 1}}, **kw
        )
        lost.append(_mean(single.run(), lambda r: float(not r.delivered)))
        chase = toy_world(plan, replication=replication, **kw)
        attempts.append(_mean(chase.run(), lambda r: float(r.attempts)))
    twice = float(stats.norm.sf(10 * math.log10(2)))
    expected = 1 + 0.5 + twice + float(stats.norm.sf(10 * math.log10(3)))
    return [
        interval_case("block error at the waterfall's middle", "Phi(0) = 1/2", 0.5, lost),
        interval_case("chase HARQ mean transmissions", "1 + sum BLER(n SNR)", expected, attempts),
    ]


def _mean(history: History, value: Callable[[Request], float]) -> float:
    return float(np.mean([value(request) for request in history.requests]))


def snr_convention() -> list[Case]:
    """E|z|^2 = 1, n ~ CN(0, 1/SNR): noise power, its I/Q halves, and MSE = 1 / (1 + SNR)."""
    snr_db, k = 7.0, 20_000
    snr = 10 ** (snr_db / 10)
    noise, in_phase, error = [], [], []
    for seed in range(30):
        rng = generator(seed, 3)
        z = (rng.standard_normal((k, 2)) @ np.array([1, 1j])).astype(np.complex64)
        z = analog.normalise_power(z)
        y, variance = analog.transmit(z, snr_db, rng)
        noise.append(float(np.mean(np.abs(y - z) ** 2)))
        in_phase.append(float(np.mean((y - z).real ** 2)))
        estimate = analog.lmmse_scale(variance) * y
        error.append(float(np.mean(np.abs(estimate - z) ** 2)))
    return [
        interval_case("noise power at 7 dB", "1/SNR", 1 / snr, noise),
        interval_case("noise power, in phase", "1/(2 SNR)", 0.5 / snr, in_phase),
        interval_case("linear-Gaussian analog MSE", "1/(1 + SNR)", 1 / (1 + snr), error),
    ]


# --- bits -------------------------------------------------------------------------------------


def uncoded_bit_errors() -> list[Case]:
    """QPSK, 16- and 64-QAM with Gray mapping over AWGN (Cho & Yoon 2002, eqs. 14 to 16)."""
    import torch

    cases = []
    for bits_per_symbol, snr_db in ((2, 7.0), (4, 12.0), (6, 16.0)):
        gray = modem(bits_per_symbol)
        rates = []
        for seed in range(10):
            rng = generator(seed, 31, bits_per_symbol)
            bits = torch.from_numpy(rng.integers(0, 2, (1, 120_000), dtype=np.uint8))
            level = torch.tensor([snr_db])
            received = add_noise(gray.symbols(bits), level, [rng])
            decided = gray.llrs(received, 10 ** (-level / 10)) > 0
            rates.append(float((decided != bits.bool()).float().mean()))
        name = f"uncoded bit errors, {2**bits_per_symbol}-QAM at {snr_db:g} dB"
        expected = gray_qam_bit_error_rate(bits_per_symbol, snr_db)
        cases.append(interval_case(name, "Cho & Yoon 2002", expected, rates))
    return cases


def gray_qam_bit_error_rate(bits_per_symbol: int, snr_db: float) -> float:
    """Exact bit error rate of square Gray QAM over AWGN (Cho & Yoon 2002, eqs. 14 and 16)."""
    levels = 2 ** (bits_per_symbol // 2)
    step = math.sqrt(3 * 10 ** (snr_db / 10) / (levels**2 - 1))
    per_bit = []
    for k in range(1, bits_per_symbol // 2 + 1):
        total = 0.0
        for i in range(int((1 - 2.0**-k) * levels)):
            sign = (-1) ** (i * 2 ** (k - 1) // levels)
            weight = 2 ** (k - 1) - math.floor(i * 2 ** (k - 1) / levels + 0.5)
            total += sign * weight * 2 * float(stats.norm.sf((2 * i + 1) * step))
        per_bit.append(total / levels)
    return float(np.mean(per_bit))


PUBLISHED_BLER = (  # Sionna tutorial "5G Channel Coding: Polar vs. LDPC Codes", QPSK, 20 iterations
    (64, 128, 1.0, 0.503),
    (64, 128, 3.0, 0.0225),
    (1000, 2000, 1.25, 0.148),
)


def ldpc_waterfall() -> list[Case]:
    """Block errors of the 5G LDPC code, QPSK, against published figures (k, n, Eb/N0 in dB)."""
    cases = []
    for bits, coded_bits, ebn0_db, published in PUBLISHED_BLER:
        air = CodeBlockLink(mcs(6), bits, coded_bits, 2)
        snr_db = ebn0_db + 10 * math.log10(2 * bits / coded_bits)
        blocks = 500 if bits < 100 else 120
        rates = [
            float(air.errors(np.full(blocks, snr_db), generator(seed, 32, bits)).mean())
            for seed in range(10)
        ]
        name = f"LDPC ({coded_bits}, {bits}) at Eb/N0 = {ebn0_db:g} dB"
        cases.append(interval_case(name, "Sionna tutorial", published, rates))
    return cases


# --- propagation ------------------------------------------------------------------------------


def umi_channel() -> list[Case]:
    """Path loss of standing devices (TR 38.901 Table 7.4.1-1) and their share in LOS (7.4.2-1)."""
    distance_m, carrier_hz = 60.0, 3.5e9
    reach_m = math.hypot(distance_m, 8.5)
    los_db = 32.4 + 21 * math.log10(reach_m) + 20 * math.log10(3.5)
    nlos_db = 22.4 + 35.3 * math.log10(reach_m) + 21.3 * math.log10(3.5)
    cell = {
        "carrier_hz": carrier_hz,
        "channel": {"kind": "umi_street_canyon", "shadowing": False},
    }
    group = {"distance_min_m": distance_m, "distance_max_m": distance_m}
    shares, furthest = [], 0.0
    for replication in range(10):
        plan = toy_plan(Scheme.RAW, bits=1000)
        world = toy_world(plan, devices=60, replication=replication, cell=cell, group=group)
        losses = np.array([losses[0].loss_db(0.0) for losses in world.radio.losses])
        nearest = np.minimum(abs(losses - los_db), abs(losses - nlos_db))
        furthest = max(furthest, float(nearest.max()))
        shares.append(float((abs(losses - los_db) < 0.1).mean()))
    probability = 18 / distance_m + math.exp(-distance_m / 36) * (1 - 18 / distance_m)
    return [
        within_case("UMi path loss, worst deviation (dB)", "Table 7.4.1-1", 0.0, furthest, 0.1),
        interval_case("UMi LOS probability at 60 m", "Table 7.4.2-1", probability, shares),
    ]


def jakes_autocorrelation() -> list[Case]:
    """Re E[h(t) h*(t + tau)] = J0(2 pi f_D tau) (Clarke 1968)."""
    carrier_hz, speed_mps = 3.5e9, 10.0
    doppler_hz = speed_mps * carrier_hz / 299_792_458
    cases = []
    for tau_s in (1e-3, 2e-3, 4e-3):
        products = []
        for device in range(3000):
            fade = JakesFading(carrier_hz, (5, 33, device))
            start, later = fade.coefficient(speed_mps * np.array([0.0, tau_s]))
            products.append(float((start * np.conj(later)).real))
        expected = float(special.j0(2 * math.pi * doppler_hz * tau_s))
        name = f"Jakes autocorrelation after {1e3 * tau_s:g} ms at 10 m/s"
        cases.append(interval_case(name, "J0(2 pi f_D tau)", expected, products))
    return cases


# --- HARQ, link adaptation, throughput --------------------------------------------------------

_NO_END = 10**9  # bits: the device always has something to send
_ONE = {"arrivals": {"kind": "periodic", "period_s": 1e5, "in_phase": True}}


def incremental_redundancy() -> list[Case]:
    """Mean transmissions and residual loss: a waterfall per attempt, the fourth by repetition."""
    gains_db = (0.0, 1.0, 1.5)
    table = step_table(mu_db=30.0, sigma_db=1.0, gains_db=gains_db)
    plan = toy_plan(Scheme.RAW, bits=1000)
    cell = {"harq": {"combining": "incremental_redundancy"}}
    attempts, lost = [], []
    for replication in range(20):
        history = toy_world(
            plan,
            replication=replication,
            rate_hz=20.0,
            devices=10,
            duration_s=10.0,
            table=table,
            cell=cell,
        ).run()
        attempts.append(_mean(history, lambda r: float(r.attempts)))
        lost.append(_mean(history, lambda r: float(not r.delivered)))
    repeated_db = gains_db[2] + 10 * math.log10(4 / 3)
    failed = [float(stats.norm.sf(gain)) for gain in (*gains_db, repeated_db)]
    return [
        interval_case("IR mean transmissions", "1 + sum BLER_n", 1 + sum(failed[:3]), attempts),
        interval_case("IR residual loss", "BLER_4", failed[3], lost),
    ]


def outer_loop() -> list[Case]:
    """First transmissions fail as often as the target says, though the reports are stale (OLLA)."""
    target, rates = 0.1, []
    cell = {
        "channel": {"kind": "fixed_snr", "snr_db": 12.0},
        "fading": {"kind": "jakes", "speed_mps": 3.0},
        "mcs": {"kind": "adaptive", "bler_target": target, "outer_loop": {"step_db": 0.2}},
        "harq": {"max_transmissions": 2},
        "rlc": {"max_retransmissions": 32},
    }
    table = open_bler_table()
    for replication in range(12):
        plan = toy_plan(Scheme.RAW, bits=_NO_END)
        world = toy_world(plan, group=_ONE, cell=cell, table=table, replication=replication)
        request = _after(world, 1.0)
        before = request.attempts, request.blocks
        request = _after(world, 6.0)
        blocks = request.blocks - before[1]
        rates.append((request.attempts - before[0] - blocks) / blocks)
    return [interval_case("OLLA first-transmission errors", "target", target, rates)]


def _after(world: World, until_s: float) -> Request:
    """The first request of a world at a later time."""
    world.env.run(until=until_s)
    return world.requests[0]


def full_buffer() -> list[Case]:
    """Throughput of one device with endless data = resource elements x Q_m R x (1 - BLER)."""
    error, rates = 0.1, []
    scheme = mcs(11)
    tb_bits = transport_block_bits(scheme, 51)
    code_blocks = segment(tb_bits, scheme.code_rate).n_code_blocks  # the loss of one is that of all
    per_code_block = 1 - (1 - error) ** (1 / code_blocks)
    table = step_table(mu_db=30.0 + float(stats.norm.ppf(per_code_block)), sigma_db=1.0)
    cell = {"harq": {"max_transmissions": 1}, "rlc": {"max_retransmissions": 32}}
    for replication in range(20):
        plan = toy_plan(Scheme.RAW, bits=_NO_END)
        world = toy_world(plan, group=_ONE, cell=cell, table=table, replication=replication)
        _after(world, 2.0)
        rates.append(world.uplink.bearers[0].passed_bits / 2.0)
    exact = tb_bits / world.scenario.cell.slot_s
    bound = resource_elements(51) * scheme.spectral_efficiency / world.scenario.cell.slot_s
    return [
        interval_case("full-buffer throughput (bit/s)", "TBS (1 - p) / slot", 0.9 * exact, rates),
        within_case(
            "full-buffer throughput / (RE x Q_m R (1 - p))",
            "1 within 2 %",
            1.0,
            float(np.mean(rates)) / (0.9 * bound),
            0.02,
        ),
    ]


CASES: tuple[Callable[[], list[Case]], ...] = (
    block_errors,
    snr_convention,
    uncoded_bit_errors,
    ldpc_waterfall,
    umi_channel,
    jakes_autocorrelation,
    incremental_redundancy,
    outer_loop,
    full_buffer,
)
