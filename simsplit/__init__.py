"""simsplit: a discrete-event simulator of wireless split computing.

The verbs are functions of the package: ``load``, ``run``, ``replicate``, ``sweep``,
``load_results``, ``read_requests``, ``optimise``, ``capacity``, ``train``, ``report``. Modules of
the same names exist; import from them with ``from simsplit.run import …``.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsplit.fit.train import train as train
    from simsplit.load import load as load
    from simsplit.replicate import replicate as replicate
    from simsplit.report import report as report
    from simsplit.results import Result as Result
    from simsplit.run import run as run
    from simsplit.sweep import load_results as load_results
    from simsplit.sweep import read_requests as read_requests
    from simsplit.sweep import sweep as sweep

__version__ = "0.5.0"

_VERBS = {
    "load": "simsplit.load",
    "run": "simsplit.run",
    "sweep": "simsplit.sweep",
    "load_results": "simsplit.sweep",
    "read_requests": "simsplit.sweep",
    "replicate": "simsplit.replicate",
    "optimise": "simsplit.optimise",
    "capacity": "simsplit.capacity",
    "report": "simsplit.report",
    "train": "simsplit.fit.train",
}


class _Package(ModuleType):
    """Keeps ``simsplit.run`` the verb: importing the module ``simsplit.run`` would replace it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _VERBS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    """The verbs, imported when first used, so that `import simsplit` stays light (PEP 562)."""
    if name not in _VERBS:
        raise AttributeError(f"module 'simsplit' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_VERBS[name]), name)


sys.modules[__name__].__class__ = _Package
