"""How a device chooses the operating point of a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FixedPolicy:
    """Always the same operating point."""

    operating_point: str

    def choose(self) -> str:
        """Name of the operating point for the next request."""
        return self.operating_point
