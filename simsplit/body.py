"""What a device's body does: the battery it lives on and the heat it has to shed.

Both are optional; a group that says neither has mains power and never gets too hot.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from simsplit.spec import Fraction, NonNegative, Number, Positive, Spec

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
