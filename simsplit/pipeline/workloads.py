"""Operators of every scheme on either side of the cut, from those of a network's parts."""

from __future__ import annotations

from collections.abc import Mapping

from simsplit.messages import Scheme, Workload
from simsplit.operators import Operators


def workloads(parts: Mapping[str, Operators]) -> dict[Scheme, Workload]:
    """Operators on either side of the cut per scheme, from those of the parts.

    ``tail`` is left empty: it is the operating point's. ``exit_head`` is what an early exit costs
    beyond what the point computes on the device anyway: its head, and for ``raw`` the part of the
    trunk that leads to it too. A network without a JSCC path has no such scheme.

    Args:
        parts: As ``simsplit.networks.inference.count_operators`` returns them.
    """
    whole, head = parts["encode"] + parts["answer"], parts.get("exit_head", ())

    def cut(kind: str) -> Workload:
        device = parts["encode"] + parts[f"{kind}_encode"]
        return Workload(device, parts[f"{kind}_decode"] + parts["answer"], whole, head)

    ways = {
        Scheme.LOCAL: Workload(whole, (), whole, head),
        Scheme.RAW: Workload((), whole, whole, parts.get("exit_trunk", ()) + head),
        Scheme.SEPARATE: cut("digital"),
    }
    return ways | ({Scheme.JSCC: cut("jscc")} if "jscc_encode" in parts else {})


def exit_workload(parts: Mapping[str, Operators]) -> Workload:
    """Operators of the early exit: its share of the trunk and its head; nothing at the edge."""
    head = parts["exit_head"]
    return Workload(parts["exit_trunk"] + head, (), parts["encode"] + parts["answer"], head)
