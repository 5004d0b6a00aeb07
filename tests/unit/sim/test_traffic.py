"""Recorded traffic: what a file may say, and what is refused with its place."""

# ruff: noqa: E501

from __future__ import annotations

import pandas as pd
import pytest

from simsplit.errors import ScenarioError
from simsplit.sim.device.arrivals import Recorded, Recording

WHERE = "devices.cams.arrivals.file"


def recording(tmp_path, text: str, **changes) -> Recording:
    file = tmp_path / "t.csv"
    file.write_text(text)
    return Recording(**({"file": str(file), "path": WHERE, "group": "cams", "devices": 3,
                         "samples": 10} | changes))  # fmt: skip


def test_times_by_device_and_samples_drawn_as_ever(tmp_path):
    recorded = recording(tmp_path, "time_s,device\n0.5,0\n0.25,2\n0.75,0\n").of(0)
    assert recorded == {0: Recorded([0.5, 0.75]), 2: Recorded([0.25])}


def test_a_file_without_replications_holds_for_every_one(tmp_path):
    recorded = recording(tmp_path, "time_s,device\n0.5,0\n")
    assert recorded.of(0) == recorded.of(7)


def test_rows_of_its_group_and_replication(tmp_path):
    text = "replication,time_s,group,device,sample,operating_point\n"
    text += "0,0.1,cams,0,7,p\n0,0.2,NA,0,8,p\n1,0.3,cams,1,9,p\n1,0.3,cams,1,2,p\n"
    file = recording(tmp_path, text)
    assert file.of(0) == {0: Recorded([0.1], [7])}
    assert file.of(1) == {1: Recorded([0.3, 0.3], [9, 2])}
    assert recording(tmp_path, text, group="NA").of(0) == {0: Recorded([0.2], [8])}


def test_a_group_may_be_silent_in_one_replication(tmp_path):
    text = "replication,time_s,group,device\n0,0.1,cams,0\n1,0.1,others,0\n"
    assert recording(tmp_path, text).of(1) == {}


def test_parquet_says_the_same(tmp_path):
    text = "time_s,device,sample\n0.1,0,3\n0.30000000000000004,1,4\n"
    csv = recording(tmp_path, text)
    frame = pd.DataFrame({"time_s": [0.1, 0.1 + 0.2], "device": [0, 1], "sample": [3, 4]})
    frame.to_parquet(tmp_path / "t.parquet")
    parquet = Recording(str(tmp_path / "t.parquet"), WHERE, "cams", 3, 10)
    assert parquet.of(0) == csv.of(0) == {0: Recorded([0.1], [3]), 1: Recorded([0.1 + 0.2], [4])}


HEAD = "replication,time_s,group,device,sample\n0,0.5,cams,0,3\n"
BAD = {
    "unknown group": (HEAD, {"group": "cam"}, ["no rows of this group", "'cam'", "Did you mean 'cams'?"]),
    "unknown replication": (HEAD, {"replication": 2}, ["no rows of this replication (found: 2)", "Choices: 0"]),
    "time that is a word": (HEAD + "0,soon,cams,0,3\n", {}, ["line 3: time_s is not a number", "'soon'"]),
    "time left out": (HEAD + "0,,cams,0,3\n", {}, ["line 3: time_s is not a number", "''"]),
    "time that is infinite": (HEAD + "0,inf,cams,0,3\n", {}, ["line 3: time_s is not a number", "inf"]),
    "negative time": (HEAD + "0,-0.1,cams,0,3\n", {}, ["line 3: time_s is negative", "-0.1"]),
    "time before the last": (HEAD + "0,0.1,cams,1,3\n0,0.4,cams,0,3\n", {}, ["line 4: time_s is before the device's last one", "'0.4'"]),
    "device beyond the group": (HEAD + "0,0.6,cams,3,3\n", {}, ["line 3: device must be one of 3: 0 to 2", "found: 3"]),
    "device that is half": (HEAD + "0,0.6,cams,0.5,3\n", {}, ["line 3: device is not a whole number", "0.5"]),
    "device that is a word": (HEAD + "0,0.6,cams,a,3\n", {}, ["line 3: device is not a number", "'a'"]),
    "sample beyond the task": (HEAD + "0,0.6,cams,0,10\n", {}, ["line 3: sample must be one of 10: 0 to 9", "found: 10"]),
    "replication that is a word": (HEAD + "x,0.6,cams,0,1\n", {}, ["line 3: replication is not a number", "'x'"]),
    "no column of devices": ("time_s,dev\n1,2\n", {}, ["needs a column device, has time_s"]),
    "nothing in it": ("", {}, ["cannot be read as a table"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_named_with_line_and_value(tmp_path, name):
    text, changes, wanted = BAD[name]
    changes = dict(changes)
    replication = changes.pop("replication", 0)
    with pytest.raises(ScenarioError) as caught:
        recording(tmp_path, text, **changes).of(replication)
    assert str(caught.value).startswith(f"{WHERE}: ")
    assert all(part in str(caught.value) for part in wanted), str(caught.value)
