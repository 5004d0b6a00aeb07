"""The edge server as a scenario's YAML describes it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from simsplit.spec import Count, Name, NonNegative, Spec


class Edge(Spec):
    """The server: ``workers`` in parallel, dynamic batches, room for ``queue_capacity`` waiting."""

    hardware: Name = "edge_gpu"
    workers: Annotated[int, Field(ge=1, le=1000, strict=True)] = 1
    max_batch: Annotated[int, Field(ge=1, le=1024, strict=True)] = 8
    max_wait_s: NonNegative = 0.0
    queue_capacity: Count | None = None
