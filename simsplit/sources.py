"""Which files a piece of Python is made of: a module and all that it imports.

Found by syntax tree, so nothing is executed: every ``import``, those inside functions too, but not
those for type checking alone. Digests of these files say when what a program gave is stale.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from simsplit.files import Stamp, files_digest, stamp

PACKAGE = "simsplit"
_ROOT = Path(__file__).resolve().parents[1]  # of the package: where `import simsplit` looks

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # statements inside a statement

Files = dict[str, Path]  # module, with dots → its file


# --- our own code -----------------------------------------------------------------------------


@lru_cache(maxsize=8)
def code_files(*entries: str, root: Path = _ROOT) -> Files:
    """The package's files that these modules of it run: their own and all that they import.

    Args:
        entries: Modules, e.g. ``simsplit.study.run``.
        root: The folder that holds the package.

    Raises:
        ModuleNotFoundError: No such module.
    """
    for entry in entries:
        if _file_in(entry, [root]) is None:
            raise ModuleNotFoundError(f"no module {entry} in {root}", name=entry)
    return closure(entries, lambda name: _file_in(name, [root]) if _is_ours(name) else None)


@lru_cache(maxsize=8)
def code_digest(*entries: str, root: Path = _ROOT) -> str:
    """SHA-256 of `code_files` as they were when first asked: the code that this process runs."""
    return files_digest(code_files(*entries, root=root))


def _is_ours(name: str) -> bool:
    return name.split(".")[0] == PACKAGE


# --- imports ----------------------------------------------------------------------------------


def closure(modules: Sequence[str], find: Callable[[str], Path | None]) -> Files:
    """Module → file of all that importing these runs, packages' ``__init__`` included, by name.

    Args:
        modules: Names with dots.
        find: The file of a module; None: it does not count, nor what it imports.
    """
    files: Files = {}
    tried: set[str] = set()
    pending = [*modules]
    while pending:
        name = pending.pop()
        for module in _with_packages(name):
            if module not in tried:
                tried.add(module)
                file = find(module)
                if file is not None:
                    files[module] = file
                    pending += imports(file, module)
    return dict(sorted(files.items()))


def _with_packages(name: str) -> Iterator[str]:
    """``a.b.c`` → ``a``, ``a.b``, ``a.b.c``: importing it runs them all."""
    parts = name.split(".")
    return (".".join(parts[: end + 1]) for end in range(len(parts)))


def _file_in(name: str, folders: Sequence[Path]) -> Path | None:
    stems = [folder.joinpath(*name.split(".")) for folder in folders]
    files = (file for stem in stems for file in (stem / "__init__.py", stem.with_suffix(".py")))
    return next((file for file in files if file.is_file()), None)


def imports(file: Path, module: str) -> list[str]:
    """Modules that a file names, those in functions too; ``from a import b`` is ``a`` and ``a.b``.

    Args:
        file: Python source; one that cannot be parsed names none.
        module: Its name with dots, from which relative imports count.
    """
    return list(_imports(file, module, stamp(file)))


@lru_cache(maxsize=1024)
def _imports(file: Path, module: str, stamped: Stamp) -> list[str]:
    text = file.read_bytes()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names = [name for node in _statements(tree) for name in _named(node, package)]
    by_call = b"import_module" in text or b"__import__" in text
    return [*names, *(n for node in ast.walk(tree) for n in _by_call(node))] if by_call else names


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements but those under ``if TYPE_CHECKING``."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        typing_only = isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING"
        for block in ("orelse",) if typing_only else _BLOCKS:
            pending += getattr(node, block, ())


def _name(node: ast.expr) -> str:
    """The last part of a name or an attribute."""
    return node.attr if isinstance(node, ast.Attribute) else str(getattr(node, "id", ""))


def _named(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = _absolute(node, package)
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """``from ..b import c`` in ``a.x.y`` is of ``a.b``."""
    if node.level == 0:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _by_call(node: ast.AST) -> Iterator[str]:
    """``import_module("a.b")``; a name that is made at run time cannot be known."""
    if isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
        name = node.args[0] if node.args else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value


def libraries(files: Mapping[str, Path]) -> set[str]:
    """First names of all modules that these files import and that are neither ours nor Python's."""
    names = {name.split(".")[0] for module, file in files.items() for name in imports(file, module)}
    return names - {PACKAGE} - set(sys.stdlib_module_names)
