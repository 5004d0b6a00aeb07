"""The trained network as a plain module: the same answers, cut anywhere."""

from __future__ import annotations

import torch

from simsplit.networks.artefact import load_artefact
from simsplit.networks.catalogue import open_network
from simsplit.networks.cuts import cut
from simsplit.networks.graph import trace
from simsplit.scenario.bundled import models_dir

WEIGHTS = models_dir() / "streets_multitask" / "weights.safetensors"
SOURCE = "simsplit.networks.multitask:Segmenter"


def test_it_answers_as_the_trained_network_does() -> None:
    images = torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(1))
    network = open_network(SOURCE, height=64, width=128, weights=WEIGHTS)
    whole = load_artefact(models_dir(), "streets_multitask").model.eval()
    head, tail = cut(trace(network, images[:1]), "trunk.7.relu")
    with torch.no_grad():
        assert torch.equal(network(images), whole.answer(whole.encode(images))["segmentation"])
        assert torch.equal(tail(*head(images[:1])), network(images[:1]))
