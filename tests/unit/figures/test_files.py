"""The files of a figure: fonts embedded, PGF whole, numbers beside it, the same bytes each time."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import designs
from simsplit.figures import curves, rate_distortion, style
from simsplit.figures import pgf as hatches
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.results import frames
from simsplit.results.labels import escaped, label, quantity, setting_text


@pytest.fixture(scope="module")
def made() -> Drawing:
    """A figure with bands, a legend and a table."""
    return drawn(designs.rates(), rate_distortion.draw)


def drawn(table: pd.DataFrame, draw: object) -> Drawing:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "load_results", lambda _: table)
        return draw(Path(), PlotOptions())  # type: ignore[operator]


def test_files_and_their_numbers(made: Drawing, tmp_path: Path) -> None:
    paths = style.save(made, tmp_path / "rd.v1")
    endings = [path.name.removeprefix("rd.v1") for path in paths]
    assert endings == [".png", ".pdf", ".pgf", ".csv", "_bd.csv", "_bd.tex"]
    pd.testing.assert_frame_equal(pd.read_csv(paths[3]), made.data, check_dtype=False)
    assert r"\toprule" in paths[5].read_text() and r"BD rate [\%]" in paths[5].read_text()


def test_a_table_has_names_in_words_and_dashes_for_no_value(made: Drawing, tmp_path: Path) -> None:
    deltas = made.tables["bd"].assign(bd_rate_percent=np.nan)
    style.save(Drawing(made.figure, made.data, {"bd": deltas}), tmp_path / "rd")
    text = (tmp_path / "rd_bd.tex").read_text()
    assert "nan" not in text and "bd\\_" not in text and "--" in text


def test_the_same_figure_is_the_same_bytes(tmp_path: Path) -> None:
    one, two = (
        style.save(drawn(designs.table(), curves.draw), tmp_path / name / "metric")
        for name in ("one", "two")
    )
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_fonts_are_embedded_as_truetype(made: Drawing, tmp_path: Path) -> None:
    pdf = style.save(made, tmp_path / "rd")[1].read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf


@pytest.mark.parametrize("name", style.STYLES)
def test_styles_have_their_width(name: str) -> None:
    with style.paper_figure(style=name) as (figure, ax):
        assert figure.get_figwidth() == style.STYLES[name].width_in
        assert ax.xaxis.label.get_size() == style.STYLES[name].font_pt


def grey(colour: str) -> float:
    """Rec. 601 luma of a colour, 0 … 255."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_neighbours_differ_in_grey_and_everything_without_colour() -> None:
    levels = [grey(colour) for colour in style.COLOURS[:5]]
    assert min(abs(np.diff(levels))) > 10
    without = [(style.look(i)["marker"], str(style.look(i)["linestyle"])) for i in range(64)]
    with_colour = {(style.look(i)["color"], *without[i]) for i in range(64)}
    assert len(set(without[:8])) == 8 and len(with_colour) == 64
    assert len({style.hatch(i) for i in range(7)}) == 7


# --- PGF --------------------------------------------------------------------------------------


def pgf_of(made: Drawing, folder: Path) -> str:
    return style.save(made, folder / "figure")[2].read_text(encoding="utf-8")


def test_pgf_is_whole_and_says_the_labels(made: Drawing, tmp_path: Path) -> None:
    text = pgf_of(made, tmp_path)
    for name in ("pgfpicture", "pgfscope"):
        begins, ends = text.count(rf"\begin{{{name}}}"), text.count(rf"\end{{{name}}}")
        assert begins == ends > 0
    assert text.count(r"\begingroup") == text.count(r"\endgroup") == 1
    body = re.sub(r"\\[{}]", "", text)
    assert body.count("{") == body.count("}")
    for words in ("payload [kbit]", "PSNR [dB]", "entropy", r"BD rate [\%]", r"\ensuremath{-}43.8"):
        assert words in text
    assert (
        not list(tmp_path.glob("*-img*.png")) and "/" not in re.findall(r"\\input{(.*?)}", text)[0]
    )


def test_a_picture_stands_beside_its_pgf(tmp_path: Path) -> None:
    with style.paper_figure(1.5) as (figure, ax):
        ax.plot([0.0, 1.0], [0.0, 1.0], rasterized=True)
    paths = style.save(figure, tmp_path / "figure")
    (picture,) = tmp_path.glob("*-img*.png")
    assert picture.name in paths[2].read_text(encoding="utf-8")


