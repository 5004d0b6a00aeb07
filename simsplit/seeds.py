"""One random generator per (seed, entity, cause): changing one thing leaves the others alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum

import numpy as np


class Cause(IntEnum):
    """Why something is random; the numbers are part of a run's identity and never change."""

    ARRIVALS = 1
    SAMPLES = 2
    PLACE = 3
    SHADOWING = 4
    FADING = 5
    BLOCKS = 6
    ANALOG_NOISE = 7
    LINE_OF_SIGHT = 8
    PENETRATION = 9
    MOBILITY = 10
    INTERFERENCE = 11
    DOWNLINK_BLOCKS = 12
    ENVIRONMENT_HEIGHT = 13
    POLICY = 14
    ACCESS = 15
    CHANNEL = 16


def device_streams(counts: Sequence[int]) -> list[int]:
    """First key of every device's generators, groups of ``counts`` devices one after the other.

    It says the group and the number within it, so that a group that grows or shrinks leaves the
    devices of the others, and its own first ones, as they were (common random numbers).
    """
    return [(group << 20) + number for group, n in enumerate(counts) for number in range(n)]


def generator(seed: int, *key: int) -> np.random.Generator:
    """Independent generator for ``key`` (e.g. replication, device, cause) under ``seed``.

    Source: NumPy `SeedSequence` spawn keys (M. E. O'Neill's hash; streams do not overlap).
    """
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=key))


@contextmanager
def one_thread(count: int = 1) -> Iterator[None]:
    """Torch on one thread meanwhile, or on ``count``."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Torch counts numbers below 1.2e-38 as 0 meanwhile, where the processor can.

    Products with them take a processor many times as long: a training whose activations or
    gradients fall so low is up to six times as fast for it, and learns the same.
    """
    import torch

    before = float(torch.tensor(1e-39) * 1.0) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
