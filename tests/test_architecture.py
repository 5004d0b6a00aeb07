"""The walls of the house: imports point one way, rooms stay small, libraries stay in their rooms.

The order of the rooms is in docs/architecture.md. Imports for type checking count for the order of
rooms and for rings, not for where libraries may be.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "simsplit"
GROUND = ("errors", "units", "operators", "seeds", "messages", "files", "sources")
ORDER = (
    "ground",
    "scenario",
    "phy",
    "codecs",
    "tasks",
    "networks",
    "pipeline",
    "hardware",
    "sim",
    "training",
    "results",
    "study",
    "figures",
    "pages",
    "contracts",
    "cli",
)
RANK = {room: rank for rank, room in enumerate(ORDER)}
MOST_AT_THE_TOP = 24
MOST_LINES = 400
MOST_LINES_OF_A_CLASS = 150
ONLY_IN = {
    "simpy": ("sim/", "study/known_queues.py"),  # known answers drive single stations
    "sionna": ("phy/",),
    "dask": ("study/workers.py",),
    "distributed": ("study/workers.py",),
    "matplotlib": ("figures/",),
    "typer": ("cli/",),
}
HEAVY = {  # libraries that may be imported inside functions, so that what needs none stays light
    "torch",
    "torchvision",
    "torchmetrics",
    "timm",
    "sionna",
    "matplotlib",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "dask",
    "distributed",
    "optuna",
    "plotly",
    "simpy",
    "rich",
    "PIL",
    "constriction",
    "filelock",
    "safetensors",
    "joblib",
    "yaml",
    "numpy",
    "h5py",  # for a user who has the official 3dshapes.h5
    "platformdirs",  # where the folder of caches is, unless an environment variable says it
}
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [path.relative_to(PACKAGE).as_posix() for path in FILES]


@dataclass(frozen=True)
class Import:
    """One imported module of a file; ``inside``: in a function."""

    module: str
    inside: bool
    for_typing: bool


def _is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _imports(path: Path) -> Iterator[Import]:
    """Every module that a file imports, with dots; ``from a import b`` is ``a.b``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        inner for node in tree.body if _is_type_checking(node) for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        kind = (node not in tree.body and node not in typing_only, node in typing_only)
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, *kind) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (Import(f"{node.module}.{alias.name}", *kind) for alias in node.names)


def _room(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "ground" if first in GROUND else "cli" if first in ("__init__", "__main__") else first


def _module_file(module: str) -> Path | None:
    """The package's file that ``simsplit.a.b`` (or the name ``b`` in ``simsplit.a``) is in."""
    parts = module.split(".")
    if parts[0] != "simsplit":
        return None
    for end in (len(parts), len(parts) - 1):
        stem = PACKAGE.joinpath(*parts[1:end])
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if file.is_file():
                return file
    return None


def _neighbours(path: Path) -> set[Path]:
    files = (_module_file(found.module) for found in _imports(path))
    return {file for file in files if file is not None and file != path}


@pytest.mark.parametrize("name", NAMES)
def test_every_room_has_its_place(name: str) -> None:
    assert _room(PACKAGE / name) in RANK, "say in ORDER where this room stands"


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_one_way(name: str) -> None:
    room = _room(PACKAGE / name)
    for file in _neighbours(PACKAGE / name):
        target = _room(file)
        assert RANK[target] <= RANK[room], f"{name} ({room}) must not import {file.name} ({target})"


def test_no_ring() -> None:
    """Files import each other in no circle, imports for typing included (depth-first search)."""
    done: set[Path] = set()

    def visit(file: Path, trail: tuple[Path, ...]) -> None:
        ring = " -> ".join(str(step.relative_to(PACKAGE)) for step in (*trail, file))
        assert file not in trail, f"ring: {ring}"
        if file not in done:
            for neighbour in sorted(_neighbours(file)):
                visit(neighbour, (*trail, file))
            done.add(file)

    for file in FILES:
        visit(file, ())


@pytest.mark.parametrize("name", NAMES)
def test_libraries_stay_in_their_room(name: str) -> None:
    for found in _imports(PACKAGE / name):
        rooms = ONLY_IN.get(found.module.split(".")[0])
        assert found.for_typing or rooms is None or name.startswith(rooms), (
            f"{name} must not import {found.module}"
        )


def _may_hide(name: str, module: str) -> bool:
    """Whether an import may stand inside a function.

    Heavy libraries anywhere; simsplit's own rooms in ``cli`` (help must come at once), in ``study``
    (a run's acts are loaded when they begin) and in the package's ``__getattr__``.
    """
    first = module.split(".")[0]
    if first == "simsplit":
        return name.startswith(("cli/", "study/")) or name in ("__init__.py", "__main__.py")
    return first in HEAVY or name.startswith("cli/") or name == "__init__.py"


@pytest.mark.parametrize("name", NAMES)
def test_imports_in_functions_have_a_reason(name: str) -> None:
    hidden = [found.module for found in _imports(PACKAGE / name) if found.inside]
    assert [module for module in hidden if not _may_hide(name, module)] == []


def test_imports_in_functions_are_few() -> None:
    statements = 0
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
        inner = {n for f in functions for n in ast.walk(f)}
        statements += sum(isinstance(node, ast.Import | ast.ImportFrom) for node in inner)
    assert statements <= 200


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("sim/")])
def test_the_simulation_knows_no_network(name: str) -> None:
    modules = {found.module.split(".")[0] for found in _imports(PACKAGE / name)}
    assert not modules & {"torch", "torchvision", "sionna"}


def test_the_simulation_loads_no_torch() -> None:
    files = [path for path in (PACKAGE / "sim").rglob("*.py") if path.name != "__init__.py"]
    dotted = [".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in files]
    modules = ", ".join(f"simsplit.{module}" for module in dotted)
    code = f"import sys, {modules}; print(sorted({{'torch', 'sionna'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("cli/")])
def test_the_command_line_imports_only_typer_at_its_top(name: str) -> None:
    top = {
        found.module for found in _imports(PACKAGE / name) if not (found.inside or found.for_typing)
    }
    others = {module for module in top if not module.startswith("simsplit.cli")}
    assert {module.split(".")[0] for module in others} - set(sys.stdlib_module_names) <= {"typer"}


def test_few_entries_at_the_top() -> None:
    entries = {path.relative_to(PACKAGE).parts[0] for path in FILES}
    assert len(entries) <= MOST_AT_THE_TOP


def test_no_drawer_for_everything() -> None:
    assert not {path.stem for path in FILES} & {"utils", "util", "common", "base", "manager"}


@pytest.mark.parametrize("name", NAMES)
def test_files_and_classes_stay_readable(name: str) -> None:
    text = (PACKAGE / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    classes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef))
    for node in classes:
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        assert length <= MOST_LINES_OF_A_CLASS, f"class {node.name}: {length} lines"
