"""One training loop for the split networks of simsplit's own kinds, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simsplit.errors import ScenarioError
from simsplit.files import remove_asides
from simsplit.networks.artefact import build_model, load_artefact
from simsplit.networks.bottleneck import add_quantisation_noise
from simsplit.networks.deepjscc import awgn, erase_tail, prefix_lengths, training_noise_variance
from simsplit.networks.inference import Inference
from simsplit.networks.split_model import SplitModel, as_images
from simsplit.scenario.bundled import models_dir
from simsplit.seeds import one_thread, subnormals_flushed
from simsplit.tasks.datasets import Arrays, cached_arrays, open_dataset
from simsplit.training.batches import Batch, drawn, rate_factor
from simsplit.training.card import finish
from simsplit.training.checkpoints import CHECKPOINT, read_checkpoint, write_checkpoint
from simsplit.training.loop import BEGINNING_STEPS, means_of_losses
from simsplit.training.objectives import Criterion, class_weights_of
from simsplit.training.recipe import NetRecipe

Progress = Callable[[int, int, float], None]  # step, steps, loss


def train_net(
    recipe: NetRecipe,
    out_dir: Path,
    recipe_digest: str,
    progress: Progress | None = None,
    threads: int = 1,
    *,
    is_shortened: bool = False,
) -> None:
    """Train a split network as its recipe says; write weights and card.

    Args:
        out_dir: Of the model; a checkpoint there is gone on from.
        recipe_digest: Of the recipe's file, for the card.
        is_shortened: The schedule is shorter than in that file; the card has no beginning then.

    Raises:
        ArtefactError: The checkpoint is of another recipe's unfinished training.
    """
    with one_thread(threads), subnormals_flushed():
        dataset = open_dataset(recipe.dataset, "train", height=recipe.height, width=recipe.width)
        arrays = cached_arrays(dataset, min(recipe.train_images, dataset.capacity))
        run = start(recipe, class_weights_of(recipe, as_tensors(arrays)))
        run.recipe_digest, checkpoint = recipe_digest, out_dir / CHECKPOINT
        remove_asides(out_dir)
        restore(run, checkpoint)
        fit(run, _training_data(run, arrays), checkpoint, progress)
    facts: dict[str, Any] = {
        "recipe_digest": recipe_digest,
        "beginning": [] if is_shortened else beginning_of_net(recipe),
        "threads": threads,
        "steps": run.step,
        "seconds": run.elapsed_s,
    }
    if recipe.objective == "uncertainty":
        facts["log_variance"] = run.criterion.log_variances()
    finish(recipe, run.model, arrays, out_dir, facts)
    checkpoint.unlink(missing_ok=True)


def beginning_of_net(recipe: NetRecipe) -> list[float]:
    """How the loss begins, as `simsplit.training.loop.beginning` says; by steps, not by seconds."""
    exact = recipe.model_copy(update={"precision": "float32", "budget_s": None})
    with one_thread(1), subnormals_flushed():
        dataset = open_dataset(recipe.dataset, "train", height=recipe.height, width=recipe.width)
        arrays = cached_arrays(dataset, min(recipe.train_images, dataset.capacity))
        run = start(exact, class_weights_of(exact, as_tensors(arrays)))
        data = _training_data(run, arrays)
        steps = range(min(BEGINNING_STEPS, exact.steps))
        return means_of_losses([take_step(run, data) for _ in steps])


@dataclass
class Fitting:
    """A training run between two steps."""

    recipe: NetRecipe
    model: SplitModel
    criterion: Criterion
    optimizer: torch.optim.Optimizer
    recipe_digest: str = ""  # of the recipe's file, for the card
    step: int = 0
    elapsed_s: float = 0.0

    @property
    def done(self) -> float:
        """Share of the schedule that lies behind, by steps or by seconds."""
        by_time = self.elapsed_s / self.recipe.budget_s if self.recipe.budget_s else 0.0
        return max(self.step / self.recipe.steps, by_time)


def start(recipe: NetRecipe, class_weights: Tensor) -> Fitting:
    """A run at step 0, initialised from the recipe's seed or from another model's weights.

    Args:
        recipe: What to train and how.
        class_weights: As `simsplit.training.objectives.class_weights_of` gives them.

    Raises:
        ScenarioError: ``start_from`` is a model of another kind or size.
        ArtefactError: It is not there or damaged.
    """
    model = _fresh_model(recipe) if recipe.start_from is None else _started_model(recipe)
    if recipe.nested:
        model.jscc.nest()
    model.train(recipe.train_only is None)  # frozen parts keep their batch statistics too
    learned = model if recipe.train_only is None else model.get_submodule(recipe.train_only)
    learned.train().requires_grad_(True)
    criterion = Criterion(recipe, class_weights)
    optimizer = torch.optim.AdamW(
        [*learned.parameters(), *criterion.parameters()],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    return Fitting(recipe, model, criterion, optimizer)


def _fresh_model(recipe: NetRecipe) -> SplitModel:
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        options = recipe.network.model_dump() if recipe.network else None
        try:
            return build_model(recipe.kind, recipe.height, recipe.width, options)
        except ValueError as error:
            size = f"{recipe.height}x{recipe.width}"
            raise ScenarioError(str(error), path="network", value=size) from None


def _started_model(recipe: NetRecipe) -> SplitModel:
    artefact = load_artefact(models_dir(), str(recipe.start_from))
    there = tuple(artefact.card[key] for key in ("kind", "height", "width"))
    network = recipe.network.model_dump(mode="json") if recipe.network else None
    if artefact.card.get("network") != network:
        message = f"that model's network is another one: {artefact.card.get('network')}"
        raise ScenarioError(message, path="start_from", value=recipe.start_from)
    if there == (recipe.kind, recipe.height, recipe.width):
        return artefact.model
    if there == ("multitask", recipe.height, recipe.width) and recipe.train_only == "exit":
        return _with_exit(recipe, artefact.model)
    message = "that model is of another kind or size, {} {}x{}".format(*there)
    raise ScenarioError(message, path="start_from", value=recipe.start_from)


def _with_exit(recipe: NetRecipe, start: SplitModel) -> SplitModel:
    """The model with a fresh early exit; everything else is its own and frozen."""
    model = _fresh_model(recipe).requires_grad_(False)
    model.load_state_dict(start.state_dict(), strict=False)
    return model


def as_tensors(arrays: Arrays) -> Batch:
    """The arrays of a dataset without copies, by name."""
    wanted = ("image", "clean", "segmentation", "disparity", "label")
    return {name: torch.from_numpy(arrays[name]) for name in wanted if name in arrays}


def _training_data(run: Fitting, arrays: Arrays) -> Batch:
    """The arrays; behind a frozen trunk its features, of mirrored pictures too, for the pictures.

    ``feature`` and ``mirrored``: ``(N, C, h, w)``.
    """
    data = as_tensors(arrays)
    if run.recipe.train_only is None:
        return data
    images, inference = data.pop("image").numpy(), Inference(run.model)
    behind = inference.exit_features if run.recipe.train_only == "exit" else inference.features
    data["feature"] = torch.from_numpy(behind(images))
    if run.recipe.flip:
        data["mirrored"] = torch.from_numpy(behind(images[:, :, ::-1]))
    return data


def fit(run: Fitting, data: Batch, checkpoint: Path, progress: Progress | None) -> None:
    """Take steps until the schedule ends, leaving checkpoints."""
    while run.done < 1.0:
        began_s = time.monotonic()
        loss = take_step(run, data)
        run.elapsed_s += time.monotonic() - began_s
        if run.step % run.recipe.checkpoint_steps == 0 or run.done >= 1.0:
            save(run, checkpoint)
        if progress is not None:
            progress(run.step, run.recipe.steps, loss)


def take_step(run: Fitting, data: Batch) -> float:
    """One optimiser step; its randomness depends on (seed, step) only, so runs can resume."""
    generator = torch.Generator().manual_seed(run.recipe.seed * 1_000_003 + run.step)
    batch = draw_batch(data, run, generator)
    for group in run.optimizer.param_groups:
        group["lr"] = run.recipe.learning_rate * schedule(run)
    loss = _loss(run, batch, generator)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([*run.model.parameters(), *run.criterion.parameters()], 5.0)
    run.optimizer.step()
    run.step += 1
    return float(loss.detach())


def schedule(run: Fitting) -> float:
    """Learning-rate factor, see `simsplit.training.batches.rate_factor`."""
    return rate_factor(run.recipe.schedule, run.step, run.recipe.warmup_steps, run.done)


def draw_batch(data: Batch, run: Fitting, generator: torch.Generator) -> Batch:
    """The step's images, see `simsplit.training.batches.drawn`."""
    flip_by = generator if run.recipe.flip else None
    return drawn(data, run.step, run.recipe.batch, run.recipe.seed, flip_by)


