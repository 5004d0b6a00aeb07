"""One self-contained HTML page of a run or a sweep: nothing in it is loaded from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from simsplit.errors import ArtefactError

FILE = "report.html"


def report(folder: Path) -> Path:
    """Write ``report.html`` into the folder of a run or of a sweep and return its path.

    The same folder gives the same bytes, wherever it lies.

    Raises:
        ArtefactError: Neither a whole result nor a sweep with a finished point.
    """
    target = Path(folder) / FILE
    text = page(folder)
    aside = target.with_name(f".{FILE}.part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, target)
    return target


def page(folder: Path) -> str:
    """The HTML text of a run's or a sweep's folder; see `report`."""
    folder = Path(folder)
    if (folder / "sweep.json").is_file():
        from simsplit.report.sweep_page import sweep_page

        return sweep_page(folder)
    if folder.is_dir() and not (folder / "manifest.json").is_file():
        message = "neither a run (manifest.json) nor a sweep (sweep.json) is here"
        raise ArtefactError(message, path=str(folder))
    from simsplit.report.run_page import run_page
    from simsplit.results import read_result

    return run_page(read_result(folder))
