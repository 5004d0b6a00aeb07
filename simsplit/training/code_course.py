"""The training of a code at a cut, maybe with the network's parts before and behind it."""

from __future__ import annotations

import copy
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from simsplit.errors import ScenarioError
from simsplit.networks.codes.artefact import round_to_half, start_code
from simsplit.networks.codes.build import cut_shapes, make_code
from simsplit.networks.codes.contract import DigitalCode, Passed
from simsplit.networks.cuts import cut
from simsplit.networks.tracing import output_for
from simsplit.scenario.codes import start_digest
from simsplit.tasks.datasets import Arrays
from simsplit.training.batches import MIRRORED, Batch
from simsplit.training.features import Features, Rows, laid_out
from simsplit.training.losses import relative_error
from simsplit.training.phases import CodeRecipe, Phase
from simsplit.training.pupil import Pupil, whole_graph
from simsplit.training.teachers import Teacher
from simsplit.training.terms import (
    compressibility_term,
    learned_weights,
    task_term,
)

_SEEN = 256  # features that a code is calibrated and settled on
_LATENTS = ("latent", MIRRORED["latent"])


class CodeCourse:
    """Trains a code at a cut, maybe with the network's two parts, which keep their statistics.

    The head is the network before ``cut``, the tail that behind ``until``. What a frozen encoder
    gives is worked out once when a phase begins, rounded as a payload has it.
    """

    def __init__(self, recipe: CodeRecipe) -> None:
        self.recipe = recipe
        self.graph = whole_graph(recipe.network, recipe.height, recipe.width)
        self.pupil = Pupil(recipe)
        self.pupil.take(self.graph.example_shape[1])
        shape, until = cut_shapes(self.graph, recipe.cut, recipe.until)
        self.code = make_code(recipe.code, shape, recipe.seed, until=until)
        self.start = None
        if recipe.start is not None:
            self.start = start_code(
                self.code, recipe.start, recipe.cut, recipe.code, start_digest(recipe.network)
            )
        self.original: tuple[nn.Module, nn.Module] = cut(self.graph, recipe.behind)
        head, tail = cut(self.graph, recipe.cut)[0], self.original[1]
        self.parts: dict[str, nn.Module] = {
            "head": copy.deepcopy(head),
            "code": self.code,
            "tail": copy.deepcopy(tail),
            **learned_weights(recipe),
        }
        self.features = Features(
            recipe, self.parts, self.original[0], self.pupil, reaches=until is not None
        )
        self._rows: Batch = {}
        self._images: Rows = np.empty(0)
        self._teachers = {
            index: Teacher(self, asked.distill, index)
            for index, asked in enumerate(map(recipe.objectives, recipe.phases))
            if asked.distill is not None
        }

    @cached_property
    def changed(self) -> tuple[str, ...]:
        """The parts that phases train, the code always."""
        named = {part for phase in self.recipe.phases for part in phase.train}
        both = {"head", "tail"} if "network" in named else set()
        wanted = {"code", *named, *both}
        return tuple(part for part in self.parts if part in wanted)

    def prepare(self, arrays: Arrays) -> Batch:
        """Truth, what can be worked out once for all phases, and else pictures."""
        images, reaches = arrays["image"], self.features.reaches
        given = self._calibrate(images[:_SEEN])
        kept = self.features.kept(len(images), head_learns="head" in self.changed)
        foreign = any(teacher.sees_pictures for teacher in self._teachers.values())
        complete = set(kept) == ({"feature", "target"} if reaches else {"feature"})
        data = self.pupil.rows(arrays, with_image=foreign or not complete)
        self.pupil.check(output_for(self.parts["tail"], given[:1]))
        for name, make in kept.items():
            data |= self.features.both_ways(name, make, images)
        self._rows, self._images = data, images
        return data

    def begin(self, phase: Phase) -> None:
        """The network's parts stay in evaluation mode: their statistics are the start's."""
        for name, part in self.parts.items():
            part.train(name == "code" and phase.trains_code)
        for name in _LATENTS:
            self._rows.pop(name, None)
        if not phase.trains_encoder and self._rounds:
            if self.recipe.weights_dtype == "float16" and self._encoder_trained:
                round_to_half(self.code, lambda name: not self._is_decoders(name))
            if not phase.trains_head and self.recipe.crop == 1:
                self._rows |= self.features.latents(self._images)

    def loss(self, phase: Phase, batch: Batch, generator: torch.Generator) -> Tensor:
        """Task, feature, rate and teacher, as the phase weighs them."""
        asked, index = self.recipe.objectives(phase), self.recipe.phases.index(phase)
        shaped = None if asked.compressibility is None else self.features.at_cut(batch)
        passed = self._passed(phase, batch, generator, shaped)
        given = passed.feature
        total = torch.zeros((), device=given.device)
        if asked.feature:
            wanted = self.features.target(batch).detach()
            total = total + asked.feature * relative_error(given.float(), wanted)
        if asked.compressibility is not None:
            total = total + compressibility_term(asked.compressibility, shaped, index)
        if asked.rate:
            if passed.bits is None:
                message, path = "this code estimates no bits", f"phases[{index}].objectives.rate"
                raise ScenarioError(message, path=path, value=asked.rate)
            total = total + asked.rate * passed.bits.mean() / given[0].numel()
        given = laid_out(given) if self.features.reaches else given
        if asked.distill is not None:
            teacher, answers = self._teachers[index], asked.has_task
            output, error = teacher.error(given, batch, answers=answers)
            total = total + asked.distill.weight * error
        elif asked.has_task:
            output = self.parts["tail"](given)
        if asked.has_task:
            total = total + task_term(self.parts, asked, self.pupil.wanted, output, batch)
        return total

    def settle(self, arrays: Arrays) -> None:
        """Weights as they are stored; tables of the code, on features of the head as it is now."""
        if self.recipe.weights_dtype == "float16":
            for name in self.changed:
                spared = name == "code" and not self._encoder_trained  # it is another code's
                round_to_half(self.parts[name], self._is_decoders if spared else None)
        if self.start is None or self._encoder_trained:
            seen = arrays["image"][:_SEEN]
            with torch.no_grad():
                self.code.settle(torch.from_numpy(self.features.features(seen)))

    def untouched(self, batch: Batch) -> Tensor | None:
        """What the untouched network has where the tail begins; None: not at hand."""
        return self.features.target(batch) if self.features.reaches else batch.get("feature")

    def _calibrate(self, images: Rows) -> Tensor:
        """Makes the code ready for the training pictures; what its decoder shall give for them."""
        features = torch.from_numpy(self.features.features(images))
        target = torch.from_numpy(self.features.targets(images)) if self.features.reaches else None
        with torch.no_grad():
            if self.start is None:
                self.code.calibrate(features, target)
            elif not self.start.decoder:
                self.code.calibrate_decoder(target)
        return features if target is None else target

    def _passed(
        self, phase: Phase, batch: Batch, generator: torch.Generator, feature: Tensor | None
    ) -> Passed:
        """What the decoder gives: of a frozen encoder's rounded latents, else of noisy ones."""
        if not self._rounds or phase.trains_encoder:
            noise = phase.noise.noise()
            feature = self.features.at_cut(batch) if feature is None else feature
            return self.code.through(feature, noise, generator)
        assert isinstance(self.code, DigitalCode)
        return Passed(self.code.decode(self.features.latent(batch)))

    @property
    def _rounds(self) -> bool:
        """Whether a frozen encoder's latents can be had as payloads have them."""
        return isinstance(self.code, DigitalCode) and self.code.rounds

    @property
    def _encoder_trained(self) -> bool:
        return any(phase.trains_encoder for phase in self.recipe.phases)

    def _is_decoders(self, name: str) -> bool:
        """Whether a tensor of the code is its decoder's."""
        return name.startswith(self.code.decoder_names)
