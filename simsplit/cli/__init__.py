"""The verbs on the command line; no logic. Everything heavy is imported inside its command.

A verb belongs to the file of its kind, which registers it with ``app``; the order of the imports
below is the order of `simsplit --help`.
"""

from __future__ import annotations

import os

from simsplit.cli import runs as runs  # isort: split

from simsplit.cli import sweeps as sweeps  # isort: split

from simsplit.cli import studies as studies  # isort: split

from simsplit.cli import analysis as analysis  # isort: split

from simsplit.cli import design as design  # isort: split

from simsplit.cli import figures as figures  # isort: split

from simsplit.cli import exports as exports  # isort: split

from simsplit.cli import networks as networks  # isort: split

from simsplit.cli import hardware as hardware  # isort: split

from simsplit.cli import channels as channels  # isort: split

from simsplit.cli import catalogue as catalogue  # isort: split

from simsplit.cli import cache as cache  # isort: split

from simsplit.cli.terminal import app as app


def main() -> None:
    """Entry point of the ``simsplit`` command.

    The working folder is not on Python's path here, nor is it in the processes that are started.
    """
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    app()
