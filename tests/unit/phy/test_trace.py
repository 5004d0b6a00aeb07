"""Reading measured channels as tools write them, and following them in time."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simsplit.errors import OutOfTable, ScenarioError
from simsplit.phy.traces.read import (
    ChannelTrace,
    TraceLink,
    path_loss_from_rsrp_db,
    read_trace,
    snr_from_rsrp_db,
)

G_NET_TRACK = (
    "Timestamp\tLongitude\tLatitude\tSpeed\tOperatorname\tCellID\tNetworkMode\tRSRP\tRSRQ\tSNR\t"
    "CQI\tRSSI\tState\tNRxRSRP\n"
    "2019.12.14_10.16.30\t-8.4\t51.9\t0\tA\t2\t5G\t-95\t-12\t3.0\t9\t-80\tI\t-\n"
    "2019.12.14_10.16.31\t-8.4\t51.9\t0\tA\t2\t5G\t-96\t-12\t-\t9\t-80\tI\t-110\n"
    "2019.12.14_10.16.32\t-8.4\t51.9\t0\tA\t2\t5G\t-97\t-12\t5.0\t9\t-80\tD\t-110\n"
)
SRSRAN_UE = (
    "time;cc;pci;earfcn;rsrp;pl;cfo;rsrp_neigh;dl_mcs;dl_snr;ul_mcs\n"
    "1.000;0;1;3400;-78;60;2;n/a;20;3.0;20\n3.000;0;1;3400;-79;60;2;n/a;20;5.0;21\n#eof\n"
)
NS3_LTE = (
    "% time\tcellId\tIMSI\tRNTI\trsrp\tsinr\tComponentCarrierId\n"
    "0.5\t1\t7\t1\t1e-13\t1.99526231\t0\n2.5\t1\t7\t1\t1e-14\t3.16227766\t0\n"
)
SHAPES = {  # each is one device with 3 dB at 0 s and 5 dB at 2 s
    "plain.csv": "time_s,device,snr_db\n0,a,3\n2,a,5\n",
    "g_net_track.txt": G_NET_TRACK,
    "srsran_ue.csv": SRSRAN_UE,
    "ns3_lte.txt": NS3_LTE,
    "ns3_nr.txt": "Time\tCellId\tRNTI\tBWPId\tSINR(dB)\n0.4\t1\t1\t0\t3\n2.4\t1\t1\t0\t5\n",
    "spreadsheet.csv": "sep=;\nTime [ms];SINR [dB]\n100,0;3,0\n2100,0;5,0\n2200,0;n/a\n",
    "numpy.txt": "# time snr\n0.0 3.0\n2.0 5.0\n",
    "headerless.csv": "0,3\n2,5\n",
    "headerless_swapped.txt": "3\t0\n5\t2\n2\t4\n5\t6\n",
    "epoch_ms.csv": "ts,rnti,snr\n1700000000123,0x46,3\n1700000002123,0x46,5\n",
    "epoch_s.csv": "epoch,PUSCH SNR\n1700000000,3\n1700000002,5\n",
    "epoch_ns.csv": "timestamp,cinr\n1700000000000000000,3\n1700000002000000000,5\n",
    "microseconds.csv": "TS_us|SNRdB\n10|3\n2000010|5\n",
    "units_row.csv": "time,device,snr\n[ms],,[dB]\n0,a,3\n2000,a,5\n",
    "units_in_cells.csv": "elapsed,wideband sinr\n0 ms,3 dB\n2000 ms,5 dB\n",
    "iso.csv": '\ufeff"timestamp","ueId","snrDb"\n"2024-01-01T01:00:00.5+01:00","1","3"\n'
    '"2024-01-01T00:00:02.5Z","1","5"\n',
    "preamble.csv": "Report,Drive 7\nVersion,3.2\n\nDate,Time,5G KPI PCell RF Serving SS-SINR [dB],"
    "Neighbour SINR\n14/12/2019,23:59:59,3 dB,9\n15/12/2019,00:00:01,5 dB,9\n",
    "american.csv": "date,time,snr\n05/06/2024,11:59:59 PM,3\n05/07/2024,12:00:01 AM,5\n",
    "past_midnight.csv": "clock time,SNR\n23:59:59.250,3\n00:00:01.250,5\n",
    "month_name.csv": "Date;SNR\nDec 14 2019 10:16:30;3\nDec 14 2019 10:16:32;5\n",
    "r_table.txt": '"time" "snr"\n"1" 0 3\n"2" 2 5\n',
    "fixed_width.txt": "Time [ms]   SNR [dB]\n   0        3\n2000        5\n",
    "unsorted_markers.csv": "time,snr\n2,5\n1,2147483647\n0,3\n1.5,-\n",
    "trailing.csv": "time,snr,\n0,3,\n2,5,\n",
    "minus_sign.csv": "t;offset;Es/N0 (dB)\n−2;0;3\n0;0;5\n",
}


def written(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def read(folder: Path, content: str | bytes, name: str = "a.csv", **keys: Any) -> ChannelTrace:
    return read_trace(written(folder, name, content), **keys)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_says_the_same(name: str, tmp_path: Path) -> None:
    trace = read(tmp_path, SHAPES[name], name)
    if name == "headerless_swapped.txt":
        assert trace.time_s[0].tolist() == [0, 2, 4, 6]
        assert trace.level_db[0].tolist() == [3, 5, 2, 5]
        return
    assert trace.value == "snr"
    assert len(trace.devices) == 1
    np.testing.assert_allclose(trace.time_s[0], [0.0, 2.0], atol=1e-6)
    np.testing.assert_allclose(trace.level_db[0], [3.0, 5.0], atol=1e-6)
    assert trace.duration_s == pytest.approx(2.0)


def test_utf16_gzip_and_latin1(tmp_path: Path) -> None:
    text = "Zeit;time;RSRP (dBm)\nfrüh;0;-90\nspät;1;-91\n"
    packed = gzip.compress(text.encode())
    for content in (text.encode("utf-16"), packed, text.encode("latin-1")):
        trace = read(tmp_path, content)
        assert trace.value == "rsrp"
        assert trace.level_db[0].tolist() == [-90, -91]


def test_devices_share_nothing_but_the_file(tmp_path: Path) -> None:
    trace = read(tmp_path, "t,ue,snr\n5,10,1\n5,9,2\n6,9,3\n7,10,4\n7,,9\n7,9,4\n7,9,6\n")
    assert trace.devices == ("9", "10")
    assert [times.tolist() for times in trace.time_s] == [[0, 1, 2], [0, 2]]
    assert [levels.tolist() for levels in trace.level_db] == [[2, 3, 5], [1, 4]]
    assert any("1 rows dropped without a device" in note for note in trace.notes)
    assert any("1 rows repeat a time" in note for note in trace.notes)


def test_late_devices_are_said(tmp_path: Path) -> None:
    trace = read(tmp_path, "t,ue,snr\n5,a,1\n6,a,2\n8.5,b,3\n9,b,3\n")
    assert trace.start_s == (0.0, 3.5)
    assert any("3.5 s apart" in note for note in trace.notes)


def test_row_numbers_are_no_devices(tmp_path: Path) -> None:
    assert read(tmp_path, "id,t,snr\n1,0,1\n2,1,2\n3,2,3\n").devices == ("1",)


@pytest.mark.parametrize("has_dates", [False, True])
def test_parquet(has_dates: bool, tmp_path: Path) -> None:
    start: Any = pd.Timestamp("2024-03-01T12:00:00Z") if has_dates else 0.0
    step: Any = pd.Timedelta("250ms") if has_dates else 0.25
    times = [start, start + step, start + 2 * step]
    frame = pd.DataFrame({"Timestamp": times, "ue": [3, 3, 3], "NR-SS-RSRP": [-80.0, None, -82.0]})
    frame.to_parquet(tmp_path / "drive.parquet")
    trace = read_trace(tmp_path / "drive.parquet")
    assert (trace.value, trace.devices) == ("rsrp", ("3",))
    np.testing.assert_allclose(trace.time_s[0], [0.0, 0.5])
    assert trace.level_db[0].tolist() == [-80, -82]
    assert any("1 rows dropped without a level" in note for note in trace.notes)


def test_snr_comes_before_rsrp_and_rsrp_can_be_asked_for(tmp_path: Path) -> None:
    trace = read(tmp_path, G_NET_TRACK)
    assert any("SNR and RSRP" in note for note in trace.notes)
    other = read(tmp_path, G_NET_TRACK, value="rsrp")
    assert other.value == "rsrp"
    assert other.level_db[0].tolist() == [-95, -96, -97]


def test_rsrp_steps_in_for_an_empty_snr(tmp_path: Path) -> None:
    trace = read(tmp_path, "t,snr,rsrp\n0,-,-90\n1,-,-91\n")
    assert trace.value == "rsrp"
    assert any("'snr' holds no numbers" in note for note in trace.notes)


def test_columns_can_be_named(tmp_path: Path) -> None:
    text = "When,Level,Who\n0,-90,x\n1,-91,y\n"
    trace = read(
        tmp_path, text, time_column="when", value_column="Level", device_column="3", value="rsrp"
    )
    assert (trace.value, trace.devices) == ("rsrp", ("x", "y"))
    guessed = read(tmp_path, text, time_column="When", value_column="Level")
    assert guessed.value == "rsrp"
    assert any("by its median" in note for note in guessed.notes)


def test_headerless_columns_go_by_number(tmp_path: Path) -> None:
    text = "0,1,10\n1,1,11\n0,2,20\n"
    trace = read(tmp_path, text, time_column="1", value_column="3", device_column="2")
    assert trace.devices == ("1", "2")
    assert trace.level_db[0].tolist() == [10, 11]


def test_ns3_rsrp_is_in_watts(tmp_path: Path) -> None:
    trace = read(tmp_path, NS3_LTE, value="rsrp")
    np.testing.assert_allclose(trace.level_db[0], [-100.0, -110.0])


MISTAKES = {
    "empty": ("", "no rows"),
    "header_only": ("time,snr\n", "no rows with a time and a level"),
    "prose": ("hello world\nfoo bar\n", "begins with 'hello world'"),
    "binary": (b"\x00\x01\x02", "neither text nor Parquet"),
    "spreadsheet": (b"PK\x03\x04abc", "export it as CSV"),
    "torn_parquet": (b"PAR1....", "damaged Parquet"),
    "torn_gzip": (b"\x1f\x8b\x08\x00abc", "cannot read"),
    "no_time": ("a,snr\n1,2\n", "like a time. Columns found: 'a', 'snr'. Set time_column"),
    "no_level": ("time,b\n1,2\n", "like SNR or RSRP. Columns found: 'time', 'b'. Set"),
    "neighbour_only": ("t,NRxRSRP\n0,-90\n1,-91\n", "like SNR or RSRP"),
    "two_levels": ("t,dl_snr,ul_snr\n0,1,2\n1,1,2\n", "may be the SNR: dl_snr, ul_snr. Columns"),
    "two_times": ("t,time,snr\n0,1,2\n1,2,2\n", "several columns are called like a time"),
    "words_for_levels": ("t,snr\n0,high\n1,low\n", "like SNR or RSRP"),
    "hardly_a_level": ("t,snr\n0,high\n1,low\n2,5\n", "does not hold levels"),
    "no_whole_row": ("t,snr\n-,5\n0,-\n", "no row of the trace has a time and a level"),
    "reported_index": ("t,rsrp\n0,60\n1,61\n", "reported index"),
    "three_headerless": ("0,1,2\n1,2,3\n", "no header line, and not two columns"),
    "none_rises": ("2,5\n1,6\n3,4\n", "neither column rises"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_explained(name: str, tmp_path: Path) -> None:
    content, message = MISTAKES[name]
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, content)
    assert message in str(caught.value)
    assert caught.value.path == "cell.channel.file"


def test_wrong_names_are_explained(tmp_path: Path) -> None:
    file = written(tmp_path, "drive.csv", "t,snr\n0,1\n1,2\n")
    with pytest.raises(ScenarioError, match=r"drive\.csv"):
        read_trace(tmp_path / "drives.csv")
    with pytest.raises(ScenarioError, match="cannot read"):
        read_trace(tmp_path)
    with pytest.raises(ScenarioError, match="Did you mean 'snr'") as caught:
        read_trace(file, value_column="snrr")
    assert caught.value.path == "cell.channel.value_column"
    with pytest.raises(ScenarioError, match="several columns have this name"):
        read(tmp_path, "t,snr,snr\n0,1,2\n1,2,2\n", value_column="snr")


def test_damaged_files_never_give_a_traceback(tmp_path: Path) -> None:
    """Bytes changed, removed and doubled at random: a trace or a ScenarioError, nothing else."""
    rng = np.random.default_rng(5)
    bases = [text.encode() for text in SHAPES.values()]
    for round_ in range(600):
        data = bytearray(bases[round_ % len(bases)])
        for position in rng.integers(0, len(data), 4):
            data[position] = rng.choice(list(b',;\t |"#%-+.:059eNs\xff'))
        del data[rng.integers(0, len(data)) :: int(rng.integers(20, 200))]
        try:
            trace = read(tmp_path, bytes(data))
        except ScenarioError:
            continue
        for times, levels in zip(trace.time_s, trace.level_db, strict=True):
            assert np.isfinite(TraceLink(times, levels).level_db(1.5))


TIMES_S = [0.0, 1.0, 2.0, 4.0]
LEVELS_DB = [0.0, 10.0, 4.0, 8.0]


@pytest.mark.parametrize(
    ("interpolation", "at_end", "time_s", "expected_db"),
    [
        ("linear", "repeat", 0.5, 5.0),
        ("linear", "repeat", 3.0, 6.0),
        ("linear", "repeat", 4.5, 4.0),  # period 5 s: from 8 dB back to 0 dB in the last second
        ("linear", "repeat", 5.5, 5.0),
        ("linear", "repeat", 50.5, 5.0),
        ("linear", "repeat", -4.5, 5.0),
        ("previous", "repeat", 0.99, 0.0),
        ("previous", "repeat", 4.9, 8.0),
        ("previous", "hold", 100.0, 8.0),
        ("linear", "hold", 100.0, 8.0),
        ("linear", "error", 4.0, 8.0),
        ("linear", "error", 1.5, 7.0),
    ],
)
def test_levels(interpolation: Any, at_end: Any, time_s: float, expected_db: float) -> None:
    link = TraceLink(TIMES_S, LEVELS_DB, at_end=at_end, interpolation=interpolation)
    assert link.level_db(time_s) == pytest.approx(expected_db)
    assert link.levels_db([[time_s]])[0, 0] == pytest.approx(expected_db)


@pytest.mark.parametrize("at_end", ["repeat", "hold"])
@pytest.mark.parametrize("interpolation", ["linear", "previous"])
def test_order_of_access_does_not_matter(at_end: Any, interpolation: Any) -> None:
    rng = np.random.default_rng(3)
    times_s = np.cumsum(rng.uniform(0.1, 2.0, 200))
    link = TraceLink(times_s, rng.normal(size=200), at_end=at_end, interpolation=interpolation)
    at_s = rng.uniform(0, 900, 3000)
    shuffled = [link.level_db(value) for value in at_s.tolist()]
    ordered = [link.level_db(value) for value in np.sort(at_s).tolist()]
    np.testing.assert_allclose(shuffled, link.levels_db(at_s))
    np.testing.assert_allclose(ordered, np.array(shuffled)[np.argsort(at_s)])


def test_linear_levels_are_numpys() -> None:
    link = TraceLink(TIMES_S, LEVELS_DB, at_end="hold")
    at_s = np.linspace(0, 6, 100)
    np.testing.assert_allclose(link.levels_db(at_s), np.interp(at_s, TIMES_S, LEVELS_DB))


def test_offset_moves_the_start() -> None:
    moved = TraceLink(TIMES_S, LEVELS_DB, offset_s=1.5)
    assert moved.level_db(0.0) == pytest.approx(7.0)
    assert moved.period_s == 5.0


def test_the_end_can_be_an_error() -> None:
    link = TraceLink(TIMES_S, LEVELS_DB, at_end="error")
    for call in (lambda: link.level_db(4.25), lambda: link.levels_db([1.0, 4.25])):
        with pytest.raises(OutOfTable, match=r"0 to 4 s.*4\.25"):
            call()
    with pytest.raises(OutOfTable):
        TraceLink(TIMES_S, LEVELS_DB, at_end="hold").level_db(-0.1)


def test_one_row_is_a_constant() -> None:
    for at_end in ("repeat", "hold"):
        link = TraceLink([0.0], [7.0], at_end=at_end)  # type: ignore[arg-type]
        assert link.level_db(0.0) == link.level_db(1e6) == 7.0


@pytest.mark.parametrize(
    ("times", "levels"),
    [([], []), ([0, 1], [0]), ([0, 0], [1, 2]), ([1, 0], [1, 2]), ([0, np.nan], [1, 2])],
)
def test_impossible_rows(times: list[float], levels: list[float]) -> None:
    with pytest.raises(ScenarioError):
        TraceLink(times, levels)


def test_path_loss_of_rsrp() -> None:
    assert path_loss_from_rsrp_db(-85.0, 15.0) == 100.0
    levels = snr_from_rsrp_db(np.array([-85.0, -95.0]), 15.0, transmit_dbm=23.0, noise_dbm=-97.0)
    assert levels.tolist() == [20.0, 10.0]
    with pytest.raises(ScenarioError, match="exceeds the power sent"):
        path_loss_from_rsrp_db(np.array([-85.0, 16.0]), 15.0)
