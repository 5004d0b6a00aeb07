"""simsplit: a discrete-event simulator of wireless split computing.

The verbs are functions of the package; ``dir(simsplit)`` lists them. They are imported when first
used, so that ``import simsplit`` costs nothing (PEP 562). No module of the package has the name of
a verb.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsplit.errors import SimsplitError as SimsplitError
    from simsplit.figures.kinds import plot as plot
    from simsplit.pages.report import report as report
    from simsplit.results.compare import compare as compare
    from simsplit.results.store import Result as Result
    from simsplit.results.store import read_result as read_result
    from simsplit.results.sweep_folder import status as status
    from simsplit.results.sweep_table import load_results as load_results
    from simsplit.results.sweep_table import read_requests as read_requests
    from simsplit.results.tables import table as table
    from simsplit.scenario.load import load as load
    from simsplit.scenario.scenario import Scenario as Scenario
    from simsplit.study.capacity import capacity as capacity
    from simsplit.study.check import check as check
    from simsplit.study.measured_rates import rates as rates
    from simsplit.study.optimise import optimise as optimise
    from simsplit.study.replicate import replicate as replicate
    from simsplit.study.run import run as run
    from simsplit.study.sweep import resume as resume
    from simsplit.study.sweep import sweep as sweep
    from simsplit.study.validate import validate as validate
    from simsplit.training.train import train as train

__version__ = "0.13.0"

_PUBLIC = {
    "load": "scenario.load",
    "run": "study.run",
    "replicate": "study.replicate",
    "sweep": "study.sweep",
    "resume": "study.sweep",
    "status": "results.sweep_folder",
    "load_results": "results.sweep_table",
    "read_requests": "results.sweep_table",
    "read_result": "results.store",
    "compare": "results.compare",
    "optimise": "study.optimise",
    "capacity": "study.capacity",
    "check": "study.check",
    "rates": "study.measured_rates",
    "validate": "study.validate",
    "train": "training.train",
    "report": "pages.report",
    "plot": "figures.kinds",
    "table": "results.tables",
    "Scenario": "scenario.scenario",
    "Result": "results.store",
    "SimsplitError": "errors",
}
__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'simsplit' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"simsplit.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return [*_PUBLIC, "__version__"]
