"""Numbers below float32's normal ones count as 0 while a training runs, and not behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from coded_digits import NETWORK, write_module, write_recipe
from simsplit.seeds import subnormals_flushed
from simsplit.training.train import train


def is_flushed() -> bool:
    return float(torch.tensor(1e-39) * 1.0) == 0.0


needed = pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor cannot flush subnormals"
)


@needed
def test_only_meanwhile() -> None:
    assert not is_flushed()
    with subnormals_flushed():
        assert is_flushed()
        with subnormals_flushed():
            assert is_flushed()
        assert is_flushed()
    assert not is_flushed()


@needed
def test_an_error_within_leaves_them_as_they_were() -> None:
    with pytest.raises(KeyError), subnormals_flushed():
        raise KeyError
    assert not is_flushed()


@needed
def test_trainings_do_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_module(tmp_path, monkeypatch)
    short = {"train_images": 32, "test_images": 8, "batch": 16}
    steps = {"phases": [{"train": "network", "steps": 2}]}
    seen: list[bool] = []
    recipe = write_recipe(tmp_path / "net", NETWORK | short | steps)
    train(recipe, progress=lambda *_: seen.append(is_flushed()))
    assert seen == [True, True]
    assert not is_flushed()
