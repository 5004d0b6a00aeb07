"""What classes of a user's own must have (``kind: custom``), and checks that hold them to it.

A class is named by ``target: package.module:Name`` and built with what its contract says, then with
its ``options`` by keyword. The checks name the clause that does not hold; a run makes them too.
They take a class, or an object. See docs/custom.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simsplit.codecs.contract import Codec as Codec
from simsplit.codecs.contract import check_codec as check_codec
from simsplit.errors import ContractError as ContractError
from simsplit.sim.device.own_arrivals import Arrivals as Arrivals
from simsplit.sim.device.own_arrivals import check_arrivals as check_arrivals
from simsplit.sim.policy.knowledge import Chooser as Chooser
from simsplit.sim.policy.knowledge import Costs as Costs
from simsplit.sim.policy.knowledge import Decision as Decision
from simsplit.sim.policy.knowledge import Knowledge as Knowledge
from simsplit.sim.policy.own_policy import check_policy as check_policy
from simsplit.sim.radio.own_channel import SnrProcess as SnrProcess
from simsplit.sim.radio.own_channel import check_channel as check_channel
from simsplit.sim.radio.own_scheduler import Scheduler as Scheduler
from simsplit.sim.radio.own_scheduler import View as View
from simsplit.sim.radio.own_scheduler import check_scheduler as check_scheduler
from simsplit.tasks.own_metric import Metric as Metric
from simsplit.tasks.own_metric import check_metric as check_metric
from simsplit.tasks.sets.custom import Items as Items
from simsplit.tasks.sets.custom import check_data_set as check_data_set

if TYPE_CHECKING:
    from simsplit.networks.codes.custom import ChannelInside as ChannelInside
    from simsplit.networks.codes.custom import Coder as Coder

_LATER = {  # what needs torch, which takes a second to import
    "ChannelInside": "simsplit.networks.codes.custom",
    "Coder": "simsplit.networks.codes.custom",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'simsplit.contracts' has no attribute '{name}'")
    return getattr(import_module(_LATER[name]), name)
