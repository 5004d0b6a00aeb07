"""The card's section on rate and distortion: answers after every codec, over the whole test range.

As in Alvar and Bajić, ICIP 2019 (arXiv 1902.05179), section 3: the 8-bit feature as PNG and as JPEG
of falling quality. The ladder goes below their quality 80, where small networks' answers hardly
change yet, and ends with the range coder under learned tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.build import make_codec
from simsplit.codecs.contract import Codec
from simsplit.networks.artefact import Artefact
from simsplit.networks.inference import Inference
from simsplit.scenario.operating_points import (
    CodecSpec,
    EntropyCodecSpec,
    JpegTilesCodecSpec,
    PngTilesCodecSpec,
    WebpTilesCodecSpec,
)
from simsplit.tasks import metrics
from simsplit.tasks.answers import segmentation_counts, target_picture
from simsplit.tasks.datasets import Arrays

QUALITIES = (95, 90, 85, 80, 70, 60, 50, 40, 30, 20, 10)
LADDER: tuple[CodecSpec, ...] = (
    PngTilesCodecSpec(kind="png_tiles", bits=8),
    *(JpegTilesCodecSpec(kind="jpeg_tiles", quality=quality) for quality in QUALITIES),
    WebpTilesCodecSpec(kind="webp_tiles", quality=None, lossless=True),
    EntropyCodecSpec(kind="entropy", bits=8),
)
_NORMAL_95 = 1.959964  # two-sided 95 % quantile of the normal distribution

Floats = NDArray[np.float32]


def rate_distortion(artefact: Artefact, test: Arrays) -> dict[str, Any]:
    """Mean payload and scores of every rung, and the scores of the feature as it is.

    Args:
        artefact: The network and its entropy tables.
        test: Arrays of the test range; all of it is coded.

    Returns:
        ``shape`` of the feature and its ``elements``, ``pictures``, ``direct`` (scores without
        coding) and ``rows``: ``codec``, ``quality`` (None without), ``payload_bits`` (mean, header
        included) with its ``payload_bits_half_width_95``, ``bits_per_element``, and the scores of
        `dataset_scores`.
    """
    inference = Inference(artefact.model)
    latents = inference.latents(inference.features(test["image"]))
    shape = latents.shape[1:]
    return {
        "shape": list(shape),
        "elements": int(np.prod(shape)),
        "pictures": len(latents),
        "direct": dataset_scores(inference.answers(inference.from_latents(latents)), test),
        "rows": [_rung(artefact, inference, spec, latents, test) for spec in LADDER],
    }


def _rung(
    artefact: Artefact,
    inference: Inference,
    spec: CodecSpec,
    latents: Floats,
    test: Arrays,
) -> dict[str, Any]:
    bits, decoded = _through(make_codec(spec, latents.shape[1:], artefact.tables), latents)
    scores = dataset_scores(inference.answers(inference.from_latents(decoded)), test)
    half = _NORMAL_95 * bits.std(ddof=1) / np.sqrt(len(bits)) if len(bits) > 1 else 0.0
    return {
        "codec": spec.kind,
        "quality": spec.model_dump().get("quality"),
        "payload_bits": round(float(bits.mean()), 1),
        "payload_bits_half_width_95": round(float(half), 1),
        "bits_per_element": round(float(bits.mean()) / latents[0].size, 4),
        **scores,
    }


def _through(codec: Codec, latents: Floats) -> tuple[NDArray[np.float64], Floats]:
    """Bits of each payload ``(N,)`` and what it decodes to ``(N, C, h, w)``."""
    payloads = [codec.encode(latent) for latent in latents]
    bits = np.array([8.0 * len(payload) for payload in payloads])
    return bits, np.stack([codec.decode(payload) for payload in payloads]).astype(np.float32)


def dataset_scores(answers: Mapping[str, NDArray[Any]], test: Arrays) -> dict[str, float]:
    """Scores over a whole range, as the paper counts them.

    Returns:
        ``miou`` of one confusion matrix over all pictures; ``disparity_rmse_px``, mean over
        pictures; ``disparity_irmse``, one over that mean; ``psnr_db``, mean over pictures.
    """
    counts = segmentation_counts(answers["segmentation"], test["segmentation"])
    pairs = zip(answers["reconstruction"], target_picture(test), strict=True)
    irmse = metrics.disparity_irmse(answers["disparity"], test["disparity"])
    return {
        "miou": round(metrics.mean_iou(counts), 5),
        "disparity_rmse_px": round(1.0 / irmse, 5),
        "disparity_irmse": round(irmse, 5),
        "psnr_db": round(float(np.mean([metrics.psnr_db(p, t) for p, t in pairs])), 4),
    }
