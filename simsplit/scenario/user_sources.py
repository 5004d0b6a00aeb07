"""What a user's own class is made of: where its modules are, and all files that decide its work.

Nothing is executed. A change in any of these files makes another run, with another identity
(`simsplit.results.identity`).
"""

from __future__ import annotations

import ast
import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from simsplit.files import Stamp, files_digest, stamp
from simsplit.scenario.permission import file_of_given, given
from simsplit.scenario.places import search_path
from simsplit.sources import PACKAGE, Files, closure

_NO_SOURCE = (".pyc", ".pyo", ".egg-info")  # endings of what Python makes of sources
_LONGEST_NAME = 200  # of a text that may name a file


# --- where a module is ------------------------------------------------------------------------


def module_file(name: str) -> Path | None:
    """The source file that importing a module would run; nothing is executed. None: no such file.

    Unlike `importlib.util.find_spec`, which imports the packages that a module lies in.
    """
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    spec = _spec(parts[0], None) or PathFinder.find_spec(parts[0], list(map(str, search_path())))
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    for end in range(2, len(parts) + 1):
        spec, folders = _within(".".join(parts[:end]), folders)
    if spec is None or spec.origin is None or not spec.has_location:
        return None
    return Path(spec.origin)


def _within(name: str, folders: list[str]) -> tuple[ModuleSpec | None, list[str]]:
    """A module in a package's folders, and the folders of the modules in it."""
    if not folders:
        return None, []
    try:
        spec = _spec(name, folders)
    except KeyError:  # a package without __init__.py asks for its parent, which is not imported
        paths = (Path(folder) / name.rpartition(".")[2] for folder in folders)
        return None, [str(path) for path in paths if path.is_dir()]
    return spec, [] if spec is None else list(spec.submodule_search_locations or ())


def _spec(name: str, folders: list[str] | None) -> ModuleSpec | None:
    """What the interpreter's finders (installed packages, hooks of editable installs) say."""
    for finder in sys.meta_path:
        spec = finder.find_spec(name, folders)
        if spec is not None:
            return spec
    return None


def is_there(name: str) -> bool:
    """Whether there is such a module, or one that it lies in; nothing of it is executed."""
    first = name.split(".")[0]
    if first in sys.modules:
        return True
    places = list(map(str, search_path()))
    return _spec(first, None) is not None or PathFinder.find_spec(first, places) is not None


def is_installed(file: Path) -> bool:
    """Whether a file belongs to an installed library or to Python."""
    return any(folder in file.resolve().parents for folder in _library_folders())


@lru_cache(maxsize=1)
def _library_folders() -> tuple[Path, ...]:
    """Of this environment, and of others that it reads too (``--system-site-packages``)."""
    keys = ("stdlib", "platstdlib", "purelib", "platlib")
    own = [sysconfig.get_path(key) for key in keys]
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return tuple({Path(path).resolve() for path in (*own, *others)})


# --- what it is made of -----------------------------------------------------------------------


def source_digest(target: str) -> str | None:
    """SHA-256 of `source_files` as they are now; None if there are none."""
    files = source_files(target)
    return files_digest(files) if files else None


def source_files(target: str) -> Files:
    """The files of ``package.module:Name``, of its package, and of what these import.

    That is: every file below its package, data too; modules beside it and anything else of the
    user's that importing it would find, with their packages; files that a module names by a text
    and that lie beside it; and of simsplit what it names. Installed libraries are left out. A
    module that is not there has no files: it is told when it is opened.
    """
    name, colon, _ = target.partition(":")
    file = _file(name, target) if colon else None
    if file is None:
        return {}
    if name.split(".")[0] == PACKAGE or is_installed(file):
        return dict(_library_files(name, stamp(file)))
    return _own_files(name, file)


def _file(name: str, target: str) -> Path | None:
    """The file of a module; of a script's own class, which was handed over, the script's."""
    file = module_file(name)
    thing = given(target)
    return file_of_given(thing) if file is None and thing is not None else file


@lru_cache(maxsize=64)
def _library_files(name: str, stamped: Stamp) -> Files:
    own = name.split(".")[0]

    def find(other: str) -> Path | None:
        is_named = other.split(".")[0] in (own, PACKAGE)
        return _python_file(other) if is_named else None

    return closure([name], find)


def _python_file(name: str) -> Path | None:
    file = module_file(name)
    return file if file is not None and file.suffix == ".py" else None


def _own_files(name: str, file: Path) -> Files:
    """The closure over imports, until every package in it is there as a whole."""

    def find(other: str) -> Path | None:
        found = file if other == name else _python_file(other)
        is_ours = other.split(".")[0] == PACKAGE
        return found if found is None or is_ours or not is_installed(found) else None

    modules, below = {name}, Files()
    while True:
        files = closure(sorted(modules), find)
        below = _below_packages(files)
        more = {*files, *_modules(below)}
        if more <= modules:
            break
        modules |= more
    named = (one for module, path in files.items() for one in _named_files(module, path))
    return dict(sorted({**below, **dict(named), **files}.items()))


def _below_packages(files: Files) -> Files:
    """``package/way/to/file`` → file, of every package of a user's among the modules."""
    tops = {name.split(".")[0] for name in files} - {PACKAGE}
    folders = {top: files[top].parent for top in tops if _is_package(files.get(top))}
    return {
        f"{top}/{path.relative_to(folder).as_posix()}": path
        for top, folder in folders.items()
        for path in _all_below(folder)
    }


def _is_package(file: Path | None) -> bool:
    return file is not None and file.name == "__init__.py"


def _modules(below: Files) -> set[str]:
    """The modules among a package's files."""
    ways = (way.removesuffix(".py").split("/") for way in below if way.endswith(".py"))
    names = (".".join(way[:-1] if way[-1] == "__init__" else way) for way in ways)
    return {name for name in names if all(part.isidentifier() for part in name.split("."))}


def _all_below(folder: Path) -> Iterator[Path]:
    """Files below a folder, but for what is hidden and what Python makes of sources."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f != "__pycache__" and _counts(f))
        yield from (Path(root) / name for name in sorted(names) if _counts(name))


def _counts(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(_NO_SOURCE)


def _named_files(module: str, file: Path) -> Iterator[tuple[str, Path]]:
    """``module:text`` → file, of texts in a module that name what lies beside it.

    E.g. ``Path(__file__).parent / "table.json"`` and ``with_suffix(".json")``. Of a folder that is
    named so: every file below it.
    """
    if module.split(".")[0] == PACKAGE:
        return
    for text in _texts(file, stamp(file)):
        way = file.with_suffix(text) if _is_suffix(text) else file.parent / text
        if way.is_file() and way != file:
            yield f"{module}:{text}", way
        elif way.is_dir() and not file.is_relative_to(way.resolve()):
            for path in _all_below(way):
                yield f"{module}:{text}/{path.relative_to(way).as_posix()}", path


def _is_suffix(text: str) -> bool:
    return text.startswith(".") and text[1:].isalnum()


@lru_cache(maxsize=1024)
def _texts(file: Path, stamped: Stamp) -> tuple[str, ...]:
    """Texts that may be names of files, of a Python file that asks where it lies itself."""
    content = file.read_bytes()
    if b"__file__" not in content and b"resources" not in content:
        return ()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return ()
    values = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    texts = {value for value in values if isinstance(value, str) and _may_name(value)}
    return tuple(sorted(texts))


def _may_name(text: str) -> bool:
    is_short = 0 < len(text) <= _LONGEST_NAME and text.isprintable()
    return is_short and not text.startswith(("/", "~")) and bool(text.strip("./ "))
