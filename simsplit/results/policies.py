"""Policies side by side over a sweep: latency, energy, cut and regret, as a table and a figure.

The sweep has an axis of policies (``devices.<group>.policy=…,…``), one numeric axis, and perhaps
one of networks (``networks.<name>.source``). Everything is read from the stored rows of the group
whose policy was swept; all policies see the same arrivals, places and fading.

* ``latency_s``, ``energy_j``: means over answered requests; energy of the device (compute,
  transmit, receive). ``latency_s_low``, ``latency_s_high``: the mean's 95 % interval.
* ``device_share``: compute seconds on the device over those of the whole network there.
* ``rate_bps``: payload bits over seconds on the air of the largest payload among the policies.
* ``gap_<point>``: without a numeric axis, the policy's headline score in time less that of the
  fixed point, request by request, with its 95 % interval (`simsplit.results.statistics.estimate`).
* ``regret``: latency over that of the oracle, minus 1. ``against_ends``: latency of the better of
  the two fixed ends over that of the policy (above 1: a gain), and the same of energy;
  ``over_cloud``: latency of the fixed end ``cloud`` over that of the policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from simsplit.errors import ArtefactError
from simsplit.results.statistics import bounds_of, estimate
from simsplit.results.store import read_result
from simsplit.results.summary import measured
from simsplit.results.sweep_folder import read_description
from simsplit.results.sweep_table import with_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame


Floats: TypeAlias = "NDArray[np.float64]"
POLICY = ".policy"
SOURCE = ".source"
ORACLE = "oracle"


def study(sweep_dir: Path) -> DataFrame:
    """One row per point of the sweep: axes, and what the swept group's requests came to.

    The table names the axes besides the policies (`simsplit.results.sweep_table.with_axes`).

    Raises:
        ArtefactError: Not a finished sweep of policies.
    """
    import pandas as pd

    spec = read_description(sweep_dir)
    points = spec.points
    if not points:
        raise ArtefactError("the sweep has no points", path=str(sweep_dir))
    policy = _axis(spec.axes, POLICY)
    labels = _labels(points, policy)
    rows = [
        _row(sweep_dir / name, point, policy, labels)
        for name, point in points.items()
        if (sweep_dir / name).is_dir()
    ]
    if not rows:
        raise ArtefactError("the sweep has no finished point yet", path=str(sweep_dir))
    axes = [axis for axis in spec.axes if axis != policy]
    return with_axes(_compared(pd.DataFrame(rows), ["network", *axes]), axes)


def _axis(axes: Sequence[str], ending: str) -> str:
    ends = [axis for axis in axes if axis.endswith(ending)]
    if len(ends) != 1:
        raise ArtefactError(f"the sweep needs one axis that ends in {ending}, found {ends}")
    return ends[0]


def _row(
    folder: Path, point: Mapping[str, Any], policy: str, labels: Mapping[str, str]
) -> dict[str, Any]:
    result = read_result(folder)
    requests, group = result.requests, policy.split(".")[1]
    mine = requests[(requests["group"] == group) & (requests["status"] == "done")]
    mine = mine[mine["arrival_s"] >= result.scenario.warmup_s]
    device_j = mine["compute_energy_j"] + mine["tx_energy_j"] + mine["rx_energy_j"]
    on_air_s = mine["radio_end_s"] - mine["radio_start_s"]
    return {
        "network": next((str(v) for k, v in point.items() if k.endswith(SOURCE)), ""),
        "policy": labels[str(point[policy])],
        **{axis: value for axis, value in point.items() if axis != policy},
        "n": len(mine),
        "latency_s": float(mine["latency_s"].mean()),
        **_latency_ends(mine),
        "energy_j": float(device_j.mean()),
        "compute_s": float((mine["device_end_s"] - mine["device_start_s"]).mean()),
        "payload_bits": float(mine["payload_bits"].mean()),
        "rate_bps": float((mine["payload_bits"] / on_air_s).mean()),
        "choice": str(mine["operating_point"].mode().iat[0]) if len(mine) else "",
    }


def _latency_ends(rows: DataFrame) -> dict[str, float]:
    """Ends of the mean latency's 95 % interval; those of one run are correlated (`estimate`)."""
    rows = rows.sort_values(["replication", "arrival_s"], kind="stable")
    values, runs = rows["latency_s"].to_numpy(float), rows["replication"].to_numpy(np.int64)
    ends = _estimated("latency_s", values, runs, bounds_of("latency_s"))
    return {name: end for name, end in ends.items() if name != "latency_s"}


def _labels(points: Mapping[str, Mapping[str, Any]], policy: str) -> dict[str, str]:
    """Label of every policy of the axis; those that would share one keep their YAML text."""
    texts = list(dict.fromkeys(str(point[policy]) for point in points.values()))
    short = [policy_label(text) for text in texts]
    return {
        text: label if short.count(label) == 1 else text
        for text, label in zip(texts, short, strict=True)
    }


def policy_label(text: str) -> str:
    """A policy's YAML text → ``neurosurgeon``, or the point of a fixed one."""
    import yaml

    spec = yaml.safe_load(text)
    if not isinstance(spec, dict):
        return text
    if spec["kind"] == "fixed":
        return str(spec["point"])
    objective = spec.get("objective", "latency")
    detail = spec.get("threshold", "" if objective == "latency" else objective)
    return str(spec["kind"]) + (f" ({detail})" if detail != "" else "")


