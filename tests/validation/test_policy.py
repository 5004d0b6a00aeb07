"""Validation: policies against brute force, closed forms and bandit theory.

Fixed seeds; where something is drawn, 99 % intervals. The truths are written out here by
other ways than the program's: sums over layers, crossings solved for the rate, Bayes on a grid.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats

from simsplit.messages import Scheme
from simsplit.scenario import policies
from simsplit.seeds import generator
from simsplit.sim.policy.knowledge import Costs, Knowledge, RateMeter
from simsplit.sim.policy.policy import build_policy

SPEC = TypeAdapter(policies.Policy)


def build(costs, seed: int = 0, **spec):
    return build_policy(SPEC.validate_python(spec), costs, generator(seed))


def knowledge(rate_bps: float = 1e6, **changes) -> Knowledge:
    plain = Knowledge(
        now_s=0.0,
        snr_db=10.0,
        air_s=lambda bits, uses: bits / rate_bps,
        queue_s=0.0,
        edge_wait_s=0.0,
        edge_load=1.0,
        downlink_s=0.0,
        deadline_s=1.0,
        battery_share=1.0,
        compute_w=3.0,
        transmit_w=1.5,
        receive_w=0.7,
        idle_w=1.0,
    )
    return dataclasses.replace(plain, **changes)


# --- Neurosurgeon: chains of layers -----------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Chain:
    """Layer by layer: seconds on the device, seconds at the server; bits before each and after."""

    mobile_s: np.ndarray  # (layers,)
    cloud_s: np.ndarray  # (layers,)
    bits: np.ndarray  # (layers + 1,): input, then each layer's output

    def costs(self) -> dict[str, Costs]:
        """One operating point per boundary; after the last layer nothing has to travel."""
        n = len(self.mobile_s)
        made = {}
        for cut in range(n + 1):
            scheme = Scheme.LOCAL if cut == n else Scheme.SEPARATE if cut else Scheme.RAW
            head_s, tail_s = self.mobile_s[:cut].sum(), self.cloud_s[cut:].sum()
            bits = self.bits[cut] if cut < n else 0.0
            made[str(cut)] = Costs(str(cut), scheme, head_s, tail_s, bits, 0, 80, sends=cut < n)
        return made


def random_chain(rng: np.random.Generator) -> Chain:
    n = int(rng.integers(2, 12))
    return Chain(rng.lognormal(-4, 1, n), rng.lognormal(-7, 1, n), rng.lognormal(12, 1.5, n + 1))


def by_brute_force(chain: Chain, knows: Knowledge, rate_bps: float, objective: str) -> list[float]:
    """Each boundary's seconds or joules, layer after layer (Kang et al. 2017, Algorithm 1)."""
    totals = []
    for cut in range(len(chain.mobile_s) + 1):
        seconds, joules = knows.queue_s, 0.0
        for layer, (mobile_s, cloud_s) in enumerate(
            zip(chain.mobile_s, chain.cloud_s, strict=True)
        ):
            if layer < cut:
                seconds += mobile_s
                joules += mobile_s * knows.compute_w
            else:
                seconds += knows.edge_load * cloud_s
        if cut < len(chain.mobile_s):
            upload_s = chain.bits[cut] / rate_bps
            seconds += upload_s + knows.edge_wait_s + knows.downlink_s
            joules += upload_s * knows.transmit_w + knows.downlink_s * knows.receive_w
        totals.append(seconds if objective == "latency" else joules)
    return totals


@pytest.mark.parametrize("kind", ["neurosurgeon", "oracle"])
@pytest.mark.parametrize("objective", ["latency", "energy"])
def test_neurosurgeon_equals_brute_force(kind, objective):
    rng = np.random.default_rng(11)
    seen = set()
    for _ in range(300):
        chain, rate_bps = random_chain(rng), 10 ** rng.uniform(4, 9)
        knows = knowledge(
            rate_bps,
            queue_s=rng.exponential(0.05),
            edge_wait_s=rng.exponential(0.02),
            edge_load=1.0 + rng.exponential(10.0),
            downlink_s=rng.exponential(0.005),
        )
        chosen = int(build(chain.costs(), kind=kind, objective=objective).choose(knows, 0).point)
        assert chosen == int(np.argmin(by_brute_force(chain, knows, rate_bps, objective)))
        seen.add("end" if chosen == len(chain.mobile_s) else "start" if not chosen else "middle")
    assert seen == {"start", "middle", "end"}


