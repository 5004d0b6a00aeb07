"""Whether a run's intervals speak of drops in general, or of the one that it drew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simsplit.results.flags import flag
from simsplit.results.statistics import ALL_DROPS, WITHIN_DROP
from simsplit.scenario.draws import drawn_once

if TYPE_CHECKING:
    from pandas import DataFrame

    from simsplit.results.statistics import Flag
    from simsplit.scenario.scenario import Scenario

COLUMN = "interval_scope"  # of every table of runs
ADVICE = "run it with several replications, each of which draws its own (--replications 10)"


def scope(scenario: Scenario, replications: int) -> str | None:
    """What the intervals of a run with so many replications are intervals of.

    `ALL_DROPS` or `WITHIN_DROP`; None: the scenario draws nothing once per run.
    """
    if not drawn_once(scenario):
        return None
    return ALL_DROPS if replications > 1 else WITHIN_DROP


def drop_flags(scenario: Scenario, replications: int) -> list[Flag]:
    """``one_drop`` where the intervals hold within one drop alone."""
    if scope(scenario, replications) != WITHIN_DROP:
        return []
    drawn = listed(drawn_once(scenario))
    text = f"{drawn} drawn once: the intervals hold within this drop, not for others; {ADVICE}"
    return [flag("one_drop", "run", text)]


def labelled(kpis: Mapping[str, Any], scope: str | None) -> dict[str, Any]:
    """The same tree of KPIs, each with what its interval is an interval of."""
    parts = {
        name: labelled(value, scope) if isinstance(value, Mapping) else value
        for name, value in kpis.items()
    }
    return parts | {"scope": scope} if "mean" in kpis else parts


def interval_text(summary: Mapping[str, Any]) -> str:
    """``95 % interval`` with its replications, or with the drop that it holds in."""
    replications = summary["replications"]
    if summary.get("interval_scope") == WITHIN_DROP:
        return f"95 % interval {WITHIN_DROP}"
    return "95 % interval" + (f" over {replications} replications" if replications > 1 else "")


def rows_note(scopes: Sequence[Any]) -> str:
    """What a reader of so many rows of a table must know; empty: nothing.

    Args:
        scopes: The rows' column ``interval_scope``.
    """
    within = sum(scope == WITHIN_DROP for scope in scopes)
    if not within:
        return ""
    which = "" if within == len(scopes) else f" of {within} of {len(scopes)} rows"
    return f"Intervals{which} hold {WITHIN_DROP} alone: one replication."


def frame_note(frame: DataFrame) -> str:
    """`rows_note` of a table of runs; one without that column was made before there was one."""
    return rows_note(frame[COLUMN].tolist()) if COLUMN in frame else ""


def listed(names: tuple[str, ...]) -> str:
    """``places, line of sight and shadowing``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
