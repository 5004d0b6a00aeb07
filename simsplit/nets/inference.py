"""Networks on numpy arrays, exactly reproducible: a sample's result never depends on its company.

Kernels for another batch size may sum in another order. Every forward therefore runs on batches of
one fixed shape, the last one filled up with zeros, on one thread, in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from simsplit.nets.contract import SplitModel, as_images

FORWARD_BATCH = 8

Floats = NDArray[np.float32]


class Inference:
    """The five ways through a split network, over any number of samples N.

    Args:
        model: A trained network in evaluation mode.
    """

    def __init__(self, model: SplitModel) -> None:
        self._model = model

    def features(self, images: NDArray[np.uint8]) -> Floats:
        """Pictures ``(N, H, W, 1 or 3)`` → features ``(N, C, h, w)``."""
        return _one(self._model_encode, images)

    def latents(self, features: Floats) -> Floats:
        """Features → latents of the digital bottleneck ``(N, L, h, w)``."""
        return _one(self._model.digital_encode, features)

    def from_latents(self, latents: Floats) -> Floats:
        """Dequantised latents → features."""
        return _one(self._model.digital_decode, latents)

    def symbols(self, features: Floats) -> NDArray[np.complex64]:
        """Features → JSCC symbols ``(N, k)`` complex64, mean power 1 per sample."""
        result: NDArray[np.complex64] = _run(self._model.jscc_encode, features)[0]
        return result

    def from_symbols(self, received: NDArray[np.complex64], noise_variance: Floats) -> Floats:
        """Received symbols and noise variance per complex symbol, ``(N, k)`` each → features."""
        return _one(self._model.jscc_decode, received, noise_variance)

    def answers(self, features: Floats) -> dict[str, NDArray[Any]]:
        """Features → answers as a user wants them.

        Returns:
            Streets: ``segmentation`` uint8 ``(N, H, W)``, ``disparity`` float32 ``(N, H, W)`` px,
            ``reconstruction`` uint8 ``(N, H, W, 3)``. Digits: ``label`` uint8 ``(N,)``.
        """
        names: list[str] = []

        def final(batch: Tensor) -> tuple[Tensor, ...]:
            finished = _finished(self._model.answer(batch))
            names[:] = list(finished)
            return tuple(finished.values())

        return dict(zip(names, _run(final, features), strict=True)) if len(features) else {}

    def _model_encode(self, images: Tensor) -> Tensor:
        return self._model.encode(as_images(images))


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


def _one(forward: Callable[..., Tensor], *arrays: NDArray[Any]) -> Floats:
    result: Floats = _run(forward, *arrays)[0]
    return result


def _run(
    forward: Callable[..., Tensor | tuple[Tensor, ...]], *arrays: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    """``forward`` over batches of the fixed shape; one array per tensor it returns."""
    parts: list[tuple[NDArray[Any], ...]] = []
    with one_thread(), torch.inference_mode():
        for start in range(0, len(arrays[0]), FORWARD_BATCH):
            rows = [array[start : start + FORWARD_BATCH] for array in arrays]
            result = forward(*(_filled(part) for part in rows))
            tensors = result if isinstance(result, tuple) else (result,)
            parts.append(tuple(tensor[: len(rows[0])].numpy() for tensor in tensors))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _filled(part: NDArray[Any]) -> Tensor:
    """The rows, followed by zeros up to the fixed batch."""
    batch = np.zeros((FORWARD_BATCH, *part.shape[1:]), part.dtype)
    batch[: len(part)] = part
    return torch.from_numpy(batch)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def count_macs(model: SplitModel, height: int, width: int) -> dict[str, float]:
    """Multiply-accumulates of every part for one image, counted by running it.

    Source: ``torch.utils.flop_counter`` counts convolutions and matrix products, two operations
    per multiply-accumulate; additions, activations and normalisations are left out.

    Returns:
        ``encode``, ``answer``, ``digital_encode``, ``digital_decode``, ``jscc_encode``,
        ``jscc_decode``.
    """
    macs: dict[str, float] = {}

    def counted(name: str, forward: Callable[..., Any], *inputs: Tensor) -> Any:
        with FlopCounterMode(display=False) as counter:
            result = forward(*inputs)
        macs[name] = counter.get_total_flops() / 2.0
        return result

    with torch.inference_mode():
        feature = counted("encode", model.encode, torch.zeros(1, 3, height, width))
        latent = counted("digital_encode", model.digital_encode, feature)
        counted("digital_decode", model.digital_decode, latent)
        symbols = counted("jscc_encode", model.jscc_encode, feature)
        counted("jscc_decode", model.jscc_decode, symbols, torch.ones(1, model.symbol_count))
        counted("answer", model.answer, feature)
    return macs
