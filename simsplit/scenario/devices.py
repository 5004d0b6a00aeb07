"""Groups of devices: arrivals, mobility, battery, heat, and what decides their operating point."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simsplit.scenario.custom import CustomSpec
from simsplit.scenario.policies import Fixed, Policy, needs_deadline
from simsplit.scenario.spec import (
    Fraction,
    Level,
    Name,
    NonNegative,
    Number,
    Positive,
    Reference,
    Spec,
)

Celsius = Annotated[Number, Field(ge=-90, le=250)]


class Battery(Spec):
    """A store of ``capacity_j`` that all of the device's power states drain, idling too.

    ``harvest_w`` charges it all the time; what comes in while it is full is lost. At or below
    ``cutoff_share`` of the capacity it counts as empty: no new request starts, what is under way
    is finished, and an idle device then draws no more than it harvests: it comes back if the
    harvest exceeds what it draws idle, otherwise never.
    """

    capacity_j: Positive
    initial_share: Fraction = 1.0
    harvest_w: NonNegative = 0.0
    cutoff_share: Annotated[Number, Field(ge=0, lt=1)] = 0.0


class Heat(Spec):
    """The air around the device, and what shall differ from its hardware file's ``thermal``.

    From ``throttle_at_c`` on it computes at ``throttled_scale`` of its speed and draws
    ``throttled_compute_w``, until it has cooled to ``resume_at_c``.
    """

    ambient_c: Annotated[Number, Field(ge=-90, le=100)] = 25.0
    resistance_k_per_w: Positive | None = None
    capacity_j_per_k: Positive | None = None
    throttle_at_c: Celsius | None = None
    resume_at_c: Celsius | None = None
    throttled_scale: Annotated[Number, Field(gt=0, le=1)] | None = None
    throttled_compute_w: NonNegative | None = None


# --- devices ----------------------------------------------------------------------------------


class PoissonArrivals(Spec):
    """Memoryless requests."""

    kind: Literal["poisson"]
    rate_hz: Positive


class PeriodicArrivals(Spec):
    """One request per period; each device has its own random phase unless ``in_phase``."""

    kind: Literal["periodic"]
    period_s: Positive
    in_phase: bool = False


class TraceArrivals(Spec):
    """Arrivals from a CSV or Parquet file beside the YAML: columns ``time_s`` and ``device``.

    Devices are numbered from 0 in each group; times of one device are in order. A column ``group``
    chooses the rows of this group, ``replication`` those of a replication, and ``sample`` says
    which sample is asked about; `simsplit export RUN --format csv` writes them all.
    """

    kind: Literal["trace"]
    file: str


class CustomArrivals(CustomSpec):
    """A user's own process, one object per device: see `simsplit.contracts.Arrivals`.

    ``rate_hz``: its mean rate, if it is known, for what `simsplit check` expects.
    """

    rate_hz: Positive | None = None


Arrivals = Annotated[
    PoissonArrivals | PeriodicArrivals | TraceArrivals | CustomArrivals, Field(discriminator="kind")
]


class Static(Spec):
    """Stands still."""

    kind: Literal["static"] = "static"


class RandomWaypoint(Spec):
    """Walks to a uniform point of the ring at a uniform speed, pauses, and goes on (Johnson 1996).

    The slowest speed must be positive, or the mean speed falls for ever (Yoon et al. 2003).
    """

    kind: Literal["random_waypoint"]
    speed_min_mps: Positive = 0.5
    speed_max_mps: Positive = 1.5
    pause_s: NonNegative = 0.0

    @model_validator(mode="after")
    def _order(self) -> RandomWaypoint:
        if self.speed_max_mps < self.speed_min_mps:
            raise ValueError("speed_max_mps must be at least speed_min_mps")
        return self


class StraightLine(Spec):
    """Goes straight on, in a random direction without ``heading_deg``, and turns at the rim."""

    kind: Literal["straight"]
    speed_mps: Positive
    heading_deg: Annotated[Number, Field(ge=-360, le=360)] | None = None


class TraceMobility(Spec):
    """Positions from a CSV with the columns ``time_s``, ``device``, ``x_m`` and ``y_m``."""

    kind: Literal["trace"]
    file: str


Mobility = Annotated[
    Static | RandomWaypoint | StraightLine | TraceMobility, Field(discriminator="kind")
]


class DeviceGroup(Spec):
    """Devices that are alike. ``distance_m``: drawn uniformly over the ring's area.

    ``weight``: share of the airtime under the scheduler ``weighted``. ``place_group``: stand and
    fade exactly as the devices of that group do (same number in the group), so that two groups
    compare schemes at equal places. ``policy`` chooses for every request instead of a fixed
    ``operating_point``. ``priority``: higher first, if the server's queue heeds it. ``dvfs``: one
    of the hardware's frequency levels. ``battery_j`` is short for a full ``battery`` without
    harvest; ``heat`` switches on the thermal figures of the hardware file.
    """

    name: Name
    count: Annotated[int, Field(ge=1, le=10_000, strict=True)]
    hardware: Reference
    operating_point: Name | None = None
    policy: Policy | None = None
    arrivals: Arrivals
    deadline_s: Positive | None = None
    tx_power_dbm: Level = 23.0
    distance_min_m: Positive = 10.0
    distance_max_m: Positive = 200.0
    mobility: Mobility = Static()
    place_group: Name | None = None
    weight: Positive = 1.0
    on_loss: Literal["drop", "retry_locally"] = "drop"
    battery_j: Positive | None = None
    battery: Battery | None = None
    heat: Heat | None = None
    priority: Annotated[int, Field(ge=-100, le=100, strict=True)] = 0
    dvfs: Name | None = None

    @model_validator(mode="after")
    def _one_choice(self) -> DeviceGroup:
        if (self.operating_point is None) == (self.policy is None):
            raise ValueError("say either operating_point or policy")
        if self.policy is not None and needs_deadline(self.policy) and self.deadline_s is None:
            raise ValueError(f"policy '{self.policy.kind}' needs a deadline_s")
        if self.battery_j is not None and self.battery is not None:
            raise ValueError("say either battery_j or battery")
        return self

    @property
    def choice(self) -> Policy:
        """The policy; a fixed one if the group has one operating point."""
        if self.policy is not None:
            return self.policy
        assert self.operating_point is not None
        return Fixed(kind="fixed", point=self.operating_point)

    @property
    def machine(self) -> str:
        """Hardware with its frequency level: what a cost depends on."""
        return self.hardware if self.dvfs is None else f"{self.hardware}@{self.dvfs}"

    @model_validator(mode="after")
    def _ring(self) -> DeviceGroup:
        if self.distance_max_m < self.distance_min_m:
            raise ValueError("distance_max_m must be at least distance_min_m")
        walks = self.mobility.kind == "random_waypoint"
        if walks and self.distance_max_m == self.distance_min_m:
            raise ValueError("a random waypoint needs a ring: distance_max_m above distance_min_m")
        return self
