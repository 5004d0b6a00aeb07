"""Every kind of figure of a run or a sweep with nothing to show: words or a sentence, no blank."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from simsplit.errors import NothingThere
from simsplit.figures.contract import PlotOptions
from simsplit.figures.kinds import KINDS, draw
from simsplit.results import store as results
from simsplit.results.columns import no_requests
from simsplit.results.identity import make_manifest
from simsplit.results.summary import summarise
from simsplit.results.sweep_folder import RUN, SWEEP, Described, write_description
from tests.support import synthetic

STATES = ("no requests", "no answers")
AXES = ("cell.channel.snr_db", "devices.g_local.arrivals.rate_hz")
OF_REQUESTS = [name for name, kind in KINDS.items() if kind.needs == RUN and name != "radio_map"]


def stored(folder: Path, state: str, points: int, rate: int = 1) -> Path:
    """A run without requests or answers, of one operating point or of several."""
    made = synthetic.scenario()
    names = [point.name for point in made.operating_points][-points:]
    kept = made.model_dump(mode="json")
    for key, name in (("operating_points", "name"), ("devices", "operating_point")):
        kept[key] = [one for one in kept[key] if one[name] in names]
    made = type(made).model_validate(kept)
    match state:
        case "no requests":
            rows = no_requests(["score_miou"])
        case "perfect":
            rows = synthetic.requests(per_point=30).assign(score_miou=1.0)
            rows = rows[rows["operating_point"].isin(names)].reset_index(drop=True)
        case _:
            rows = unanswered(names)
    rows["payload_bits"] *= rate
    summary = summarise(made, rows, synthetic.stations())
    origin = make_manifest(made, {}, [1], 1.0)
    return results.write_result(folder, made, rows, summary, origin, yaml.safe_dump(kept))


def unanswered(names: list[str]) -> pd.DataFrame:
    """Requests of these operating points, every one lost on the way."""
    rows = synthetic.requests(per_point=30)
    rows = rows[rows["operating_point"].isin(names)].reset_index(drop=True)
    gone = ("edge_arrival_s", "edge_start_s", "edge_end_s", "latency_s")
    rows = rows.assign(**dict.fromkeys(gone, np.nan))
    rows = rows.assign(closed_s=rows["radio_end_s"].fillna(rows["device_end_s"]))
    return rows.assign(status="lost", delivered=False, deadline_met=False, score_miou=0.0)


def swept(folder: Path, state: str) -> Path:
    """A sweep of four such runs over two axes, the payloads different in each."""
    places = [(0.0, 0.1), (0.0, 0.2), (5.0, 0.1), (5.0, 0.2)]
    points = {f"{n:016x}": dict(zip(AXES, place, strict=True)) for n, place in enumerate(places)}
    for name, rate in zip(points, (1, 2, 4, 8), strict=True):
        stored(folder / name, state, 4, rate)
    write_description(folder, Described(points))
    return folder


def words(figure: Figure) -> list[str]:
    """What is written inside the axes and in the legends."""
    inside = [text.get_text() for ax in figure.axes for text in ax.texts]
    return inside + [text.get_text() for each in figure.legends for text in each.get_texts()]


def is_blank(figure: Figure) -> bool:
    """Nothing darker than the grid lies inside any axes."""
    figure.canvas.draw()
    shades = np.asarray(figure.canvas.buffer_rgba())[..., :3].mean(axis=2)  # type: ignore[attr-defined]
    return all(
        not _inside(shades, ax).size or _inside(shades, ax).min() > 150 for ax in figure.axes
    )


def _inside(shades: np.ndarray, ax: object) -> np.ndarray:
    """The pixels within the frame of axes, its lines and ticks left out."""
    box, margin = ax.get_window_extent(), 4  # type: ignore[attr-defined]
    rows = slice(int(len(shades) - box.y1) + margin, int(len(shades) - box.y0) - margin)
    return shades[rows, int(box.x0) + margin : int(box.x1) - margin]


@pytest.mark.parametrize("points", [1, 4])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", OF_REQUESTS)
def test_no_figure_of_a_run_is_blank(tmp_path: Path, kind: str, state: str, points: int) -> None:
    figure = draw(stored(tmp_path / "run", state, points), kind, PlotOptions()).figure
    assert not is_blank(figure)
    if state == "no requests" or kind.startswith("latency"):
        assert any(state in text for text in words(figure))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.needs == SWEEP])
def test_no_figure_of_a_sweep_is_blank(tmp_path: Path, kind: str, state: str) -> None:
    points = ("operating_point == jpeg, entropy",)
    options = PlotOptions(axis=AXES[0] if kind in ("metric", "cliff") else None, where=points)
    folder = swept(tmp_path / "sweep", state)
    try:
        figure = draw(folder, kind, options).figure
    except NothingThere as nothing:
        assert "\n" not in str(nothing) and nothing.exit_code == 0
        return
    assert not is_blank(figure)


def partly_swept(folder: Path, lacking: str) -> Path:
    """A sweep of the SNR: all is right at 0 and 5 dB, something is lacking at 60 dB."""
    points = {f"{n:016x}": {AXES[0]: snr_db} for n, snr_db in enumerate((0.0, 5.0, 60.0))}
    for name, state in zip(points, ("perfect", "perfect", lacking), strict=True):
        stored(folder / name, state, 4)
    write_description(folder, Described(points))
    return folder


def test_a_swept_value_without_requests_is_seen_and_axes_end_at_what_is_possible(
    tmp_path: Path,
) -> None:
    folder = partly_swept(tmp_path / "sweep", "no requests")
    for where in ((), ("operating_point == jpeg",)):
        figure = draw(folder, "metric", PlotOptions(axis=AXES[0], where=where)).figure
        (ax,) = figure.axes
        assert ax.get_xlim()[0] <= 0.0 and ax.get_xlim()[1] >= 60.0
        assert ax.get_ylim()[1] <= 1.0
        notes = [text for text in ax.texts if text.get_text() == "no requests"]
        assert [text.get_position()[0] for text in notes] == [60.0]
    figure = draw(folder, "pareto", PlotOptions(by=AXES[0])).figure
    assert any("60 dB (no requests)" in text for text in words(figure))
    assert sum("(no requests)" in text for text in words(figure)) == 1
    assert all(ax.get_ylim()[1] <= 1.0 for ax in figure.axes)
