"""The tables of MTL-Split's page, from ``results/published/mtl_split`` and the networks' cards.

Listed among the other blocks by `readme_tables.blocks`; each function gives a block's Markdown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import table_parts
from simsplit.errors import ArtefactError
from simsplit.scenario.bundled import scenarios_dir
from simsplit.scenario.yaml import read_mapping
from table_parts import (
    Reader,
    Rows,
    Value,
    carried,
    cell,
    markdown,
    published,
    published_file,
    published_json,
    read,
    with_arms,
)

STUDY = "mtl_split"
LOC, ROC, SC = "LoC", "RoC", "SC"
ALL, MEAN = "all", "mean"


@dataclass(frozen=True, slots=True)
class Point:
    """An operating point in print.

    Attributes:
        way: Where it is answered: on the device, at the edge, or split.
        code: What is sent, shortly; empty of an answer on the device.
        words: The same at length.
        apart: A network per task, side by side.
    """

    way: str
    code: str = ""
    words: str = ""
    apart: bool = False

    @property
    def label(self) -> str:
        """Heading of its column, and its name in figures."""
        return ", ".join(filter(None, (self.way, self.code, "apart" if self.apart else "")))

    @property
    def phrase(self) -> str:
        """What it is."""
        return ", ".join(filter(None, (self.way, self.words, "a network per task" * self.apart)))


POINTS: Mapping[str, Point] = {
    "local": Point(LOC),
    "remote_pixels": Point(ROC, "pixels", "one byte per value"),
    "remote_jpeg": Point(ROC, "JPEG", "JPEG of quality 90"),
    "split_float32": Point(SC, "float32", "float32"),
    "split_8bit": Point(SC, "8 bit", "8 bit over the tensor's range"),
    "split_png": Point(SC, "PNG", "8 bit as PNG tiles"),
    "split_coded": Point(SC, "range coded", "8 bit, range coded with a Laplace per channel"),
    "apart_local": Point(LOC, apart=True),
    "apart_split_8bit": Point(SC, "8 bit", "8 bit over the tensor's range", apart=True),
    "apart_split_png": Point(SC, "PNG", "8 bit as PNG tiles", apart=True),
}
LEFT_OUT = ("split_coded",)  # of latency and energy: an order of magnitude above all others
LOSSY = ("JPEG",)  # codes that take accuracy

_BACKBONES = {"vgg": "VGG-like", "resnet": "ResNet-like", "mobilenet": "MobileNet-like"}
_DATA = {"shapes": "rooms", "streets": "streets"}
_TASKS = {
    "scale": "size",
    "shape": "form",
    "nearest": "nearest vehicle",
    "road": "width of the road",
}


# --- shared or apart ----------------------------------------------------------------------------


def mtl_shared() -> str:
    """A network per task against a shared one, comparison by comparison."""
    rows = [_shared_row(row) for row in published_json(STUDY, "cards.json")["rows"]]
    heading = [
        *("backbone, pictures", "accuracy of", "a network per task, %", "shared, %"),
        *("difference, points", "95 % interval over seeds", "smallest … largest", "seeds"),
    ]
    return markdown(heading, rows, numeric_from=2)


def _shared_row(row: Mapping[str, Any]) -> list[str]:
    gap = row["difference"]
    levels = ["—" if row[side] is None else f"{100 * row[side]:.2f}" for side in ("a", "b")]
    mean, is_sure = f"{100 * gap['mean']:+.2f}", gap["low"] is not None
    if is_sure and gap["low"] * gap["high"] > 0:
        mean = f"**{mean}**"
    spans = [_span(gap["low"], gap["high"]), _span(gap["smallest"], gap["largest"])]
    name = "all of them" if row["networks"] == ALL else _network(row["networks"]).words
    return [name, _task(row["score"]), *levels, mean, *spans, str(gap["n"])]


def _span(low: float | None, high: float | None) -> str:
    return "—" if low is None or high is None else f"{100 * low:+.2f} … {100 * high:+.2f}"


def _task(score: str) -> str:
    """``accuracy_shape`` in words: form."""
    if score == MEAN:
        return "mean of tasks"
    name = score.removeprefix("score_").removeprefix("accuracy_")
    return _TASKS.get(name, name.replace("_", " "))


@dataclass(frozen=True, slots=True)
class Shared:
    """The shared network of a comparison, as its card has it."""

    name: str
    options: Mapping[str, Any]
    data: str
    height: int
    width: int

    @property
    def words(self) -> str:
        """Backbone and pictures."""
        backbone = self.options["backbone"]
        return f"{_BACKBONES.get(backbone, backbone)}, {_DATA.get(self.data, self.data)}"


def _network(comparison: str) -> Shared:
    """B of ``A+A2:B``.

    Raises:
        ArtefactError: It has no card.
    """
    name = Path(comparison.rpartition(":")[2]).name
    file = table_parts.project_root() / "models" / name / "card.json"
    if not file.is_file():
        raise ArtefactError(f"no card yet; run `simsplit train {name}`", path=str(file))
    card = json.loads(file.read_text(encoding="utf-8"))
    data = card["data"]["kind"] if isinstance(card["data"], dict) else card["data"]
    size = card["height"], card.get("width", card["height"])
    return Shared(name, card["network"]["options"], str(data), *size)


# --- what runs on the device and what leaves it -------------------------------------------------


_QUANTITIES = (
    "parameters on the device",
    "multiply-accumulates on the device",
    "parameters at the edge",
    "multiply-accumulates at the edge",
    "Z_b as float32, byte",
    "Z_b at 8 bit, byte",
    "Z_b at 8 bit as PNG tiles, byte",
)


def mtl_device() -> str:
    """Work on either side and sizes of Z_b, a network per task against the shared one."""
    comparisons = [row["networks"] for row in published_json(STUDY, "cards.json")["sizes"]]
    networks = [_network(one) for one in comparisons]
    pairs = [
        (_cut(network, is_shared=False), _cut(network, is_shared=True)) for network in networks
    ]
    rows = [
        [name, *(_beside(apart.get(name), shared.get(name)) for apart, shared in pairs)]
        for name in _QUANTITIES
    ]
    heading = ["a network per task → shared (ratio)", *(network.words for network in networks)]
    return markdown(heading, rows, numeric_from=1)


def _beside(a: float | None, b: float | None) -> str:
    return "—" if a is None or b is None else f"{a:,.0f} → {b:,.0f} ({b / a:.2f})"


def _cut(network: Shared, *, is_shared: bool) -> dict[str, float]:
    """Counted on the network itself, opened and traced; Z_b coded by the codecs themselves."""
    import numpy as np

    from simsplit.codecs.tensors import TensorsCodec
    from simsplit.networks.opened import split_points

    options = {**network.options, "shared": is_shared}
    texts = [f"{key}={json.dumps(value)}" for key, value in options.items()]
    height, width = network.height, network.width
    _, points = split_points("mtl_split", height_px=height, width_px=width, options=texts)
    point = next(one for one in points if one.name == ("flatten" if is_shared else "cat"))
    zeros = [np.zeros(shape, np.float32) for shape in point.shapes]
    coded = [len(TensorsCodec(point.shapes, dtype).encode(zeros)) for dtype in ("float32", "uint8")]
    work = point.head_params, point.head_macs, point.tail_params, point.tail_macs
    numbers = dict(zip(_QUANTITIES, (*work, *coded), strict=False))
    png = _png_bytes("split_png" if is_shared else "apart_split_png")
    if network.name == _scenario_network() and png is not None:
        numbers[_QUANTITIES[-1]] = png
    return numbers


def _png_bytes(name: str) -> float | None:
    """Mean over the pictures that `simsplit rates` coded."""
    rows = published(f"{STUDY}/rates", "rates.csv")
    row = next((row for row in rows if row["operating_point"] == name), None)
    return None if row is None else float(row["payload_bits"]) / 8


def _scenario_network() -> str:
    """The model whose features `simsplit rates` coded."""
    content = read_mapping(scenarios_dir() / f"{STUDY}.yaml")
    weights = {one["name"]: one["weights"] for one in content["networks"]}
    return Path(weights["shared"]).parent.name


# --- operating points ---------------------------------------------------------------------------


_DIFFERENCE, _REFERENCE = "difference", "local"


def mtl_points() -> str:
    """What the operating points send and are worth, with no air between."""
    rows = [row for row in published(f"{STUDY}/rates", "rates.csv") if not row.get("seed")]
    score = next(key for key in rows[0] if key.startswith("score_"))
    heading = ["operating point", "", "byte", f"accuracy of {_task(score)}, %"]
    if _DIFFERENCE in rows[0]:
        heading.append("against LoC, points")
    lines = [_point_row(row, score) for row in rows]
    return markdown([*heading, "device, edge [MMAC]"], lines, numeric_from=2)


def _point(row: Mapping[str, str]) -> Point:
    """The operating point of a row.

    Raises:
        ArtefactError: One that these tables have no words for.
    """
    name = row["operating_point"]
    if name not in POINTS:
        message = "an operating point without words in docs/system_tables.py"
        raise ArtefactError(message, value=name, choices=[*POINTS])
    return POINTS[name]


def _point_row(row: Mapping[str, str], score: str) -> list[str]:
    """``difference``: over the same pictures, each with itself."""
    work = ", ".join(f"{float(row[f'{side}_macs']) / 1e6:.2f}" for side in ("device", "edge"))
    cells = [f"`{row['operating_point']}`", _point(row).phrase]
    cells.append(f"{float(row['payload_bits']) / 8:,.0f}")
    for column, sign in ((score, ""), (_DIFFERENCE, "+")):
        if column not in row:
            continue
        mean, low, high = (100 * float(row[column + end]) for end in ("", "_low", "_high"))
        text = with_arms(f"{mean:{sign}.1f}", mean - low, high - mean)
        is_itself = column == _DIFFERENCE and row["operating_point"] == _REFERENCE
        cells.append("—" if is_itself else text)
    return [*cells, work]


# --- latency, energy, load ----------------------------------------------------------------------


_OF_DEVICE = ("compute_energy_j", "tx_energy_j", "rx_energy_j")


def device_energy(row: Mapping[str, str]) -> Value:
    """mJ of the device: the sum of its parts, and of their intervals, which is never too narrow."""
    parts = [read(part)(row) for part in _OF_DEVICE]
    return Value(*(sum(getattr(part, end) for part in parts) for end in ("mean", "low", "high")))


MEDIAN, P95, TOTAL = read("latency_p50_s"), read("latency_p95_s"), read("energy_j")
_BLOCKS, _CAMERAS = "cell.resource_blocks", "devices.cameras.count"


def mtl_latency() -> str:
    """Median latency over the uplink's rate."""
    return _over(published(STUDY, "rate_points.csv"), _BLOCKS, "resource blocks", MEDIAN)


