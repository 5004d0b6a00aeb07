"""Networks of published systems, by the name that ``source:`` takes.

A builder takes height and width of the input in px, by position, and the network's ``options``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from simsplit.networks.published.ffmnet import ffmnet
from simsplit.networks.published.mtl_split import mtl_split
from simsplit.networks.published.street_net import street_net

PUBLISHED: Mapping[str, Callable[..., nn.Module]] = {
    "ffmnet": ffmnet,
    "mtl_split": mtl_split,
    "street_net": street_net,
}
