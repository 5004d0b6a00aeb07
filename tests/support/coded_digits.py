"""A small network of a user's own for digits, and recipes of codes on it, written into a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from simsplit.training.train import train

MODULE = '''
import torch
from torch import nn


class Cnn(nn.Module):
    """Digits 8 x 8, three channels in, ten classes out."""

    def __init__(self, width: int = 12, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())
        self.body = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.BatchNorm2d(2 * width), nn.ReLU()
        )
        self.deep = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU())
        self.hidden = nn.Sequential(nn.Linear(2 * width * 16, 32), nn.ReLU())
        self.last = nn.Linear(32, classes)

    def forward(self, x):
        x = torch.flatten(self.deep(self.body(self.stem(x))), 1)
        return self.last(self.hidden(x))


class Floats:
    """Digital: float32 as they are."""

    def __init__(self, shape) -> None:
        self.shape = shape

    def encode(self, feature):
        return feature.numpy().tobytes()

    def decode(self, payload):
        return torch.frombuffer(bytearray(payload), dtype=torch.float32).reshape(self.shape)


class Linear(nn.Module):
    """Analog: pairs of values as symbols, scaled to power 1, and the scale forgotten."""

    def __init__(self, shape) -> None:
        super().__init__()
        self.shape = shape
        self.gain = nn.Parameter(torch.ones(1))

    def encode(self, features):
        flat = features.flatten(1) - 0.5
        symbols = torch.complex(*flat.chunk(2, dim=1))
        return symbols / symbols.abs().square().mean(dim=1, keepdim=True).sqrt()

    def decode(self, received, noise_variance):
        mmse = received / (1 + noise_variance)
        both = torch.cat([mmse.real, mmse.imag], dim=1) * self.gain
        return both.reshape(len(both), *self.shape)


class Channel(nn.Module):
    def forward(self, x):
        return x + 0.1 * torch.randn_like(x)


class Whole(nn.Module):
    """Analog with the channel inside: real symbols of power 2 per complex one."""

    def __init__(self, shape) -> None:
        super().__init__()
        n = 1
        for side in shape:
            n *= side
        self.shape, self.down, self.up = shape, nn.Linear(n, 8), nn.Linear(8, n)
        self.channel = Channel()

    def forward(self, x):
        y = self.down(x.flatten(1))
        y = y / y.square().mean(dim=1, keepdim=True).sqrt()
        return self.up(self.channel(y)).reshape(len(x), *self.shape)
'''

SIZE: dict[str, Any] = {"data": "digits", "height": 8, "width": 8, "test_images": 96}
NETWORK: dict[str, Any] = {
    "kind": "network",
    "network": {"source": "coded_nets:Cnn", "answer": "label"},
    "phases": [{"train": "network", "epochs": 6, "learning_rate": 3e-3}],
    **SIZE,
}
TRAINED = {
    "source": "coded_nets:Cnn",
    "weights": "../net/weights.safetensors",
    "answer": "label",
}


CLOTHES: dict[str, Any] = {
    "kind": "network",
    "network": {"source": "coded_nets:Cnn", "answer": "label", "options": {"classes": 4}},
    "data": {"kind": "image_folder", "path": "clothing", "fit": "resize"},
    "phases": [{"train": "network", "steps": 1}],
    "height": 8,
    "width": 8,
    "batch": 8,
}
"""The same network on the pictures that `data_folders.clothing_splits` draws, one step of it."""


def code_recipe(code: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A recipe of a code on the network that `NETWORK` trains."""
    phases = [{"train": "code", "epochs": 3}]
    base = {"kind": "code", "network": TRAINED, "cut": "body.2", "code": code, "phases": phases}
    return {**base, **SIZE, **changes}


def write_module(folder: Path, monkeypatch: Any) -> None:
    """The user's module in a folder, which ``SIMSPLIT_PATH`` names."""
    (folder / "coded_nets.py").write_text(MODULE)
    monkeypatch.setenv("SIMSPLIT_PATH", str(folder))
    monkeypatch.setattr(sys, "path", [*sys.path])  # which grows when a module is imported
    sys.modules.pop("coded_nets", None)


def write_recipe(folder: Path, content: dict[str, Any]) -> Path:
    """``recipe.yaml`` in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return folder / "recipe.yaml"


def trained(folder: Path, content: dict[str, Any], **how: Any) -> Path:
    """A folder with what a recipe trains."""
    return train(write_recipe(folder, content), **how)