NARROWING = Chain(np.full(8, 0.02), np.full(8, 0.001), 4e6 * 0.4 ** np.arange(9))


def cuts(chain: Chain, situations) -> list[int]:
    policy = build(chain.costs(), kind="neurosurgeon")
    return [int(policy.choose(knows, 0).point) for knows in situations]


def test_optimum_moves_from_the_device_over_the_middle_to_the_server():
    """Narrowing chain: a lower cut saves device seconds and costs bits, so it needs more rate."""
    path = cuts(NARROWING, [knowledge(rate_bps) for rate_bps in np.geomspace(1e4, 1e9, 200)])
    assert path[0] == 8 and path[-1] == 0 and len(set(path)) > 4
    assert (np.diff(path) <= 0).all()


def test_server_load_moves_the_split_back():
    path = cuts(NARROWING, [knowledge(3e7, edge_load=load) for load in np.geomspace(1, 100, 100)])
    assert path[0] < 4 and path[-1] == 8
    assert (np.diff(path) >= 0).all()


def test_widening_chain_has_its_optimum_at_an_end():
    """Without a bottleneck no middle wins: its upload is longer than the input's."""
    chain = Chain(np.full(8, 0.02), np.full(8, 0.001), 1e6 * 1.2 ** np.arange(9))
    path = cuts(chain, [knowledge(rate_bps) for rate_bps in np.geomspace(1e4, 1e9, 200)])
    assert set(path) == {0, 8}


def test_crossover_rate_in_closed_form():
    """Local and remote take equally long at rate* = bits / (local - what remote computes)."""
    rng = np.random.default_rng(3)
    for _ in range(100):
        local_s, head_s, tail_s = rng.uniform(0.2, 1), rng.uniform(0, 0.1), rng.uniform(0, 0.05)
        bits, load, wait_s = rng.uniform(1e4, 1e6), rng.uniform(1, 2), rng.uniform(0, 0.01)
        costs = {
            "local": Costs("local", Scheme.LOCAL, local_s, 0, 0, 0, 80, sends=False),
            "remote": Costs("remote", Scheme.SEPARATE, head_s, tail_s, bits, 0, 80),
        }
        policy = build(costs, kind="neurosurgeon")
        rate_bps = bits / (local_s - head_s - load * tail_s - wait_s)
        for factor, best in ((0.999, "local"), (1.001, "remote")):
            knows = knowledge(rate_bps * factor, edge_load=load, edge_wait_s=wait_s)
            assert policy.choose(knows, 0).point == best


def test_energy_crossover_rate_in_closed_form():
    """Joules are equal at rate* = bits * transmit_w / (compute_w * (local - head))."""
    costs = {
        "local": Costs("local", Scheme.LOCAL, 0.5, 0, 0, 0, 80, sends=False),
        "remote": Costs("remote", Scheme.SEPARATE, 0.1, 9.0, 1e6, 0, 80),
    }
    policy = build(costs, kind="neurosurgeon", objective="energy")
    rate_bps = 1e6 * 1.5 / (3.0 * (0.5 - 0.1))
    assert policy.choose(knowledge(rate_bps * 0.999), 0).point == "local"
    assert policy.choose(knowledge(rate_bps * 1.001), 0).point == "remote"


# --- thresholds and meter ---------------------------------------------------------------------


def walk_db(seed: int = 5, n: int = 5000) -> np.ndarray:
    """First-order autoregressive reports, 3 dB of standard deviation around 10 dB."""
    rng, path = np.random.default_rng(seed), np.empty(n)
    level = rng.normal(0, 3)
    for i, noise in enumerate(rng.normal(0, 3 * math.sqrt(1 - 0.95**2), n)):
        path[i] = level = 0.95 * level + noise
    return 10.0 + path


def switched(path_db: np.ndarray, hysteresis_db: float) -> np.ndarray:
    low = Costs("low", Scheme.SEPARATE, 0, 0, 1, 0, 1)
    steps = [{"snr_min_db": 0, "point": "low"}, {"snr_min_db": 10, "point": "high"}]
    policy = build(
        {"low": low, "high": dataclasses.replace(low, name="high")},
        kind="snr_threshold",
        steps=steps,
        hysteresis_db=hysteresis_db,
    )
    said = [policy.choose(knowledge(snr_db=float(level)), 0).point for level in path_db]
    return np.array(said) == "high"


