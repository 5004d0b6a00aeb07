"""Regression: scenarios against golden JSON.

Regenerate: SIMSPLIT_REGENERATE=1 python -m pytest tests/regression
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import simsplit

GOLDEN = Path(__file__).parent / "golden"
SCENARIOS = {"digits_smoke": 2.0, "urban_5g": 2.0}
COLUMNS = ("latency_s", "payload_bits", "channel_uses", "attempts", "energy_j", "snr_db")


def digest_of(requests) -> dict[str, object]:
    """Counts exactly, means to be compared with a tolerance."""
    rows = {}
    for point, part in requests.groupby("operating_point"):
        scores = {c: float(part[c].mean()) for c in part if c.startswith("score_")}
        means = {c: float(part[c].mean()) for c in COLUMNS}
        counts = part["status"].value_counts().to_dict()
        rows[str(point)] = {"counts": counts, "means": means, "scores": scores}
    return rows


@pytest.mark.parametrize("name", SCENARIOS)
def test_rows_are_as_they_were(name, tmp_path):
    result = simsplit.run(
        name, duration_s=SCENARIOS[name], out=tmp_path / "r", overrides=["warmup_s=0"]
    )
    found = digest_of(result.requests)
    file = GOLDEN / f"{name}.json"
    if os.environ.get("SIMSPLIT_REGENERATE"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    golden = json.loads(file.read_text())
    assert found.keys() == golden.keys()
    for point, row in golden.items():
        assert found[point]["counts"] == row["counts"]
        # payloads are cut by floating-point networks, which differ a little between processors
        assert found[point]["means"] == pytest.approx(row["means"], rel=0.01, nan_ok=True)
        assert found[point]["scores"] == pytest.approx(
            row["scores"], rel=0.02, abs=0.01, nan_ok=True
        )
