"""Kinds of files by their first bytes: a safetensors file is one whatever its header's length."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from simsplit.networks.checkpoints import read
from simsplit.networks.file_kinds import Kind, kind_of

TENSORS = {"weight": torch.arange(4.0)}
SHORTEST = int.from_bytes(save(TENSORS)[:8], "little")


def with_header(length: int) -> bytes:
    """The same tensors with spaces behind the JSON, as safetensors itself aligns its header."""
    content = save(TENSORS)
    header, data = content[8 : 8 + SHORTEST], content[8 + SHORTEST :]
    return length.to_bytes(8, "little") + header.ljust(length) + data


@settings(max_examples=60, deadline=None)
@given(st.integers(SHORTEST, 70_000))
@example(640).via("80 02: a pickle of protocol 2")
@example(896).via("80 03")
@example(1152).via("80 04")
@example(1408).via("80 05")
@example(0x8B1F).via("1f 8b: gzip")
def test_safetensors_of_every_header_length(length: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "w.safetensors"
        file.write_bytes(with_header(length))
        assert kind_of(file) is Kind.SAFETENSORS
        found: dict[str, Tensor] = read(file)
        assert torch.equal(found["weight"], TENSORS["weight"])


@pytest.mark.parametrize("length", [640, 648, 896])
def test_safetensors_that_break_off_in_the_header_are_safetensors(
    length: int, tmp_path: Path
) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(with_header(length)[:200])
    assert kind_of(file) is Kind.SAFETENSORS
