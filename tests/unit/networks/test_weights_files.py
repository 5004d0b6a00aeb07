"""Weights files of every kind: which are read, how, and what is said of the others."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from simsplit.errors import ArtefactError
from simsplit.networks.checkpoints import load_weights
from simsplit.scenario.operating_points import Network


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def state(seed: float = 0.5) -> dict[str, Tensor]:
    """Weights of the network that are recognised by their value."""
    return {
        name: torch.full_like(tensor, seed) if tensor.is_floating_point() else tensor
        for name, tensor in network().state_dict().items()
    }


def under(prefix: str, seed: float = 0.5) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state(seed).items()}


def saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


# --- what is read -----------------------------------------------------------------------------

WRAPPED: dict[str, tuple[Any, str]] = {
    "as it is": (state(), "as it is"),
    "state_dict": ({"state_dict": state(), "epoch": 3}, "weights_key: state_dict"),
    "model": ({"model": state(), "optimizer": {"state": {}}}, "weights_key: model"),
    "net": ({"net": state()}, "weights_key: net"),
    "ema": ({"ema": state(), "step": torch.tensor(3)}, "weights_key: ema"),
    "nested": ({"ema": {"module": state()}}, "weights_key: ema.module"),
    "DataParallel": (under("module."), "weights_prefix: module."),
    "compiled": (under("_orig_mod."), "weights_prefix: _orig_mod."),
    "both": (under("module._orig_mod."), "weights_prefix: module._orig_mod."),
    "averaged": ({**under("module."), "n_averaged": torch.tensor(7)}, "weights_prefix: module."),
    "Lightning": (
        {"state_dict": under("model."), "pytorch-lightning_version": "2.4", "epoch": 1},
        "weights_key: state_dict, weights_prefix: model.",
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("legacy", [False, True])
def test_the_only_reading_that_fits_is_taken(tmp_path: Path, name: str, legacy: bool) -> None:
    content, how = WRAPPED[name]
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=not legacy)
    net = network()
    assert str(load_weights(net, tmp_path / "w.pt")) == how
    assert float(net.get_parameter("0.weight").detach().mean()) == 0.5


def test_the_content_counts_not_the_files_name(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "weights.bin")
    assert str(load_weights(network(), tmp_path / "weights.bin")) == "as it is"


def test_halves_are_read_exactly(tmp_path: Path) -> None:
    save_file({k: v.half() for k, v in state(0.1).items()}, tmp_path / "half.safetensors")
    net = network()
    load_weights(net, tmp_path / "half.safetensors")
    assert net.get_parameter("0.weight").dtype == torch.float32
    assert float(net.get_parameter("0.weight").detach()[0, 0, 0, 0]) == float(
        torch.tensor(0.1).half()
    )


def test_the_user_says_which_of_several(tmp_path: Path) -> None:
    torch.save({"model": state(0.25), "ema": under("module.", 0.75)}, tmp_path / "w.pt")
    with pytest.raises(ArtefactError) as refused:
        load_weights(network(), tmp_path / "w.pt")
    assert "several state dicts that fit: say which, weights_key: model; or " in str(refused.value)
    assert "weights_key: ema, weights_prefix: module." in str(refused.value)
    for key, value in (("model", 0.25), ("ema", 0.75)):
        net = network()
        load_weights(net, tmp_path / "w.pt", key=key)
        assert float(net.get_parameter("0.weight").detach().mean()) == value


def test_a_prefix_that_only_some_names_have_is_suggested_and_taken_if_said(tmp_path: Path) -> None:
    content = {"state_dict": {**under("student.net."), "loss.weight": torch.ones(2)}}
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ArtefactError) as refused:
        load_weights(network(), tmp_path / "w.pt")
    assert "say weights_key: state_dict, weights_prefix: student.net." in str(refused.value)
    how = load_weights(network(), tmp_path / "w.pt", prefix="student.net.")
    assert str(how) == "weights_key: state_dict, weights_prefix: student.net."


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    torch.save({"model": state()}, tmp_path / "w.pt")
    with pytest.raises(ArtefactError, match=r"weights_key: .*no state dict there.*Choices: model"):
        load_weights(network(), tmp_path / "w.pt", key="modle")


# --- what is refused --------------------------------------------------------------------------


def archive(names: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name, content in names.items():
            zipped.writestr(name, content)
    return file.getvalue()


def torchscript() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.ReLU(), torch.zeros(1)), file)
    return file.getvalue()


def exported() -> bytes:
    file = io.BytesIO()
    torch.export.save(torch.export.export(nn.ReLU(), (torch.zeros(1),)), file)
    return file.getvalue()


def array_file(write: Callable[..., None]) -> bytes:
    file = io.BytesIO()
    write(file, np.zeros(3))
    return file.getvalue()


class Trap:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("executed",)


def changed(name: str, value: float) -> dict[str, Tensor]:
    tensor = state()[name].clone()
    tensor.view(-1)[1] = value
    return {**state(), name: tensor}


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"
ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x80\x02"
NEITHER = "neither safetensors nor a state dict"
BAD: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "empty": (lambda: b"", ["is empty", NEITHER]),
    "LFS pointer": (lambda: LFS, ["a Git LFS pointer", "git lfs pull"]),
    "annex pointer": (lambda: b"/annex/objects/SHA256E-s12--ab.pt\n", ["a git-annex pointer"]),
    "HTML": (
        lambda: b"\n<!DOCTYPE html><html>404</html>",
        ["an HTML page", "fetch the file itself"],
    ),
    "XML": (lambda: b"<?xml version='1.0'?><Error/>", ["an HTML page"]),
    "index": (
        lambda: b'{"weight_map": {"a": "b"}}',
        ["the index of a checkpoint in several files"],
    ),
    "text": (lambda: b"no tensors", ["a text file", NEITHER]),
    "ONNX": (lambda: ONNX, ["an ONNX model", "not read yet", "torch.export (.pt2)"]),
    "TorchScript": (torchscript, ["a TorchScript archive", "not read yet", "torch.export (.pt2)"]),
    "program": (exported, ["a torch.export program", "name it as the network's source"]),
    "npz": (lambda: array_file(np.savez), ["an archive of NumPy arrays (.npz)"]),
    "npy": (lambda: array_file(np.save), ["a NumPy array (.npy)", "safetensors"]),
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(64), ["an HDF5 file (Keras)"]),
    "TFLite": (lambda: b"\x1c\0\0\0TFL3" + bytes(64), ["a TensorFlow Lite model"]),
    "GGUF": (lambda: b"GGUF\x03\0\0\0", ["a GGUF file"]),
    "gzip": (lambda: b"\x1f\x8b\x08\0" + bytes(20), ["a compressed archive", "unpack it first"]),
    "tar": (lambda: b"a".ljust(257, b"\0") + b"ustar\0" + bytes(300), ["a tar archive"]),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(20), ["a picture"]),
    "truncated zip": (lambda: saved(state())[:900], ["breaks off or is damaged", "fetch it again"]),
    "other zip": (lambda: archive({"a/readme.txt": b"x"}), ["a zip archive without a state dict"]),
    "truncated safetensors": (lambda: save(state())[:-8], ["is damaged", NEITHER]),
    "other pickle": (lambda: pickle.dumps({"a": 1}), ["a pickle that torch.save did not write"]),
    "trap": (lambda: saved(Trap()), ["holds Python objects (", "print", "state_dict() alone"]),
    "whole module": (
        lambda: saved(nn.Linear(2, 2)),
        ["Python objects (torch.nn", "state_dict() alone"],
    ),
    "list": (lambda: saved([1, 2]), ["holds no state dict: it is a list"]),
    "a number": (lambda: saved(3), ["holds no state dict: it is an int"]),
    "no tensors": (lambda: saved({"epoch": 3, "lr": 0.1}), ["no state dict; it holds epoch, lr"]),
    "nothing": (lambda: saved({}), ["holds no state dict; it holds nothing"]),
    "noise": (lambda: bytes(range(1, 250)) * 3, ["of no kind that is known", NEITHER]),
    "NaN": (
        lambda: saved(changed("0.weight", np.nan)),
        ["holds NaN in 0.weight (1 of 108 values)"],
    ),
    "infinity": (lambda: saved(changed("3.bias", np.inf)), ["holds infinity in 3.bias (1 of 2"]),
    "NaN statistics": (lambda: saved(changed("1.running_var", np.nan)), ["NaN in 1.running_var"]),
    "another network's": (
        lambda: saved({"features.0.weight": torch.ones(2)}),
        [
            "another network: missing 0.bias, 0.weight, 1.bias and 5 more",
            "unexpected features.0.weight",
        ],
    ),
    "other shapes": (
        lambda: saved({**state(), "3.weight": torch.ones(5, 16)}),
        ["holds other shapes", "3.weight"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_file_is_is_said(tmp_path: Path, name: str, capsys: Any) -> None:
    make, parts = BAD[name]
    path = tmp_path / "weights.pt"
    path.write_bytes(make())
    with pytest.raises(ArtefactError) as refused:
        load_weights(network(), path)
    message = str(refused.value)
    assert message.startswith(f"weights: {path}") and "weights_only" not in message
    assert [part for part in parts if part not in message] == []
    assert "executed" not in capsys.readouterr().out


def test_there_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no such weights file"):
        load_weights(network(), tmp_path / "none.pt")
    with pytest.raises(ArtefactError, match="is a folder, not a file of weights"):
        load_weights(network(), tmp_path)


def test_a_mask_of_infinities_is_no_damage(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    net.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    torch.save(net.state_dict(), tmp_path / "w.pt")
    assert str(load_weights(net, tmp_path / "w.pt")) == "as it is"


def test_the_safetensors_header_is_looked_at(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 99]}}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(ArtefactError, match="is damaged"):
        load_weights(network(), path)


def test_check_says_how_a_checkpoint_was_read(tmp_path: Path) -> None:
    from torchvision.models import squeezenet1_1

    from simsplit.study.check import check

    torch.save({"ema": squeezenet1_1().state_dict()}, tmp_path / "w.ckpt")
    net = {"name": "net", "source": "squeezenet1_1", "weights": str(tmp_path / "w.ckpt")}
    device = {"name": "d", "count": 1, "hardware": "raspberry_pi_4", "operating_point": "p"}
    scenario = {
        "name": "wrapped",
        "task": {"dataset": "photographs", "height_px": 32, "width_px": 32, "samples": 2},
        "model": None,
        "networks": [net],
        "operating_points": [{"name": "p", "scheme": "local", "network": "net"}],
        "devices": [{**device, "arrivals": {"kind": "periodic", "period_s": 1.0}}],
        "cell": {"resource_blocks": 51, "channel": {"kind": "fixed_snr", "snr_db": 20}},
    }
    assert "networks.net.weights: read with weights_key: ema" in check(scenario).notes


# --- a part that stays as it is -----------------------------------------------------------------


def test_a_fresh_part_keeps_its_start_and_may_have_another_shape(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 9)).state_dict(), file)
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    load_weights(net, file, fresh=("1.",))
    after = net.state_dict()
    assert torch.equal(after["1.weight"], before["1.weight"])
    assert not torch.equal(after["0.weight"], before["0.weight"])


def test_a_fresh_part_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file(nn.Linear(4, 3).state_dict(), file)
    with pytest.raises(ArtefactError, match="no parameter of the network begins so") as caught:
        load_weights(nn.Linear(4, 3), file, fresh=("fc.",))
    assert caught.value.path == "weights_fresh"


def test_nothing_is_fresh_without_other_weights() -> None:
    with pytest.raises(ValueError, match="weights_fresh leaves out a part of other weights"):
        Network(name="n", source="resnet18", weights="random", weights_fresh=("fc.",))