def _loss(run: Fitting, batch: Batch, generator: torch.Generator) -> Tensor:
    """What the step minimises; sums and logarithms of it are in float32 at any precision."""
    # Laid out anew: with torch 2.14 the float32 gradient of channels-last pictures crashes.
    pictures = None if run.recipe.train_only else as_images(batch["image"]).contiguous()
    with torch.autocast("cpu", torch.bfloat16, enabled=run.recipe.precision == "bfloat16"):
        feature = None if pictures is None else run.model.encode(pictures).float()
        answers = _answers(run, batch, feature, generator)
    answers = {name: answer.float() for name, answer in answers.items()}
    loss: Tensor = run.criterion(answers, batch, feature, run.step)
    return loss


def _answers(
    run: Fitting, batch: Batch, feature: Tensor | None, generator: torch.Generator
) -> Batch:
    if run.recipe.train_only == "exit":
        return run.model.exit_answer(batch["feature"])
    if feature is None:
        return run.model.answer(_over_jscc(run, batch["feature"], generator))
    return run.model.answer(_through_paths(run, feature, generator))


def _through_paths(run: Fitting, feature: Tensor, generator: torch.Generator) -> Tensor:
    """Sends the batch's parts over the three ways and joins what arrives, ``(B, C, h, w)``."""
    recipe, model = run.recipe, run.model
    parts = [recipe.shares.direct, recipe.shares.digital, recipe.shares.jscc]
    direct, digital, jscc = torch.split(feature, parts)
    choice = torch.randint(len(recipe.bits), (len(digital),), generator=generator)
    latent = model.digital_encode(digital)
    coded = add_quantisation_noise(latent, torch.tensor(recipe.bits)[choice], generator)
    ways = [direct, model.digital_decode(coded)]
    return torch.cat(ways + ([_over_jscc(run, jscc, generator)] if len(jscc) else []))


