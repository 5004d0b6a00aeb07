"""How devices choose operating points, as a scenario's YAML says it.

Every policy decides on what a device knows (`simsplit.sim.policy.knowledge.Knowledge`): its last
channel report, the rate it measured, the server's last load report, its own queue; never on the
truth. ``points`` names the operating points it may choose from; empty: all of the scenario.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from simsplit.scenario.custom import Target
from simsplit.scenario.spec import Fraction, Level, Name, NonNegative, Number, Positive, Spec


def _each_once(points: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(points)) < len(points):
        raise ValueError("each operating point once")
    return points


Points = Annotated[tuple[Name, ...], AfterValidator(_each_once)]
Objective = Literal["latency", "energy"]


class Fixed(Spec):
    """Always the same operating point."""

    kind: Literal["fixed"]
    point: Name


class Neurosurgeon(Spec):
    """Least predicted latency, or least predicted energy of the device (Kang et al., ASPLOS 2017).

    Predicted compute seconds, mean payload over the rate estimate, and the server's load as last
    reported (multiplies the server's seconds: Kang et al., Algorithm 1 with K the load level).
    """

    kind: Literal["neurosurgeon"]
    objective: Objective = "latency"
    points: Points = ()


class Step(Spec):
    """From this SNR on, that operating point."""

    snr_min_db: Level
    point: Name


class SnrThreshold(Spec):
    """The step with the highest ``snr_min_db`` that the last channel report reaches.

    ``hysteresis_db``: the report must exceed a higher step by this much before a change upwards;
    downwards it changes at once. Below the lowest step, and before the first report, the lowest
    step counts.
    """

    kind: Literal["snr_threshold"]
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    hysteresis_db: NonNegative = 0.0

    @model_validator(mode="after")
    def _rising(self) -> SnrThreshold:
        levels = [step.snr_min_db for step in self.steps]
        if levels != sorted(set(levels)):
            raise ValueError("steps must rise in snr_min_db, each once")
        return self


class DeadlineAware(Spec):
    """Of the points predicted to answer within the deadline, the best listed; else the fastest.

    ``points`` in order of preference (best accuracy first). ``margin``: share of the deadline kept
    in reserve. With ``least_energy`` the one of least predicted device energy among them instead.
    """

    kind: Literal["deadline"]
    points: Annotated[Points, Field(min_length=1)]
    margin: Fraction = 0.1
    least_energy: bool = False


class EnergyAware(Spec):
    """Least w * latency / deadline + (1 - w) * energy / budget, both predicted.

    ``budget_j``: joules that weigh as much as the whole deadline. Below ``battery_share`` of the
    battery, energy alone counts.
    """

    kind: Literal["energy_aware"]
    budget_j: Positive
    weight: Fraction = 0.5
    battery_share: Fraction = 0.0
    points: Points = ()


class EarlyExit(Spec):
    """Answers on the device with ``exit`` when its confidence reaches ``threshold``, else ``then``.

    ``exit`` is an operating point of scheme ``local``; its confidence per sample comes from act
    one. A request that goes on has paid for the exit: its device seconds are those of the exit
    plus what ``then`` needs beyond the trunk that both share.
    """

    kind: Literal["early_exit"]
    exit: Name
    then: Name
    threshold: Fraction = 0.9

    @model_validator(mode="after")
    def _two(self) -> EarlyExit:
        if self.exit == self.then:
            raise ValueError("exit and then must be two operating points")
        return self


class Bandit(Spec):
    """Learns from its own rewards which point is best (Sutton & Barto 2018, ch. 2; Thompson 1933).

    Reward of a request in [0, 1]: 1 - latency / deadline, not below 0; 0 without an answer.
    ``epsilon_greedy`` explores with probability ``epsilon``; ``thompson`` draws from a normal
    posterior per point of which ``noise`` is the rewards' standard deviation (0.5: at most, for
    rewards in [0, 1]). ``forget``: share of what was learnt that each reward makes forgotten, for
    channels that change (about the last 1 / forget rewards count). Every device learns for itself.
    """

    kind: Literal["bandit"]
    rule: Literal["epsilon_greedy", "thompson"] = "thompson"
    epsilon: Fraction = 0.1
    noise: Positive = 0.5
    forget: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    points: Points = ()


class Oracle(Spec):
    """The rule of ``neurosurgeon`` with true costs, channel and queues of the moment: a bound."""

    kind: Literal["oracle"]
    objective: Objective = "latency"
    points: Points = ()


class Custom(Spec):
    """A user's own: ``target`` names a class that is built with (costs by point, options, rng).

    It has ``choose(knowledge, sample)``, which gives the name of one of its points or a
    `simsplit.sim.policy.knowledge.Decision`, and may have ``learn(point, reward)``.
    """

    kind: Literal["custom"]
    target: Target
    options: dict[str, float | int | str | bool] = Field(default_factory=dict)
    points: Points = ()


Policy = Annotated[
    Fixed
    | Neurosurgeon
    | SnrThreshold
    | DeadlineAware
    | EnergyAware
    | EarlyExit
    | Bandit
    | Oracle
    | Custom,
    Field(discriminator="kind"),
]


def points_of(policy: Policy) -> tuple[str, ...]:
    """The operating points that a policy names; empty: it may choose from all."""
    match policy:
        case Fixed():
            return (policy.point,)
        case SnrThreshold():
            return tuple(dict.fromkeys(step.point for step in policy.steps))
        case EarlyExit():
            return (policy.exit, policy.then)
        case _:
            return policy.points


def needs_deadline(policy: Policy) -> bool:
    """True if the policy weighs latency against a deadline, which its devices then must have."""
    return isinstance(policy, DeadlineAware | EnergyAware | Bandit)