@pytest.mark.parametrize("hysteresis_db", [0.0, 1.0, 3.0])
def test_hysteresis_is_a_schmitt_trigger(hysteresis_db):
    """The state is decided by the last report outside the band [10, 10 + h) dB."""
    path_db = walk_db()
    outside = (path_db < 10.0) | (path_db >= 10.0 + hysteresis_db)
    last = np.maximum.accumulate(np.where(outside, np.arange(len(path_db)), -1))
    expected = np.where(last < 0, False, path_db[last] >= 10.0)
    assert (switched(path_db, hysteresis_db) == expected).all()


def test_changes_without_hysteresis_at_rices_rate():
    """An AR(1) with correlation r crosses its mean with probability arccos(r) / pi per step."""
    walks = [walk_db(seed, 2001) for seed in range(16)]
    changes = [changes_of(switched(path_db, 0.0)) for path_db in walks]
    half = stats.t.ppf(0.995, 15) * np.std(changes, ddof=1) / 4
    expected = math.acos(0.95) / math.pi * 2000
    assert abs(np.mean(changes) - expected) < half < expected / 8
    assert changes_of(switched(walks[0], 3.0)) < changes[0] / 3


def changes_of(states: np.ndarray) -> int:
    return int((states[1:] != states[:-1]).sum())


def test_meter_predicts_durations_without_bias():
    """Two speeds, equal amounts: the mean duration, not the inverse of the mean speed (Jensen)."""
    rng = np.random.default_rng(9)
    errors = []
    for _ in range(200):
        meter = RateMeter(1.6, weight=0.02)
        for speed in rng.choice([1.0, 4.0], 400):
            meter.observe(10.0, 10.0 / speed)
        errors.append(10.0 / meter.per_s - 10.0 * (1.0 + 0.25) / 2)
    half = stats.t.ppf(0.995, 199) * np.std(errors, ddof=1) / math.sqrt(200)
    assert abs(np.mean(errors)) < half < 0.3  # 1 / mean speed would be off by 2.25


# --- bandits ----------------------------------------------------------------------------------

MEANS = np.array([0.3, 0.5, 0.7, 0.4])
GAPS = MEANS.max() - MEANS
NOISE = 0.2
ARMS = {str(i): Costs(str(i), Scheme.SEPARATE, 0, 0, 1, 0, 1) for i in range(len(MEANS))}
KNOWS = knowledge()


def play(
    seed: int, steps: int, means=MEANS, costs=ARMS, policy=None, sigma=NOISE, **spec
) -> np.ndarray:
    """Arms pulled, ``(steps,)``, with normal rewards."""
    rng = np.random.default_rng((77, seed))
    policy = policy or build(costs, seed, kind="bandit", **spec)
    pulled = np.empty(steps, dtype=int)
    for step in range(steps):
        point = policy.choose(KNOWS, 0).point
        pulled[step] = int(point)
        policy.learn(point, rng.normal(means[int(point)], sigma))
    return pulled


@cache
def regrets(rule: str, runs: int = 32, steps: int = 3200) -> np.ndarray:
    """Cumulative expected regret, ``(runs, steps)``."""
    spec = {"rule": rule, "noise": NOISE, "epsilon": 0.1}
    return np.array([GAPS[play(seed, steps, **spec)].cumsum() for seed in range(runs)])


def test_greedy_pays_epsilon_times_the_mean_gap():
    """Once the best is known: epsilon / K * sum of gaps a step (Auer et al. 2002, section 3)."""
    tail = regrets("epsilon_greedy")
    per_step = (tail[:, -1] - tail[:, 799]) / (tail.shape[1] - 800)
    half = stats.t.ppf(0.995, len(tail) - 1) * per_step.std(ddof=1) / math.sqrt(len(tail))
    assert abs(per_step.mean() - 0.1 * GAPS.mean()) < half < 0.1 * GAPS.mean() / 10


