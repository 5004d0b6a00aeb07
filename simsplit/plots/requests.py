"""Figures of one run's requests: latency distribution, latency by stage, energy by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.plots.style import (
    HATCHES,
    colour,
    grid,
    legend_above,
    look,
    paper_figure,
    plain_log_ticks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


def latency_cdf(requests: DataFrame) -> Figure:
    """Fraction of all requests answered within a time, per operating point.

    Lost, rejected and open requests count as never answered: the curve then ends below 1.
    """
    with paper_figure() as (figure, ax):
        for position, (name, part) in enumerate(requests.groupby("operating_point", sort=False)):
            latency_ms = np.sort(1e3 * part["latency_s"].dropna().to_numpy(float))
            share = np.arange(1, latency_ms.size + 1) / len(part)
            every = max(1, latency_ms.size // 5)
            style = look(position) | {"markevery": (position * every // 8, every)}
            ax.step(latency_ms, share, where="post", label=str(name), **style)
        ax.set_xscale("log")
        plain_log_ticks(ax)
        ax.set_ylim(0, 1.02)
        ax.set_xlabel("latency [ms]")
        ax.set_ylabel("fraction of requests")
        grid(ax, "both")
        legend_above(ax)
        return figure


def latency_by_stage(requests: DataFrame) -> Figure:
    """Mean time in every stage of the closed requests, stacked per operating point."""
    closed = requests[requests["latency_s"].notna()]
    stages = stage_times(closed)
    means_ms = 1e3 * stages.groupby(closed["operating_point"], sort=False).mean()
    return _stacked(means_ms, "mean latency [ms]")


def stage_times(closed: DataFrame) -> DataFrame:
    """Seconds per stage; stages not visited are 0; columns sum to ``latency_s``.

    ``other`` is what the stages do not explain, e.g. a local retry after a loss.
    """
    import pandas as pd

    at_edge = closed["edge_arrival_s"].fillna(closed["radio_end_s"])
    times = {
        "device wait": closed["device_start_s"] - closed["arrival_s"],
        "device compute": closed["device_end_s"] - closed["device_start_s"],
        "radio": at_edge - closed["device_end_s"],
        "edge wait": closed["edge_start_s"] - closed["edge_arrival_s"],
        "edge compute": closed["edge_end_s"] - closed["edge_start_s"],
        "downlink": closed["closed_s"] - closed["edge_end_s"],
    }
    stages = pd.DataFrame(times).fillna(0.0)
    other = closed["latency_s"] - stages.sum(axis=1)
    if (other.abs() > 1e-6).any():
        stages["other"] = other
    return stages


def energy_by_part(requests: DataFrame) -> Figure:
    """Mean energy per request: device compute, transmission, edge, stacked per operating point."""
    parts = {
        "device compute": "compute_energy_j",
        "transmission": "tx_energy_j",
        "reception": "rx_energy_j",
        "edge": "edge_energy_j",
    }
    means = requests.groupby("operating_point", sort=False)[list(parts.values())].mean()
    means_mj = 1e3 * means.rename(columns={column: name for name, column in parts.items()})
    return _stacked(means_mj, "energy per request [mJ]")


def _stacked(means: DataFrame, label: str) -> Figure:
    """Horizontal stacked bars, rows of ``means`` from top to bottom, the sum written at the end."""
    with paper_figure(1.1 + 0.28 * len(means)) as (figure, ax):
        position = np.arange(len(means))
        left = np.zeros(len(means))
        for index, name in enumerate(means.columns):
            width = means[name].to_numpy(float)
            style: dict[str, Any] = {"color": colour(index), "hatch": HATCHES[index]}
            ax.barh(position, width, 0.65, left=left, label=name, edgecolor="k", lw=0.4, **style)
            left = left + width
        for y, total in enumerate(left):
            text = f"{total:.0f}" if total >= 100 else f"{total:#.3g}"
            offset: dict[str, Any] = {"xytext": (3, 0), "textcoords": "offset points"}
            ax.annotate(text, (total, y), va="center", fontsize=7, **offset)
        ax.set_yticks(position, [str(name) for name in means.index])
        ax.invert_yaxis()
        ax.set_xlim(0, 1.12 * float(left.max() or 1.0))
        ax.set_xlabel(label)
        ax.tick_params(axis="y", length=0)
        grid(ax, "x")
        legend_above(ax, columns=3)
        return figure
