"""A user's own classes: where their modules are, what they are made of, and how they are imported.

Modules are looked for where Python looks, then in the folders of ``SIMSPLIT_PATH``; never in the
working folder, whose files would otherwise run because they have the name of some library's part.
"""

from __future__ import annotations

import importlib
import sys
import sysconfig
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from simsplit.files import Stamp, files_digest, stamp
from simsplit.scenario.places import VARIABLE, search_path
from simsplit.sources import PACKAGE, Files, closure


def import_user_module(name: str) -> ModuleType:
    """Import a module of a user's; from here on ``SIMSPLIT_PATH`` ends Python's path.

    Raises:
        ImportError: There is none; the message says where it was looked for.
        Exception: Whatever the module itself raises.
    """
    for folder in map(str, search_path()):
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, another one that it needs is not
        folders = ", ".join(map(str, search_path())) or "not set"
        message = f"{error}; modules are looked for among the installed ones and on {VARIABLE}"
        raise ModuleNotFoundError(f"{message} ({folders})", name=error.name) from error


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


# --- what a module is made of -----------------------------------------------------------------


def source_digest(target: str) -> str | None:
    """SHA-256 of `source_files` as they are now; None if there are none."""
    files = source_files(target)
    return files_digest(files) if files else None


def source_files(target: str) -> Files:
    """The files of ``package.module:Name`` and of what it imports that is no installed library.

    That is: modules beside it, its package, anything else of the user's that importing it would
    find, and of simsplit what it names. Nothing is executed. A module that is not there has no
    files: it is told when it is opened.
    """
    name, colon, _ = target.partition(":")
    file = module_file(name) if colon else None
    if file is None:
        return {}
    where = (*sys.path, *map(str, search_path()))
    return dict(_source_files(name, where, stamp(file)))


@lru_cache(maxsize=64)
def _source_files(name: str, where: tuple[str, ...], stamped: Stamp) -> Files:
    own = name.split(".")[0]

    def find(other: str) -> Path | None:
        file = module_file(other)
        if file is None or file.suffix != ".py":
            return None
        is_named = other.split(".")[0] in (own, PACKAGE)
        return file if is_named or not _is_installed(file) else None

    return closure([name], find)


def _is_installed(file: Path) -> bool:
    return any(folder in file.resolve().parents for folder in _library_folders())


@lru_cache(maxsize=1)
def _library_folders() -> tuple[Path, ...]:
    """Of this environment, and of others that it reads too (``--system-site-packages``)."""
    keys = ("stdlib", "platstdlib", "purelib", "platlib")
    own = [sysconfig.get_path(key) for key in keys]
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return tuple({Path(path).resolve() for path in (*own, *others)})
