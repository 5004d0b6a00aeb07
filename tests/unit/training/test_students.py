"""Codes whose decoder stands in for the network between: until, halves, start, float16."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from coded_digits import NETWORK, code_recipe, trained, write_module, write_recipe
from simsplit.cli import app
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.messages import Prepared
from simsplit.scenario.yaml import read_mapping
from simsplit.tasks.datasets import test_samples as samples_of
from simsplit.training.code_card import CODED, _opened
from simsplit.training.code_course import CodeCourse
from simsplit.training.loop import open_course, take_step
from simsplit.training.phases import CodeRecipe, parse_phased_recipe
from simsplit.training.train import train

SKIP = """
from torch import nn


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.inner = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        y = self.first(x)
        return y + self.inner(y)
"""
SHORT: dict[str, Any] = {"train_images": 96, "test_images": 24, "batch": 16}
CODE = {
    "kind": "entropic",
    "channels": 4,
    "stride": 2,
    "transforms": "gdn",
    "encoder_channels": [6, 6],
    "decoder_channels": [12],
}
FIRST = {"train": "code", "steps": 12, "objectives": {"feature": 1, "rate": 0.05}}
SECOND = {"train": ["decoder", "tail"], "steps": 6, "objectives": {"task": 0.5, "distill": 0.5}}
STUDENT = code_recipe(CODE, cut="input", until="body.2", phases=[FIRST, SECOND], flip=True, **SHORT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("students")
    with pytest.MonkeyPatch.context() as monkeypatch:
        write_module(path, monkeypatch)
        monkeypatch.chdir(path)
        trained(path / "net", NETWORK | SHORT)
        trained(path / "other", NETWORK | SHORT | {"seed": 5})
        trained(path / "student", STUDENT)
        yield path


def recipe_of(folder: Path) -> CodeRecipe:
    recipe = parse_phased_recipe(read_mapping(folder / "recipe.yaml"), folder)
    assert isinstance(recipe, CodeRecipe)
    return recipe


def prepared(folder: Path) -> Prepared:
    test = samples_of("digits", 8, 8, 24)
    return _opened(recipe_of(folder), folder, test).prepared(CODED)


def card_of(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return card


def test_the_card_says_where_it_leads(folder: Path) -> None:
    card = card_of(folder / "student")
    assert (card["cut"], card["until"]) == ("input", "body.2")
    assert (card["shape"], card["until_shape"]) == ([3, 8, 8], [24, 4, 4])
    assert card["code"] == CODE and card["changed"] == ["code", "tail"]
    assert card["header_bytes"] == 2
    assert card["payload_bytes"]["mean"] == pytest.approx(card["payload_bits"]["mean"] / 8, abs=0.1)
    macs = card["macs"]
    assert macs["head"] == 0 and min(macs["replaced"], macs["encode"], macs["tail"]) > 0


def test_a_second_phase_without_the_encoder_leaves_the_payloads(folder: Path) -> None:
    alone = trained(folder / "alone", STUDENT | {"phases": [FIRST]})
    one, two = prepared(alone), prepared(folder / "student")
    assert one.payloads == two.payloads
    before, after = (load_file(f / "weights.safetensors") for f in (alone, folder / "student"))
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert moved and all(key.startswith("code.up.") for key in moved)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_one_frozen_encoder_serves_a_second_network(folder: Path, dtype: str) -> None:
    """Every payload is the same, byte for byte; the second network has its own decoder and tail."""
    again = trained(
        folder / f"second_{dtype}",
        STUDENT
        | {
            "network": STUDENT["network"] | {"weights": "../other/weights.safetensors"},
            "start": "../student",
            "phases": [SECOND],
            "weights_dtype": dtype,
        },
    )
    one, two = prepared(folder / "student"), prepared(again)
    assert one.payloads == two.payloads and len(one.payloads) == 24
    assert card_of(again)["started_from"] == {
        "code": "student",
        "weights_digest": card_of(folder / "student")["weights_digest"],
    }


def test_a_decoder_of_another_size_starts_anew(folder: Path) -> None:
    other = {"code": CODE | {"decoder_channels": [7, 9]}, "start": "../student"}
    again = trained(folder / "wider", STUDENT | other | {"phases": [SECOND]})
    assert prepared(again).payloads == prepared(folder / "student").payloads


def test_a_start_without_steps_is_the_other_code(folder: Path) -> None:
    again = trained(folder / "copied", STUDENT | {"start": "../student", "phases": []})
    one, two = (load_file(f / "weights.safetensors") for f in (folder / "student", again))
    assert all(torch.equal(one[key], value) for key, value in two.items())


def test_a_frozen_encoder_is_rounded_and_made_once(folder: Path) -> None:
    """What the decoder learns from is what `unpack` gives, of mirrored pictures too."""
    content = STUDENT | {"phases": [SECOND], "start": "../student"}
    recipe = recipe_of(write_recipe(folder / "made", content).parent)
    loop = open_course(recipe, "cpu", None)
    course = loop.course
    assert isinstance(course, CodeCourse)
    images = np.random.default_rng(3).integers(0, 255, (32, 8, 8, 3), dtype=np.uint8)
    data = course.prepare({"image": images, "label": np.zeros(32, np.uint8)})
    take_step(loop, data)
    assert data["target"].dtype == torch.float16 and "feature" not in data
    for name, seen in (("latent", images), ("mirrored_latent", images[:, :, ::-1])):
        with torch.no_grad():
            pictures = course.pupil.inputs(torch.from_numpy(seen.copy()), course.code)
            rows = course.code.encode(pictures).numpy()
        arrived = np.stack([course.code.unpack(course.code.pack(row)) for row in rows])  # type: ignore[union-attr]
        np.testing.assert_array_equal(data[name].numpy(), arrived)


def test_half_precision_is_scored_as_it_is_stored(folder: Path) -> None:
    half = trained(folder / "half", STUDENT | {"weights_dtype": "float16"})
    whole = folder / "student" / "weights.safetensors"
    stored = load_file(half / "weights.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.float16, torch.int64}
    assert (half / "weights.safetensors").stat().st_size < 0.6 * whole.stat().st_size
    assert card_of(half)["payload_over_information"] < 2.0


@pytest.mark.parametrize("kind", ["bottleneck", "jscc"])
def test_other_kinds_lead_further_on_too(folder: Path, kind: str) -> None:
    code = {
        "bottleneck": {"kind": "bottleneck", "channels": 3, "hidden": 6, "tables": False},
        "jscc": {"kind": "jscc", "symbols": 32, "hidden": 6},
    }[kind]
    first = FIRST | {"objectives": {"feature": 1}}
    content = {"code": code | {"stride": 2}, "phases": [first, SECOND]}
    assert card_of(trained(folder / kind, STUDENT | content))["until"] == "body.2"


def test_a_plain_recipe_keeps_its_digest() -> None:
    """New keys that are left out are in no digest and no card."""
    plain = code_recipe({"kind": "bottleneck", "channels": 3}, network={"source": "resnet18"})
    recipe = parse_phased_recipe(plain, Path.cwd())
    said = recipe.model_dump(mode="json")
    assert not {"until", "start", "weights_dtype"} & set(said)
    assert said["code"] == {
        "stride": 1, "hidden": 64, "kind": "bottleneck", "channels": 3, "bits": 8,
    }  # fmt: skip


def phases(*train: str, **said: Any) -> dict[str, Any]:
    return {"phases": [{"train": list(train), "steps": 2, **said}]}


BAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "until before the cut": (
        {"cut": "body.2", "until": "stem.1"},
        ("until: until lies behind the cut body.2", "stem.1", "deep.1"),
    ),
    "no such node": ({"until": "body.9"}, ("until: no such cut", "body.9", "body.2")),
    "until of no text": ({"until": 3}, ("until:", "3")),
    "a grid that never fits": ({"until": "hidden.1"}, ("code.stride", "4 x 4")),
    "too few convolutions": (
        {"code": CODE | {"encoder_channels": [6], "stride": 4}},
        ("code.encoder_channels: stride 4 needs at least 2", "[6]"),
    ),
    "no convolutions": ({"code": CODE | {"decoder_channels": []}}, ("code.decoder_channels",)),
    "channels of nothing": ({"code": CODE | {"encoder_channels": [0]}}, ("code.encoder_channels",)),
    "unknown transforms": ({"code": CODE | {"transforms": "gnd"}}, ("code.transforms", "gdn")),
    "channels without gdn": (
        {"code": {"kind": "entropic", "channels": 2, "encoder_channels": [4]}},
        ("code.encoder_channels", "belongs to transforms: gdn"),
    ),
    "hidden with gdn": ({"code": CODE | {"hidden": 8}}, ("code", "hidden belongs to transforms")),
    "gdn of symbols": (
        {"code": {"kind": "jscc", "symbols": 16, "transforms": "gdn"}},
        ("code.transforms", "unknown key"),
    ),
    "tables of integers": ({"code": CODE | {"tables": False}}, ("code.tables", "unknown key")),
    "code and encoder": (
        phases("code", "encoder"),
        ("phases[0]: code is encoder and decoder already",),
    ),
    "half of an own code": (
        {
            "cut": "body.2",
            "until": None,
            "code": {"kind": "custom", "target": "coded_nets:Linear", "scheme": "jscc"},
            **phases("decoder"),
        },
        ("phases[0]: a code of your own is trained as a whole",),
    ),
    "the rate of a frozen encoder": (
        phases("decoder", objectives={"rate": 1}),
        ("phases[0]: objective rate needs the encoder",),
    ),
    "a halved code that is none": (phases("decodr"), ("phases[0].train", "decodr", "decoder")),
    "a start that is not there": ({"start": "../studnet"}, ("start: no such code", "studnet")),
    "a start of a network": ({"start": "../net"}, ("start: no such code", "net")),
    "a start at another cut": (
        {"cut": "stem.1", "start": "../student"},
        ("start: that code's encoder takes input (3, 8, 8), this one's stem.1 (12, 8, 8)",),
    ),
    "a start with another encoder": (
        {"code": CODE | {"channels": 5}, "start": "../student"},
        ("code.channels: that code has 4 there", "5"),
    ),
    "a start of another kind": (
        {"code": CODE | {"kind": "bottleneck"}, "start": "../student", **phases("code")},
        ("that code has", "its encoder would not fit"),
    ),
    "weights of a third size": ({"weights_dtype": "int8"}, ("weights_dtype", "int8", "float16")),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recipe_says_what_is_wrong(folder: Path, name: str) -> None:
    changes, parts = BAD[name]
    content = copy.deepcopy(STUDENT) | changes
    recipe = write_recipe(folder / "bad", content)
    with pytest.raises(ScenarioError) as caught:
        train(recipe)
    missing = [part for part in parts if part not in str(caught.value)]
    assert not missing, str(caught.value)
    assert not (recipe.parent / "weights.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"code": "entropic"}, "damaged card: code: "),
        ({"code": {"kind": "entropc", "channels": 4}}, "damaged card: code.kind: unknown kind"),
        ({"shape": 3}, "damaged card: shape: must be"),
        ({"weights_digest": None}, "damaged card: weights_digest: must be"),
    ],
)
def test_a_start_whose_card_is_damaged(folder: Path, change: dict[str, Any], told: str) -> None:
    shutil.copytree(folder / "student", folder / "damaged", dirs_exist_ok=True)
    card = folder / "damaged" / "card.json"
    card.write_text(json.dumps(card_of(folder / "student") | change))
    recipe = write_recipe(folder / "bad", STUDENT | {"start": "../damaged"})
    with pytest.raises(ArtefactError) as caught:
        train(recipe)
    assert str(caught.value).startswith(f"start: {card}: {told}")


def test_a_start_whose_weights_are_others(folder: Path) -> None:
    shutil.copytree(folder / "student", folder / "swapped", dirs_exist_ok=True)
    shutil.copy(folder / "net" / "weights.safetensors", folder / "swapped")
    recipe = write_recipe(folder / "bad", STUDENT | {"start": "../swapped"})
    with pytest.raises(ArtefactError, match=r"^start: .*swapped.weights\.safetensors: the weights"):
        train(recipe)


def test_a_start_that_is_not_trained(folder: Path) -> None:
    write_recipe(folder / "untrained", STUDENT)
    recipe = write_recipe(folder / "bad", STUDENT | {"start": "../untrained"})
    with pytest.raises(ArtefactError, match=r"^start: the code has no card\.json; run `simsplit"):
        train(recipe)


def test_two_tensors_at_until(folder: Path) -> None:
    """Where a skip connection crosses beside the node there is no single tensor to give."""
    (folder / "skip_nets.py").write_text(SKIP)
    changes = {"network": {"source": "skip_nets:Skip"}, "until": "inner", "phases": [FIRST]}
    with pytest.raises(ScenarioError) as caught:
        train(write_recipe(folder / "bad", STUDENT | changes))
    assert "until: a code takes one float32 tensor; here cross" in str(caught.value)
    assert str(caught.value).count("torch.float32") == 2


def test_the_command_says_it_in_one_sentence(folder: Path) -> None:
    recipe = write_recipe(folder / "bad", STUDENT | {"cut": "body.2", "until": "stem.1"})
    result = CliRunner().invoke(app, ["train", str(recipe), "--allow-code"])
    assert result.exit_code == 2
    assert "until: until lies behind the cut" in " ".join(result.output.split())
    assert "Traceback" not in result.output
