"""What can go wrong for a user, each with where it is, what was found and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class SimsplitError(Exception):
    """A mistake that a user can mend.

    Args:
        message: One sentence that says what is wrong.
        path: Where in the YAML, e.g. ``cell.channel.snr_db`` (empty if it is no YAML matter).
        value: What was found there.
        choices: What would have been right; the nearest is suggested.
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        value: object = None,
        choices: Sequence[str] = (),
    ) -> None:
        self.message = message
        self.path = path
        self.value = value
        self.choices = tuple(choices)
        super().__init__(self.__str__())

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        found = "" if self.value is None else f" (found: {_short(self.value)})"
        return f"{where}{self.message}{found}{self._hint()}"

    def _hint(self) -> str:
        if not self.choices:
            return ""
        near = difflib.get_close_matches(str(self.value), self.choices, n=1, cutoff=0.5)
        guess = f" Did you mean '{near[0]}'?" if near else ""
        return f".{guess} Choices: {', '.join(self.choices)}"


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


class ScenarioError(SimsplitError):
    """The scenario (YAML, override or argument) says something impossible."""


class ArtefactError(SimsplitError):
    """A fitted thing (weights, table, result folder) is missing, stale or damaged."""


class OutOfTable(SimsplitError):
    """A value lies outside what a table was calibrated for; nothing is extrapolated."""
