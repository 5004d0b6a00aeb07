"""What can go wrong for a user, each with where it is, what was found and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

MOST_SHOWN = 300  # characters of a value; paths of files are shorter
_LONG_WORD = re.compile(r"\S{300,}")  # a value that a message quotes


class SimsplitError(Exception):
    """A mistake that a user can mend.

    Args:
        message: One sentence that says what is wrong.
        path: Where in the YAML, e.g. ``cell.channel.snr_db`` (empty if it is no YAML matter).
        value: What was found there.
        choices: What would have been right; the nearest is suggested.

    Attributes:
        where: File and line of it, e.g. ``urban_5g.yaml:12``; empty if that is not known.
    """

    exit_code = 2
    where = ""

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
        return self.in_words()

    def in_words(self, *, lists_choices: bool = True) -> str:
        """The whole message; without the list of choices where it was just read."""
        at = "".join(f"{part}: " for part in (self.where, _short(self.path)) if part)
        value = "" if self.value is None else f" (found: {_short(repr(self.value))})"
        message = _LONG_WORD.sub(lambda word: _short(word[0]), self.message)
        return f"{at}{message}{value}{self._hint(lists_choices)}"

    def _hint(self, lists_choices: bool) -> str:
        if not self.choices:
            return ""
        near = difflib.get_close_matches(str(self.value), self.choices, n=1, cutoff=0.5)
        guess = f" Did you mean '{near[0]}'?" if near else ""
        return f".{guess} Choices: {', '.join(self.choices) if lists_choices else 'as above'}"


def article(noun: str) -> str:
    """The noun, e.g. of a type, with its article: ``an int``, ``a uint8``."""
    return f"{'an' if noun[:1] in 'aeioAEIO' else 'a'} {noun}"


def _short(text: str, limit: int = MOST_SHOWN) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


class ScenarioError(SimsplitError):
    """The scenario (YAML, override or argument) says something impossible."""


class ContractError(ScenarioError):
    """A user's own class breaks the contract of its kind; see `broken`."""

    @classmethod
    def broken(
        cls,
        who: str,
        kind: str,
        clause: str,
        found: object = None,
        *,
        path: str = "",
        choices: Sequence[str] = (),
    ) -> ContractError:
        """The error that says which clause.

        Args:
            who: The class, or ``package.module:Name``.
            kind: Of which contract, e.g. ``a codec``.
            clause: Which sentence of the contract does not hold.
            found: What was found instead.
            path: Where in the YAML.
            choices: What would have been right.
        """
        message = f"{who} breaks the contract of {kind}: {clause}"
        return cls(message, path=path, value=found, choices=choices)


class Mistakes(ScenarioError):
    """Several mistakes at once; what is asked of one is answered of the first.

    Args:
        mistakes: At least two, in the order in which they are to be read.
    """

    def __init__(self, mistakes: Sequence[SimsplitError]) -> None:
        self.mistakes = tuple(mistakes)
        first = self.mistakes[0]
        super().__init__(first.message, path=first.path, value=first.value, choices=first.choices)

    def __str__(self) -> str:
        lines, told = [f"{len(self.mistakes)} mistakes"], set[tuple[str, ...]]()
        for each in self.mistakes:
            lines.append(f"  {each.in_words(lists_choices=each.choices not in told)}")
            told.add(each.choices)
        return "\n".join(lines)


class NothingThere(ScenarioError):
    """A result holds nothing of what was asked (no request, no answer), which is no mistake.

    A command says so in one sentence and ends well.
    """

    exit_code = 0


class ArtefactError(SimsplitError):
    """A fitted thing (weights, table, result folder) is missing, stale or damaged."""


class OutOfTable(SimsplitError):
    """A value lies outside what a table was calibrated for; nothing is extrapolated."""
