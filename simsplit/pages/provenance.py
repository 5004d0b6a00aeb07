"""Where the numbers of a run or sweep come from, and the command that makes them anew."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.pages.page import Cell, Html, Table, code_html, facts_html, table_html
from simsplit.scenario.axes import as_yaml
from simsplit.scenario.places import SCENARIO, reference

if TYPE_CHECKING:
    from simsplit.pages.sweep_folder import SweepFolder


def run_provenance_html(manifest: Mapping[str, Any]) -> str:
    """Command, digest, seeds, versions, wall time and artefacts of one run."""
    artefacts = manifest.get("artefacts", {})
    return (
        "<h3>Run it again</h3><p>In the folder of this page; the same scenario gives the same "
        "numbers.</p>"
        + code_html("simsplit run scenario.yaml --out again", "Command that runs it again")
        + "<h3>This run</h3>"
        + facts_html(_facts(manifest))
        + "<h3>Artefacts</h3>"
        + artefacts_html({name: [digest] for name, digest in artefacts.items()})
    )


def _facts(manifest: Mapping[str, Any]) -> Iterable[tuple[str, Cell]]:
    yield "Digest", code(manifest.get("digest", "unknown"))
    yield "Seeds", listed(manifest.get("seeds", ()))
    yield "Versions", versions_text(manifest.get("versions", {}))
    yield "Platform", str(manifest.get("platform", "unknown"))
    yield "Wall time", f"{float(manifest.get('wall_time_s', 0.0)):.1f} s"


def listed(seeds: Mapping[str, Any] | Sequence[Any]) -> str:
    """Seeds, with their names if they have any."""
    if isinstance(seeds, Mapping):
        return ", ".join(f"{name} {value}" for name, value in seeds.items())
    return ", ".join(map(str, seeds))


def versions_text(versions: Mapping[str, Any]) -> str:
    """``name version, …`` of what was installed."""
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version)


def code(text: object) -> Html:
    """A digest or a name as it is."""
    return Html(f"<code>{escape(str(text))}</code>")


def artefacts_html(artefacts: Mapping[str, Sequence[Any]]) -> str:
    """Digests by artefact."""
    rows = [
        (name, Html("<br>".join(code(digest).text for digest in digests)))
        for name, digests in sorted(artefacts.items())
    ]
    heading = ("artefact", "SHA-256")
    return table_html(Table("Artefacts and their digests", heading, rows, words=True))


def command(words: Iterable[str]) -> str:
    """Words as a shell takes them."""
    return " ".join(shlex.quote(word) for word in words)


AGAIN = "mkdir again\ncp sweep.json again/\nsimsplit sweep again"
"""What always works: the folder's ``sweep.json`` says every point."""

Points = Mapping[str, Mapping[str, Any]]


def sweep_command(spec: Mapping[str, Any]) -> str | None:
    """``simsplit sweep SCENARIO --axis …`` from ``sweep.json``; None if the points are no grid."""
    axes = grid_axes(spec["points"])
    fixed = _fixed(spec["points"], spec.get("overrides") or {})
    if not axes or fixed is None or not spec.get("source"):
        return None
    words = ["simsplit", "sweep", scenario_name(str(spec["source"]))]
    words += _options("--axis", (f"{axis}={_listed(values)}" for axis, values in axes.items()))
    words += _options("--set", fixed)
    words += _flags(spec, "replications", "until", "max_replications")
    return command([*words, "--out", "again"])


def grid_axes(points: Points) -> dict[str, list[Any]] | None:
    """Values by axis if the points are all their combinations, else None."""
    axes: dict[str, list[Any]] = {}
    for values in points.values():
        for axis, value in values.items():
            values_there = axes.setdefault(axis, [])
            if value not in values_there:
                values_there.append(value)
    is_whole = all(values.keys() == axes.keys() for values in points.values())
    is_grid = is_whole and math.prod(map(len, axes.values())) == len(points)
    return axes if is_grid else None


def _fixed(points: Points, overrides: Mapping[str, Sequence[str]]) -> list[str] | None:
    """What is set alike at all points; None if they differ in more than their axes' paths."""
    fixed: list[str] | None = None
    for name, values in points.items():
        own = [f"{axis}={as_yaml(value)}" for axis, value in values.items()]
        texts = list(overrides.get(name, own))
        rest = [text for text in texts if text not in own]
        if not set(own) <= set(texts) or fixed not in (None, rest):
            return None
        fixed = rest
    return fixed


def _options(option: str, texts: Iterable[str]) -> list[str]:
    return [word for text in texts for word in (option, text)]


def _flags(spec: Mapping[str, Any], *keys: str) -> list[str]:
    given = [key for key in keys if spec.get(key) is not None]
    return [word for key in given for word in (f"--{key.replace('_', '-')}", str(spec[key]))]


def _listed(values: Sequence[Any]) -> str:
    return ",".join(as_yaml(value) for value in values)


def scenario_name(source: str) -> str:
    """A bundled scenario's name for its path; any other path as it is."""
    path = Path(source)
    return reference(SCENARIO, path) if path.is_file() else source


def sweep_provenance_html(sweep: SweepFolder) -> str:
    """Command, source, seeds, versions, wall time and artefacts of all points."""
    return (
        "<h3>Run it again</h3>"
        + _again_html(sweep.described)
        + "<h3>This sweep</h3>"
        + facts_html(_sweep_facts(sweep))
        + "<h3>Artefacts</h3>"
        + artefacts_html(_artefacts(sweep.manifests))
    )


def _again_html(spec: Mapping[str, Any]) -> str:
    words = sweep_command(spec)
    same = "" if words is None else code_html(words, "Command that runs the sweep again")
    if "overrides" not in spec:
        return same
    lead = "<p>Or, as it was asked, in the folder of this page:</p>" if same else ""
    return same + lead + code_html(AGAIN, "Commands that run the sweep as it was asked")


def _artefacts(manifests: Iterable[Mapping[str, Any]]) -> dict[str, Sequence[str]]:
    """Every digest that a point had, by artefact."""
    by_name: dict[str, dict[str, None]] = {}
    for manifest in manifests:
        for name, digest in manifest.get("artefacts", {}).items():
            by_name.setdefault(name, {})[str(digest)] = None
    return {name: list(digests) for name, digests in by_name.items()}


def _sweep_facts(sweep: SweepFolder) -> Iterable[tuple[str, Cell]]:
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
