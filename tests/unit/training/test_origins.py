"""A card is stale when the network or the code that it was trained from is another one now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simsplit.files import file_digest
from simsplit.training.origins import has_its_origins

CONTENT: dict[str, Any] = {
    "network": {"weights": "../teacher/weights.safetensors"},
    "start": "../first",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """That of a recipe, beside its teacher and the code that it starts from."""
    for name in ("teacher", "first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "teacher" / "weights.safetensors").write_bytes(b"weights")
    start(tmp_path, "aa")
    return tmp_path / "second"


def start(models: Path, digest: str) -> None:
    card = {"kind": "code", "weights_digest": digest}
    (models / "first" / "card.json").write_text(json.dumps(card))


def card(folder: Path, **changes: Any) -> dict[str, Any]:
    weights = file_digest(folder.parent / "teacher" / "weights.safetensors")
    started = {"started_from": {"code": "first", "weights_digest": "aa"}}
    return {"kind": "code", "network": {"weights": weights}} | started | changes


def test_nothing_changed(folder: Path) -> None:
    assert has_its_origins(card(folder), CONTENT, folder)


def test_another_teacher(folder: Path) -> None:
    before = card(folder)
    (folder.parent / "teacher" / "weights.safetensors").write_bytes(b"others")
    assert not has_its_origins(before, CONTENT, folder)


def test_a_network_that_began_with_the_weights_of_another(folder: Path) -> None:
    before = card(folder, kind="network", started_from=None)
    content = {"kind": "network", "network": CONTENT["network"]}
    assert has_its_origins(before, content, folder)
    (folder.parent / "teacher" / "weights.safetensors").write_bytes(b"others")
    assert not has_its_origins(before, content, folder)


def test_another_start_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSPLIT_PATH", str(folder.parent))
    content = CONTENT | {"start": "first"}
    assert has_its_origins(card(folder), content, folder)
    start(folder.parent, "bb")
    assert not has_its_origins(card(folder), content, folder)


def test_a_start_of_ones_own_beside_the_recipe_is_the_one_looked_at(folder: Path) -> None:
    own = folder.parent / "first"
    (own / "recipe.yaml").write_text("kind: multitask")
    content = {"start_from": "first"}
    assert has_its_origins(card(folder, network=None), content, folder)
    start(folder.parent, "bb")
    assert not has_its_origins(card(folder, network=None), content, folder)


def test_another_start(folder: Path) -> None:
    start(folder.parent, "bb")
    assert not has_its_origins(card(folder), CONTENT, folder)
    assert has_its_origins(card(folder), CONTENT | {"start": None}, folder)


def test_what_is_not_there_or_not_said_is_taken_for_unchanged(folder: Path) -> None:
    before = card(folder)
    (folder.parent / "teacher" / "weights.safetensors").unlink()
    (folder.parent / "first" / "card.json").write_text("{")
    assert has_its_origins(before, CONTENT, folder)
    assert has_its_origins({"kind": "code", "network": {"weights": "random"}}, {}, folder)
