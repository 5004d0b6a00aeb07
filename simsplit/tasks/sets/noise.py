"""Salt and pepper on pictures that simsplit draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simsplit.seeds import generator

_VERSION = 1


def with_noise(picture: NDArray[np.uint8], share: float, index: int) -> NDArray[np.uint8]:
    """Salt and pepper: each pixel is with probability ``share`` black or white, half each.

    Args:
        picture: ``(H, W, 3)``.
        share: Of the pixels.
        index: Of the picture; with its height it says the draw.
    """
    rng = generator(_VERSION, index, picture.shape[0])
    draw = rng.random(picture.shape[:2])
    noisy = picture.copy()
    noisy[draw < share / 2] = 0
    noisy[(draw >= share / 2) & (draw < share)] = 255
    return noisy
