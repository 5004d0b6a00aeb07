"""Recorded positions of devices from CSV files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsplit.errors import ScenarioError
from simsplit.scenario.devices import DeviceGroup, TraceMobility
from simsplit.scenario.scenario import Scenario

if TYPE_CHECKING:
    from simsplit.sim.radio.positions import Tracks


def read_tracks(scenario: Scenario) -> dict[str, Tracks]:
    """Recorded positions by group and device number from CSV: time_s, device, x_m, y_m.

    Rows may come in any order of time; groups whose mobility is of another kind are left out.

    Raises:
        ScenarioError: No such file or column, or a device of the group without a track.
    """
    return {
        group.name: _tracks_of(group, group.mobility.file)
        for group in scenario.devices
        if isinstance(group.mobility, TraceMobility)
    }


def _tracks_of(group: DeviceGroup, file: str) -> Tracks:
    """A track for each device of the group, which are numbered from 0."""
    path = f"devices.{group.name}.mobility.file"
    tracks = _read_track(file, path)
    missing = [str(number) for number in range(group.count) if number not in tracks]
    if missing:
        message = f"has no track for device {', '.join(missing[:5])} of {group.count}"
        raise ScenarioError(message, path=path, value=file)
    return tracks


def _read_track(file: str, path: str) -> Tracks:
    import pandas as pd

    try:
        frame = pd.read_csv(file).sort_values("time_s", kind="stable")
        return {
            int(str(device)): (
                rows["time_s"].to_numpy(float),
                rows["x_m"].to_numpy(float),
                rows["y_m"].to_numpy(float),
            )
            for device, rows in frame.groupby("device")
        }
    except (OSError, KeyError, ValueError) as error:
        message = f"needs a CSV with the columns time_s, device, x_m and y_m ({error})"
        raise ScenarioError(message, path=path, value=file) from error
