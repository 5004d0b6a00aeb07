"""A run as a trace that opens in Perfetto: where every millisecond and millijoule went.

It is in the Trace Event Format (Google, "Trace Event Format", 2016: JSON object format,
events X, C, s/t/f, i and M), with time in µs. Every device, the cell, the edge and the cloud is a
process. A request is a slice on a track of its device with its stages inside; requests of one
device that overlap are on tracks of their own, because slices of one track may only nest. A batch
is a slice on the track of its worker; an arrow follows each request there and back. Energy of a
stage (mJ) stands on its slice, and as mean power (W) on the counters of its device or server, so
that their integral is the energy of the rows; energy of idle states belongs to no request.
"""

from __future__ import annotations

import heapq
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simsplit.errors import ScenarioError
from simsplit.results.metrics import SCORE
from simsplit.results.stage_table import STAGES
from simsplit.results.stages import Slice, nanoseconds, stages_of
from simsplit.results.store import Result

if TYPE_CHECKING:
    from pandas import DataFrame


Event = dict[str, Any]
SERIES = ("compute", "transmit", "receive", "server", "requests")


class Lanes:
    """Tracks on which slices do not overlap: each takes the first that is free."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._busy: list[tuple[int, int]] = []
        self.count = 0

    def take(self, start_ns: int, end_ns: int) -> int:
        """The track, from 1; to be asked in order of the slices' starts."""
        while self._busy and self._busy[0][0] <= start_ns:
            heapq.heappush(self._free, heapq.heappop(self._busy)[1])
        if not self._free:
            self.count += 1
            self._free.append(self.count)
        tid = heapq.heappop(self._free)
        heapq.heappush(self._busy, (end_ns, tid))
        return tid


class Counter:
    """One counter with its series, from the slices that each adds a value to."""

    def __init__(self) -> None:
        self._changes: list[tuple[int, str, int, float]] = []

    def add(self, series: str, stage: Slice, value: float) -> None:
        self._changes.append((stage.start_ns, series, 1, value))
        self._changes.append((stage.end_ns, series, -1, -value))

    def events(self, pid: int, name: str) -> Iterator[Event]:
        """A value of every series at each change; exactly 0 where nothing is under way."""
        sums = {key: 0.0 for key in SERIES if any(change[1] == key for change in self._changes)}
        active = dict.fromkeys(sums, 0)
        for moment_ns, group in _at_once(sorted(self._changes)):
            for _, series, sign, value in group:
                active[series] += sign
                sums[series] = sums[series] + value if active[series] else 0.0
            args = {key: _nine_digits(value) for key, value in sums.items()}
            yield {"ph": "C", "pid": pid, "name": name, "ts": moment_ns / 1e3, "args": args}


def _at_once(
    changes: Iterable[tuple[int, str, int, float]],
) -> Iterator[tuple[int, list[tuple[int, str, int, float]]]]:
    for moment_ns, group in itertools.groupby(changes, key=lambda change: change[0]):
        yield moment_ns, list(group)


def _nine_digits(value: float) -> float:
    number = float(f"{value:.9g}")
    return int(number) if number.is_integer() else number


@dataclass(frozen=True)
class Window:
    """Requests that arrived in [start_s, end_s), of these replications; None: all."""

    replications: tuple[int, ...] | None = None
    start_s: float = 0.0
    end_s: float = math.inf

    def of(self, requests: DataFrame, replications: int | None = None) -> DataFrame:
        """The rows inside, in order of replication and arrival; none where none was made.

        ``replications``: how many the run had; None: those that have rows.

        Raises:
            ScenarioError: Such a replication is not there, or a span of time that was asked for
                holds no row.
        """
        there = sorted({int(number) for number in requests["replication"]})
        there = there if replications is None else list(range(replications))
        for wanted in self.replications or ():
            if wanted not in there:
                choices = [str(number) for number in there]
                raise ScenarioError(
                    "no such replication", path="--replication", value=wanted, choices=choices
                )
        arrival_s = requests["arrival_s"]
        inside = (arrival_s >= self.start_s) & (arrival_s < self.end_s)
        inside &= requests["replication"].isin(self.replications or there)
        is_part = self.start_s > 0.0 or self.end_s < math.inf
        if is_part and not inside.any():
            raise ScenarioError(f"no request arrived in [{self.start_s:g}, {self.end_s:g}) s")
        return requests[inside].sort_values("request_id", kind="stable")


def replications_of(result: Result) -> int:
    """How many replications a result holds, with requests or not."""
    seen = [int(number) + 1 for number in result.requests["replication"].unique()]
    return max(result.scenario.replications, *seen, 1)


