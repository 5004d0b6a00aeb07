"""Where the numbers come from, and the command that makes them anew."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from simsplit.report.markup import Cell, Html, Table, code_html, facts_html, table_html


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
