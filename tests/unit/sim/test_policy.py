"""Unit: each policy by hand; the contract that every policy keeps, a user's own included."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import sys
from types import ModuleType

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.scenario import policies
from simsplit.scenario.permission import code_allowed
from simsplit.seeds import generator
from simsplit.sim.policy.bandit import reward
from simsplit.sim.policy.knowledge import Costs, Decision, Knowledge
from simsplit.sim.policy.policy import build_policy

COSTS = {
    costs.name: costs
    for costs in (
        Costs("local", Scheme.LOCAL, 0.300, 0.0, 0.0, 0.0, 80.0, sends=False),
        Costs("early", Scheme.SEPARATE, 0.050, 0.010, 4e5, 0.0, 80.0),
        Costs("late", Scheme.SEPARATE, 0.150, 0.005, 1e5, 0.0, 80.0),
        Costs("analog", Scheme.JSCC, 0.060, 0.012, 0.0, 1e5, 80.0),
        Costs("raw", Scheme.RAW, 0.005, 0.020, 2e6, 0.0, 80.0),
    )
}
CONFIDENCE = {"local": [0.95, 0.9, 0.5]}
EXIT_S = {"late": 0.02, "raw": 0.03}
EXPLORING = ("greedy", "thompson", "custom_plain")


def at_rate(per_s: float, symbols_per_s: float = 0.0):
    """Seconds for bits at ``per_s`` and JSCC symbols at ``symbols_per_s`` (0: never)."""

    def air_s(bits: float, uses: float) -> float:
        if (bits and not per_s) or (uses and not symbols_per_s):
            return math.inf
        return (bits / per_s if bits else 0.0) + (uses / symbols_per_s if uses else 0.0)

    return air_s


def knowledge(rate: float = 1e6, symbols: float = 0.0, **changes) -> Knowledge:
    plain = Knowledge(
        now_s=1.0,
        snr_db=10.0,
        air_s=at_rate(rate, symbols),
        queue_s=0.0,
        edge_wait_s=0.0,
        edge_load=1.0,
        downlink_s=0.0,
        deadline_s=0.5,
        battery_share=1.0,
        compute_w=5.0,
        transmit_w=1.0,
        receive_w=0.5,
        idle_w=1.0,
    )
    return dataclasses.replace(plain, **changes)


def build(costs=COSTS, seed: int = 1, **spec):
    made = TypeAdapter(policies.Policy).validate_python(spec)
    return build_policy(made, costs, generator(seed), confidence=CONFIDENCE, exit_s=EXIT_S)


def choice(policy, sample: int = 0, **knows) -> str:
    return policy.choose(knowledge(**knows), sample).point


# --- a user's own -----------------------------------------------------------------------------


class Plain:
    """Draws a name among its points; learns nothing."""

    def __init__(self, costs, options, rng):
        self.names, self.rng = list(costs), rng

    def choose(self, knowledge, sample):
        return self.names[self.rng.integers(len(self.names))]


class Full:
    """Says a `Decision` of the kind that its options name, and remembers rewards."""

    def __init__(self, costs, options, rng):
        self.decision = Decision(options["point"], options.get("exit_s", 0.0))
        self.learnt = []
        Full.latest = self

    def choose(self, knowledge, sample):
        return self.decision

    def learn(self, point, reward):
        self.learnt.append((point, reward))


class Mute:
    """Says nothing."""

    def __init__(self, costs, options, rng):
        pass


@pytest.fixture(autouse=True)
def a_users_module(monkeypatch):
    module = ModuleType("a_users_module")
    module.Plain, module.Full, module.Mute, module.Not = Plain, Full, Mute, dict
    monkeypatch.setitem(sys.modules, "a_users_module", module)
    with code_allowed():
        yield


# --- the contract -----------------------------------------------------------------------------

STEPS = [{"snr_min_db": 0, "point": "late"}, {"snr_min_db": 10, "point": "raw"}]
KINDS = {
    "fixed": {"kind": "fixed", "point": "late"},
    "neurosurgeon": {"kind": "neurosurgeon", "points": ["late", "raw", "local"]},
    "frugal": {"kind": "neurosurgeon", "objective": "energy"},
    "snr_threshold": {"kind": "snr_threshold", "steps": STEPS, "hysteresis_db": 2},
    "deadline": {"kind": "deadline", "points": ["raw", "early", "local"]},
    "energy_aware": {"kind": "energy_aware", "budget_j": 1.0, "points": ["raw", "local"]},
    "early_exit": {"kind": "early_exit", "exit": "local", "then": "late"},
    "greedy": {"kind": "bandit", "rule": "epsilon_greedy", "points": ["raw", "late"]},
    "thompson": {"kind": "bandit", "forget": 0.1},
    "oracle": {"kind": "oracle"},
    "custom_plain": {
        "kind": "custom",
        "target": "a_users_module:Plain",
        "points": ["raw", "late"],
    },
    "custom_full": {
        "kind": "custom",
        "target": "a_users_module:Full",
        "options": {"point": "late"},
    },
}


def situations(n: int = 100):
    """Random knowledge with random samples, unknown reports and full servers among them."""
    rng = np.random.default_rng(7)
    for _ in range(n):
        yield (
            knowledge(
                rate=rng.choice([0.0, 1e5, 1e6, 1e7, 1e8]),
                symbols=rng.choice([0.0, 1e6]),
                snr_db=rng.choice([math.nan, *rng.uniform(-10, 30, 5)]),
                edge_wait_s=rng.choice([0.0, 0.1, math.inf]),
                edge_load=rng.uniform(1, 10),
                queue_s=rng.exponential(0.1),
                battery_share=rng.uniform(),
            ),
            int(rng.integers(3)),
        )


@pytest.mark.parametrize("name", KINDS)
class TestContract:
    """What holds for every policy, ours or a user's."""

    def decisions(self, name, seed=1, learns=True):
        policy, made = build(seed=seed, **KINDS[name]), []
        for number, (knows, sample) in enumerate(situations()):
            made.append(policy.choose(knows, sample))
            if learns:
                assert policy.learn(made[-1].point, (number % 3) / 2) is None
        return made

    def test_chooses_among_its_points_alone(self, name):
        spec = TypeAdapter(policies.Policy).validate_python(KINDS[name])
        allowed = policies.points_of(spec) or tuple(COSTS)
        for decision in self.decisions(name):
            assert isinstance(decision, Decision) and decision.point in allowed
            assert 0.0 <= decision.exit_s < math.inf

    def test_same_seed_same_decisions_whatever_the_global_seed(self, name):
        np.random.seed(1)
        first = self.decisions(name, seed=5)
        np.random.seed(2)
        assert self.decisions(name, seed=5) == first

    def test_only_exploring_policies_draw(self, name):
        differs = self.decisions(name, seed=5) != self.decisions(name, seed=6)
        assert differs == (name in EXPLORING)

    def test_only_bandits_learn(self, name):
        differs = self.decisions(name) != self.decisions(name, learns=False)
        assert differs == (name in ("greedy", "thompson"))

    def test_gets_knowledge_and_a_sample_and_nothing_else(self, name):
        policy = build(**KINDS[name])
        assert list(inspect.signature(policy.choose).parameters) == ["knowledge", "sample"]
        knows = knowledge()
        before = copy.copy(knows)
        policy.choose(knows, 0)
        assert knows == before


