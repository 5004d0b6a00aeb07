"""What HARQ keeps of a block's attempts: received symbols, combined per redundancy version.

Equal versions carry equal symbols, which are added with their SNR as weight (maximum ratio
combining; D. Chase, IEEE Trans. Commun. 33, 1985), so that their linear SNRs add up. Adding LLRs of
16-QAM and above instead would cost 0.3 to 2 dB at rates around 1/2, since a bit's LLR forgets its
neighbours'. Different versions meet only as LLRs of coded bits, later. Torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor

VERSIONS = 4


def combine(received: Tensor, snr_db: Tensor, rv: int, earlier: Tensor | None) -> Tensor:
    """Add an attempt: ``(B, 4, 3, n_re)`` of version, (Re, Im of sum SNR y; sum SNR), symbol.

    Args:
        received: Equalised symbols ``(B, n_re)``.
        snr_db: Es/N0 ``(B, 1)`` or ``(B, n_re)``.
        rv: Redundancy version of the attempt.
        earlier: The same of the attempts before; left as it is.
    """
    shape = (len(received), VERSIONS, 3, received.shape[1])
    combined = torch.zeros(shape) if earlier is None else earlier.clone()
    snr = (10.0 ** (snr_db / 10.0)).expand(received.shape)
    combined[:, rv, 0] += received.real * snr
    combined[:, rv, 1] += received.imag * snr
    combined[:, rv, 2] += snr
    return combined


def versions_in(combined: Tensor) -> list[int]:
    """Redundancy versions that some block of the batch has received."""
    return [rv for rv in range(VERSIONS) if bool((combined[:, rv, 2] > 0).any())]


def symbols_of(combined: Tensor, rv: int) -> tuple[Tensor, Tensor]:
    """Symbols ``(B, n_re)`` and noise variance ``(B, n_re)``; 0 and infinite where none came."""
    real, imaginary, snr = combined[:, rv].unbind(1)
    weight = torch.where(snr > 0, 1.0 / snr, 0.0)
    return torch.complex(real * weight, imaginary * weight), 1.0 / snr
