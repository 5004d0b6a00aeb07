"""The network of a recipe, opened: what it sees of pictures, what it answers, and its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simsplit.errors import ScenarioError
from simsplit.networks.graph import Graph
from simsplit.networks.opened import open_graph
from simsplit.networks.preprocess import check_whole, network_input, network_size, preprocess_of
from simsplit.scenario.answers import (
    AnswerSpec,
    CustomAnswer,
    DetectionAnswer,
    ReconstructionAnswer,
    answers_of,
)
from simsplit.scenario.operating_points import Network
from simsplit.tasks.datasets import Arrays, class_counts
from simsplit.tasks.scorer import Scorer
from simsplit.tasks.wanted import Wanted, centre_maps
from simsplit.training.batches import Batch
from simsplit.training.losses import check_trainable
from simsplit.training.phases import CodeRecipe, NetworkRecipe, said_at


class Pupil:
    """The network of a recipe: its input for pictures, and the answers it is trained on.

    Raises:
        ScenarioError: An answer that cannot be trained, though a phase asks for it.
    """

    def __init__(self, recipe: NetworkRecipe | CodeRecipe) -> None:
        network = recipe.network
        self.network, self._recipe = network, recipe
        said = network.preprocess
        self._preprocess = None if said is None else preprocess_of(said, "network.preprocess")
        self.channels = 3
        if self._preprocess is not None:
            kinds = (answer.kind for answer in answers_of(network.answer))
            check_whole(self._preprocess, kinds, "network.preprocess")
        for asked in map(recipe.objectives, recipe.phases):
            check_trainable(network, asked.weights(answers_of(network.answer)))
        self.wanted: Sequence[Wanted] = ()

    def rows(self, arrays: Arrays, *, with_image: bool) -> Batch:
        """Truth of the declared answers, and maybe the pictures, without copies.

        Raises:
            ScenarioError: The data lack the truth, or have another number of classes.
        """
        recipe = self._recipe
        counts = class_counts(recipe.data, recipe.height, recipe.width, where="data")
        self._scorer = Scorer(self.network, arrays, counts, path="network.answer")
        self.wanted = self._scorer.wanted
        names = {one.spec.truth_key for one in self.wanted}
        if any(isinstance(one.spec, ReconstructionAnswer) for one in self.wanted):
            names.add("clean")
        if any(isinstance(one.spec, DetectionAnswer) for one in self.wanted):
            names |= {"box_labels", "box_crowd"}
        names |= {"image"} if with_image else set()
        return {n: torch.from_numpy(np.ascontiguousarray(arrays[n])) for n in names & set(arrays)}

    def take(self, channels: int) -> None:
        """Channels that the network takes, unless ``preprocess`` says them."""
        said = None if self._preprocess is None else self._preprocess.channels
        self.channels = channels if said is None else said

    def check(self, output: Any) -> None:
        """Whether what the network gives for the first picture is what the data set wants.

        Raises:
            ScenarioError: It is not, as a run would say it.
        """
        if not any(_is_unread(one.spec) for one in self.wanted):
            self._scorer.read(output, 0)
            for one in self.wanted:
                centre_maps(output, one)

    @property
    def size(self) -> tuple[int, int]:
        """``(h, w)`` of the network's input."""
        height, width = self._recipe.height, self._recipe.width
        if self._preprocess is None:
            return height, width
        return network_size(self._preprocess, height, width, "network.preprocess")

    def inputs(self, images: Tensor, like: nn.Module) -> Tensor:
        """What the network sees of pictures ``(B, H, W, C)``, where a module's parameters are."""
        seen = network_input(images.cpu(), self._preprocess, self.channels, "network.preprocess")
        parameter = next(like.parameters(), None)
        return seen if parameter is None else seen.to(parameter.device)


def _is_unread(spec: AnswerSpec) -> bool:
    """Whether what a network gives cannot be checked before it is trained."""
    is_foreign = isinstance(spec, DetectionAnswer) and spec.centres is None
    return is_foreign or isinstance(spec, CustomAnswer)


def whole_graph(network: Network, height: int, width: int, path: str = "network") -> Graph:
    """The traced network, which must take batches to be trained.

    Args:
        network: As the recipe says it.
        height, width: Of the pictures, in px.
        path: Where the recipe says it.

    Raises:
        ScenarioError: It takes one picture at a time; the error says why.
    """
    with said_at(path, network.name):
        graph = open_graph(network, height, width)
    if (why := graph.why_one_at_a_time) is not None:
        message = f"this network's graph takes one picture at a time and cannot be trained ({why})"
        raise ScenarioError(message, path=f"{path}.source", value=network.source)
    return graph
