"""What the air makes of a request's JSCC symbols, as its delivery says."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.messages import Delivery
from simsplit.phy.analog import pad_erased, transmit
from simsplit.seeds import Cause, generator

Equaliser = Literal["zf", "mmse"]


def over_the_air(
    symbols: NDArray[np.complex64],
    delivery: Delivery,
    seed: int,
    *,
    equaliser: Equaliser = "zf",
    may_end_early: bool = False,
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Symbols as equalised and their noise variance, ``(k,)`` each.

    Noise is drawn from (seed, request id): a request alone hears what it hears among others.

    Args:
        symbols: ``(k,)`` of mean power 1.
        delivery: Counts and SNR of the pieces that were sent.
        seed: Of the run.
        equaliser: Where the channel is estimated.
        may_end_early: Fewer than k may have been sent; the rest is erased.

    Raises:
        ScenarioError: The delivery does not carry k symbols.
    """
    k, counts = len(symbols), delivery.symbol_counts
    sent = sum(counts)
    if not 0 < sent <= k or (sent < k and not may_end_early):
        raise ScenarioError(f"a JSCC delivery carries {k} symbols", value=counts)
    snr_db = np.repeat(np.array(delivery.symbol_snr_db), counts)
    rng = generator(seed, delivery.request_id, Cause.ANALOG_NOISE)
    heard = transmit(symbols[:sent], snr_db, rng, **_estimation(delivery, equaliser))
    return pad_erased(*heard, k)


def _estimation(delivery: Delivery, equaliser: Equaliser) -> dict[str, Any]:
    """How the receiver estimated the channel, as `simsplit.phy.analog.transmit` asks for it."""
    if not any(delivery.symbol_error_variance):
        return {}
    pieces = np.arange(len(delivery.symbol_counts))
    variance = np.array(delivery.symbol_error_variance)
    return {
        "csi_error_variance": np.repeat(variance, delivery.symbol_counts),
        "piece_of": np.repeat(pieces, delivery.symbol_counts),
        "equaliser": equaliser,
    }
