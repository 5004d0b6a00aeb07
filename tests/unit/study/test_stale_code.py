"""A user's code that was edited: another run, other caches, and the new code's own answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import simsplit
from simsplit.errors import SimsplitError
from simsplit.tasks.datasets import open_dataset

NET = """
from torch import nn

from . import sign


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(192, 10)

    def forward(self, x):
        return sign.SIGN * self.last(x.flatten(1))
"""
SAMPLES = 32


def _classifier() -> dict[str, torch.Tensor]:
    """Nearest mean of each class, as a linear layer over three equal colours."""
    data = open_dataset("digits", "test", height=8, width=8).arrays(range(SAMPLES))
    pixels = np.repeat(data["image"][..., :1], 3, -1).transpose(0, 3, 1, 2) / 255.0
    flat, labels = pixels.reshape(SAMPLES, -1), data["label"]
    means = np.stack([flat[labels == c].mean(0) for c in range(10)])
    weights = {"last.weight": means, "last.bias": -0.5 * (means**2).sum(1)}
    return {name: torch.tensor(w, dtype=torch.float32) for name, w in weights.items()}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of a user's whose helper decides whether its network is right or wrong."""
    folder = tmp_path / "code" / "signed_pkg"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "net.py").write_text(NET)
    (folder / "sign.py").write_text("SIGN = 1.0\n")
    save_file(_classifier(), tmp_path / "net.safetensors")
    monkeypatch.setenv("SIMSPLIT_PATH", str(folder.parent))
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("signed_pkg")]:
        del sys.modules[name]


def scenario(folder: Path) -> dict[str, Any]:
    network = {"name": "net", "source": "signed_pkg.net:Net", "answer": "label"}
    network["weights"] = str(folder.parents[1] / "net.safetensors")
    arrivals = {"kind": "periodic", "period_s": 0.1}
    device = {"name": "d", "count": 1, "hardware": "raspberry_pi_4", "operating_point": "mobile"}
    return {
        "name": "stale",
        "duration_s": 4,
        "task": {"dataset": "digits", "height_px": 8, "width_px": 8, "samples": SAMPLES},
        "model": None,
        "networks": [network],
        "operating_points": [{"name": "mobile", "scheme": "local", "network": "net"}],
        "devices": [device | {"arrivals": arrivals}],
        "cell": {"resource_blocks": 10, "channel": {"kind": "fixed_snr", "snr_db": 12}},
    }


def accuracy(result: Any) -> float:
    return float(result.requests["score_accuracy"].mean())


def test_a_new_folder_has_the_new_codes_accuracy(own: Path, tmp_path: Path) -> None:
    before = simsplit.run(scenario(own), out=tmp_path / "a", workers=0)
    assert accuracy(before) > 0.9
    (own / "sign.py").write_text("SIGN = -1.0\n")
    after = simsplit.run(scenario(own), out=tmp_path / "b", workers=0)
    assert accuracy(after) == 0.0
    assert before.manifest["digest"] != after.manifest["digest"]
    with pytest.raises(SimsplitError, match="another run"):
        simsplit.run(scenario(own), out=tmp_path / "a", workers=0)


@pytest.mark.slow
def test_a_resumed_sweep_runs_its_points_anew(own: Path, tmp_path: Path) -> None:
    import yaml

    file = tmp_path / "stale.yaml"
    file.write_text(yaml.safe_dump(scenario(own)))
    axes = {"seed": [1, 2]}
    before = simsplit.sweep(file, axes, out=tmp_path / "s", workers=2)
    assert before["score_accuracy"].min() > 0.9
    (own / "sign.py").write_text("SIGN = -1.0\n")
    after = simsplit.sweep(file, axes, out=tmp_path / "s", workers=2)
    assert (after["score_accuracy"] == 0.0).all()