def mtl_energy() -> str:
    """Energy of the device, and of device and server, over the uplink's rate."""
    rows = published(STUDY, "rate_points.csv")
    server = [read("edge_energy_j")(row).mean for row in _shown(rows) if _point(row).way != LOC]
    parts = [
        "Of the device, computing, sending and receiving:",
        _over(rows, _BLOCKS, "resource blocks", device_energy),
        "Of device and server:",
        _over(rows, _BLOCKS, "resource blocks", TOTAL),
        f"The server's part is {min(server):.1f} to {max(server):.1f} mJ, none with LoC.",
    ]
    return "\n\n".join(parts)


def mtl_load() -> str:
    """95th percentile of latency as cameras become more."""
    return _over(published(STUDY, "load_points.csv"), _CAMERAS, "cameras", P95)


def _shown(rows: Rows) -> Rows:
    return [row for row in rows if row["operating_point"] not in LEFT_OUT]


def _by_axis(rows: Rows, axis: str) -> dict[int, dict[str, Mapping[str, str]]]:
    """The rows by the axis' value, then by operating point."""
    places: dict[int, dict[str, Mapping[str, str]]] = {}
    for row in rows:
        places.setdefault(int(row[axis]), {})[row["operating_point"]] = row
    return dict(sorted(places.items()))


