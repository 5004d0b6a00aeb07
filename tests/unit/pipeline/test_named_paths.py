"""Mistakes about a network say once which entry of ``networks:`` they are about."""

from __future__ import annotations

import pytest

from simsplit.errors import ScenarioError
from simsplit.pipeline.scenario import _named


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("", "networks.cnn"),
        ("weights", "networks.cnn.weights"),
        ("networks.cnn.answer.labels", "networks.cnn.answer.labels"),
        ("networks.cnn.preprocess.crop_px", "networks.cnn.preprocess.crop_px"),
        ("operating_points.local.split", "operating_points.local.split"),
    ],
)
def test_a_network_is_named_once(path: str, told: str) -> None:
    with pytest.raises(ScenarioError) as caught, _named("cnn"):
        raise ScenarioError("wrong", path=path)
    assert caught.value.path == told
