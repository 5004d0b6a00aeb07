"""Classes of a user's own, held to their contracts before a run begins, as far as that is cheap.

Codecs are examined where their arrays' shapes are known, policies as they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from simsplit.errors import ContractError
from simsplit.scenario.channel import CustomChannel
from simsplit.scenario.custom import CustomSpec
from simsplit.scenario.devices import CustomArrivals
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.schedulers import CustomScheduler
from simsplit.scenario.user_code import import_target
from simsplit.sim.device.own_arrivals import Arrivals, check_arrivals
from simsplit.sim.radio.own_channel import SnrProcess, check_channel
from simsplit.sim.radio.own_scheduler import Scheduler, check_scheduler


def check_own(scenario: Scenario) -> None:
    """Examine the channel, the scheduler and the arrivals that are a user's own.

    Raises:
        ContractError: One breaks its contract; names path and clause.
        ScenarioError: One may not or cannot be imported or built, or fails.
    """
    channel, scheduler = scenario.cell.channel, scenario.cell.scheduler
    if isinstance(channel, CustomChannel):
        _check(channel, "cell.channel", SnrProcess, check_channel)
    if isinstance(scheduler, CustomScheduler):
        _check(scheduler, "cell.scheduler", Scheduler, check_scheduler)
    for group in scenario.devices:
        if isinstance(group.arrivals, CustomArrivals):
            path = f"devices.{group.name}.arrivals"
            _check(group.arrivals, path, Arrivals, check_arrivals)


def _check(spec: CustomSpec, path: str, base: type, check: Callable[[Any, Any], None]) -> None:
    thing = import_target(spec.target, path=f"{path}.target", base=base)
    with _at(f"{path}.target"):
        check(thing, spec.options)


@contextmanager
def _at(path: str) -> Iterator[None]:
    """A broken contract says where its class is named."""
    try:
        yield
    except ContractError as error:
        error.path = path
        raise