SHOWN = ("request_id", "sample", "operating_point", "scheme", "status", "snr_db", "mcs", "papr_db")
SHOWN_COUNTS = ("attempts", "blocks", "payload_bits", "channel_uses")


def trace_text(result: Result, window: Window) -> str:
    """The trace as JSON text, an event per line."""
    about = {"scenario": result.scenario.name, "digest": result.manifest.get("digest")}
    head = json.dumps({"displayTimeUnit": "ms", "otherData": about})[:-1]
    events = trace_events(result, window)
    lines = (json.dumps(event, separators=(",", ":"), allow_nan=False) for event in events)
    return head + ', "traceEvents": [\n' + ",\n".join(lines) + "\n]}\n"


def trace_events(result: Result, window: Window) -> list[Event]:
    """Every event, metadata first, then in order of time."""
    rows = window.of(result.requests, replications_of(result))
    scores = [name for name in map(str, rows) if name.startswith(SCORE)]
    events: list[Event] = []
    for replication, part in rows.groupby("replication", sort=True):
        places = _Places(result, int(str(replication)))
        events += _Replication(places, scores).events(list(part.itertuples()))
    meta = [event for event in events if event["ph"] == "M"]
    return meta + sorted((event for event in events if event["ph"] != "M"), key=_in_time)


def _in_time(event: Event) -> tuple[float, bool]:
    """Slices first: an arrow or a moment lies in one that is already there.

    Requests come before their stages as it is, and sorting keeps that.
    """
    return event["ts"], event["ph"] != "X"


class _Places:
    """Who is which process: the cell, the edge, the cloud, and every device."""

    def __init__(self, result: Result, replication: int) -> None:
        devices = result.scenario.device_count
        self.cell = 1 + replication * (devices + 3)
        self.tiers = {"edge": self.cell + 1, "cloud": self.cell + 2}
        several = result.scenario.replications > 1
        self.prefix = f"replication {replication}: " if several else ""
        stations = result.summary.get("stations", ())
        mine = next((s for s in stations if s["replication"] == replication), None)
        self.end_s = _last_s(result.requests) if mine is None else float(mine["end_s"])
        used = () if mine is None else mine["devices"]
        self.compute_w = {
            d["device"]: d["compute_j"] / d["busy_s"] for d in used if d.get("busy_s")
        }

    def device(self, number: int) -> int:
        return self.cell + 3 + number

    def named(self, pid: int, name: str, threads: Mapping[int, str]) -> Iterator[Event]:
        """Metadata of one process."""
        yield _meta(pid, 0, "process_name", {"name": self.prefix + name})
        yield _meta(pid, 0, "process_sort_index", {"sort_index": pid})
        for tid, text in sorted(threads.items()):
            yield _meta(pid, tid, "thread_name", {"name": text})
            yield _meta(pid, tid, "thread_sort_index", {"sort_index": tid})


def _meta(pid: int, tid: int, name: str, args: Event) -> Event:
    return {"ph": "M", "pid": pid, "tid": tid, "name": name, "args": args}


def _last_s(requests: DataFrame) -> float:
    names = {stage.end for stage in STAGES} | {"arrival_s"}
    return float(requests[sorted(names)].max().max())


