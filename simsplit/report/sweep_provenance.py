"""Where a sweep's numbers come from, and how to make them anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simsplit.report.markup import Cell, code_html, facts_html
from simsplit.report.provenance import artefacts_html, code, listed, versions_text
from simsplit.report.sweep_command import AGAIN, scenario_name, sweep_command

if TYPE_CHECKING:
    from simsplit.report.sweep_folder import SweepFolder


def sweep_provenance_html(sweep: SweepFolder) -> str:
    """Command, source, seeds, versions, wall time and artefacts of all points."""
    return (
        "<h3>Run it again</h3>"
        + _again_html(sweep.described)
        + "<h3>This sweep</h3>"
        + facts_html(_facts(sweep))
        + "<h3>Artefacts</h3>"
        + artefacts_html(_artefacts(sweep.manifests))
    )


def _again_html(said: Mapping[str, Any]) -> str:
    words = sweep_command(said)
    same = "" if words is None else code_html(words, "Command that runs the sweep again")
    if "overrides" not in said:
        return same
    lead = "<p>Or, as it was asked, in the folder of this page:</p>" if same else ""
    return same + lead + code_html(AGAIN, "Commands that run the sweep as it was asked")


def _artefacts(manifests: Iterable[Mapping[str, Any]]) -> dict[str, Sequence[str]]:
    """Every digest that a point had, by artefact."""
    found: dict[str, dict[str, None]] = {}
    for manifest in manifests:
        for name, digest in manifest.get("artefacts", {}).items():
            found.setdefault(name, {})[str(digest)] = None
    return {name: list(digests) for name, digests in found.items()}


def _facts(sweep: SweepFolder) -> Iterable[tuple[str, Cell]]:
    manifests = sweep.manifests
    yield "Scenario", code(scenario_name(str(sweep.described.get("source", "unknown"))))
    yield "Points", f"{len(sweep.folders)} finished of {len(sweep.described['points'])}"
    yield "Seeds", _each((listed(m.get("seeds", ())) for m in manifests), 5)
    yield "Versions", _each(versions_text(m.get("versions", {})) for m in manifests)
    yield "Platform", _each(str(m.get("platform", "unknown")) for m in manifests)
    total_s = sum(float(m.get("wall_time_s", 0.0)) for m in manifests)
    yield "Wall time", f"{total_s:.1f} s in all points together"


def _each(texts: Iterable[str], most: int = 20) -> str:
    once = list(dict.fromkeys(texts))
    return "; ".join(once[:most]) + f"; {len(once) - most} more" * (len(once) > most)
