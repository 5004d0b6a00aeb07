"""A synthetic scenario, rows and stations, shaped as `simsplit.study.run` makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from simsplit.scenario.scenario import Scenario

POINTS = {"local": "local", "jpeg": "raw", "entropy": "separate", "jscc": "jscc"}


def scenario(**changes: Any) -> Scenario:
    split = {"raw": {}, "local": {}, "separate": {"split": "s8"}, "jscc": {"split": "s8"}}
    codec = {"raw": {"kind": "jpeg"}, "separate": {"kind": "entropy"}}
    points = [
        {"name": name, "scheme": scheme, "codec": codec.get(scheme)} | split[scheme]
        for name, scheme in POINTS.items()
    ]
    group = {"hardware": "phone", "count": 2, "arrivals": {"kind": "poisson", "rate_hz": 5}}
    devices = [{"name": f"g_{name}", "operating_point": name} | group for name in POINTS]
    cell = {"channel": {"kind": "fixed_snr", "snr_db": 10}}
    whole = {"name": "toy", "duration_s": 100.0, "operating_points": points}
    return Scenario.model_validate(whole | {"devices": devices, "cell": cell} | changes)


def requests(per_point: int = 400, replications: int = 1, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = [
        _rows(rng, replication, position, name, scheme, per_point)
        for replication in range(replications)
        for position, (name, scheme) in enumerate(POINTS.items())
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame.insert(0, "request_id", np.arange(len(frame)))
    return frame


def _rows(
    rng: np.random.Generator, replication: int, position: int, name: str, scheme: str, n: int
) -> pd.DataFrame:
    local = scheme == "local"
    arrival = np.sort(rng.uniform(0, 100, n))
    start = arrival + rng.exponential(0.002, n)
    end = start + (0.03 if local else 0.004)
    radio = end + (np.nan if local else rng.gamma(4, 0.002 * position, n))
    edge_start = radio + rng.exponential(0.001, n)
    edge_end = edge_start + 0.003
    closed = end if local else edge_end + 0.001
    lost = (rng.random(n) < 0.05) & (scheme == "raw")
    latency = np.where(lost, np.nan, closed - arrival)
    joules = [np.full(n, 0.03 if local else 0.004), np.full(n, 0.004 * position)]
    edge_j = np.full(n, 0.0 if local else 0.006)
    miou = np.clip(rng.normal(0.6 - 0.03 * position, 0.05, n), 0, 1) * ~lost
    bits = {"raw": 24_000, "separate": 9_000}.get(scheme, 0)
    columns = {
        "replication": replication, "device": 2 * position + rng.integers(0, 2, n),
        "group": f"g_{name}", "operating_point": name, "scheme": scheme,
        "sample": rng.integers(0, 64, n), "arrival_s": arrival, "device_start_s": start,
        "device_end_s": end, "radio_start_s": end if not local else np.nan, "radio_end_s": radio,
        "edge_arrival_s": np.where(lost, np.nan, radio),
        "edge_start_s": np.where(lost, np.nan, edge_start),
        "edge_end_s": np.where(lost, np.nan, edge_end),
        "closed_s": np.where(lost, np.nan, closed), "latency_s": latency,
        "status": np.where(lost, "lost", "done"), "delivered": ~lost, "computed_locally": local,
        "snr_db": 10.0, "mcs": 10, "blocks": 1, "attempts": 0 if local else 1 + lost * 3,
        "payload_bits": bits, "channel_uses": 0 if local else 2_000, "deadline_s": 0.1,
        "header_bits": 0 if local else 304, "access_delay_s": np.nan if local else 0.001,
        "pilot_uses": 0 if local else 154,
        "deadline_met": np.nan_to_num(latency, nan=9.0) < 0.1, "batch_size": 1, "worker": 0,
        "compute_energy_j": joules[0], "tx_energy_j": joules[1], "rx_energy_j": 1e-4 * ~lost,
        "edge_energy_j": edge_j, "papr_db": np.nan,
        "energy_j": joules[0] + joules[1] + 1e-4 * ~lost + edge_j, "score_miou": miou,
        "score_psnr_db": rng.normal(28 - position, 1, n),
    }  # fmt: skip
    return pd.DataFrame(columns)


def stations(replications: int = 1, busy: float = 0.3, edge: float = 0.5) -> list[dict[str, Any]]:
    joules = {
        "idle_j": 5.0,
        "compute_j": 3.0,
        "transmit_j": 1.0,
        "receive_j": 0.5,
        "listen_j": 0.3,
        "sleep_j": 0.2,
        "total_j": 10.0,
    }
    devices = [
        {"device": d, "group": "g", "busy_s": 100 * busy * (1 + d) / 8, "idle_s": 50.0}
        | {"window_busy_s": 100 * busy * (1 + d) / 8}
        | {"transmit_s": 1.0} | joules
        for d in range(8)
    ]  # fmt: skip
    one = {
        "window_s": 100.0, "end_s": 102.0, "devices": devices,
        "radio": {"prb_slots_used": 20, "prb_slots_total": 102, "window_prb_slots_used": 20,
                  "window_prb_slots_total": 100},
        "edge": {"workers": 2, "busy_s": 200 * edge, "on_s": 204.0,
                 "window_busy_s": 200 * edge, "window_on_s": 200.0, "idle_j": 1.0,
                 "starting_j": 0.0, "compute_j": 2.0, "total_j": 3.0},
    }  # fmt: skip
    return [{"replication": r} | one for r in range(replications)]


def store(folder: Any, seed: int = 0, **changes: Any) -> Any:
    """Write a synthetic result folder and return what was written."""
    import yaml

    from simsplit.results import store as results
    from simsplit.results.identity import make_manifest
    from simsplit.results.summary import summarise

    made, rows = scenario(**changes), requests(seed=seed)
    summary = summarise(made, rows, stations())
    origin = make_manifest(made, {"weights": "abc"}, {"run": 1}, 1.5)
    text = yaml.safe_dump(made.model_dump(mode="json"))
    results.write_result(folder, made, rows, summary, origin, text)
    return results.Result(folder, made, rows, summary, origin)


NO_SUMMARY: dict[str, Any] = {
    "replications": 1,
    "operating_points": {},
    "utilisation": {},
    "flags": [],
}
