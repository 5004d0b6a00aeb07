"""One resumable loop over phases: recipe → trained parts → artefact.

A step's randomness depends on (seed, step) alone, and a checkpoint holds every part and the
optimiser's state, so that a killed training goes on to the very bytes of an undisturbed one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from simsplit.errors import ScenarioError
from simsplit.files import json_digest, remove_asides
from simsplit.networks.codes.contract import Code
from simsplit.networks.devices import check_device
from simsplit.seeds import one_thread, subnormals_flushed
from simsplit.tasks.datasets import Arrays, Dataset, cached_arrays, open_dataset
from simsplit.training.batches import Batch, cropped, drawn, rate_factor
from simsplit.training.checkpoints import CHECKPOINT, read_checkpoint, write_checkpoint
from simsplit.training.code_card import finish_code, finish_network
from simsplit.training.code_course import CodeCourse
from simsplit.training.courses import Course, NetworkCourse
from simsplit.training.phases import CodeRecipe, NetworkRecipe, Phase, said_at
from simsplit.training.pictures import check_counts
from simsplit.training.terms import UNCERTAINTY, log_variances

Progress = Callable[[int, int, float], None]  # step, steps, loss
BEGINNING_STEPS, MEAN_OVER_STEPS = 40, 10  # of a training's beginning, as cards hold it
_LARGEST_GRADIENT = 5.0  # norm over all trained parameters


@dataclass
class Loop:
    """A training between two steps.

    Attributes:
        course: What is trained.
        device: Where.
        lengths: Steps of every phase.
        is_whole: These are all steps of the recipe; it was not shortened.
        recipe_digest: Of the recipe as it was read, for the card.
        losses: Of the first `BEGINNING_STEPS` steps.
    """

    course: Course
    device: str
    lengths: tuple[int, ...]
    is_whole: bool = True
    recipe_digest: str = ""
    losses: list[float] = field(default_factory=list)
    step: int = 0
    elapsed_s: float = 0.0
    phase: int = -1  # whose optimiser this is
    optimizer: torch.optim.Optimizer | None = None

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(self.lengths)

    def place(self) -> tuple[int, int]:
        """Phase of the next step, and its number within."""
        before = 0
        for index, length in enumerate(self.lengths):
            if self.step < before + length:
                return index, self.step - before
            before += length
        raise IndexError("all phases are done")


def open_course(recipe: NetworkRecipe | CodeRecipe, device: str, max_steps: int | None) -> Loop:
    """A training at step 0.

    Raises:
        ScenarioError: Network, cut, code, pictures or device are not as the recipe says.
    """
    check_device(device)
    check_counts(recipe)
    data = open_dataset(
        recipe.data, "train", height=recipe.height, width=recipe.width, where="data"
    )
    count = min(recipe.train_images, data.capacity)
    lengths = [phase.step_count(count, recipe.batch) for phase in recipe.phases]
    course: Course
    course = NetworkCourse(recipe) if isinstance(recipe, NetworkRecipe) else CodeCourse(recipe)
    taken = _shortened(lengths, max_steps)
    return Loop(course, device, taken, is_whole=taken == tuple(lengths))


def _shortened(lengths: list[int], most: int | None) -> tuple[int, ...]:
    """All phases shorter by the same factor, so that at most so many steps are left."""
    total = sum(lengths)
    if most is None or total <= most:
        return tuple(lengths)
    return tuple(max(1, length * most // total) for length in lengths)


def train_phases(
    loop: Loop,
    folder: Path,
    content: Mapping[str, Any],
    progress: Progress | None = None,
    threads: int = 1,
) -> Path:
    """Takes all steps, from a checkpoint if there is one, and writes the artefact.

    Args:
        loop: As `open_course` gives it.
        folder: Of the artefact.
        content: The recipe as it was read, whose digest goes into the card.
        progress: Called after every step.
        threads: Of PyTorch.

    Raises:
        ArtefactError: The checkpoint is of another recipe's unfinished training, or of another
            number of threads.
    """
    recipe, course = loop.course.recipe, loop.course
    loop.recipe_digest = json_digest(content)
    with one_thread(threads), subnormals_flushed():
        remove_asides(folder)
        arrays = _arrays(recipe, "train", recipe.train_images)
        data = course.prepare(arrays)
        for part in course.parts.values():
            part.to(loop.device)
            if isinstance(recipe, NetworkRecipe) and recipe.channels_last:
                part.to(memory_format=torch.channels_last)
        restore(loop, folder / CHECKPOINT)
        fit(loop, data, folder / CHECKPOINT, progress)
        for part in course.parts.values():
            part.to("cpu").eval().requires_grad_(False)
    course.settle(arrays)
    facts: dict[str, Any] = {"steps": loop.step, "seconds": loop.elapsed_s, "threads": threads}
    facts |= {"device": loop.device, "recipe_digest": loop.recipe_digest}
    facts["beginning"] = _beginning_of(loop, threads)
    facts |= {"log_variance": log_variances(course.parts)}
    with said_at("network", recipe.network.name):
        if isinstance(course, CodeCourse):
            finish_code(course, folder, scored_ranges(recipe), facts)
        elif isinstance(course, NetworkCourse):
            finish_network(course, folder, scored_ranges(recipe), facts)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return folder


def scored_ranges(recipe: NetworkRecipe | CodeRecipe) -> dict[str, Arrays]:
    """What a card scores: the test range and, where a recipe says so, one for choosing."""
    sizes = {"test": recipe.test_images, "validation": recipe.validation_images}
    return {split: _arrays(recipe, split, most) for split, most in sizes.items() if most}


def _beginning_of(loop: Loop, threads: int) -> list[float]:
    """Of a training that is done; measured anew unless it was in float32 on one thread of a cpu."""
    if not loop.is_whole:
        return []
    plain = (loop.course.recipe.precision, loop.device, threads) == ("float32", "cpu", 1)
    if plain and len(loop.losses) >= min(BEGINNING_STEPS, loop.steps):
        return means_of_losses(loop.losses)
    return beginning(loop.course.recipe)


def beginning(recipe: NetworkRecipe | CodeRecipe) -> list[float]:
    """How the loss begins: its means over steps 1-10, 11-20, 21-30 and 31-40 of the whole schedule.

    In float32 on one thread of a cpu, whatever precision the recipe trains in. Nothing is written.

    Raises:
        ScenarioError: As `open_course`.
    """
    loop = open_course(recipe.model_copy(update={"precision": "float32"}), "cpu", None)
    with one_thread(1), subnormals_flushed():
        data = loop.course.prepare(_arrays(recipe, "train", recipe.train_images))
        while loop.step < min(BEGINNING_STEPS, loop.steps):
            loop.losses.append(take_step(loop, data))
    return means_of_losses(loop.losses)


def means_of_losses(losses: Sequence[float]) -> list[float]:
    """Means over tens of steps, to five digits; steps that fill no ten are left out."""
    starts = range(0, len(losses) - MEAN_OVER_STEPS + 1, MEAN_OVER_STEPS)
    means = (sum(losses[i : i + MEAN_OVER_STEPS]) / MEAN_OVER_STEPS for i in starts)
    return [float(f"{mean:.5g}") for mean in means]


def _arrays(recipe: NetworkRecipe | CodeRecipe, split: str, most: int) -> Arrays:
    dataset = _open(recipe, split)
    return cached_arrays(dataset, min(most, dataset.capacity if split == "train" else len(dataset)))


def _open(recipe: NetworkRecipe | CodeRecipe, split: str) -> Dataset:
    height, width = recipe.height, recipe.width
    return open_dataset(recipe.data, split, height=height, width=width, where="data")


def fit(loop: Loop, data: Batch, checkpoint: Path, progress: Progress | None) -> None:
    """Takes steps until all phases are done, leaving checkpoints."""
    recipe = loop.course.recipe
    while loop.step < loop.steps:
        began_s = time.monotonic()
        loss = take_step(loop, data)
        loop.elapsed_s += time.monotonic() - began_s
        if loop.step <= BEGINNING_STEPS:
            loop.losses.append(loss)
        if loop.step % recipe.checkpoint_steps == 0 or loop.step == loop.steps:
            save(loop, checkpoint)
        if progress is not None:
            progress(loop.step, loop.steps, loss)


def take_step(loop: Loop, data: Batch) -> float:
    """One optimiser step; at a phase's first one its parts and optimiser are set up."""
    recipe, (index, number) = loop.course.recipe, loop.place()
    phase = recipe.phases[index]
    optimizer = begin(loop, index)
    seed = recipe.seed * 1_000_003 + loop.step
    generator = torch.Generator().manual_seed(seed)
    flip_by = generator if recipe.flip else None
    batch = drawn(data, loop.step, recipe.batch, recipe.seed, flip_by, width=recipe.width)
    batch = cropped(batch, recipe.crop, generator)
    batch = {n: v if n == "image" else v.to(loop.device) for n, v in batch.items()}
    done = number / loop.lengths[index]
    for group in optimizer.param_groups:
        factor = rate_factor(phase.schedule, number, phase.warmup_steps, done)
        group["lr"] = phase.learning_rate * factor
    low = torch.autocast(loop.device, torch.bfloat16, enabled=recipe.precision == "bfloat16")
    with _torch_seeded(seed, loop.device), low:
        loss = loop.course.loss(phase, batch, generator)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise _not_finite(value, loop.step, index)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    torch.nn.utils.clip_grad_norm_(trained, _LARGEST_GRADIENT)
    optimizer.step()
    loop.step += 1
    return value