@pytest.mark.parametrize(
    "name", [name for name, spec in KINDS.items() if {"point", "points", "steps", "exit"} & {*spec}]
)
def test_a_point_that_is_not_there(name):
    with pytest.raises(ScenarioError, match="no such operating point") as caught:
        build(costs={"other": COSTS["early"]}, **KINDS[name])
    assert caught.value.choices == ("other",) and caught.value.path == "policy"


# --- one by one -------------------------------------------------------------------------------


def test_fixed():
    assert choice(build(kind="fixed", point="raw"), rate=0.0) == "raw"


@pytest.mark.parametrize("kind", ["neurosurgeon", "oracle"])
@pytest.mark.parametrize(
    ("rate", "best"), [(1e5, "local"), (1e6, "late"), (4e6, "early"), (1e8, "raw")]
)
def test_least_latency(kind, rate, best):
    assert choice(build(kind=kind), rate=rate) == best


def test_least_latency_with_symbols():
    assert choice(build(kind="neurosurgeon"), rate=1e5, symbols=1e6) == "analog"


def test_least_energy():
    frugal = build(kind="neurosurgeon", objective="energy")
    assert choice(frugal, rate=1e6, compute_w=0.1) == "local"  # 0.03 J; late: 0.015 + 0.1
    assert choice(frugal, rate=1e6, compute_w=5.0) == "early"  # 0.25 + 0.4 J; late: 0.75 + 0.1


def test_frugal_does_not_send_to_a_server_that_never_answers():
    frugal = build(kind="neurosurgeon", objective="energy")
    assert choice(frugal, rate=1e8) == "raw"
    assert choice(frugal, rate=1e8, edge_wait_s=math.inf) == "local"


def test_ties_go_to_the_first_listed():
    twin = dataclasses.replace(COSTS["raw"], name="twin")
    costs = COSTS | {"twin": twin}
    assert choice(build(costs, kind="neurosurgeon", points=["raw", "twin"])) == "raw"
    assert choice(build(costs, kind="neurosurgeon", points=["twin", "raw"])) == "twin"


