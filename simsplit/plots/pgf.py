"""A figure as PGF without a LaTeX installation: Matplotlib itself measures the texts.

Matplotlib's own PGF backend starts LaTeX to learn how wide each text is and to include pictures.
Here Agg's font metrics stand in, so the file is the same on every machine. The document's own
fonts set the text in the end, at the sizes given here; texts are laid out `WIDER` than they are
in Times, since a document's font may be Computer Modern.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

# At the top, because a class is derived from one of Matplotlib's; only `style.save` imports this.
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_pgf import RendererPgf

from simsplit.plots import hatches
from simsplit.plots.latex import escaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
        if not hatch or not hatches.is_known(hatch):
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
        for start, end in hatches.strokes(gc.get_hatch(), box):
            self._lines(rf"\pgfpathmoveto{{{_at(start)}}}\pgfpathlineto{{{_at(end)}}}")
        self._lines(r"\pgfusepath{stroke}")
        for centre, radius, filled in hatches.dots(gc.get_hatch(), box):
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


def write_pgf(figure: Figure, path: Path) -> None:
    r"""Write the figure for ``\input`` into a LaTeX document that loads ``pgf``."""
    width, height = figure.get_size_inches()
    with _laid_out_wide(figure), path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(_HEADER.format(name=path.name, width=width, height=height))
        inner = MeasuredRenderer(figure, file)
        renderer: Any = MixedModeRenderer(figure, width, height, figure.dpi, inner)
        figure.draw(renderer)
        file.write(_FOOTER)
