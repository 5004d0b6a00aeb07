"""A codec of a user's own in the caches of act one: its code is part of the key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simsplit.messages import Outcome, Prepared
from simsplit.pipeline.cache import Cache
from simsplit.scenario.operating_points import OperatingPoint

POINT = OperatingPoint.model_validate(
    {
        "name": "own",
        "scheme": "raw",
        "codec": {"kind": "custom", "target": "zq_codec:C", "costs_like": "png"},
    }
)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "zq_codec.py").write_text("import zq_helper\nclass C: ...\n")
    (tmp_path / "zq_helper.py").write_text("LEVEL = 1\n")
    yield tmp_path / "zq_helper.py"
    assert not any(name.startswith("zq_") for name in sys.modules)


def made(bits: int) -> Prepared:
    one = np.array([bits], np.int64)
    return Prepared(one, 0 * one, one)


def test_an_edited_helper_makes_new_payloads_and_scores(module: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", ("network", "samples"))
    for level, bits in ((1, 8), (1, 16), (2, 24)):
        module.write_text(f"LEVEL = {level}\n")
        wanted = 8 if level == 1 else 24
        assert cache.prepared(POINT, lambda bits=bits: made(bits)).payload_bits[0] == wanted
        outcome = Outcome((("accuracy", bits / 24),))
        scored = cache.outcomes(POINT, [0], lambda missing, outcome=outcome: [outcome])
        assert scored[0].as_dict() == {"accuracy": wanted / 24}