def _over(rows: Rows, axis: str, name: str, reader: Reader) -> str:
    """A row per value of the axis, a column per operating point, the smallest of a row in bold."""
    shown = _shown(rows)
    points = {row["operating_point"]: _point(row).label for row in shown}
    lines = []
    for place, row_of in _by_axis(shown, axis).items():
        values = {point: reader(row) for point, row in row_of.items()}
        least = min(value.mean for value in values.values() if not math.isnan(value.mean))
        cells = [cell(values[p], least) if p in values else "—" for p in points]
        lines.append([str(place), *cells])
    heading = [name, *points.values()]
    return markdown(heading, lines, numeric_from=0)


# --- crossovers ---------------------------------------------------------------------------------


def mtl_crossovers() -> str:
    """Which of LoC, SC and RoC is the best at every rate, and the same without loss of accuracy."""
    rows = published(STUDY, "rate_points.csv")
    shared = [row for row in rows if not _point(row).apart]
    lossless = [row for row in shared if _point(row).code not in LOSSY]
    questions = (MEDIAN, device_energy, TOTAL)
    lines = []
    for place in _by_axis(shared, _BLOCKS):
        here = [[row for row in of if int(row[_BLOCKS]) == place] for of in (shared, lossless)]
        lines.append([str(place), *(best(of, ask) for of in here for ask in questions)])
    asked = ("fastest", "least energy of the device", "least energy of both")
    limited = [f"without JPEG: {text}" for text in asked]
    return markdown(["resource blocks", *asked, *limited], lines)


