"""Unit: a measured channel drives a whole run after one ``--set``, whatever wrote the file."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import simsplit
from simsplit.cli.terminal import app
from simsplit.errors import SimsplitError

FILES = {
    "two columns": "time,snr\n0,12\n1,8\n2,15\n3,9\n",
    "drive test": "Timestamp;Level [dBm];SNR [dB]\n0;-85;12,0\n1;-90;8,0\n2;-80;15,0\n3;-88;9,0\n",
    "no header": "0 12\n1 8\n2 15\n3 9\n",
}


def run(folder, file: str, *more: str):
    overrides = [f"cell.channel={{kind: trace, file: {file}{''.join(more)}}}"]
    return simsplit.run("digits_smoke", overrides=overrides, out=folder / "result", duration_s=3)


@pytest.mark.parametrize("name", FILES)
def test_any_table_of_time_and_snr_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drive.csv").write_text(FILES[name])
    rows = run(tmp_path, "drive.csv").requests
    sent = rows[np.isfinite(rows["snr_db"]) & (rows["attempts"] == 1)]
    assert len(sent) > 10
    expected = np.interp(sent["radio_end_s"], [0, 1, 2, 3], [12, 8, 15, 9])
    assert np.abs(sent["snr_db"] - expected).max() < 0.05  # the slot began a little earlier


def test_rsrp_becomes_path_loss(tmp_path):
    """SNR = P_tx - (P_RE - RSRP) - N over the grant; the reference defaults to 15 dBm per RE."""
    file = tmp_path / "walk.csv"
    file.write_text("time_s,device,rsrp_dbm\n0,a,-90\n10,a,-90\n")
    rows = run(tmp_path, str(file)).requests
    sent = rows[(rows["attempts"] == 1) & (rows["scheme"] != "jscc")]
    noise_dbm = -173.975 + 10 * np.log10(12 * 30e3) + 5
    n_prb = sent["channel_uses"] / 156
    expected = 23.0 - 10 * np.log10(n_prb) - (15.0 + 90.0) - noise_dbm
    assert len(sent) > 5 and np.abs(sent["snr_db"] - expected).max() < 0.01


def test_end_of_the_trace_repeats_or_is_refused(tmp_path):
    file = tmp_path / "short.csv"
    file.write_text("time,snr\n0,12\n0.5,8\n")
    assert len(run(tmp_path, str(file)).requests)
    with pytest.raises(SimsplitError, match=r"0\.5"):
        overrides = [f"cell.channel={{kind: trace, file: {file}, at_end: error}}"]
        simsplit.run("digits_smoke", overrides=overrides, out=tmp_path / "other")


def test_check_says_what_was_understood(tmp_path):
    file = tmp_path / "drive.csv"
    file.write_text(FILES["drive test"])
    arguments = ["check", "digits_smoke", "--set", f"cell.channel={{kind: trace, file: {file}}}"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert "'SNR [dB]' as SNR" in done.stdout and "at its end: repeat" in done.stdout
    done = CliRunner().invoke(app, ["trace", "show", str(file)])
    assert done.exit_code == 0 and "15.0" in done.stdout


def test_identity_of_a_run_holds_the_content_of_its_trace(tmp_path):
    digests = set()
    for level in (12, 13):
        file = tmp_path / "drive.csv"
        file.write_text(f"time,snr\n0,{level}\n9,{level}\n")
        overrides = [f"cell.channel={{kind: trace, file: {file}}}"]
        out = tmp_path / str(level)
        found = simsplit.run("digits_smoke", overrides=overrides, out=out, duration_s=1)
        digests.add(found.manifest["digest"])
    assert len(digests) == 2


TRACK = """time_s,device,x_m,y_m
0,0,20,0
10,0,120,0
0,1,0,50
"""


def drive(folder, track: str):
    file = folder / "track.csv"
    file.write_text(track)
    overrides = [
        "cell.channel={kind: free_space}",
        "cell.fading={kind: none}",
        f"devices.0.mobility={{kind: trace, file: {file}}}",
        "devices.0.count=2",
    ]
    return simsplit.run("digits_smoke", overrides=overrides, out=folder / "r", duration_s=5)


def test_recorded_tracks_move_the_devices(tmp_path):
    """From 20 m to 70 m in 5 s: free space loses 20 log10(70 / 20) = 10.9 dB."""
    rows = drive(tmp_path, TRACK).requests
    mine = rows[(rows["device"] == 0) & (rows["attempts"] == 1)]
    level = mine["snr_db"] + 10 * np.log10(mine["channel_uses"] / 156)
    expected = -20 * np.log10(20 + 10 * (mine["radio_end_s"] // 0.1 * 0.1))
    assert len(mine) > 5
    assert np.ptp(level - expected) < 0.3  # path loss is evaluated every 0.1 s
    still = rows[(rows["device"] == 1) & (rows["attempts"] == 1)]
    assert np.ptp(still["snr_db"] + 10 * np.log10(still["channel_uses"] / 156)) < 1e-9


def test_a_device_without_a_track_is_an_error(tmp_path):
    with pytest.raises(SimsplitError, match=r"mobility.file: has no track for device 1 of 2"):
        drive(tmp_path, TRACK.replace("0,1,0,50\n", ""))