def test_without_hope_the_one_that_needs_least_help():
    remote = ["early", "late", "raw"]
    assert choice(build(kind="neurosurgeon", points=remote), rate=0.0) == "raw"
    tells = Costs("tells", Scheme.LOCAL, 0.3, 0.0, 80.0, 0.0, 80.0)
    costs = COSTS | {"tells": tells}
    policy = build(costs, kind="neurosurgeon", points=[*remote, "tells"])
    assert choice(policy, rate=0.0) == "tells"
    assert choice(build(kind="neurosurgeon"), rate=0.0, queue_s=math.inf) == "local"


def test_steps_with_hysteresis_by_hand():
    steps = [*STEPS, {"snr_min_db": 20, "point": "early"}]
    policy = build(kind="snr_threshold", steps=steps, hysteresis_db=2)
    path = [
        (math.nan, "late"),
        (11, "late"),
        (12, "raw"),
        (math.nan, "raw"),
        (10, "raw"),
        (9.9, "late"),
        (30, "early"),
        (20, "early"),
        (19, "raw"),
        (21, "raw"),
        (-50, "late"),
    ]
    for snr_db, point in path:
        assert choice(policy, snr_db=snr_db) == point, snr_db


def test_steps_without_hysteresis():
    policy = build(kind="snr_threshold", steps=STEPS)
    assert [choice(policy, snr_db=level) for level in (10, 9.99, 10)] == ["raw", "late", "raw"]


def test_deadline_takes_the_best_in_time():
    policy = build(kind="deadline", points=["raw", "late", "local"], margin=0.1)
    assert choice(policy, rate=1e7) == "raw"  # 0.225 s
    assert choice(policy, rate=4e6) == "late"  # raw: 0.525 s
    assert choice(policy, rate=1e5) == "local"  # 0.3 s
    assert choice(policy, rate=1e7, deadline_s=0.24) == "late"  # raw would use the reserve


def test_deadline_out_of_reach_takes_the_fastest():
    policy = build(kind="deadline", points=["raw", "late", "local"])
    assert choice(policy, rate=4e6, deadline_s=0.01) == "late"


def test_deadline_least_energy():
    policy = build(kind="deadline", points=["local", "early", "late"], least_energy=True)
    assert choice(policy, rate=1e7) == "early"
    assert choice(policy, rate=1e7, compute_w=0.01) == "local"  # 3 mJ; late: 1.5 + 10


def test_energy_aware_weighs():
    local_or_raw = {"points": ["local", "raw"], "budget_j": 1.0, "kind": "energy_aware"}
    knows = {"rate": 1e7, "compute_w": 0.1}  # local: 0.3 s, 0.03 J; raw: 0.225 s, 0.2005 J
    assert choice(build(weight=1.0, **local_or_raw), **knows) == "raw"
    assert choice(build(weight=0.0, **local_or_raw), **knows) == "local"
    even = 0.1705 / (0.1705 + 0.075 / 0.5)  # where w * 0.075 / 0.5 = (1 - w) * 0.1705 / 1
    assert choice(build(weight=even + 0.01, **local_or_raw), **knows) == "raw"
    assert choice(build(weight=even - 0.01, **local_or_raw), **knows) == "local"


def test_energy_alone_counts_on_a_low_battery():
    policy = build(kind="energy_aware", budget_j=1.0, weight=1.0, battery_share=0.2)
    assert choice(policy, rate=1e8, compute_w=0.1, transmit_w=9.0) == "raw"
    low = {"rate": 1e8, "compute_w": 0.1, "transmit_w": 9.0, "battery_share": 0.19}
    assert choice(policy, **low) == "late"  # 24 mJ; local 30, early 41


@pytest.mark.parametrize(
    "spec", [{"kind": "deadline", "points": ["raw"]}, {"kind": "energy_aware", "budget_j": 1.0}]
)
def test_no_deadline_is_an_error_where_it_counts(spec):
    with pytest.raises(ScenarioError, match="deadline_s"):
        choice(build(**spec), deadline_s=math.inf)
    assert policies.needs_deadline(TypeAdapter(policies.Policy).validate_python(spec))


def test_early_exit():
    policy = build(kind="early_exit", exit="local", then="late", threshold=0.9)
    decisions = [policy.choose(knowledge(), sample) for sample in range(3)]
    assert decisions == [Decision("local"), Decision("local"), Decision("late", 0.02)]


@pytest.mark.parametrize(
    ("exit_point", "then", "message"),
    [("late", "raw", "local"), ("local", "early", "not known"), ("tells", "raw", "confidence")],
)
def test_early_exit_that_cannot_be_built(exit_point, then, message):
    costs = COSTS | {"tells": Costs("tells", Scheme.LOCAL, 0.3, 0.0, 80.0, 0.0, 80.0)}
    with pytest.raises(ScenarioError, match=message):
        build(costs, kind="early_exit", exit=exit_point, then=then)


