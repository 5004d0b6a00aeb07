"""Every kind of figure against its picture in ``baseline``.

``SIMSPLIT_REGENERATE=1 pytest tests/unit/figures/test_baseline.py`` draws the pictures anew: look
at them before you commit them. The tolerance is Matplotlib's root mean square of 8-bit levels over
all pixels (Matplotlib brings its own FreeType: letters are the same everywhere). A curve left out
is worth 5 to 9 of them, its band 2.2; both are tested.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.testing.compare import compare_images

import designs
from simsplit.figures import curves, heatmap, pareto, rate_distortion, stages
from simsplit.figures import kinds as drawing
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.results import frames

BASELINE = Path(__file__).parent / "baseline"
TOLERANCE = 2.0
DPI = 100


def of_table(draw: Callable[..., Drawing], table: pd.DataFrame, **options: str) -> Drawing:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "load_results", lambda _: table)
        return draw(Path(), PlotOptions(**options))


def stages_of(folder: Path) -> Drawing:
    table = designs.stored(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "load_results", lambda _: table)
        return stages.draw(folder, PlotOptions())


def of_run(kind: str, **scenario: Any) -> Callable[[Path], Drawing]:
    def draw(folder: Path) -> Drawing:
        designs.synthetic.store(folder / "run", **scenario)
        return drawing.draw(folder / "run", kind)

    return draw


FIGURES: dict[str, Callable[[Path], Drawing]] = {
    "metric": lambda _: of_table(curves.draw, designs.table()),
    "rate_distortion": lambda _: of_table(rate_distortion.draw, designs.rates()),
    "pareto": lambda _: of_table(pareto.draw, designs.table()),
    "pareto_page": lambda _: of_table(pareto.draw, designs.table(), style="ieee_page"),
    "heatmap": lambda _: of_table(heatmap.draw, designs.table()),
    "stages": stages_of,
    "latency_cdf": of_run("latency_cdf"),
    "latency_by_stage": of_run("latency_by_stage"),
    "energy_by_part": of_run("energy_by_part"),
    "timeline": of_run("timeline"),
    "queue": of_run("queue"),
    "radio_map": of_run("radio_map", cell={"channel": {"kind": "umi_street_canyon"}}),
}


def difference(made: Drawing, name: str, folder: Path) -> str | None:
    """What `compare_images` says of the figure and its baseline; None: alike."""
    import matplotlib as mpl

    from simsplit.figures.style import style_of

    drawn = folder / f"{name}.png"
    with mpl.rc_context(style_of(made.figure).rc()):
        made.figure.savefig(drawn, dpi=DPI, metadata={"Software": None})
    kept = BASELINE / f"{name}.png"
    if os.environ.get("SIMSPLIT_REGENERATE"):
        kept.write_bytes(drawn.read_bytes())
    return compare_images(str(kept), str(drawn), TOLERANCE)


@pytest.mark.parametrize("name", FIGURES)
def test_figure_looks_as_it_did(name: str, tmp_path: Path) -> None:
    assert difference(FIGURES[name](tmp_path), name, tmp_path) is None


@pytest.mark.parametrize("what", ["lines", "collections"])
def test_a_curve_or_a_band_left_out_is_seen(what: str, tmp_path: Path) -> None:
    made = FIGURES["metric"](tmp_path)
    getattr(made.figure.axes[0], what)[0].remove()
    assert "RMS" in str(difference_without_writing(made, "metric", tmp_path))


def difference_without_writing(made: Drawing, name: str, folder: Path) -> str | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SIMSPLIT_REGENERATE", raising=False)
        return difference(made, name, folder)


def test_every_kind_has_a_picture() -> None:
    assert set(drawing.KINDS) - {"cliff"} <= set(FIGURES)  # the cliff is the metric's
