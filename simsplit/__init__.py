"""simsplit: a discrete-event simulator of wireless split computing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsplit.load import load as load
    from simsplit.report import report as report
    from simsplit.results import Result as Result
    from simsplit.run import run as run
    from simsplit.sweep import load_results as load_results
    from simsplit.sweep import sweep as sweep

__version__ = "0.1.0"

_VERBS = {
    "load": "simsplit.load",
    "run": "simsplit.run",
    "sweep": "simsplit.sweep",
    "load_results": "simsplit.sweep",
    "report": "simsplit.report",
    "train": "simsplit.fit.train",
}


def __getattr__(name: str) -> Any:
    """The verbs, imported when first used, so that `import simsplit` stays light (PEP 562)."""
    if name not in _VERBS:
        raise AttributeError(f"module 'simsplit' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_VERBS[name]), name)
