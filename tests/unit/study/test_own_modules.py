"""A user's own modules: whatever is wrong with them is one sentence, and their file counts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simsplit.errors import ScenarioError
from simsplit.pipeline.scenario import expanded, open_pipeline
from simsplit.results.identity import artefact_digests
from simsplit.scenario.load import load

MODULE = """
from torch import nn


class Broken(nn.Module):
    def __init__(self):
        raise KeyError("no such thing")


class Chooser:
    def __init__(self, costs, options, rng):
        pass

    def choose(self, knowledge, sample):
        raise LookupError("nothing to choose from")
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path))  # by which it may be imported
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "own_nets.py"
    file.write_text(MODULE)
    (tmp_path / "own_crash.py").write_text("1 / 0\n")
    (tmp_path / "own_syntax.py").write_text("def f(:\n")
    yield file
    for name in ("own_nets", "own_crash", "own_syntax"):
        sys.modules.pop(name, None)


def scenario(source: str = "alexnet", **changes: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "name": "own",
        "duration_s": 1,
        "task": {"dataset": "photographs", "height_px": 64, "width_px": 64, "samples": 2},
        "model": None,
        "networks": [{"name": "net", "source": source, "weights": "random"}],
        "operating_points": [{"name": "mobile", "scheme": "local", "network": "net"}],
        "devices": [
            {
                "name": "phone",
                "count": 1,
                "hardware": "phone_soc",
                "operating_point": "mobile",
                "arrivals": {"kind": "poisson", "rate_hz": 5},
            }
        ],
        "cell": {"channel": {"kind": "fixed_snr", "snr_db": 20}},
    }
    return raw | changes


def cut(name: str) -> dict[str, Any]:
    codec = {"kind": "tensor"}
    return {"name": name, "scheme": "separate", "network": "net", "split": "every", "codec": codec}


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("own_nets:Broken", ["networks.net.source", "no such thing"]),
        ("own_crash:Net", ["networks.net.source", "division by zero"]),
        ("own_syntax:Net", ["networks.net.source", "invalid syntax"]),
        ("no.such.package:Net", ["networks.net.source", "No module named"]),
        (".relative:Net", ["networks.net.source", "is not of the form package.module:Name"]),
    ],
)
def test_what_is_wrong_with_a_module_is_one_sentence(
    own: Path, source: str, texts: list[str]
) -> None:
    made = load(scenario(source))
    artefact_digests(made)
    with pytest.raises(ScenarioError) as caught:
        open_pipeline(made, own.parent, None)
    assert all(text in str(caught.value) for text in texts)


@pytest.mark.parametrize("doubled", [True, False])
def test_points_that_cannot_be_written_out_are_named(doubled: bool) -> None:
    raw = scenario()
    mobile = raw["operating_points"][0]
    if doubled:
        points = [mobile, cut("cut"), dict(mobile, name="cut-classifier.1")]
    else:
        points = [mobile, cut(50 * "c")]
    with pytest.raises(ScenarioError, match="every cut written out"):
        expanded(load(scenario(operating_points=points)))


def test_a_policys_own_file_is_part_of_the_run(own: Path) -> None:
    raw = scenario()
    raw["devices"][0].pop("operating_point")
    raw["devices"][0]["policy"] = {"kind": "custom", "target": "own_nets:Chooser"}
    before = artefact_digests(load(raw))
    own.write_text(MODULE + "# changed\n")
    changed = artefact_digests(load(raw))
    assert {key for key in before if before[key] != changed[key]} == {"source.own_nets:Chooser"}


def test_a_policy_that_fails_says_so(own: Path) -> None:
    import numpy as np

    from simsplit.scenario.policies import Custom
    from simsplit.sim.decisions import NOTHING
    from simsplit.sim.policy.policy import build_policy

    spec = Custom(kind="custom", target="own_nets:Chooser")
    policy = build_policy(spec, {}, np.random.default_rng(0), path="devices.phone.policy")
    with pytest.raises(ScenarioError, match="nothing to choose from"):
        policy.choose(NOTHING, 0)
