"""What parts of a network that do not learn give for pictures, batch by batch or once for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simsplit.networks.codes.contract import AnalogCode, DigitalCode
from simsplit.networks.cuts import INPUT
from simsplit.networks.inference import fixed_batches
from simsplit.training.batches import MIRRORED, Batch
from simsplit.training.phases import CodeRecipe
from simsplit.training.pupil import Pupil

_BATCH = 32  # pictures at once where features are made beforehand
_MOST_BYTES = 4 * 2**30  # kept in memory; more are made anew in every step

Rows = np.ndarray[Any, Any]  # (N, ...)


class Features:
    """Features at the cut, targets behind it, and latents.

    Args:
        recipe: Of the code.
        parts: ``head`` and ``code``, as they are trained.
        untouched: The network as it was, up to where the decoder leads.
        pupil: Who makes a network's input of pictures.
        reaches: Whether the decoder gives another tensor than the cut's, the target.
    """

    def __init__(
        self,
        recipe: CodeRecipe,
        parts: Mapping[str, nn.Module],
        untouched: nn.Module,
        pupil: Pupil,
        *,
        reaches: bool,
    ) -> None:
        self._recipe, self._parts, self._pupil = recipe, parts, pupil
        self._untouched, self.reaches = untouched, reaches

    @property
    def code(self) -> DigitalCode | AnalogCode:
        """Of the parts."""
        code = self._parts["code"]
        assert isinstance(code, DigitalCode | AnalogCode)
        return code

    # --- of a batch

    def at_cut(self, batch: Batch) -> Tensor:
        """What the encoder takes."""
        return batch["feature"] if "feature" in batch else self._head(batch["image"])

    def target(self, batch: Batch) -> Tensor:
        """What the decoder shall give."""
        if not self.reaches:
            return self.at_cut(batch)
        if "target" in batch:
            return laid_out(batch["target"].float())
        with torch.no_grad():
            target = self._untouched_head(batch["image"])
        return laid_out(target.to(next(self.code.parameters(), target).device))

    def latent(self, batch: Batch) -> Tensor:
        """What the encoder as it is makes, rounded as a payload has it."""
        return batch["latent"] if "latent" in batch else self._rounded(self.at_cut(batch))

    # --- of many pictures

    def features(self, images: Rows) -> Rows:
        """At the cut, ``(N, *shape)`` of pictures ``(N, H, W, C)``."""
        return _over(images, self._head)

    def targets(self, images: Rows) -> Rows:
        """What the decoder shall give, ``(N, *given_shape)``."""
        return _over(images, self._untouched_head if self.reaches else self._head)

    def kept(self, count: int, *, head_learns: bool) -> dict[str, Callable[[Rows], Rows]]:
        """What fits into memory for so many pictures, by its name in a batch, and who makes it.

        Targets are kept as float16. A feature that is the picture itself is not kept: as bytes the
        picture is smaller. Of pictures that are cropped anew in every step nothing is kept.
        """
        if self._recipe.crop < 1:
            return {}
        count *= 2 if self._recipe.flip else 1
        kept: dict[str, Callable[[Rows], Rows]] = {}
        is_picture = self.reaches and self._recipe.cut == INPUT
        size = 4 * count * int(np.prod(self.code.shape))
        if not head_learns and not is_picture and size <= _MOST_BYTES:
            kept["feature"] = self.features
        if self.reaches and 2 * count * int(np.prod(self.code.given_shape)) <= _MOST_BYTES:
            kept["target"] = lambda images: self.targets(images).astype(np.float16)
        return kept

    def latents(self, images: Rows) -> Batch:
        """``latent`` of pictures, as the encoder is now, and of mirrored ones."""
        return self.both_ways(
            "latent", lambda some: _over(some, lambda rows: self._rounded(self._head(rows))), images
        )

    def both_ways(self, name: str, make: Callable[[Rows], Rows], images: Rows) -> Batch:
        """What a function makes of pictures, and with ``flip`` of mirrored ones."""
        rows = {name: torch.from_numpy(make(images))}
        if self._recipe.flip:
            rows[MIRRORED[name]] = torch.from_numpy(make(images[:, :, ::-1]))
        return rows

    def _head(self, images: Tensor) -> Tensor:
        head = self._parts["head"]
        like = head if any(True for _ in head.parameters()) else self.code
        feature: Tensor = head(self._pupil.inputs(images, like))[0]
        return feature

    def _untouched_head(self, images: Tensor) -> Tensor:
        feature: Tensor = self._untouched(self._pupil.inputs(images, self._untouched))[0]
        return feature

    def _rounded(self, feature: Tensor) -> Tensor:
        assert isinstance(self.code, DigitalCode)
        with torch.no_grad():
            return self.code.rounded(self.code.encode(feature))


def laid_out(feature: Tensor) -> Tensor:
    """A map with its channels last in memory: convolutions take about half the time on a CPU."""
    if feature.dim() != 4:
        return feature
    return feature.contiguous(memory_format=torch.channels_last)


def _over(images: Rows, make: Callable[[Tensor], Tensor]) -> Rows:
    batches = fixed_batches(make, images, size=_BATCH)
    return np.concatenate([rows[:count].float().cpu().numpy() for rows, count in batches])
