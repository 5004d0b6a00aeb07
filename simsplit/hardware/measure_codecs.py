"""Measure this machine: seconds of every codec, both ways, on real pictures and real features.

Time is the processor's own (`time.process_time`), so that what other programs take does not count;
caches and a sibling thread are shared all the same. Every codec and size is visited in several
rounds, interleaved, and the lowest fifth of all its times counts; the median over it says how
unquiet the machine was.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simsplit.codecs.build import make_codec
from simsplit.codecs.entropy import count_codes
from simsplit.codecs.picture import ImageCodec
from simsplit.codecs.quantise import quantise
from simsplit.codecs.tensors import TensorsCodec
from simsplit.codecs.workload import Coding, coding_of, map_coding
from simsplit.networks.artefact import load_artefact
from simsplit.networks.split_model import as_images
from simsplit.scenario.bundled import models_dir
from simsplit.scenario.operating_points import CodecSpec, EntropyCodecSpec, TensorCodecSpec
from simsplit.seeds import one_thread
from simsplit.tasks.datasets import test_samples

SHORTEST_S = 5e-4  # a time that is taken lasts as long at least, by repeated calls
CALLS_PER_VISIT = 4
VISIT_S = 0.1  # or fewer calls if one takes long
QUANTILE = 0.2
Clock = Callable[[], int]
Progress = Callable[[int, int], None]  # rounds done, all of them


@dataclass(slots=True)
class Stand:
    """One codec and one array on the measuring stand; ``unit`` is what is held out together."""

    coding: Coding
    unit: str
    setting: str
    what: str
    encode: Callable[[], bytes]
    decode: Callable[[], Any]
    times_s: dict[str, list[float]] = field(default_factory=lambda: {"encode": [], "decode": []})

    def visit(self, clock_ns: Clock) -> None:
        """A few more times of either direction."""
        self.times_s["encode"] += times_s(self.encode, clock_ns)
        self.times_s["decode"] += times_s(self.decode, clock_ns)


def measure(
    stands: Sequence[Stand],
    rounds: int,
    progress: Progress | None = None,
    clock_ns: Clock = time.process_time_ns,
) -> None:
    """Visit every stand in so many rounds, without garbage collection in between."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        for done in range(rounds):
            for stand in stands:
                stand.visit(clock_ns)
            gc.collect()
            if progress is not None:
                progress(done + 1, rounds)
    finally:
        if collecting:
            gc.enable()


def times_s(call: Callable[[], Any], clock_ns: Clock) -> list[float]:
    """Seconds of one call, a few times; short calls are repeated and divided."""
    begin_ns = clock_ns()
    call()  # not counted: caches
    once_s = max(1e-7, (clock_ns() - begin_ns) * 1e-9)
    repeats = max(1, math.ceil(SHORTEST_S / once_s))
    visits = max(1, min(CALLS_PER_VISIT, int(VISIT_S / (repeats * once_s))))
    taken: list[float] = []
    for _ in range(visits):
        begin_ns = clock_ns()
        for _ in range(repeats):
            call()
        taken.append((clock_ns() - begin_ns) * 1e-9 / repeats)
    return taken


def low_s(samples_s: Sequence[float]) -> tuple[float, float]:
    """The lowest fifth's upper end, and the median over it."""
    ordered = sorted(samples_s)
    low = ordered[int(QUANTILE * (len(ordered) - 1))]
    return low, ordered[len(ordered) // 2] / low


# --- what is measured -------------------------------------------------------------------------


def stands_of(
    pictures: Sequence[CodecSpec],
    features: Sequence[CodecSpec],
    sizes: Iterable[tuple[int, int]],
    network: str,
    most_elements: int,
    scenes: int,
) -> list[Stand]:
    """Stands of all codecs at all sizes of pictures.

    Args:
        pictures, features: Codecs of pictures, and of features.
        sizes: Height and width in px of street scenes.
        network: A network of kind ``compressible`` in ``models``, whose layers give the features.
        most_elements: Larger features are left out.
        scenes: Pictures and maps per size; features are those of the first.
    """
    net = load_artefact(models_dir(), network).model
    stands: list[Stand] = []
    for size in sizes:
        images, maps = _scenes(*size, scenes)
        unit = f"{size[0]}x{size[1]}"
        stands += [map_stand(classes, unit) for classes in maps]
        stands += [stand_of(spec, i, unit, "picture") for i in images for spec in pictures]
        for layer, feature in layer_features(net, images[0]).items():
            if feature.size <= most_elements:
                stands += [stand_of(spec, feature, unit, layer) for spec in features]
    return stands


def _scenes(height: int, width: int, count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Street scenes ``(N, H, W, 3)`` and their maps of classes ``(N, H, W)``."""
    scenes = test_samples("streets", height, width, count)
    return scenes["image"], scenes["segmentation"]


def stand_of(spec: CodecSpec, array: NDArray[Any], unit: str, what: str) -> Stand:
    """The stand of a codec for one picture ``(H, W, C)`` or feature ``(C, h, w)``."""
    codec, given = _codec(spec, array)
    payload = codec.encode(given)
    coding = coding_of(spec, [array.shape], len(payload))
    kept = spec.model_dump(exclude_none=True, exclude={"kind"})
    setting = ", ".join(f"{name} {value}" for name, value in kept.items())
    return Stand(
        coding,
        unit,
        setting,
        what,
        lambda: bytes(codec.encode(given)),
        lambda: codec.decode(payload),
    )


def _codec(spec: CodecSpec, array: NDArray[Any]) -> tuple[Any, Any]:
    """The codec, and what it takes; tables of ``entropy`` are those of the feature itself."""
    if isinstance(spec, TensorCodecSpec):
        return TensorsCodec([array.shape], spec.dtype), [array]
    if not isinstance(spec, EntropyCodecSpec):
        return make_codec(spec, array.shape), array
    codes = quantise(array, spec.bits).codes[None]
    return make_codec(spec, array.shape, {spec.bits: count_codes(codes, spec.bits)}), array


def map_stand(classes: NDArray[np.uint8], unit: str) -> Stand:
    """The stand of an answer: a map of classes ``(H, W)`` as PNG."""
    codec, picture = ImageCodec("png"), classes.astype(np.uint8)[..., None]
    payload = codec.encode(picture)
    return Stand(
        map_coding(classes.shape, len(payload)),
        unit,
        "",
        "map",
        lambda: codec.encode(picture),
        lambda: codec.decode(payload),
    )


def layer_features(net: Any, picture: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
    """What every layer of a compressible network makes of a picture, ``(C, h, w)`` each."""
    features = {}
    with one_thread(), torch.inference_mode():
        feature = net.stem(4.0 * as_images(torch.from_numpy(picture.copy()[None])) - 2.0)
        for number, layer in enumerate(net.layers, 1):
            feature = layer(feature)
            features[f"layer{number}"] = feature.numpy()[0]
    return features
