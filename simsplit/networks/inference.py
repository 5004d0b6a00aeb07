"""Networks on numpy arrays, exactly reproducible: a sample's result never depends on its company.

Kernels for another batch size may sum in another order. Every forward therefore runs on batches of
one fixed shape, the last one filled up with zeros, on one thread, in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsplit.networks.costs import record
from simsplit.networks.devices import CPU, on_cpu, on_device
from simsplit.networks.split_model import SplitModel, as_images
from simsplit.operators import Operators
from simsplit.seeds import one_thread

FORWARD_BATCH = 8

Floats = NDArray[np.float32]
Answering = Callable[[Tensor], dict[str, Tensor]]  # features → named answers


class Inference:
    """The ways through a split network, over any number of samples N.

    Args:
        model: A trained network in evaluation mode.
        device: What runs it, one of `simsplit.networks.devices.DEVICES`.
    """

    def __init__(self, model: SplitModel, device: str = CPU) -> None:
        self._model, self._device = on_device(model, device), device

    @property
    def has_jscc(self) -> bool:
        """Whether there is a JSCC path over the cut."""
        return self._model.has_jscc

    def features(self, images: NDArray[np.uint8]) -> Floats:
        """Pictures ``(N, H, W, 1 or 3)`` → features ``(N, C, h, w)``."""
        return self._one(self._model_encode, images)

    def latents(self, features: Floats) -> Floats:
        """Features → latents of the digital bottleneck ``(N, L, h, w)``."""
        return self._one(self._model.digital_encode, features)

    def from_latents(self, latents: Floats) -> Floats:
        """Dequantised latents → features."""
        return self._one(self._model.digital_decode, latents)

    def symbols(self, features: Floats) -> NDArray[np.complex64]:
        """Features → JSCC symbols ``(N, k)`` complex64, mean power 1 per sample."""
        result: NDArray[np.complex64] = self._run(self._model.jscc_encode, features)[0]
        return result

    def from_symbols(self, received: NDArray[np.complex64], noise_variance: Floats) -> Floats:
        """Received symbols and noise variance per complex symbol, ``(N, k)`` each → features."""
        return self._one(self._model.jscc_decode, received, noise_variance)

    def answers(self, features: Floats) -> dict[str, NDArray[Any]]:
        """Features → answers as a user wants them.

        Returns:
            Streets: ``segmentation`` uint8 ``(N, H, W)``, ``disparity`` float32 ``(N, H, W)`` px,
            ``reconstruction`` uint8 ``(N, H, W, 3)``. Digits: ``label`` uint8 ``(N,)``.
        """
        return self._answers(self._model.answer, features)

    def confidence(self, features: Floats) -> NDArray[np.float64]:
        """Features → largest softmax probability of their answers ``(N,)``, in [0, 1]."""
        return self._confidence(self._model.answer, features)

    def exit_features(self, images: NDArray[np.uint8]) -> Floats:
        """Pictures ``(N, H, W, 1 or 3)`` → features ahead of the early exit ``(N, C, h, w)``."""
        return self._one(lambda batch: self._model.exit_trunk(as_images(batch)), images)

    def exit_answers(self, features: Floats) -> dict[str, NDArray[Any]]:
        """Features of ``exit_features`` → the early exit's answers, as those of ``answers``."""
        return self._answers(self._model.exit_answer, features)

    def exit_confidence(self, features: Floats) -> NDArray[np.float64]:
        """Features of ``exit_features`` → confidence of the exit's answers ``(N,)`` in [0, 1]."""
        return self._confidence(self._model.exit_answer, features)

    def _model_encode(self, images: Tensor) -> Tensor:
        return self._model.encode(as_images(images))

    def _confidence(self, answer: Answering, features: Floats) -> NDArray[np.float64]:
        return self._one(lambda batch: confidence_of(answer(batch)), features).astype(np.float64)

    def _answers(self, answer: Answering, features: Floats) -> dict[str, NDArray[Any]]:
        names: list[str] = []

        def final(batch: Tensor) -> tuple[Tensor, ...]:
            finished = _finished(answer(batch))
            names[:] = list(finished)
            return tuple(finished.values())

        return dict(zip(names, self._run(final, features), strict=True)) if len(features) else {}

    def _one(self, forward: Callable[..., Tensor], *arrays: NDArray[Any]) -> Floats:
        result: Floats = self._run(forward, *arrays)[0]
        return result

    def _run(
        self, forward: Callable[..., Tensor | tuple[Tensor, ...]], *arrays: NDArray[Any]
    ) -> tuple[NDArray[Any], ...]:
        """``forward`` over batches of the fixed shape; one array per tensor it returns."""
        parts: list[tuple[NDArray[Any], ...]] = []
        for result, count in fixed_batches(forward, *arrays, device=self._device):
            tensors = result if isinstance(result, tuple) else (result,)
            parts.append(tuple(tensor[:count].numpy() for tensor in tensors))
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def confidence_of(answers: dict[str, Tensor]) -> Tensor:
    """Largest softmax probability: mean over pixels of ``segmentation``, or of ``label``; ``(B,)``.

    Source: maximum softmax probability, Hendrycks and Gimpel, ICLR 2017, section 2.
    """
    logits = answers["segmentation"] if "segmentation" in answers else answers["label"]
    return logits.softmax(dim=1).amax(dim=1).reshape(len(logits), -1).mean(dim=1)


