"""Crops of two real photographs that scikit-learn carries along: pictures without a truth.

For networks whose input is a natural picture of any size and whose answer is not scored.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsplit.seeds import generator

VERSION = 1
LENGTH = 512
SMALLEST_SHARE = 0.4  # of the largest crop of that shape, in each direction


@lru_cache(maxsize=1)
def _sources() -> tuple[NDArray[np.uint8], ...]:
    """The two photographs, ``(427, 640, 3)`` uint8 (scikit-learn ``load_sample_images``)."""
    from sklearn.datasets import load_sample_images

    return tuple(load_sample_images().images)


def photograph(index: int, height: int, width: int) -> NDArray[np.uint8]:
    """Picture ``index``: a random crop of one photograph, bicubic, uint8 ``(height, width, 3)``."""
    source = _sources()[index % 2]
    rng = generator(0, index, VERSION)
    tall, wide = source.shape[:2]
    scale = min(tall / height, wide / width) * rng.uniform(SMALLEST_SHARE, 1.0)
    crop_h, crop_w = scale * height, scale * width
    top, left = rng.uniform(0, tall - crop_h), rng.uniform(0, wide - crop_w)
    box = (left, top, left + crop_w, top + crop_h)
    picture = Image.fromarray(source)
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box=box))