def _compared(frame: DataFrame, situation: Sequence[str]) -> DataFrame:
    """Adds rate, device share, regret and the gain over the better end, situation by situation."""
    import pandas as pd

    parts = [_in_one_situation(part) for _, part in frame.groupby(list(situation), sort=False)]
    return pd.concat(parts, ignore_index=True)


def _in_one_situation(part: DataFrame) -> DataFrame:
    part = part.copy()
    largest = int(part["payload_bits"].fillna(-1.0).to_numpy(float).argmax())  # NaN: no answers
    part["rate_bps"] = part["rate_bps"].to_numpy(float)[largest]
    part["device_share"] = part["compute_s"] / part["compute_s"].max()
    oracle = part.loc[part["policy"] == ORACLE, "latency_s"].to_numpy(float)
    part["regret"] = part["latency_s"] / oracle[0] - 1.0 if len(oracle) else np.nan
    ends = part[part["policy"].isin(["cloud", "mobile"])]
    for measure in ("latency_s", "energy_j"):
        best = float(ends[measure].min()) if len(ends) else np.nan
        part[f"gain_{measure[:-2]}"] = best / part[measure]
    cloud = part.loc[part["policy"] == "cloud", "latency_s"].to_numpy(float)
    part["over_cloud"] = cloud[0] / part["latency_s"] if len(cloud) else np.nan
    return part


def gains(frame: DataFrame) -> DataFrame:
    """Per network and policy: mean and worst regret, mean and largest gain over the better end."""
    rows = []
    for (network, policy), part in frame.groupby(["network", "policy"], sort=False):
        rows.append(
            {
                "network": network,
                "policy": policy,
                "situations": len(part),
                "mean_regret": float(part["regret"].mean()),
                "worst_regret": float(part["regret"].max()),
                "mean_gain_latency": float(part["gain_latency"].mean()),
                "largest_gain_latency": float(part["gain_latency"].max()),
                "smallest_gain_latency": float(part["gain_latency"].min()),
                "mean_over_cloud_latency": float(part["over_cloud"].mean()),
                "mean_gain_energy": float(part["gain_energy"].mean()),
                "largest_gain_energy": float(part["gain_energy"].max()),
            }
        )
    import pandas as pd

    return pd.DataFrame(rows)


# --- policies against every fixed point -------------------------------------------------------


def scores(sweep_dir: Path) -> DataFrame:
    """One row per policy of a sweep over policies alone: score in time, its cost, paired gaps.

    Raises:
        ArtefactError: Nothing was scored, or the policies do not see the same requests.
    """
    import pandas as pd

    spec = read_description(sweep_dir)
    points = spec.points
    if not points:
        raise ArtefactError("the sweep has no points", path=str(sweep_dir))
    policy = _axis(spec.axes, POLICY)
    labels = _labels(points, policy)
    seen = {
        labels[str(point[policy])]: _measured_rows(sweep_dir / name, policy.split(".")[1])
        for name, point in points.items()
    }
    fixed = {label: rows for label, rows in seen.items() if set(rows["operating_point"]) == {label}}
    return pd.DataFrame([_scored(label, rows, fixed) for label, rows in seen.items()])


def _measured_rows(folder: Path, group: str) -> DataFrame:
    """The swept group's requests of the measured window, in order of arrival."""
    result = read_result(folder)
    rows = measured(result.scenario, result.requests)
    return rows[rows["group"] == group]


def _scored(label: str, rows: DataFrame, fixed: Mapping[str, DataFrame]) -> dict[str, Any]:
    metric = next((c for c in rows.columns if c.endswith("_in_time")), None)
    if metric is None:
        raise ArtefactError("nothing was scored in this sweep")
    replication = rows["replication"].to_numpy(np.int64)
    least, most = bounds_of(metric)
    device_j = rows["compute_energy_j"] + rows["tx_energy_j"] + rows["rx_energy_j"]
    row: dict[str, Any] = {
        "policy": label,
        "n": len(rows),
        "metric": metric,
        **_estimated("score", rows[metric].to_numpy(float), replication, (least, most)),
        "in_time": float(rows["deadline_met"].mean()),
        "latency_p95_s": float(rows["latency_s"].quantile(0.95)),
        "device_j": float(device_j.mean()),
        "shares": " ".join(
            f"{name}:{share:.3f}"
            for name, share in rows["operating_point"].value_counts(normalize=True).items()
        ),
    }
    for name, other in fixed.items():
        if not np.array_equal(other["request_id"], rows["request_id"]):
            raise ArtefactError(f"'{label}' and '{name}' did not see the same requests")
        gap = rows[metric].to_numpy(float) - other[metric].to_numpy(float)
        row |= _estimated(f"gap_{name}", gap, replication, (least - most, most - least))
    return row


def _estimated(
    name: str, values: Floats, replication: NDArray[np.int64], bounds: tuple[float, float]
) -> dict[str, float]:
    replicated = len(np.unique(replication)) > 1
    kpi = estimate(values, replication, replicated=replicated, bounds=bounds)
    return {name: kpi["mean"], f"{name}_low": kpi["ci_low"], f"{name}_high": kpi["ci_high"]}