def _finished(answers: dict[str, Tensor]) -> dict[str, Tensor]:
    """Logits to classes and colours to bytes."""
    done = {}
    for name, value in answers.items():
        if name in ("segmentation", "label"):
            done[name] = value.argmax(dim=1).to(torch.uint8)
        elif name == "reconstruction":
            scaled = (value.clamp(0.0, 1.0) * 255.0).round()
            done[name] = scaled.to(torch.uint8).permute(0, 2, 3, 1)
        else:
            done[name] = value
    return done


def fixed_batches(
    forward: Callable[..., Any],
    *arrays: NDArray[Any],
    size: int = FORWARD_BATCH,
    device: str = CPU,
) -> Iterator[tuple[Any, int]]:
    """``forward`` over batches of one fixed size: what it returns, and how many rows of it count.

    Args:
        forward: Takes one tensor per array.
        arrays: ``(N, ...)`` each.
        size: Rows of a batch.
        device: Where the tensors are handed over; what is returned is on the CPU.
    """
    for start in range(0, len(arrays[0]), size):
        rows = [array[start : start + size] for array in arrays]
        with one_thread(), torch.inference_mode():
            result = forward(*(_filled(part, size).to(device) for part in rows))
        yield on_cpu(result, device), len(rows[0])


def _filled(part: NDArray[Any], size: int) -> Tensor:
    """The rows, followed by zeros up to the fixed batch."""
    batch = np.zeros((size, *part.shape[1:]), part.dtype)
    batch[: len(part)] = part
    return torch.from_numpy(batch)


def count_operators(model: SplitModel, height: int, width: int) -> dict[str, Operators]:
    """The work of every part for one image, recorded by running it; see `simsplit.networks.costs`.

    Returns:
        ``encode``, ``answer``, ``digital_encode``, ``digital_decode``; with a JSCC path also
        ``jscc_encode`` and ``jscc_decode``; with an early exit also ``exit_trunk``, the part of
        ``encode`` that the exit shares, and ``exit_head``. Operators bear the name of their part.
    """
    image = torch.zeros(1, 3, height, width)
    with torch.inference_mode():
        feature = model.encode(image)
        latent = model.digital_encode(feature)
        calls: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
            "encode": (model.encode, (image,)),
            "digital_encode": (model.digital_encode, (feature,)),
            "digital_decode": (model.digital_decode, (latent,)),
            "answer": (model.answer, (feature,)),
        }
        if model.has_jscc:
            symbols, noise_variance = model.jscc_encode(feature), torch.ones(1, model.symbol_count)
            calls["jscc_encode"] = (model.jscc_encode, (feature,))
            calls["jscc_decode"] = (model.jscc_decode, (symbols, noise_variance))
        if model.has_exit:
            calls["exit_trunk"] = (model.exit_trunk, (image,))
            calls["exit_head"] = (model.exit_answer, (model.exit_trunk(image),))
    return {part: record(call, *inputs, name=part) for part, (call, inputs) in calls.items()}