def best(rows: Sequence[Mapping[str, str]], reader: Reader) -> str:
    """The best way, of each its best code; those whose intervals overlap the best's beside it."""
    champions: dict[str, tuple[Value, Point]] = {}
    for row in rows:
        value, point = reader(row), _point(row)
        if math.isnan(value.mean):
            continue
        if point.way not in champions or value.mean < champions[point.way][0].mean:
            champions[point.way] = value, point
    ranked = sorted(champions.values(), key=lambda one: one[0].mean)
    alike = [point for value, point in ranked if value.overlaps(ranked[0][0])]
    names = [_with_code(point) for point in alike] or [_with_code(ranked[0][1])]
    return names[0] if len(names) == 1 else f"no difference: {', '.join(names)}"


def _with_code(point: Point) -> str:
    return f"{point.way} ({point.code})" if point.code else point.way


# --- how many cameras ---------------------------------------------------------------------------

CARRIED = ("remote_pixels", "remote_jpeg", "split_float32", "split_8bit", "split_png")


def mtl_capacity() -> str:
    """How many cameras a narrow cell carries, operating point by operating point."""
    rows = []
    for point in CARRIED:
        file = published_file(STUDY, f"capacity/{point}.json")
        rows.append([POINTS[point].label, *carried(file)[1]])
    heading = ["", "cameras that fit", "surely fit … surely not", "misses %", "replications"]
    return markdown(heading, rows, numeric_from=1)


BLOCKS = {
    made.__name__: made
    for made in (
        mtl_shared,
        mtl_device,
        mtl_points,
        mtl_latency,
        mtl_energy,
        mtl_load,
        mtl_crossovers,
        mtl_capacity,
    )
}