# --- bandits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latency_s", "deadline_s", "answered", "value"),
    [
        (0.1, 0.4, True, 0.75),
        (0.4, 0.4, True, 0.0),
        (9.0, 0.4, True, 0.0),
        (0.1, 0.4, False, 0.0),
        (math.nan, 0.4, False, 0.0),
        (9.0, math.inf, True, 1.0),
        (9.0, math.nan, True, 1.0),
    ],
)
def test_reward(latency_s, deadline_s, answered, value):
    assert reward(latency_s, deadline_s, answered) == pytest.approx(value)


def test_greedy_tries_each_once_in_an_order_of_its_own():
    orders = set()
    for seed in range(20):
        policy = build(seed=seed, kind="bandit", rule="epsilon_greedy", epsilon=0.0)
        order = tuple(choice(policy) for _ in COSTS)
        assert sorted(order) == sorted(COSTS)
        orders.add(order)
    assert len(orders) > 10


def test_greedy_takes_the_best_known_and_the_first_of_equals():
    policy = build(
        kind="bandit", rule="epsilon_greedy", epsilon=0.0, points=["late", "raw", "early"]
    )
    first = [choice(policy) for _ in range(3)]
    assert len(set(first)) == 3
    policy.learn("early", 0.0)
    assert choice(policy) == "early"  # the others' rewards are not in yet
    policy.learn("raw", 0.6)
    assert choice(policy) == "raw"
    policy.learn("late", 0.6)
    assert choice(policy) == "late"
    policy.learn("late", 0.5)
    assert choice(policy) == "raw"


def test_thompson_posterior_by_hand():
    policy = build(kind="bandit", points=["raw", "late"])
    for value in (1.0, 0.8, 0.9):
        policy.learn("late", value)
    means, sds = policy.posterior()
    assert means == pytest.approx([0.5, (0.5 + 2.7) / 4])
    assert sds**2 == pytest.approx([0.25, 0.25 / 4])


@pytest.mark.parametrize("rule", ["epsilon_greedy", "thompson"])
def test_forgetting_discounts_geometrically(rule):
    policy = build(kind="bandit", rule=rule, forget=0.1, points=["raw", "late"])
    for _ in range(300):
        policy.learn("raw", 1.0)
    assert policy.arms.counts == pytest.approx([10.0, 0.0])  # 1 / forget
    for _ in range(5):
        policy.learn("raw", 0.0)
    assert policy.arms.means[0] == pytest.approx(0.9**5)
    for _ in range(20_000):
        policy.learn("late", 0.2)
    assert np.isfinite(policy.arms.means).all() and policy.arms.counts[0] < 1e-300
    assert policy.choose(knowledge(), 0).point in ("raw", "late")


# --- a user's own, and specs ------------------------------------------------------------------


def full(**options):
    return build(kind="custom", target="a_users_module:Full", options=options)


def test_custom_decisions_and_rewards_pass_through():
    policy = full(point="raw", exit_s=0.5)
    assert policy.choose(knowledge(), 0) == Decision("raw", 0.5)
    policy.learn("raw", 0.25)
    assert Full.latest.learnt == [("raw", 0.25)]


def test_custom_must_keep_the_contract():
    with pytest.raises(ScenarioError, match=r"may not.*Did you mean 'raw'"):
        choice(full(point="raww"))
    for seconds in (-1.0, math.inf, math.nan):
        with pytest.raises(ScenarioError, match="exit_s"):
            choice(full(point="raw", exit_s=seconds))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module_here:Policy", "cannot be imported"),
        ("a_users_module:Not", "the class has no choose\\(\\), which the contract"),
        ("a_users_module:Full", "cannot be built.*point"),  # its option is missing
        ("types:SimpleNamespace", "has no choose\\(\\)"),
        ("unittest.mock:sentinel", "neither a class nor a function"),
        ("a_users_module:Mute", "has no choose\\(\\)"),
    ],
)
def test_custom_that_cannot_be_used(target, message):
    with pytest.raises(ScenarioError, match=message) as caught:
        build(kind="custom", target=target)
    assert caught.value.path == "policy.target" and caught.value.value == target


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "neurosurgeon", "points": ["raw", "raw"]},
        {"kind": "early_exit", "exit": "local", "then": "local"},
        {"kind": "bandit", "forget": 1.0},
        {"kind": "bandit", "noise": 0.0},
        {"kind": "snr_threshold", "steps": STEPS[::-1]},
    ],
)
def test_specs_that_make_no_sense(spec):
    with pytest.raises(ValidationError):
        TypeAdapter(policies.Policy).validate_python(spec)
