"""Imports point one way: a room imports only rooms of an earlier row, never a sibling.

DESIGN.md's order, made precise: the YAML's nouns are ``spec``, ``channel``, ``radio`` and
``scenario``; ``results`` precedes ``run`` (a run stores its result),
``prepared`` (act one on disk) precedes ``pipeline``, ``exact_blocks`` (the coded radio as the
simulation's block channel) follows ``sim``; ``validate_edge`` drives single stations with SimPy.
Imports for type checking count for the order of rooms, not for where libraries may be.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "simsplit"
ORDER: tuple[tuple[str, ...], ...] = (
    ("errors", "units", "seeds", "operators", "columns", "points", "pareto"),
    ("messages", "spec", "safe_yaml", "expressions", "kpis", "bd"),
    ("channel", "serving", "policies", "body", "datasheet", "overrides"),
    ("radio",),
    ("scenario",),
    ("load",),
    ("phy", "codecs", "tasks", "hardware", "profiles", "statistics", "axes", "caches"),
    ("sweep_file",),
    ("prepared", "warmup", "answers"),
    ("predictor",),
    ("nets",),
    ("pipeline",),
    ("network_pipeline",),
    ("pipelines", "splits", "sim"),
    ("exact_blocks", "plans", "summary", "headline", "until"),
    ("results",),
    ("run", "fit", "expect", "compare", "export"),
    ("replicate", "cases", "coverage"),
    ("validate_radio", "validate_edge"),
    ("validate",),
    ("sweep",),
    ("plots",),
    ("policy_study", "tables", "optimise", "capacity", "rate_distortion"),
    ("published",),
    ("report",),
    ("cli", "__init__"),
)
RANK = {room: rank for rank, row in enumerate(ORDER) for room in row}
ONLY_IN = {
    "simpy": ("sim/", "validate_edge.py"),
    "sionna": (
        "phy/coded.py",
        "phy/encoder.py",
        "phy/modem.py",
        "fit/traces.py",
        "fit/traces_rt.py",
    ),
    "dask": ("sweep/workers.py",),
    "distributed": ("sweep/workers.py",),
    "matplotlib": ("plots/",),
    "typer": ("cli/",),
}
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in FILES]


def _imports(path: Path) -> Iterator[tuple[str, bool, bool]]:
    """Every module that a file imports, dotted; at the top level?; for type checking only?"""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        inner for node in tree.body if _is_type_checking(node) for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        kind = (node in tree.body, node in typing_only)
        if isinstance(node, ast.Import):
            yield from ((alias.name, *kind) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from ((f"{node.module}.{alias.name}", *kind) for alias in node.names)


def _is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _rooms_imported(path: Path) -> set[str]:
    names = [name.split(".") for name, *_ in _imports(path)]
    inner = {parts[1] for parts in names if parts[0] == "simsplit" and len(parts) > 1}
    return {room for room in inner if room in RANK or (PACKAGE / room).exists()}


@pytest.mark.parametrize("name", NAMES)
def test_every_room_has_its_place(name: str) -> None:
    assert _room(PACKAGE / name) in RANK, "say in ORDER where this room stands"


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_one_way(name: str) -> None:
    room = _room(PACKAGE / name)
    for target in _rooms_imported(PACKAGE / name) - {room}:
        assert RANK[target] < RANK[room], f"{name} ({room}) must not import {target}"


@pytest.mark.parametrize("name", NAMES)
def test_libraries_stay_in_their_room(name: str) -> None:
    for module, _, typing_only in _imports(PACKAGE / name):
        rooms = ONLY_IN.get(module.split(".")[0])
        assert typing_only or rooms is None or name.startswith(rooms), (
            f"{name} must not import {module}"
        )


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("sim/")])
def test_the_simulation_knows_no_network(name: str) -> None:
    modules = {module.split(".")[0] for module, *_ in _imports(PACKAGE / name)}
    assert not modules & {"torch", "torchvision", "sionna"}


def test_the_simulation_loads_no_torch() -> None:
    modules = [f"simsplit.sim.{path.stem}" for path in (PACKAGE / "sim").glob("[!_]*.py")]
    code = (
        f"import sys, {', '.join(modules)}; print(sorted({{'torch', 'sionna'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("cli/")])
def test_the_command_line_imports_only_typer_at_its_top(name: str) -> None:
    top = {module for module, top, _ in _imports(PACKAGE / name) if top}
    others = {module for module in top if not module.startswith("simsplit.cli")}
    assert {module.split(".")[0] for module in others} - set(sys.stdlib_module_names) <= {"typer"}


def test_no_drawer_for_everything() -> None:
    assert not {path.stem for path in FILES} & {"utils", "util", "common", "base", "manager"}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
