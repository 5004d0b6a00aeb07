"""``python -m simsplit``: the command line, without the working folder on Python's path."""

from __future__ import annotations

import sys
from pathlib import Path

_HOME = str(Path(__file__).resolve().parents[1])  # of the package: where `import simsplit` looks


def _leave_the_working_folder() -> None:
    """Python puts it first; a file there would run if it had the name of some library's part.

    Where simsplit itself is found nowhere else, worker processes need its folder; it comes last.
    """
    if not sys.flags.safe_path:
        del sys.path[0]
    if all(str(Path(entry or ".").resolve()) != _HOME for entry in sys.path):
        sys.path.append(_HOME)


if __name__ == "__main__":
    _leave_the_working_folder()
    from simsplit.cli import main

    main()