@contextmanager
def _torch_seeded(seed: int, device: str) -> Iterator[None]:
    """PyTorch's own generator, which dropout draws from, seeded meanwhile."""
    with torch.random.fork_rng(devices=[] if device == "cpu" else None):
        torch.manual_seed(seed)
        yield


def _not_finite(loss: float, step: int, phase: int) -> ScenarioError:
    """The error of a loss that is no number; at the very first step no learning rate has acted."""
    if step == 0:
        message = f"the loss is {loss} on the first batch, before anything was learned: what the "
        return ScenarioError(f"{message}network gives, or the truth, is not finite", path="network")
    message = f"the loss is {loss} at step {step}; lower learning_rate"
    return ScenarioError(message, path=f"phases[{phase}].learning_rate")


def begin(loop: Loop, index: int) -> torch.optim.Optimizer:
    """The optimiser of a phase; a new one when the phase begins."""
    if loop.phase == index and loop.optimizer is not None:
        return loop.optimizer
    phase = loop.course.recipe.phases[index]
    for part in loop.course.parts.values():
        part.requires_grad_(False)
    loop.course.begin(phase)
    trained = [p.requires_grad_(True) for p in _trained(loop.course.parts, phase)]
    learned = _learned(loop.course, phase)
    if not trained:
        message = "nothing to train: these parts have no such parameters"
        value = list(phase.only or phase.train)
        raise ScenarioError(message, path=f"phases[{index}]", value=value)
    groups: list[dict[str, Any]] = [{"params": trained}]
    if learned:
        groups.append({"params": learned, "weight_decay": 0.0})
    loop.optimizer = torch.optim.AdamW(
        groups, lr=phase.learning_rate, weight_decay=phase.weight_decay
    )
    loop.phase = index
    return loop.optimizer


