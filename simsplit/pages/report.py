"""``report.html`` of a run or a sweep."""

from __future__ import annotations

from pathlib import Path

from simsplit.errors import ArtefactError
from simsplit.files import write_whole
from simsplit.pages.run_page import run_page
from simsplit.pages.sweep_page import sweep_page
from simsplit.results.store import read_result

FILE = "report.html"


def report(folder: str | Path) -> Path:
    """Write ``report.html`` into the folder of a run or of a sweep and return its path.

    The same folder gives the same bytes, wherever it lies.

    Raises:
        ArtefactError: Neither a whole result nor a sweep with a finished point.
    """
    target = Path(folder) / FILE
    write_whole(target, page(Path(folder)))
    return target


def page(folder: Path) -> str:
    """The HTML text of a run's or a sweep's folder; see `report`."""
    folder = Path(folder)
    if (folder / "sweep.json").is_file():
        return sweep_page(folder)
    if folder.is_dir() and not (folder / "manifest.json").is_file():
        message = "neither a run (manifest.json) nor a sweep (sweep.json) is here"
        raise ArtefactError(message, path=str(folder))
    return run_page(read_result(folder))