def _over_jscc(run: Fitting, feature: Tensor, generator: torch.Generator) -> Tensor:
    """Sends features as channel symbols and decodes what arrives, ``(B, C, h, w)``."""
    recipe, model = run.recipe, run.model
    size = (len(feature), model.symbol_count)
    variance = training_noise_variance(
        *size, generator, snr_db=recipe.snr_db, fading_share=recipe.fading_share
    )
    received = awgn(model.jscc_encode(feature), variance, generator)
    if recipe.nested:
        shortest, full = recipe.shortest_prefix, recipe.full_share
        lengths = prefix_lengths(*size, generator, shortest=shortest, full_share=full)
        received, variance = erase_tail(received, variance, lengths)
    return model.jscc_decode(received, variance)


def save(run: Fitting, checkpoint: Path) -> None:
    """Write a checkpoint, whole or not at all."""
    state = {
        "recipe": run.recipe.digest,
        "card": run.recipe_digest,
        "step": run.step,
        "elapsed_s": run.elapsed_s,
        "model": run.model.state_dict(),
        "criterion": run.criterion.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }
    write_checkpoint(checkpoint, state)


def restore(run: Fitting, checkpoint: Path) -> None:
    """Continue from a checkpoint, if there is one of this training.

    Raises:
        ArtefactError: See `simsplit.training.checkpoints.read_checkpoint`.
    """
    state = read_checkpoint(checkpoint, run.recipe.digest)
    if state is None:
        return
    run.model.load_state_dict(state["model"])
    run.criterion.load_state_dict(state["criterion"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.step, run.elapsed_s = int(state["step"]), float(state["elapsed_s"])
