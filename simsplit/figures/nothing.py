"""What a figure that has nothing to show is: empty axes that say so in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simsplit.figures.contract import Drawing
from simsplit.figures.style import paper_figure
from simsplit.results.columns import no_requests

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def written_across(ax: Axes, text: str) -> None:
    """The words in the middle of axes in which nothing is drawn."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center")


def nothing_drawn(
    columns: Sequence[str], style: str, until_s: float, text: str = "no requests"
) -> Drawing:
    """Empty axes over the simulated time up to ``until_s``; the data have no row."""
    with paper_figure(style=style) as (figure, ax):
        ax.set_xlim(0.0, until_s)
        ax.set_xlabel("simulated time [s]")
        ax.set_yticks([])
        written_across(ax, text)
    return Drawing(figure, no_requests([]).reindex(columns=list(columns)))
