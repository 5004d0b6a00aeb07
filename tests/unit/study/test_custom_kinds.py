"""Runs with codec, scheduler, channel, arrivals and policy of a user's own (`tests/examples`)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import simsplit
from simsplit.cli import app
from simsplit.errors import ContractError, ScenarioError
from simsplit.results.identity import artefact_digests
from simsplit.scenario.load import load
from simsplit.scenario.targets import require_permission, targets
from simsplit.study.own_contracts import check_own

EXAMPLES = Path(__file__).parents[2] / "examples"
TARGETS = {
    "operating_points[0].codec.target": "own_codec:HalfSize",
    "devices[0].policy.target": "own_policy:Careful",
    "devices[0].arrivals.target": "own_arrivals:Bursts",
    "cell.channel.target": "own_channel:PassingBy",
    "cell.scheduler.target": "own_scheduler:WeakestFirst",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The examples beside a scenario, in the working folder: no permission."""
    for file in EXAMPLES.glob("own_*.py"):
        shutil.copy(file, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("SIMSPLIT_PATH", raising=False)
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(scenario()))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def scenario() -> dict[str, Any]:
    own = {path.split(".")[-2]: {"kind": "custom", "target": t} for path, t in TARGETS.items()}
    codec = own["codec"] | {"costs_like": "png"}
    return {
        "name": "own",
        "duration_s": 2,
        "task": {"dataset": "digits", "height_px": 8, "width_px": 8, "samples": 16},
        "model": "digits_cnn",
        "operating_points": [
            {"name": "half", "scheme": "raw", "codec": codec},
            {"name": "mobile", "scheme": "local"},
        ],
        "devices": [
            {
                "name": "d",
                "count": 2,
                "hardware": "raspberry_pi_4",
                "policy": own["policy"],
                "arrivals": own["arrivals"] | {"options": {"pause_s": 0.5}},
            }
        ],
        "cell": {
            "resource_blocks": 10,
            "channel": own["channel"],
            "scheduler": own["scheduler"],
        },
    }


def said(*words: str) -> Any:
    result = CliRunner().invoke(app, list(words))
    assert "Traceback" not in result.output
    return result


def test_every_own_class_is_found() -> None:
    assert targets(load(scenario())) == TARGETS


@pytest.mark.parametrize("verb", ["run", "optimise", "capacity", "sweep"])
def test_nothing_is_run_without_permission(folder: Path, verb: str) -> None:
    more = {
        "run": [],
        "optimise": ["--axis", "seed=1,2", "--objective", "max accuracy"],
        "capacity": ["latency_s.p99 <= 1"],
        "sweep": ["--axis", "seed=1,2"],
    }
    words = ["--where", *more[verb]] if verb == "capacity" else more[verb]
    result = said(verb, "own.yaml", *words, "--out", "out")
    assert result.exit_code == 2, result.output
    assert "--allow-code" in result.stderr and "codec.target" in result.stderr
    assert not any(name.startswith("own_") for name in sys.modules)


def test_check_examines_nothing_without_permission(folder: Path) -> None:
    result = said("check", "own.yaml")
    assert result.exit_code == 0, result.output
    assert "not examined" in result.output
    assert not any(name.startswith("own_") for name in sys.modules)


def test_check_examines_with_permission(folder: Path) -> None:
    result = said("check", "own.yaml", "--allow-code")
    assert result.exit_code == 0, result.output
    assert "not examined" not in result.output


def test_a_run_with_permission_and_again_in_two_processes(folder: Path) -> None:
    one = simsplit.run("own.yaml", out="a", workers=0, replications=2, allow_code=True)
    two = simsplit.run("own.yaml", out="b", workers=2, replications=2, allow_code=True)
    assert len(one.requests) > 4 and one.requests.equals(two.requests)
    levels = one.requests["snr_db"].dropna()
    assert levels.between(5.0, 25.0).all()  # 15 ± 10 dB
    assert set(TARGETS.values()) == {
        key.removeprefix("source.") for key in one.manifest["artefacts"] if ":" in key
    }


@pytest.mark.slow
def test_looking_at_a_result_imports_nothing(folder: Path) -> None:
    for out, seed in (("a", 1), ("b", 2)):
        simsplit.run("own.yaml", out=out, workers=0, seed=seed, duration_s=20, allow_code=True)
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]
    words = [["show", "a"], ["compare", "a", "b"], ["report", "a"], ["warmup", "a"]]
    for one in [*words, ["export", "a", "--format", "csv"], ["check", "a/scenario.yaml"]]:
        result = said(*one)
        assert result.exit_code == 0, (one, result.output)
    assert not any(name.startswith("own_") for name in sys.modules)


@pytest.mark.slow
def test_a_sweeps_workers_have_permission(folder: Path) -> None:
    result = said(
        "sweep", "own.yaml", "--axis", "seed=1,2", "--workers", "2", "--out", "s", "--allow-code"
    )
    assert result.exit_code == 0, result.output
    assert not list((folder / "s").glob("failed/*"))


