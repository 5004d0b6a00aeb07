"""Act one: what a scheme computes on either side of the cut, and what its samples cost, on disk."""

from __future__ import annotations

import hashlib
import json
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.messages import Prepared, Scheme, Workload
from simsplit.operators import Operators
from simsplit.scenario import OperatingPoint

FORMAT = 2  # goes up when a codec or the file's layout changes


def workloads(parts: Mapping[str, Operators]) -> dict[Scheme, Workload]:
    """Operators on either side of the cut per scheme, from those of the parts.

    ``tail`` is left empty: it is the operating point's. ``exit_head`` is what an early exit costs
    beyond what the point computes on the device anyway: its head, and for ``raw`` the part of the
    trunk that leads to it too. A network without a JSCC path has no such scheme.

    Args:
        parts: As ``nets.inference.count_operators`` returns them.
    """
    whole, head = parts["encode"] + parts["answer"], parts.get("exit_head", ())

    def cut(kind: str) -> Workload:
        device = parts["encode"] + parts[f"{kind}_encode"]
        return Workload(device, parts[f"{kind}_decode"] + parts["answer"], whole, head)

    ways = {
        Scheme.LOCAL: Workload(whole, (), whole, head),
        Scheme.RAW: Workload((), whole, whole, parts.get("exit_trunk", ()) + head),
        Scheme.SEPARATE: cut("digital"),
    }
    return ways | ({Scheme.JSCC: cut("jscc")} if "jscc_encode" in parts else {})


def exit_workload(parts: Mapping[str, Operators]) -> Workload:
    """Operators of the early exit: its share of the trunk and its head; nothing at the edge."""
    head = parts["exit_head"]
    return Workload(parts["exit_trunk"] + head, (), parts["encode"] + parts["answer"], head)


def cache_file(
    folder: Path, point: OperatingPoint, weights_digest: str, images: NDArray[np.uint8]
) -> Path:
    """Where one operating point's result lives: weights, pictures, point and library versions."""
    import PIL
    import torch

    said = point.model_dump(mode="json", exclude={"name", "send_result", "of"})
    identity = [FORMAT, said, weights_digest, images.shape, PIL.__version__, torch.__version__]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(images).tobytes())
    return folder / "prepared" / f"{digest.hexdigest()[:24]}.npz"


def read_prepared(file: Path) -> Prepared | None:
    """What the file holds; None if there is none or it cannot be read."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return _unpacked({key: stored[key] for key in stored.files})
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def write_prepared(file: Path, prepared: Prepared) -> None:
    """Write aside, then rename: a reader sees a whole file or none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.stem}-{uuid.uuid4().hex}.npz")
    try:
        np.savez(aside, **_packed(prepared))  # type: ignore[arg-type]
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


def _packed(prepared: Prepared) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "payload_bits": prepared.payload_bits,
        "channel_uses": prepared.channel_uses,
        "answer_bits": prepared.answer_bits,
        "payload_sizes": np.array([len(payload) for payload in prepared.payloads], np.int64),
        "payload_bytes": np.frombuffer(b"".join(prepared.payloads), np.uint8),
    }
    optional = {"symbols": prepared.symbols, "confidence": prepared.confidence}
    return arrays | {name: array for name, array in optional.items() if array is not None}


def _unpacked(arrays: dict[str, NDArray[Any]]) -> Prepared:
    whole, ends = arrays["payload_bytes"].tobytes(), np.cumsum(arrays["payload_sizes"])
    starts = ends - arrays["payload_sizes"]
    return Prepared(
        payload_bits=arrays["payload_bits"],
        channel_uses=arrays["channel_uses"],
        answer_bits=arrays["answer_bits"],
        payloads=tuple(whole[a:b] for a, b in zip(starts, ends, strict=True)),
        symbols=arrays.get("symbols"),
        confidence=arrays.get("confidence"),
    )
