"""A policy of a user's own, held to its contract (`simsplit.sim.policy.knowledge.Chooser`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simsplit.errors import ContractError, ScenarioError, SimsplitError
from simsplit.messages import Scheme
from simsplit.scenario import policies as specs
from simsplit.scenario.user_code import build_target, made_of
from simsplit.sim.policy.knowledge import Chooser, Costs, Decision, Knowledge

KIND = "a policy"


class CustomPolicy:
    """Wraps a user's policy: names become decisions, and a point that it may not choose an error.

    Args:
        own: The user's object; it may have ``learn(point, reward)``.
        points: Names of those that it may choose.
        who: Its class, for errors.
        path: Where the policy stands in the YAML, for errors.
    """

    def __init__(self, own: Chooser, points: Sequence[str], who: str, path: str = "") -> None:
        self._policy, self._points, self._who, self._path = own, tuple(points), who, path
        self._learn = getattr(own, "learn", None)

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """The user's decision; ContractError if it names no point of its own or a wrong time."""
        answer = self._asked("choose", self._policy.choose, knowledge, sample)
        decision = answer if isinstance(answer, Decision) else Decision(answer)
        if decision.point not in self._points:
            clause = "choose gives one of its points; it chose a point that it may not"
            raise self._error(clause, decision.point, self._points)
        if not _is_time(decision.exit_s):
            raise self._error("exit_s must be finite and not negative", decision.exit_s)
        return decision

    def learn(self, point: str, reward: float) -> None:
        """Hand the reward on, if the user's policy learns."""
        if self._learn is not None:
            self._asked("learn", self._learn, point, reward)

    def _asked(self, what: str, method: Any, *args: Any) -> Any:
        """The answer of a method; called for every request, hence no `users_code`."""
        try:
            return method(*args)
        except (SimsplitError, KeyboardInterrupt):
            raise
        except BaseException as error:
            message = f"{self._who} failed to {what}: {type(error).__name__}: {error}"
            raise ScenarioError(message, path=self._path) from error

    def _error(self, clause: str, found: object, choices: Sequence[str] = ()) -> ContractError:
        return ContractError.broken(
            self._who, KIND, clause, found, path=self._path, choices=choices
        )


def _is_time(value: Any) -> bool:
    is_real = isinstance(value, int | float | np.integer | np.floating)
    return bool(is_real and 0.0 <= value < math.inf)


def own_policy(
    spec: specs.Custom, costs: Mapping[str, Costs], rng: np.random.Generator, path: str
) -> CustomPolicy:
    """The policy of one device that a scenario names; see `Chooser`."""
    takes, where = "(costs, options, rng)", f"{path}.target"
    arguments = (dict(costs), dict(spec.options), rng)
    own = build_target(spec.target, *arguments, path=where, base=Chooser, takes=takes)
    return CustomPolicy(own, tuple(costs), spec.target, path)


# --- the contract, examined ---------------------------------------------------------------------

_COSTS = {
    "on_device": Costs("on_device", Scheme.LOCAL, 0.08, 0.0, 0.0, 0.0, 8.0, sends=False),
    "feature": Costs("feature", Scheme.SEPARATE, 0.02, 0.004, 8e3, 0.0, 8.0),
    "picture": Costs("picture", Scheme.RAW, 0.001, 0.006, 6e4, 0.0, 8.0),
}


def _known(snr_db: float, rate_bps: float) -> Knowledge:
    return Knowledge(
        now_s=1.0,
        snr_db=snr_db,
        air_s=lambda bits, uses: bits / rate_bps if rate_bps else math.inf,
        queue_s=0.01,
        edge_wait_s=0.002,
        edge_load=1.0,
        downlink_s=0.002,
        deadline_s=0.1,
        battery_share=0.5,
        compute_w=5.0,
        transmit_w=1.0,
        receive_w=0.5,
        idle_w=1.0,
    )


def check_policy(
    thing: Any,
    options: Mapping[str, Any] | None = None,
    points: Sequence[str] = ("on_device", "feature", "picture"),
) -> None:
    """Hold a policy to its contract: a class, built with (costs, options, rng), or an object.

    It is asked at levels from -10 to 30 dB, before the first report (NaN), and without a rate.

    Args:
        points: Names of the operating points; their costs are made up.

    Raises:
        ContractError: Names the clause that does not hold.
        ScenarioError: It cannot be built, or fails.
    """
    like = list(_COSTS.values())
    costs = {name: like[i % len(like)] for i, name in enumerate(points)}
    runs = []
    for _ in range(2 if isinstance(thing, type) else 1):
        arguments = (dict(costs), dict(options or {}), np.random.default_rng(1))
        own, who = made_of(thing, *arguments, contract=Chooser, kind=KIND)
        runs.append(_chosen(CustomPolicy(own, points, who)))
    if runs[0] != runs[-1]:
        clause = "it draws from its rng alone: the same rng, the same choices"
        raise ContractError.broken(who, KIND, clause)


def _chosen(policy: CustomPolicy) -> list[Decision]:
    decisions = []
    for sample, snr_db in enumerate((math.nan, -10.0, 0.0, 10.0, 30.0) * 4):
        known = _known(snr_db, 0.0 if math.isnan(snr_db) else 1e5 * 10 ** (snr_db / 10))
        decisions.append(policy.choose(known, sample))
        policy.learn(decisions[-1].point, 0.5)
    return decisions
