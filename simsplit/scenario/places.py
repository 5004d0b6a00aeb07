"""Where things that are named are looked for: one search for all of them.

The folders, in this order: that of the file which names it, the working folder, those of the
environment variable ``SIMSPLIT_PATH`` (separated as those of ``PATH`` are), the bundled ones. A
bare name may stand in the kind's own folder there too: ``hardware/NAME.yaml``, then ``NAME.yaml``.

What is found among the bundled ones stays a bare name, what is found elsewhere becomes an absolute
path: a resolved scenario means the same from anywhere. Both are called a reference.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from simsplit.errors import ScenarioError, SimsplitError
from simsplit.scenario import bundled
from simsplit.scenario.yaml import read_mapping

VARIABLE = "SIMSPLIT_PATH"
_MODEL_FILES = ("recipe.yaml", "card.json", "weights.safetensors", "table.npz")
_TOP_KEYS: Mapping[str, frozenset[str]] = {  # by which a YAML file is known for what it is
    "sweep": frozenset({"axes"}),
    "study": frozenset({"steps"}),
    "scenario": frozenset({"operating_points", "devices", "cell"}),
    "hardware": frozenset({"peak_macs_per_s", "memory_bandwidth_bytes_per_s", "compute_w"}),
}


@dataclass(frozen=True)
class Kind:
    """What can be named.

    Attributes:
        noun: In errors.
        folders: Below a folder of the search, where bare names are looked for; empty: itself.
        suffix: That a bare name leaves out.
        is_one: Whether a path that was found may be of this kind.
        bundled: The folder of the bundled ones.
        choices: Names of the bundled ones.
    """

    noun: str
    folders: tuple[str, ...]
    suffix: str
    is_one: Callable[[Path], bool]
    bundled: Callable[[], Path]
    choices: Callable[[], list[str]]

    def name_of(self, path: Path) -> str:
        """The bare name of a path."""
        return path.stem if self.suffix else path.name


def _yaml_of(noun: str) -> Callable[[Path], bool]:
    """Whether a file may be YAML of that kind: it is not plainly of another."""

    def is_one(path: Path) -> bool:
        if not path.is_file():
            return False
        try:
            keys = read_mapping(path).keys()
        except SimsplitError:
            return True  # what is wrong with it is told when it is read
        kinds = [kind for kind, top in _TOP_KEYS.items() if top & keys]
        return not kinds or noun in kinds

    return is_one


def _is_sweep(path: Path) -> bool:
    """Whether a file says axes, or a scenario to sweep."""
    if not path.is_file():
        return False
    try:
        return not {"axes", "scenario"}.isdisjoint(read_mapping(path))
    except SimsplitError:
        return True  # what is wrong with it is told when it is read


def _is_model(path: Path) -> bool:
    return any((path / file).is_file() for file in _MODEL_FILES)


# The functions of ``bundled`` are looked up at each call: a test may put a folder in their place.
SCENARIO = Kind(
    "scenario file",
    ("scenarios", ""),
    ".yaml",
    _yaml_of("scenario"),
    lambda: bundled.scenarios_dir(),
    lambda: bundled.bundled_names(),
)
SWEEP = Kind(
    "sweep",
    ("sweeps", "scenarios/sweeps", ""),
    ".yaml",
    _is_sweep,
    lambda: bundled.sweeps_dir(),
    lambda: bundled.bundled_sweeps(),
)
STUDY = Kind(
    "study",
    ("studies", "scenarios/studies", ""),
    ".yaml",
    _yaml_of("study"),
    lambda: bundled.studies_dir(),
    lambda: bundled.bundled_studies(),
)
HARDWARE = Kind(
    "hardware",
    ("hardware", ""),
    ".yaml",
    _yaml_of("hardware"),
    lambda: bundled.hardware_dir(),
    lambda: bundled.hardware_choices(),
)
MODEL = Kind(
    "model",
    ("models", ""),
    "",
    _is_model,
    lambda: bundled.models_dir(),
    lambda: bundled.model_choices(),
)
PREDICTOR = Kind(
    "latency predictor",
    ("models", ""),
    "",
    _is_model,
    lambda: bundled.models_dir(),
    lambda: bundled.predictor_choices(),
)


# --- folders ----------------------------------------------------------------------------------


def search_path() -> list[Path]:
    """The folders of ``SIMSPLIT_PATH``, absolute; empty entries are left out."""
    entries = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [Path(entry).expanduser().absolute() for entry in entries if entry.strip()]


def search_folders(beside: Path | None = None) -> list[Path]:
    """Where a user's own things are looked for, in order.

    Args:
        beside: Folder of the file that names them.
    """
    first = [] if beside is None else [beside.absolute()]
    return list(dict.fromkeys([*first, Path.cwd(), *search_path()]))


def looked_in(beside: Path | None = None) -> str:
    """The folders of the search in words, for errors."""
    folders = ", ".join(str(folder) for folder in search_folders(beside))
    unset = "" if search_path() else f"; {VARIABLE} is not set"
    return f"looked in {folders} and among the bundled ones{unset}"


# --- names ------------------------------------------------------------------------------------


def find_named(kind: Kind, name: str, beside: Path | None = None) -> Path | None:
    """The file (of a model: the folder) of a name or a path, absolute; None if there is none.

    A path is taken as it is, from the folders of the search.
    """
    if not name or "\0" in name:
        return None
    for path in _candidates(kind, name, beside):
        try:
            if kind.is_one(path):
                return Path(os.path.abspath(path))
        except OSError:  # a name that no file can have, a folder that is closed to us
            continue
    return None


def _candidates(kind: Kind, name: str, beside: Path | None) -> Iterator[Path]:
    folders = search_folders(beside)
    if _is_path(name):
        yield from (folder / name for folder in (*folders, bundled.data_root()))
        return
    for folder in folders:
        yield from (folder / sub / f"{name}{kind.suffix}" for sub in kind.folders)
    yield kind.bundled() / f"{name}{kind.suffix}"


def _is_path(name: str) -> bool:
    """Whether a text is a path and no bare name."""
    separators = {"/", os.sep, os.altsep or os.sep}
    return any(one in name for one in separators) or name.endswith((".yaml", ".yml"))


def reference(kind: Kind, found: Path) -> str:
    """How a scenario remembers what was found: a bundled name, or an absolute path."""
    name = kind.name_of(found)
    own = kind.bundled() / f"{name}{kind.suffix}"
    return name if own.exists() and own.samefile(found) else str(found)


def referred(kind: Kind, name: str, *, beside: Path | None = None, path: str = "") -> str:
    """The reference of a name.

    Args:
        kind: What is looked for.
        name: As the user wrote it.
        beside: Folder of the file that names it.
        path: Where it is named, for the error.

    Raises:
        ScenarioError: There is none; the error lists where it was looked for and what there is.
    """
    found = find_named(kind, name, beside)
    if found is None:
        raise unknown(kind, name, beside=beside, path=path)
    return reference(kind, found)


def unknown(kind: Kind, name: str, *, beside: Path | None = None, path: str = "") -> ScenarioError:
    """The error that says: there is no such thing, and where it was looked for."""
    message = f"no such {kind.noun} ({looked_in(beside)})"
    return ScenarioError(message, path=path, value=name, choices=names(kind, beside))


def bler_table_file() -> Path:
    """The table of block errors: that of a user's own ``bler_5g``, else the bundled one.

    The same wherever a scenario comes from, since no scenario names it.
    """
    folder = find_named(MODEL, "bler_5g") or bundled.model_dir("bler_5g")
    return folder / "table.npz"


def names(kind: Kind, beside: Path | None = None) -> list[str]:
    """Bundled names, and those in the kind's own folder in the folders of the search."""
    return sorted({*kind.choices(), *own_names(kind, beside)})


