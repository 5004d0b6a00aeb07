"""Files are whole or not there; digests depend on contents."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from simsplit.files import (
    arrays_digest,
    aside_of,
    file_digest,
    files_digest,
    is_aside,
    json_digest,
    text_digest,
    whole_file,
    whole_folder,
    write_whole,
)

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # FIPS 180-4


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b.txt", "grün\n")
    write_whole(tmp_path / "a" / "c.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "grün\n".encode()
    assert (tmp_path / "a" / "c.bin").read_bytes() == b"\x00\xff"
    assert sorted(os.listdir(tmp_path / "a")) == ["b.txt", "c.bin"]


@pytest.mark.parametrize("before", [None, "the old one"])
def test_a_writer_that_fails_leaves_nothing(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "table.csv"
    if before is not None:
        path.write_text(before)
    with pytest.raises(RuntimeError), whole_file(path) as aside:
        aside.write_text("half a ta")
        raise RuntimeError
    assert sorted(os.listdir(tmp_path)) == ([] if before is None else ["table.csv"])
    assert before is None or path.read_text() == before


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "result") as aside:
        (aside / "rows").write_text("half")
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "x" / "result") as aside:
        (aside / "rows").write_text("all")
        assert not (tmp_path / "x" / "result").exists()
    assert (tmp_path / "x" / "result" / "rows").read_text() == "all"
    assert os.listdir(tmp_path / "x") == ["result"]


def test_a_folder_takes_no_others_place(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "mine").write_text("precious")
    with pytest.raises(OSError), whole_folder(tmp_path / "result") as aside:
        (aside / "rows").write_text("all")
    assert os.listdir(tmp_path) == ["result"]
    assert os.listdir(tmp_path / "result") == ["mine"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """Two writers of files of one letter each, as long as a pipe's buffer and more; one reader."""
    path, stop, wrong = tmp_path / "file", threading.Event(), []
    size = 1 << 18
    write_whole(path, "a" * size)

    def write(letter: str) -> None:
        while not stop.is_set():
            with whole_file(path) as aside, aside.open("w") as file:
                for _ in range(4):
                    file.write(letter * (size // 4))
                    file.flush()

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for writer in writers:
        writer.start()
    try:
        for _ in range(300):
            text = path.read_text()
            if len(text) != size or len(set(text)) != 1:
                wrong.append((len(text), set(text)))
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert wrong == []
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_are_the_umask_s(tmp_path: Path, umask: int) -> None:
    """Also where the writer itself makes files that only their owner may read."""
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "file") as aside:
            aside.unlink()
            os.close(os.open(aside, os.O_CREAT | os.O_WRONLY, 0o600))
        with whole_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~umask


def test_what_is_no_plain_file_is_written_directly(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_whole(pipe, "through")
    reader.join(timeout=300)
    assert read == ["through"]
    assert pipe.is_fifo()


def test_names_aside_are_hidden_unique_and_keep_the_ending(tmp_path: Path) -> None:
    names = {aside_of(tmp_path / "table.npz").name for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith(".table-") and name.endswith(".npz") for name in names)
    assert all(is_aside(tmp_path / name) for name in names)
    assert is_aside(aside_of(tmp_path / "0123456789abcdef"))
    assert not is_aside(tmp_path / ".table.npz") and not is_aside(tmp_path / "table-1.npz")


def test_digests_are_sha256(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert text_digest("") == file_digest(tmp_path / "empty") == EMPTY
    assert json_digest({"b": 1, "a": [2]}) == text_digest('{"a": [2], "b": 1}')


def test_a_changed_file_has_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    first = file_digest(path)
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert file_digest(path) != first


def test_files_count_by_name_and_content_not_by_place(tmp_path: Path) -> None:
    for folder, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "f").write_text(text)
    a, b, c = ({"weights": tmp_path / folder / "f"} for folder in "abc")
    assert files_digest(a) == files_digest(b) != files_digest(c)
    assert files_digest({"other": tmp_path / "a" / "f"}) != files_digest(a)


def test_shape_type_and_name_count(tmp_path: Path) -> None:
    flat = np.zeros(4, np.int32)
    others = [{"a": flat.reshape(2, 2)}, {"a": flat.astype(np.float32)}, {"b": flat}]
    digests = {arrays_digest(arrays) for arrays in [{"a": flat}, *others]}
    assert len(digests) == 4
