"""`check` refuses names of weights that torchvision lacks, as `run` does."""

from __future__ import annotations

from typing import Any

import pytest

from simsplit.errors import ScenarioError
from simsplit.scenario.load import find, read_mapping
from simsplit.study.check import check

NAME = "ResNet18_Weights.IMAGENET"


def test_unknown_weights_of_preprocess_are_refused() -> None:
    content: dict[str, Any] = read_mapping(find("digits_smoke"))
    source = {"name": "net", "source": "resnet18", "weights": "random", "preprocess": NAME}
    content["networks"] = [source]
    with pytest.raises(ScenarioError) as caught:
        check(content)
    assert caught.value.path == "networks.net.preprocess"
    assert str(caught.value).count("networks.net") == 1
    assert caught.value.exit_code == 2
