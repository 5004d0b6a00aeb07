"""A figure as PGF without a LaTeX installation: Matplotlib itself measures the texts.

Matplotlib's own PGF backend starts LaTeX to learn how wide each text is and to include pictures.
Here Agg's font metrics stand in, so the file is the same on every machine. The document's own
fonts set the text in the end, at the sizes given here; texts are laid out `WIDER` than they are
in Times, since a document's font may be Computer Modern.

Hatches are a few lines and dots, where Matplotlib's PGF backend would write a dense square inch: a
hatch is Matplotlib's text, each letter a kind of stroke, repeated for density. Six per inch and
letter, slanting ones half as many.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_pgf import RendererPgf

from simsplit.files import write_whole
from simsplit.results.labels import escaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, bottom, right, top
STROKES = {"/": (1,), "\\": (-1,), "x": (1, -1), "-": (0,), "|": (None,), "+": (0, None)}
DOTS = {".": 0.011, "o": 0.02}  # radius in inches
_PER_INCH = 6


def is_known(hatch: str) -> bool:
    """Whether `strokes` and `dots` draw all of it."""
    return set(hatch) <= {*STROKES, *DOTS}


def strokes(hatch: str, box: Box) -> Iterator[tuple[Point, Point]]:
    """Ends of the lines that cross a box in inches; on one grid for all boxes, to be clipped."""
    for letter in dict.fromkeys(hatch):
        step = 1 / (_PER_INCH * hatch.count(letter))
        for slope in STROKES.get(letter, ()):
            yield from _across(slope, 2 * step if slope else step, box)


def _across(slope: int | None, step: float, box: Box) -> Iterator[tuple[Point, Point]]:
    """Lines y = slope x + k step, or x = k step if the slope is None."""
    left, bottom, right, top = box
    if slope is None:
        for x in _grid(left, right, step):
            yield (x, bottom), (x, top)
        return
    ends = [bottom - slope * left, bottom - slope * right, top - slope * left, top - slope * right]
    for offset in _grid(min(ends), max(ends), step):
        yield (left, slope * left + offset), (right, slope * right + offset)


def dots(hatch: str, box: Box) -> Iterator[tuple[Point, float, bool]]:
    """Centre, radius (inches) and whether filled of the dots in a box, every other row shifted."""
    left, bottom, right, top = box
    for letter in dict.fromkeys(hatch):
        if letter not in DOTS:
            continue
        step = 1 / (_PER_INCH * hatch.count(letter))
        for y in _grid(bottom, top, step):
            shift = step / 2 if round(y / step) % 2 else 0.0
            for x in _grid(left - shift, right - shift, step):
                yield (x + shift, y), DOTS[letter], letter == "."


def _grid(low: float, high: float, step: float) -> Iterator[float]:
    """Multiples of the step between the ends."""
    for index in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield index * step


_HEADER = r"""%% A figure of simsplit.
%% In the preamble: \usepackage{{pgf}}. Where it goes: \input{{{name}}}
\begingroup%
\makeatletter%
\providecommand\mathdefault[1]{{#1}}%
\begin{{pgfpicture}}%
\pgfpathrectangle{{\pgfpointorigin}}{{\pgfqpoint{{{width:f}in}}{{{height:f}in}}}}%
\pgfusepath{{use as bounding box, clip}}%
"""
_FOOTER = r"""\end{pgfpicture}%
\makeatother%
\endgroup%
"""


WIDER = 1.15


class WideRenderer(RendererAgg):
    """Agg to whom every text is wider than it is."""

    def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> Any:
        """Width, height and descent in pixels."""
        agg: Any = super()
        width, height, descent = agg.get_text_width_height_descent(s, prop, ismath)
        return WIDER * width, height, descent


def _wide(width_px: float, height_px: float, dpi: float) -> Any:
    made: Any = WideRenderer
    return made(width_px, height_px, dpi)


class WideCanvas(FigureCanvasAgg):
    """The canvas whose renderer a figure asks when it lays itself out."""

    def get_renderer(self) -> RendererAgg:
        """A renderer of the figure's present size."""
        width, height = self.figure.bbox.size
        made: RendererAgg = _wide(width, height, self.figure.dpi)
        return made


class MeasuredRenderer(RendererPgf):
    """Matplotlib's PGF renderer with text extents from Agg, LaTeX's special characters escaped."""

    def __init__(self, figure: Figure, file: IO[str]) -> None:
        pgf: Any = super()
        pgf.__init__(figure, file)
        self._agg = _wide(*figure.bbox.size, figure.dpi)

    def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> Any:
        """Width, height and descent in pixels."""
        return self._agg.get_text_width_height_descent(s, prop, ismath)

    def draw_text(
        self,
        gc: Any,
        x: float,
        y: float,
        s: str,
        prop: Any,
        angle: float,
        ismath: Any = False,
        mtext: Any = None,
    ) -> None:
        """One line of text."""
        pgf: Any = super()
        pgf.draw_text(gc, x, y, escaped(s), prop, angle, ismath, mtext)

    def draw_path(self, gc: Any, path: Any, transform: Any, rgbFace: Any = None) -> None:
        """A path; its hatch as single lines and dots."""
        pgf: Any = super()
        hatch = gc.get_hatch()
        if not hatch or not is_known(hatch):
            pgf.draw_path(gc, path, transform, rgbFace)
            return
        gc.set_hatch(None)
        pgf.draw_path(gc, path, transform, rgbFace)
        gc.set_hatch(hatch)
        self._hatch(gc, path, transform, rgbFace)

    def _hatch(self, gc: Any, path: Any, transform: Any, face: Any) -> None:
        own: Any = self
        self._lines(r"\begin{pgfscope}")
        own._print_pgf_clip(gc)
        own._print_pgf_path(gc, path, transform, face)
        red, green, blue, _ = gc.get_hatch_color()
        self._lines(
            r"\pgfusepath{clip}",
            rf"\pgfsetlinewidth{{{gc.get_hatch_linewidth():f}bp}}",
            rf"\definecolor{{currenthatch}}{{rgb}}{{{red:f},{green:f},{blue:f}}}",
            r"\pgfsetcolor{currenthatch}",
        )
        box = tuple((path.get_extents(transform).extents / self.dpi).tolist())
        for start, end in strokes(gc.get_hatch(), box):
            self._lines(rf"\pgfpathmoveto{{{_at(start)}}}\pgfpathlineto{{{_at(end)}}}")
        self._lines(r"\pgfusepath{stroke}")
        for centre, radius, filled in dots(gc.get_hatch(), box):
            action = "fill" if filled else "stroke"
            circle = rf"\pgfpathcircle{{{_at(centre)}}}{{{radius:f}in}}"
            self._lines(rf"{circle}\pgfusepath{{{action}}}")
        self._lines(r"\end{pgfscope}")

    def _lines(self, *lines: str) -> None:
        self.fh.writelines(f"{line}%\n" for line in lines)

    def draw_image(self, gc: Any, x: float, y: float, im: Any, transform: Any = None) -> None:
        """A picture as a PNG file beside the PGF file."""
        from PIL import Image

        if im.size == 0 or transform is not None:
            raise ValueError("a picture in PGF stands upright: use pcolormesh or rasterise")
        path = Path(self.fh.name)
        name = f"{path.stem}-img{self.image_counter}.png"
        self.image_counter += 1
        Image.fromarray(im[::-1]).save(path.parent / name)
        width, height = im.shape[1] / self.dpi, im.shape[0] / self.dpi
        size = f"width={width:f}in,height={height:f}in"
        self._lines(
            r"\begin{pgfscope}",
            rf"\pgfsys@transformshift{{{x / self.dpi:f}in}}{{{y / self.dpi:f}in}}",
            rf"\pgftext[left,bottom]{{\includegraphics[{size}]{{{name}}}}}",
            r"\end{pgfscope}",
        )


def _at(point: tuple[float, float]) -> str:
    return rf"\pgfqpoint{{{point[0]:f}in}}{{{point[1]:f}in}}"


@contextmanager
def _laid_out_wide(figure: Figure) -> Iterator[None]:
    before = figure.canvas
    WideCanvas(figure)
    try:
        figure.draw_without_rendering()
        yield
    finally:
        figure.set_canvas(before)


class _Page(io.StringIO):
    """A text in memory that knows which file it will be: pictures are written beside it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.name = str(path)


def write_pgf(figure: Figure, path: Path) -> None:
    r"""Write the figure for ``\input`` into a LaTeX document that loads ``pgf``."""
    width, height = figure.get_size_inches()
    file = _Page(path)
    with _laid_out_wide(figure):
        file.write(_HEADER.format(name=path.name, width=width, height=height))
        inner = MeasuredRenderer(figure, file)
        renderer: Any = MixedModeRenderer(figure, width, height, figure.dpi, inner)
        figure.draw(renderer)
        file.write(_FOOTER)
    write_whole(path, file.getvalue())
