"""A measured profile as a JSON file: written whole, read back with every figure checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError
from simsplit.files import write_whole
from simsplit.hardware.profile import FORMAT, Host, NetworkProfile, Profile, Timing, rounded
from simsplit.operators import Operator, from_rows

# --- file -------------------------------------------------------------------------------------


def write_profile(path: Path, profile: Profile) -> None:
    """Write a profile file, keeping the networks that the file already holds.

    Raises:
        ArtefactError: The file is of another machine or number of threads, or is damaged.
    """
    if path.exists():
        try:
            profile = read_profile(path).merged(profile)
        except ArtefactError as error:
            raise ArtefactError(f"{path}: {error.message}") from None
    head = {
        "format": FORMAT,
        "machine": {name: getattr(profile.machine, name) for name in Host.__slots__},
    }
    lines = [f"{json.dumps(key)}: {_network_text(one)}" for key, one in profile.networks.items()]
    text = json.dumps(head)[:-1] + ',\n"networks": {\n' + ",\n".join(lines) + "\n}}\n"
    write_whole(path, text)


def _network_text(network: NetworkProfile) -> str:
    content = {
        "height": network.height,
        "width": network.width,
        "date": network.date,
        "empty_call_s": rounded(network.empty_call_s),
        "rounds": network.rounds,
        "p90_over_median": {b: rounded(ratio) for b, ratio in network.p90_over_median.items()},
        "instrumented_s": {b: rounded(spent) for b, spent in network.instrumented_s.items()},
        "total": {batch: timing.row() for batch, timing in network.totals.items()},
        "operators": [_operator_row(operator) for operator in network.operators],
        "seconds": {b: [timing.row() for timing in nodes] for b, nodes in network.nodes.items()},
    }
    parts = (f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in content.items())
    return "{" + ",\n ".join(parts) + "}"


def _operator_row(operator: Operator) -> list[Any]:
    return [_whole_number(value) for value in operator.row()]


def _whole_number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_profile(path: Path) -> Profile:
    """The profile in a file.

    Raises:
        ArtefactError: No such file, or it is damaged; says where.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ArtefactError(f"{path}: no such profile") from None
    except ValueError as error:
        raise ArtefactError(f"{path}: not a profile: {error}") from None
    try:
        return _profile(content)
    except KeyError as error:
        raise ArtefactError(f"{path}: the profile has no {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise ArtefactError(f"{path}: damaged profile: {error}") from None


def _profile(content: Mapping[str, Any]) -> Profile:
    if content["format"] != FORMAT:
        raise ValueError(f"format is {content['format']!r}, not {FORMAT!r}")
    networks = {key: _network(key, one) for key, one in content["networks"].items()}
    return Profile(Host(**content["machine"]), networks)


def _network(key: str, content: Mapping[str, Any]) -> NetworkProfile:
    network = NetworkProfile(
        height=content["height"],
        width=content["width"],
        date=content["date"],
        operators=from_rows(content["operators"]),
        totals={int(b): _timing(key, row) for b, row in content["total"].items()},
        nodes={
            int(b): tuple(_timing(key, row) for row in rows)
            for b, rows in content["seconds"].items()
        },
        empty_call_s=content["empty_call_s"],
        p90_over_median={int(b): float(r) for b, r in content["p90_over_median"].items()},
        rounds={int(b): int(rounds) for b, rounds in content["rounds"].items()},
        instrumented_s={int(b): float(spent) for b, spent in content["instrumented_s"].items()},
    )
    _check(key, network)
    return network


def _timing(key: str, row: Sequence[float]) -> Timing:
    timing = Timing(*row)
    if not 0 <= timing.low_s <= timing.median_s <= timing.high_s:
        raise ValueError(f"{key}: {row} is no median inside its interval")
    return timing


def _check(key: str, network: NetworkProfile) -> None:
    if not network.totals or set(network.totals) != set(network.nodes):
        raise ValueError(f"{key}: batch sizes of 'total' and 'seconds' differ")
    nodes = len(network.node_operators)
    for batch, timings in network.nodes.items():
        if len(timings) != nodes:
            raise ValueError(f"{key}: {len(timings)} timings at batch {batch} for {nodes} nodes")
        if sum(timing.median_s for timing in timings) <= 0:
            raise ValueError(f"{key}: no time was spent at batch {batch}")
