"""Radio map: who and what is drawn, and that the picture says what it leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import synthetic
from simsplit.errors import ScenarioError
from simsplit.figures import radio_map as module
from simsplit.figures.contract import PlotOptions
from simsplit.figures.style import paper_figure
from simsplit.scenario.scenario import Scenario
from simsplit.sim.radio.coverage import coverage, places, ways

UMI: dict[str, Any] = {"kind": "umi_street_canyon"}
HEX = {"kind": "hex", "rings": 1, "inter_site_distance_m": 200.0}
LINE = {"kind": "straight", "speed_mps": 1.0}


def scenario(groups: Any, **cell: Any) -> Scenario:
    base = {"hardware": "phone", "count": 3, "operating_point": "jpeg"}
    base |= {"arrivals": {"kind": "poisson", "rate_hz": 5}}  # type: ignore[dict-item]
    devices = [base | {"name": f"g{n}"} | group for n, group in enumerate(groups)]
    return synthetic.scenario(devices=devices, cell={"channel": UMI} | cell)


def drawn(made: Scenario, ax: Any) -> None:
    what = (coverage(made, points=20), places(made), ways(made))
    module.radio_map(*what, made.devices, ax)


def test_groups_sites_rings_and_ways() -> None:
    far = {"distance_max_m": 250.0, "mobility": LINE}
    made = scenario([{}, far, {"place_group": "g0"}], sites=HEX)
    with paper_figure() as (_, ax):
        drawn(made, ax)
        _, names = ax.get_legend_handles_labels()
        assert names == ["g0, 1 more there", "g1", "sites"]
        dots = {str(dot.get_label()): dot.get_offsets() for dot in ax.collections[-3:]}
        expected = places(made).groupby("group")[["x_m", "y_m"]]
        np.testing.assert_allclose(dots["g1"], expected.get_group("g1"))
        assert len(dots["sites"]) == 7
        rings = [line for line in ax.lines if line.get_linestyle() == "--"]
        radii_m = [float(np.hypot(*ring.get_data())[0]) for ring in rings]
        assert sorted(round(radius_m, 6) for radius_m in radii_m) == [10.0, 200.0, 250.0]
        shades = {round(r, 6): ring.get_color() for r, ring in zip(radii_m, rings, strict=True)}
        assert shades[10.0] == "0.2" != shades[200.0] != shades[250.0]
        assert len(ax.lines) - len(rings) == 3  # ways of g1's devices
        assert ax.get_aspect() == 1.0


@pytest.mark.parametrize("span_db", [3.0, 40.0, 300.0])
def test_levels_hold_the_whole_map(span_db: float) -> None:
    cover = coverage(scenario([{}]), points=4)
    cover.snr_db[:] = np.linspace(-span_db / 2 + 0.3, span_db / 2, 16).reshape(4, 4)
    levels = module._levels_db(cover)
    assert levels[0] <= cover.snr_db.min() and levels[-1] >= cover.snr_db.max()
    assert 3 < len(levels) <= 15 and set(np.diff(levels)) <= set(module._STEPS_DB)


def test_label_says_power_width_and_what_is_left_out() -> None:
    made = scenario([{"tx_power_dbm": 17.0}], sites=HEX, fading={"kind": "rayleigh"})
    label = module.scale_label(coverage(made, points=4))
    assert "17 dBm on 51 blocks" in label and "mean uplink" in label and "[dB]" in label
    assert label.endswith("without shadowing, fading, interference")
    whole = coverage(scenario([{}], channel=UMI | {"shadowing": False}), points=4)
    assert module.scale_label(whole).endswith("nothing left out")


def test_draw_a_stored_run(tmp_path: Path) -> None:
    folder = synthetic.store(tmp_path / "run", cell={"channel": UMI}).folder
    drawing = module.draw(folder, PlotOptions())
    data, (ax, bar) = drawing.data, drawing.figure.axes
    assert data["what"].value_counts().to_dict() == {"map": 10_000, "device": 8, "site": 1}
    assert ax.get_xlabel() == "x [m]" and "without shadowing" in bar.get_ylabel()
    stand = data[data["what"] == "device"]
    expected = places(synthetic.scenario(cell={"channel": UMI}))
    np.testing.assert_allclose(
        stand[["x_m", "y_m", "snr_db"]].to_numpy(float), expected[["x_m", "y_m", "snr_db"]]
    )
    assert list(stand["device"]) == list(range(8))


def test_device_chooses_whose_power(tmp_path: Path) -> None:
    devices = [
        {"name": name, "hardware": "phone", "count": 1, "operating_point": "jpeg"}
        | {"arrivals": {"kind": "poisson", "rate_hz": 5}, "tx_power_dbm": power_dbm}
        for name, power_dbm in (("strong", 23.0), ("weak", 13.0))
    ]
    folder = synthetic.store(tmp_path / "run", devices=devices, cell={"channel": UMI}).folder
    labels = [
        module.draw(folder, PlotOptions(device=device)).figure.axes[1].get_ylabel()
        for device in (None, 1)
    ]
    assert "23 dBm" in labels[0] and "13 dBm" in labels[1]
    with pytest.raises(ScenarioError, match=r"0 to 1 \(found: 2\)"):
        module.draw(folder, PlotOptions(device=2))


def test_a_channel_without_places_is_refused(tmp_path: Path) -> None:
    folder = synthetic.store(tmp_path / "run").folder
    with pytest.raises(ScenarioError, match=r"'fixed_snr'.*Choices: free_space, log_distance"):
        module.draw(folder, PlotOptions())