def test_thompson_regret_grows_as_lai_and_robbins_say():
    """Normal arms: sum of 2 sigma^2 ln(T) / gap to first order, and no policy does better.

    Lai & Robbins 1985; Lattimore & Szepesvari, Bandit Algorithms, 2020, Theorem 36.3. Lower orders
    count at these T, so the interval of the growth from 100 to 3200 steps shall lie between a
    third of it and twice.
    """
    grown = regrets("thompson")[:, -1] - regrets("thompson")[:, 99]
    half = stats.t.ppf(0.995, len(grown) - 1) * grown.std(ddof=1) / math.sqrt(len(grown))
    slope = sum(2 * NOISE**2 / gap for gap in GAPS if gap > 0) * math.log(32)
    assert slope / 3 < grown.mean() - half and grown.mean() + half < slope * 2


@pytest.mark.slow
def test_thompson_regret_equals_a_published_one():
    """29.9 after 2000 steps of two arms 0.2 sigma apart with a flat prior.

    Lattimore & Szepesvari 2020, Experiment 36.1 (mean of 100,000 runs). The prior is flat here
    since sigma = 0.02 is small against it; the regret is in units of sigma.
    """
    means, costs = np.array([0.504, 0.5]), {name: ARMS[name] for name in "01"}
    found = [
        0.2 * play(seed, 2000, means, costs, noise=0.02, sigma=0.02).sum() for seed in range(400)
    ]
    half = stats.t.ppf(0.995, 399) * np.std(found, ddof=1) / math.sqrt(400)
    assert abs(np.mean(found) - 29.9) < half < 5.0


def test_thompson_within_the_bound_and_far_below_greedy():
    """C sigma sqrt(T K ln T) of Theorem 36.3 ibid., with C = 1 from 20 steps on."""
    steps = np.arange(20, 3200)
    bound = NOISE * np.sqrt(len(MEANS) * steps * np.log(steps))
    mean = regrets("thompson").mean(axis=0)
    assert (mean[20:] < bound).all()
    assert mean[-1] < regrets("epsilon_greedy")[:, -1].mean() / 5


def test_thompson_finds_the_best_arm():
    shares = [np.mean(play(seed, 1500, noise=NOISE)[-500:] == 2) for seed in range(8)]
    assert min(shares) > 0.9


@pytest.mark.parametrize(("sums", "counts"), [((3.0, 5.5), (5, 10)), ((0.0, 2.0), (0, 4))])
def test_thompson_draws_by_the_probability_of_being_best(sums, counts):
    """Two arms: Phi(difference of means / root of the sum of variances), posterior by grid."""
    policy = build({name: ARMS[name] for name in "01"}, 4, kind="bandit", noise=0.3)
    for name, total, count in zip("01", sums, counts, strict=True):
        for _ in range(count):
            policy.learn(name, total / count)
    (m0, v0), (m1, v1) = (_posterior(s, n) for s, n in zip(sums, counts, strict=True))
    best = stats.norm.cdf((m0 - m1) / math.sqrt(v0 + v1))
    hits = sum(policy.choose(KNOWS, 0).point == "0" for _ in range(10_000))
    assert 0.005 < stats.binom.cdf(hits, 10_000, best) < 0.995


def _posterior(total: float, count: int) -> tuple[float, float]:
    """Mean and variance by Bayes' rule on a grid: prior N(0.5, 0.5^2), noise 0.3."""
    grid = np.linspace(-4, 5, 90_001)
    log = stats.norm.logpdf(grid, 0.5, 0.5)
    if count:
        log += count * stats.norm.logpdf(total / count, grid, 0.3)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    mean = float((weight * grid).sum())
    return mean, float((weight * (grid - mean) ** 2).sum())


@pytest.mark.parametrize("rule", ["epsilon_greedy", "thompson"])
def test_only_who_forgets_follows_a_change(rule):
    """Arms swap after 2000 steps; a memory of 50 rewards follows within 200, a full one hardly."""
    costs = {name: ARMS[name] for name in "01"}
    found = {}
    for forget in (0.0, 0.02):
        late = []
        for seed in range(6):
            spec = {"kind": "bandit", "rule": rule, "noise": NOISE, "forget": forget}
            policy = build(costs, seed, **spec)
            play(seed, 2000, means=(0.8, 0.3), policy=policy)
            late.append(np.mean(play(seed + 50, 400, (0.3, 0.8), policy=policy)[200:] == 1))
        found[forget] = np.array(late)
    assert found[0.02].min() > 0.75 and found[0.0].mean() < 0.25
    assert found[0.02].min() > found[0.0].max()