def _learned(course: Course, phase: Phase) -> list[nn.Parameter]:
    """Log variances, of a phase that learns them."""
    if not course.recipe.objectives(phase).uncertainty:
        return []
    learned = list(course.parts[UNCERTAINTY].parameters())
    for parameter in learned:
        parameter.requires_grad_(True)
    return learned


def _trained(parts: Mapping[str, nn.Module], phase: Phase) -> Iterator[nn.Parameter]:
    """Parameters of a phase's parts; ``network`` is head and tail where the network is cut."""
    wanted = set(phase.train)
    if "network" in wanted and "network" not in parts:
        wanted |= {"head", "tail"}
    for name, part in parts.items():
        for key, parameter in part.named_parameters():
            if name not in wanted and not wanted & _half_of_code(part, key):
                continue
            own = key.removeprefix("net.")
            if parameter.is_floating_point() and (not phase.only or own.startswith(phase.only)):
                yield parameter


def _half_of_code(part: nn.Module, key: str) -> set[str]:
    """Which half of a code a parameter belongs to; nothing for parts of a network."""
    if not isinstance(part, Code):
        return set()
    return {"decoder" if key.startswith(part.decoder_names) else "encoder"}


# --- checkpoints ------------------------------------------------------------------------------


def save(loop: Loop, checkpoint: Path) -> None:
    """Write a checkpoint, whole or not at all."""
    assert loop.optimizer is not None
    state = {
        "recipe": loop.course.recipe.digest,
        "card": loop.recipe_digest,
        "lengths": list(loop.lengths),
        "step": loop.step,
        "phase": loop.phase,
        "elapsed_s": loop.elapsed_s,
        "losses": loop.losses,
        "parts": {name: part.state_dict() for name, part in loop.course.parts.items()},
        "optimizer": loop.optimizer.state_dict(),
    }
    write_checkpoint(checkpoint, state)


def restore(loop: Loop, checkpoint: Path) -> None:
    """Continue from a checkpoint, if there is one of this training.

    Raises:
        ArtefactError: See `simsplit.training.checkpoints.read_checkpoint`.
    """
    state = read_checkpoint(checkpoint, loop.course.recipe.digest, loop.lengths, loop.device)
    if state is None:
        return
    for name, part in loop.course.parts.items():
        part.load_state_dict(state["parts"][name])
    loop.step, loop.elapsed_s = int(state["step"]), float(state["elapsed_s"])
    loop.losses = list(state.get("losses", ()))
    if loop.step < loop.steps and loop.place()[0] == state["phase"]:
        begin(loop, state["phase"]).load_state_dict(state["optimizer"])