def test_pgf_needs_no_latex(made: Drawing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert r"\begin{pgfpicture}" in pgf_of(made, tmp_path)


def bars() -> Drawing:
    with style.paper_figure() as (figure, ax):
        for place in range(7):
            ax.bar(
                place,
                1,
                color=style.colour(place),
                hatch=style.hatch(place),
                label=f"a_{place} & b",
            )
        style.legend_above(ax)
        return Drawing(figure, pd.DataFrame({"place": range(7)}))


def test_hatches_are_few_lines(tmp_path: Path) -> None:
    text = pgf_of(bars(), tmp_path)
    assert r"a\_3 \& b" in text
    assert len(text) < 400_000 and "currentpattern" not in text  # Matplotlib's own are 5 MB
    assert text.count(r"\pgfpathcircle") > 100


def test_strokes_and_dots_cover_the_box() -> None:
    box = (0.0, 0.0, 1.0, 1.0)
    upright = list(hatches.strokes("||", box))
    assert [start[0] for start, _ in upright] == pytest.approx(np.arange(13) / 12)
    for (x0, y0), (x1, y1) in hatches.strokes("///", box):
        assert (y1 - y0) / (x1 - x0) == pytest.approx(1) and (x0, x1) == (0, 1)
    crossed = list(hatches.strokes("xx", box))
    assert len(crossed) == 2 * len(list(hatches.strokes("//", box)))
    centres = [centre for centre, _, _ in hatches.dots("...", box)]
    assert len(centres) > 300 and all(0 <= x <= 1 and 0 <= y <= 1 for x, y in centres)
    assert not hatches.is_known("*") and hatches.is_known("/.-")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
@pytest.mark.parametrize("which", ["rates", "bars"])
def test_pgf_compiles(which: str, made: Drawing, tmp_path: Path) -> None:
    style.save(made if which == "rates" else bars(), tmp_path / "figure")
    text = (
        r"\documentclass{article}\usepackage{pgf}\begin{document}\input{figure.pgf}\end{document}"
    )
    (tmp_path / "paper.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout[-2000:]


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("cell.channel.snr_db", "$E_s/N_0$ [dB]"),
        ("latency_p95_s", "95th percentile of latency [s]"),
        ("cell.resource_blocks", "resource blocks"),
        ("devices.phones.arrivals.rate_hz", "phones rate [Hz]"),
        ("operating_point.split", "split"),
        ("speed_mps", "speed [m/s]"),
    ],
)
def test_labels_have_units(column: str, words: str) -> None:
    assert label(column) == words


@pytest.mark.parametrize(
    ("column", "values", "words", "factor"),
    [
        ("latency_s", [0.5, 2.0], "mean latency [s]", 1),
        ("latency_s", [0.02, float("nan")], "mean latency [ms]", 1e3),
        ("energy_j", [2e-5], "energy per request [µJ]", 1e6),
        ("payload_bits", [9e3], "payload [bit]", 1),
        ("payload_bits", [9e4, 1.0], "payload [kbit]", 1e-3),
        ("payload_bits", [3e6], "payload [Mbit]", 1e-6),
        ("score_psnr_db", [0.01], "PSNR [dB]", 1),
    ],
)
def test_prefixes(column: str, values: list[float], words: str, factor: float) -> None:
    unit = quantity(column, values)
    assert (unit.label, unit.factor) == (words, factor)


def test_settings_are_told_in_words() -> None:
    assert setting_text("cell.channel.snr_db", -4) == "\N{MINUS SIGN}4 dB"
    assert setting_text("devices.phones.count", 8) == "8 phones"
    assert label("devices.phones.count") == "number of phones"
    assert setting_text("devices.phones.policy", "{kind: fixed, point: jpeg}") == "fixed, jpeg"


def test_special_characters_are_escaped() -> None:
    assert escaped(r"a_b & 5 % #1 {x} ~ ^") == (
        r"a\_b \& 5 \% \#1 \{x\} \textasciitilde{} \textasciicircum{}"
    )
    assert escaped("$E_s/N_0$ [dB] ± 1_2") == r"$E_s/N_0$ [dB] \ensuremath{\pm} 1\_2"
    assert escaped("5 $ a_b") == r"5 \$ a\_b"