class _Replication:
    """The events of one replication's rows."""

    def __init__(self, places: _Places, scores: Sequence[str]) -> None:
        self._places = places
        self._scores = scores
        self._counters: dict[tuple[int, str], Counter] = defaultdict(Counter)

    def events(self, rows: Sequence[Any]) -> Iterator[Event]:
        for device, part in _grouped(rows, lambda row: row.device):
            yield from self._device(device, part)
        for tier, part in _grouped(rows, lambda row: row.tier):
            if tier:
                yield from self._server(tier, part)
        if any(pid == self._places.cell for pid, _ in self._counters):
            yield from self._places.named(self._places.cell, "cell", {})
        for (pid, name), counter in self._counters.items():
            yield from counter.events(pid, name)

    def _device(self, device: int, rows: Sequence[Any]) -> Iterator[Event]:
        pid, lanes = self._places.device(device), Lanes()
        compute_w = self._places.compute_w.get(device, math.inf)
        for row in rows:
            stages = stages_of(row, self._places.end_s, compute_w)
            if stages:
                yield from self._request(row, stages, pid, lanes)
            else:
                yield self._instant(row, pid)
        threads = {tid: f"requests {tid}" for tid in range(1, max(1, lanes.count) + 1)}
        yield from self._places.named(pid, f"{rows[0].group}: device {device}", threads)

    def _request(
        self, row: Any, stages: Sequence[Slice], pid: int, lanes: Lanes
    ) -> Iterator[Event]:
        span = stages[0].start_ns, stages[-1].end_ns
        tid = lanes.take(*span)
        whole = _slice(row.operating_point, *span, pid, tid)
        yield whole | {"cat": "request", "args": self._args(row)}
        for stage in stages:
            self._count(stage, pid, row.tier)
            yield _stage(stage, pid, tid)
        yield from self._arrow(row, pid, tid)

    def _args(self, row: Any) -> Event:
        shown = {name: getattr(row, name) for name in (*SHOWN, *SHOWN_COUNTS)}
        shown |= {"latency_ms": 1e3 * row.latency_s, "deadline_met": row.deadline_met}
        shown |= {name.removeprefix(SCORE): getattr(row, name) for name in self._scores}
        brief = {name: _brief(value) for name, value in shown.items()}
        values = {name: value for name, value in brief.items() if value is not None}
        return values | {"energy_mj": _mj(row.energy_j)}

    def _instant(self, row: Any, pid: int) -> Event:
        """A request that ended as it arose: no power, or nothing to do."""
        moment: Event = {"ph": "i", "s": "t", "pid": pid, "tid": 1}
        moment["ts"] = nanoseconds(row.arrival_s) / 1e3
        return moment | {"name": row.status, "cat": "request", "args": self._args(row)}

    def _count(self, stage: Slice, pid: int, tier: str) -> None:
        """Queue lengths and powers that the stage is part of."""
        far = self._places.tiers.get(tier, self._places.tiers["edge"])
        queue = {
            "device wait": (pid, "waiting"),
            "radio": (self._places.cell, "uplink"),
            "edge wait": (far, "waiting"),
            "downlink": (self._places.cell, "downlink"),
        }.get(stage.name)
        if queue is not None:
            self._counters[queue].add("requests", stage, 1)
        length_s = (stage.end_ns - stage.start_ns) / 1e9
        for part, joules in stage.parts_j.items():
            if length_s > 0:
                where = far if part == "server" else pid
                self._counters[where, "power_w"].add(part, stage, joules / length_s)

    def _arrow(self, row: Any, pid: int, tid: int) -> Iterator[Event]:
        """From the device's radio to the batch and back to the downlink."""
        if math.isnan(row.edge_start_s):
            return
        far = (self._places.tiers[row.tier], int(row.worker) + 1)
        points = (("s", row.radio_start_s, pid, tid), ("t", row.edge_start_s, *far))
        for kind, moment_s, at, on in (*points, ("f", row.edge_end_s, pid, tid)):
            flow: Event = {"ph": kind, "id": int(row.request_id), "pid": at, "tid": on}
            flow |= {"ts": nanoseconds(moment_s) / 1e3, "name": "request", "cat": "flow"}
            yield flow | ({"bp": "e"} if kind == "f" else {})

    def _server(self, tier: str, rows: Sequence[Any]) -> Iterator[Event]:
        pid = self._places.tiers[tier]
        served = [row for row in rows if not math.isnan(row.edge_start_s)]
        for _, batch in _grouped(served, lambda row: (row.worker, row.edge_start_s)):
            yield _batch(batch, pid)
        workers = {row.worker + 1: f"worker {row.worker}" for row in served}
        yield from self._places.named(pid, tier, workers)


def _grouped(rows: Iterable[Any], key: Callable[[Any], Any]) -> list[tuple[Any, list[Any]]]:
    """Rows with equal keys together, in order of the keys."""
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return sorted(groups.items(), key=lambda item: item[0])


def _batch(rows: Sequence[Any], pid: int) -> Event:
    """What a worker computed at once, and for which requests (of those exported)."""
    first = rows[0]
    points = " + ".join(dict.fromkeys(row.operating_point for row in rows))
    span = nanoseconds(first.edge_start_s), nanoseconds(first.edge_end_s)
    args: Event = {"members": [row.request_id for row in rows], "batch_size": first.batch_size}
    args["batch_mj"] = _mj(sum(row.edge_energy_j for row in rows))
    return _slice(points, *span, pid, first.worker + 1) | {"cat": "batch", "args": args}


def _slice(name: str, start_ns: int, end_ns: int, pid: int, tid: int) -> Event:
    span = {"ts": start_ns / 1e3, "dur": (end_ns - start_ns) / 1e3}
    return {"ph": "X", "pid": pid, "tid": tid, "name": name} | span


def _stage(stage: Slice, pid: int, tid: int) -> Event:
    box = _slice(stage.name, stage.start_ns, stage.end_ns, pid, tid) | {"cat": "stage"}
    energy = {f"{part}_mj": _mj(joules) for part, joules in stage.parts_j.items()}
    return box | ({"args": energy} if energy else {})


def _mj(joules: float) -> float:
    return float(f"{1e3 * joules:.12g}")


def _brief(value: Any) -> Any:
    """Six digits of a number; None for what is not there."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value
