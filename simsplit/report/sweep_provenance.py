"""Where a sweep's numbers come from, and the command that makes them anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from simsplit.points import as_yaml
from simsplit.report.markup import Cell, code_html, facts_html
from simsplit.report.provenance import artefacts_html, code, command, listed, versions_text

if TYPE_CHECKING:
    from simsplit.report.sweep_folder import SweepFolder


def sweep_provenance_html(sweep: SweepFolder) -> str:
    """Command, source, seeds, versions, wall time and artefacts of all points."""
    artefacts: dict[str, list[Any]] = {}
    for manifest in sweep.manifests:
        for name, digest in manifest.get("artefacts", {}).items():
            artefacts.setdefault(name, [])
            if digest not in artefacts[name]:
                artefacts[name].append(digest)
    return (
        "<h3>Run it again</h3><p>Finished points are kept: into another folder it runs them all."
        "</p>"
        + code_html(sweep_command(sweep), "Command that runs the sweep again")
        + "<h3>This sweep</h3>"
        + facts_html(_facts(sweep))
        + "<h3>Artefacts</h3>"
        + artefacts_html(artefacts)
    )


def sweep_command(sweep: SweepFolder) -> str:
    """``simsplit sweep …`` with the axes as they were given, else with the values found."""
    said = sweep.described
    words = ["simsplit", "sweep", str(said.get("source", "SCENARIO"))]
    for axis in _axes(sweep):
        words += ["--axis", axis]
    for text in said.get("set") or ():
        words += ["--set", str(text)]
    if said.get("replications") is not None:
        words += ["--replications", str(said["replications"])]
    return command([*words, "--out", "again"])


def _axes(sweep: SweepFolder) -> list[str]:
    """Axes as texts; those that ``sweep.json`` says otherwise are listed from the table."""
    said = sweep.described.get("axes")
    if isinstance(said, list) and said and all(isinstance(text, str) for text in said):
        return said
    if isinstance(said, Mapping) and said:
        return [f"{path}={_listed(values)}" for path, values in said.items()]
    if said is not None:  # a sweep file with axes of its own: the source says them
        return []
    return [f"{axis}={_listed(sweep.values(axis))}" for axis in sweep.axes]


def _listed(values: Any) -> str:
    if isinstance(values, list | tuple):
        return ",".join(as_yaml(value) for value in values)
    return str(values)


def _facts(sweep: SweepFolder) -> Iterable[tuple[str, Cell]]:
    manifests = sweep.manifests
    yield "Source", code(sweep.described.get("source", "unknown"))
    yield "Points", f"{len(sweep.folders)} finished of {len(sweep.described['points'])}"
    yield "Seeds", "; ".join(_each(listed(m.get("seeds", ())) for m in manifests)[:5])
    yield "Versions", "; ".join(_each(versions_text(m.get("versions", {})) for m in manifests))
    yield "Platform", "; ".join(_each(str(m.get("platform", "unknown")) for m in manifests))
    total_s = sum(float(m.get("wall_time_s", 0.0)) for m in manifests)
    yield "Wall time", f"{total_s:.1f} s in all points together"


def _each(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
