"""What is trained: the protocol of a training, and that of any network as its own module."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from simsplit.networks.opened import input_channels, open_module
from simsplit.networks.tracing import output_for
from simsplit.scenario.operating_points import RANDOM, Network
from simsplit.tasks.datasets import Arrays
from simsplit.training.batches import Batch
from simsplit.training.losses import output_distillation
from simsplit.training.phases import UNTRAINED, CodeRecipe, NetworkRecipe, Phase, said_at
from simsplit.training.pupil import Pupil
from simsplit.training.teachers import distill_path, teacher_graph
from simsplit.training.terms import (
    FeatureReader,
    compressibility_path,
    compressibility_term,
    learned_weights,
    task_term,
)


class Course(Protocol):
    """One training: its parts and what a step minimises.

    Attributes:
        parts: Modules by name, all of them in a checkpoint.
    """

    parts: dict[str, nn.Module]

    @property
    def recipe(self) -> NetworkRecipe | CodeRecipe:
        """What is asked."""

    def prepare(self, arrays: Arrays) -> Batch:
        """Rows that steps draw from; parts are calibrated on them."""

    def loss(self, phase: Phase, batch: Batch, generator: torch.Generator) -> Tensor:
        """What a step of a phase minimises."""

    def settle(self, arrays: Arrays) -> None:
        """After the last step, on the CPU and in evaluation mode."""

    def begin(self, phase: Phase) -> None:
        """Training or evaluation mode of every part, and what the phase's steps draw from."""


def _started(network: Network, seed: int) -> Network:
    """The network as its own recipe starts it; what it answers is of no concern to its weights."""
    untrained = {"weights": RANDOM} if network.weights == UNTRAINED else {}
    return network.model_copy(update={"seed": seed, "answer": None, **untrained})


class NetworkCourse:
    """Trains a network as its own module, from its seed or its weights."""

    def __init__(self, recipe: NetworkRecipe) -> None:
        self.recipe, network = recipe, recipe.network
        self.pupil = Pupil(recipe)
        height, width = self.pupil.size
        with said_at("network", network.name):
            module = open_module(_started(network, recipe.seed), height, width)
            self.pupil.take(input_channels(module))
            output_for(module, torch.zeros(1, self.pupil.channels, height, width))
        self.parts: dict[str, nn.Module] = {"network": module, **learned_weights(recipe)}
        self._teachers = dict(self._opened_teachers())
        example = torch.zeros(1, self.pupil.channels, height, width)
        self._readers = dict(self._opened_readers(example))

    def prepare(self, arrays: Arrays) -> Batch:
        """Pictures and truth; what the network gives is held against them."""
        data, module = self.pupil.rows(arrays, with_image=True), self.parts["network"]
        first = self.pupil.inputs(data["image"][:1], module)
        for index, teacher in self._teachers.items():
            with said_at(f"{distill_path(index)}.teacher"):
                output_for(teacher, first)
        self.pupil.check(output_for(module, first))
        return data

    def begin(self, phase: Phase) -> None:
        """Training mode, unless statistics of normalisation are to stay as they are."""
        self.parts["network"].train(self.recipe.normalisation == "trained")

    def loss(self, phase: Phase, batch: Batch, generator: torch.Generator) -> Tensor:
        """Task and teacher."""
        asked = self.recipe.objectives(phase)
        index = self.recipe.phases.index(phase)
        images = self.pupil.inputs(batch["image"], self.parts["network"])
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        total = torch.zeros((), device=images.device)
        if asked.compressibility is None:
            output = self.parts["network"](images)
        else:
            output, feature = self._readers[index](images)
            total = total + compressibility_term(asked.compressibility, feature, index)
        if asked.has_task:
            total = total + task_term(self.parts, asked, self.pupil.wanted, output, batch)
        if asked.distill is not None:
            teacher = self._teachers[index].to(images.device)
            with torch.no_grad():
                wanted = teacher(images)
            heat = asked.distill.temperature
            path = distill_path(index)
            error = output_distillation(self.pupil.wanted, output, wanted, heat, path)
            total = total + asked.distill.weight * error
        return total

    def settle(self, arrays: Arrays) -> None:
        """Nothing is left to do."""

    def _opened_teachers(self) -> Iterator[tuple[int, nn.Module]]:
        for index, asked in enumerate(map(self.recipe.objectives, self.recipe.phases)):
            if asked.distill is not None:
                module = self.parts["network"]
                if asked.distill.teacher is not None:
                    module = teacher_graph(asked.distill, self.recipe, index).module
                yield index, copy.deepcopy(module).eval().requires_grad_(False)

    def _opened_readers(self, example: Tensor) -> Iterator[tuple[int, FeatureReader]]:
        network = self.recipe.network
        for index, asked in enumerate(map(self.recipe.objectives, self.recipe.phases)):
            if asked.compressibility is not None:
                at, path = str(asked.compressibility.at), f"{compressibility_path(index)}.at"
                yield index, FeatureReader(self.parts["network"], network, example, at, path)