def test_objects_in_place_of_names_need_no_word(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from own_channel import PassingBy  # type: ignore[import-not-found]

    from simsplit.scenario import permission

    monkeypatch.setattr(permission, "_given", {})
    raw = yaml.safe_load(Path("own.yaml").read_text())
    raw["cell"] = {"resource_blocks": 10, "channel": {"kind": "custom", "target": PassingBy}}
    raw["devices"][0] |= {"arrivals": {"kind": "periodic", "period_s": 0.2}, "policy": None}
    raw["devices"][0]["operating_point"] = "mobile"
    raw["operating_points"] = raw["operating_points"][1:]
    made = load(raw)
    assert made.cell.channel.target == "own_channel:PassingBy"
    require_permission(made)
    check_own(made)


@pytest.mark.parametrize("path", TARGETS)
def test_an_edit_makes_another_run(folder: Path, path: str) -> None:
    before = artefact_digests(load("own.yaml"))
    file = folder / f"{TARGETS[path].partition(':')[0]}.py"
    file.write_text(file.read_text() + "\n# edited\n")
    after = artefact_digests(load("own.yaml"))
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {f"source.{TARGETS[path]}"}


BROKEN = {
    "cell.channel.target": ("own_channel", "return self.mean_db", "return 1e9 + self.mean_db"),
    "cell.scheduler.target": ("own_scheduler", "[n_prb] * len(picked)", "[-1] * len(picked)"),
    "devices.d.arrivals.target": ("own_arrivals", "yield self.spacing_s", "yield -1.0"),
    "operating_points.half.codec.target": ("own_codec", "[:height, :width]", "[:1]"),
    "devices.d.policy": ("own_policy", "return self.local if", "return 'cloud' if True or"),
}


@pytest.mark.parametrize("path", BROKEN)
def test_a_broken_contract_is_told_with_its_path(folder: Path, path: str) -> None:
    module, old, new = BROKEN[path]
    text = (folder / f"{module}.py").read_text()
    assert old in text
    (folder / f"{module}.py").write_text(text.replace(old, new))
    with pytest.raises(ContractError) as caught:
        simsplit.run("own.yaml", out="a", workers=0, allow_code=True)
    assert str(caught.value).startswith(f"{path}: ")
    assert "breaks the contract of" in str(caught.value)
    assert not (folder / "a").exists()


@pytest.mark.parametrize(
    ("override", "texts"),
    [
        ("cell.channel.target=nomodule", ["cell.channel.target"]),
        ("cell.channel.target=own_channel", ["cell.channel.target"]),
        ("cell.channel.target=own_none:X", ["cell.channel.target", "cannot be imported"]),
        ("cell.channel.target=own_channel:X", ["no such class", "PassingBy"]),
        ("cell.channel.target=own_policy:Careful", ["has no snr_db()", "SnrProcess"]),
        ("cell.channel.options={colour: 3}", ["cannot be built", "colour"]),
        ("cell.channel.options={mean_db: loud}", ["failed at 0 s", "TypeError"]),
        ("cell.channel.options={period_s: 0}", ["failed at 0 s", "ZeroDivisionError"]),
        ("cell.channel.colour=3", ["cell.channel"]),
        ("cell.power_control={kind: fractional}", ["power_control must be full"]),
        ("cell.sites={kind: hex}", ["knows no places"]),
        ("cell.scheduler.target=own_policy:Careful", ["has no add() and remove()", "Scheduler"]),
        ("cell.scheduler.max_grants=0", ["cell.scheduler"]),
        ("devices.d.arrivals.options={pause_s: -1}", ["failed to give its arrivals", "scale"]),
        ("devices.d.arrivals.options={size: 1.5}", ["failed to give its arrivals", "TypeError"]),
        ("devices.d.arrivals.rate_hz=0", ["arrivals", "rate_hz"]),
        ("devices.d.arrivals.target=own_policy:Careful", ["has no gaps_s()"]),
        ("operating_points.half.codec.costs_like=null", ["costs_like"]),
        ("operating_points.half.codec.costs_like=zip", ["costs_like", "'zip'"]),
        ("operating_points.half.codec.options={level: 77}", ["failed to encode"]),
        ("operating_points.half.codec.target=own_policy:Careful", ["has no encode() and decode()"]),
        ("operating_points.half.codec.target=subprocess:Popen", ["has no encode() and decode()"]),
        ("devices.d.policy.target=os:system", ["neither a class nor a function"]),
        ("devices.d.policy.target=builtins:eval", ["neither a class nor a function"]),
        ("devices.d.policy.options={limit_db: x}", ["failed to choose", "TypeError"]),
    ],
)
def test_bad_inputs(folder: Path, override: str, texts: list[str]) -> None:
    result = said("run", "own.yaml", "--set", override, "--out", "a", "--allow-code")
    assert result.exit_code == 2, result.output
    assert all(text in result.stderr for text in texts), result.stderr
    assert not (folder / "a").exists()


def test_own_objects_are_refused_with_a_reason(folder: Path) -> None:
    raw = scenario()
    raw["cell"]["channel"]["target"] = ValueError("no class")
    with pytest.raises(ScenarioError, match=r"cell\.channel\.target"):
        load(raw)
    raw["cell"]["channel"]["target"] = lambda rng: None
    with pytest.raises(ScenarioError, match="top of a module"):
        load(raw)