def own_names(kind: Kind, beside: Path | None = None) -> list[str]:
    """Names in the kind's own folder in the folders of the search, without bundled ones."""
    folders = [f / sub for f in search_folders(beside) for sub in kind.folders if sub]
    found = [path for folder in folders for path in folder.glob(f"*{kind.suffix}")]
    own = [path for path in found if kind.is_one(path)]
    return sorted({kind.name_of(path) for path in own if Path(reference(kind, path)).is_absolute()})


def shown(reference: str) -> str:
    """A reference (with a frequency level or without) in a table: of a path its name."""
    path = Path(reference)
    return path.name.replace(".yaml", "") if path.is_absolute() else reference


# --- files ------------------------------------------------------------------------------------


def find_file(name: str, what: str, *, beside: Path | None = None, path: str = "") -> Path:
    """A file that is named by its path, absolute or from a folder of the search.

    Args:
        name: As the user wrote it.
        what: Is looked for, e.g. ``weights``, for the error.
        beside: Folder of the file that names it.
        path: Where it is named, for the error.

    Raises:
        ScenarioError: There is none; the error lists where it was looked for.
    """
    text = name.replace("\0", "")
    for folder in (*search_folders(beside), bundled.scenarios_dir(), bundled.data_root()):
        try:
            if (folder / text).is_file():
                return (folder / text).resolve()
        except OSError:  # a name that no file can have, a folder that is closed to us
            continue
    raise ScenarioError(f"no such {what} file ({looked_in(beside)})", path=path, value=name)
