"""The edge server, its admission and scaling, and the cloud behind it, as a scenario says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simsplit.scenario.spec import Count, NonNegative, Positive, Reference, Spec, Whole

Workers = Annotated[int, Field(ge=1, le=1000, strict=True)]
MaxBatch = Annotated[int, Field(ge=1, le=1024, strict=True)]
Discipline = Literal["fifo", "edf", "priority"]

# --- who gets in ------------------------------------------------------------------------------


class AdmitAll(Spec):
    """Everybody for whom there is room (``queue_capacity``)."""

    kind: Literal["none"] = "none"


class DeadlineAdmission(Spec):
    """Refuses a request that is predicted to be answered after its deadline.

    Prediction: work ahead / workers (at least ``max_wait_s`` when batches may form) + own batch.
    Requests without a deadline are admitted.
    """

    kind: Literal["deadline"]


class RateAdmission(Spec):
    """Token bucket: ``rate_hz`` tokens a second, at most ``burst`` saved; a request takes one."""

    kind: Literal["rate"]
    rate_hz: Positive
    burst: Count = 1


Admission = Annotated[AdmitAll | DeadlineAdmission | RateAdmission, Field(discriminator="kind")]

# --- how many workers -------------------------------------------------------------------------


class FixedWorkers(Spec):
    """All ``workers`` are always on."""

    kind: Literal["none"] = "none"


class QueueScaling(Spec):
    """Workers come and go with the queue, between ``min_workers`` and ``max_workers``.

    At every multiple of ``check_period_s`` workers are started until fewer than ``scale_up_at``
    requests wait per worker that is on or starting. A start takes ``start_up_s`` at idle power.
    A worker that was idle for ``scale_down_after_s`` goes off (0 W) unless only ``min_workers``
    are on. The run begins with the edge's ``workers``.
    """

    kind: Literal["queue"]
    min_workers: Workers = 1
    max_workers: Workers
    scale_up_at: Positive = 2.0
    scale_down_after_s: NonNegative = 10.0
    start_up_s: NonNegative = 1.0
    check_period_s: Positive = 0.1

    @model_validator(mode="after")
    def _ordered(self) -> QueueScaling:
        if self.min_workers > self.max_workers:
            raise ValueError("min_workers must not exceed max_workers")
        return self


Scaling = Annotated[FixedWorkers | QueueScaling, Field(discriminator="kind")]

# --- the cloud behind the edge ----------------------------------------------------------------


class OffloadNever(Spec):
    """The cloud is there but nobody is sent."""

    kind: Literal["never"]


class OffloadWhenFull(Spec):
    """To the cloud if no worker of the edge is free and at least ``waiting`` requests wait."""

    kind: Literal["when_full"] = "when_full"
    waiting: Count = 8


class OffloadWhenLate(Spec):
    """To the cloud if the edge is predicted to miss the deadline (as in admission ``deadline``)."""

    kind: Literal["when_late"]


class OffloadAlways(Spec):
    """The edge is only a relay."""

    kind: Literal["always"]


Offload = Annotated[
    OffloadNever | OffloadWhenFull | OffloadWhenLate | OffloadAlways, Field(discriminator="kind")
]


class Cloud(Spec):
    """Servers behind a second hop of ``rate_bps`` and ``delay_s``, each way.

    ``bits_per_symbol``: what one received analog symbol costs on the hop (two float16: 32).
    """

    hardware: Reference
    workers: Workers = 1
    max_batch: MaxBatch = 8
    max_wait_s: NonNegative = 0.0
    queue_capacity: Whole | None = None
    discipline: Discipline = "fifo"
    rate_bps: Positive = 1e9
    delay_s: NonNegative = 0.02
    bits_per_symbol: Count = 32
    offload: Offload = OffloadWhenFull()


# --- the edge ---------------------------------------------------------------------------------


class Report(Spec):
    """The server's load is reported every ``period_s`` and known ``delay_s`` later."""

    period_s: Positive = 0.1
    delay_s: NonNegative = 0.01


class Edge(Spec):
    """The server: ``workers`` in parallel, dynamic batches, room for ``queue_capacity`` waiting.

    ``discipline``: who is served next, without interrupting anybody: first come first served,
    earliest absolute deadline, or highest priority; first come first served among equals.
    ``queue_capacity`` 0 is a pure loss system.
    """

    hardware: Reference = "edge_gpu"
    workers: Workers = 1
    max_batch: MaxBatch = 8
    max_wait_s: NonNegative = 0.0
    queue_capacity: Whole | None = None
    discipline: Discipline = "fifo"
    admission: Admission = AdmitAll()
    scaling: Scaling = FixedWorkers()
    report: Report = Report()
    cloud: Cloud | None = None

    @model_validator(mode="after")
    def _starts_within_scaling(self) -> Edge:
        scaling = self.scaling
        if isinstance(scaling, QueueScaling) and not (
            scaling.min_workers <= self.workers <= scaling.max_workers
        ):
            raise ValueError("workers must lie between scaling.min_workers and max_workers")
        return self

    @model_validator(mode="after")
    def _offloads_before_it_refuses(self) -> Edge:
        room, cloud = self.queue_capacity, self.cloud
        if room is None or cloud is None or not isinstance(cloud.offload, OffloadWhenFull):
            return self
        if cloud.offload.waiting > room:
            raise ValueError("cloud.offload.waiting must not exceed queue_capacity")
        return self
