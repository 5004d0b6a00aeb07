"""What is made once, however many processes ask for it: act one's results and scores, on disk.

A file's name is a digest of all that decides what is in it: the operating point, the network, the
samples, versions of the libraries, and every module of simsplit that the pipeline imports
(`simsplit.sources.code_files`). Files are made under a lock and written whole. A lock is the
operating system's (``flock``), so that a process that is killed leaves none behind.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.files import json_digest, whole_file
from simsplit.messages import Evidence, Outcome, Prepared
from simsplit.scenario.operating_points import OperatingPoint
from simsplit.scenario.targets import targets_digest
from simsplit.sources import code_digest

ENTRY = "simsplit.pipeline.scenario"  # imports all that prepares and scores
LIBRARIES = {  # that decide payloads and scores: module → distribution
    "PIL": "pillow",
    "constriction": "constriction",
    "numpy": "numpy",
    "safetensors": "safetensors",
    "sklearn": "scikit-learn",
    "timm": "timm",
    "torch": "torch",
    "torchvision": "torchvision",
}
_NAMES_OF_POINTS = {"name", "send_result", "of", "code"}  # a code counts by its digest, in identity


class Shared(Enum):
    """Results that requests of several operating points share."""

    LOCAL = "local"  # the whole network on the device
    EXIT = "exit"  # the early exit on the device
    LOST = "lost"  # nothing arrived


@dataclass(frozen=True, slots=True)
class ResultKey:
    """What requests of one result have in common.

    Attributes:
        network: Whose answer it is; None: of the scenario's model.
        way: The operating point whose payload arrived, or what they share.
        sample: Index of the sample.
    """

    network: str | None
    way: str | Shared
    sample: int


def by_way(keys: Iterable[ResultKey]) -> dict[tuple[str | None, str | Shared], list[int]]:
    """Samples of every network's ways, in ascending order."""
    ways: dict[tuple[str | None, str | Shared], list[int]] = {}
    for key in sorted(keys, key=lambda key: key.sample):
        ways.setdefault((key.network, key.way), []).append(key.sample)
    return ways


@dataclass(frozen=True)
class Cache:
    """Act one's results and scores of one network on one task.

    Attributes:
        folder: None keeps nothing.
        identity: Digests of the network and of the samples.
    """

    folder: Path | None
    identity: tuple[str, ...]

    def prepared(self, point: OperatingPoint, make: Callable[[], Prepared]) -> Prepared:
        """What the file of an operating point holds; made and written if there is none."""
        if self.folder is None:
            return make()
        file = self.folder / "prepared" / f"{self._key(_content(point))}.npz"
        prepared = _read_prepared(file)
        if prepared is not None:
            return prepared
        with _locked(file):
            prepared = _read_prepared(file)  # another process may have made it meanwhile
            if prepared is None:
                prepared = make()
                _write_prepared(file, prepared)
        return prepared

    def outcomes(
        self,
        way: OperatingPoint | Shared,
        samples: Sequence[int],
        score: Callable[[list[int]], Sequence[Outcome]],
    ) -> list[Outcome]:
        """Outcomes of the samples; those that the file lacks are worked out and added to it."""
        if self.folder is None:
            return list(score(list(samples)))
        content = way.value if isinstance(way, Shared) else _content(way)
        file = self.folder / "scored" / f"{self._key(content)}.npz"
        with _locked(file):
            outcomes = _read_outcomes(file)
            missing = [sample for sample in samples if sample not in outcomes]
            if missing:
                outcomes |= zip(missing, score(missing), strict=True)
                _write_outcomes(file, outcomes)
        return [outcomes[sample] for sample in samples]

    def _key(self, content: object) -> str:
        return json_digest([code_digest(ENTRY), library_versions(), self.identity, content])[:24]


def _content(point: OperatingPoint) -> dict[str, Any]:
    """What a point says that decides its payloads, with a user's own code as it is now."""
    content = point.model_dump(mode="json", exclude=_NAMES_OF_POINTS)
    own = targets_digest(point)
    return content if own is None else content | {"own code": own}


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str | None]:
    """Version of every distribution of `LIBRARIES`; None: not installed."""
    return {name: _version(name) for name in LIBRARIES.values()}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Nobody else is inside for this file; waits for as long as it takes."""
    from filelock import FileLock

    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f".{file.name}.lock")):
        yield


# --- files ------------------------------------------------------------------------------------


def _read_outcomes(file: Path) -> dict[int, Outcome]:
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
            names, samples, values = (arrays[key] for key in ("names", "samples", "values"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}
    evidence = _evidence_of(arrays)
    return {
        int(sample): Outcome(
            tuple((str(name), float(v)) for name, v in zip(names, row, strict=True)),
            evidence.get(int(sample), ()),
        )
        for sample, row in zip(samples, values, strict=True)
    }


def _evidence_of(arrays: Mapping[str, NDArray[Any]]) -> dict[int, tuple[Evidence, ...]]:
    """Evidence by sample, of the arrays called ``evidence|<sample>|<ending>|<name>``."""
    found: dict[int, dict[str, dict[str, NDArray[Any]]]] = {}
    for key, array in arrays.items():
        if key.startswith("evidence|"):
            _, sample, ending, name = key.split("|")
            found.setdefault(int(sample), {}).setdefault(ending, {})[name] = array
    return {
        sample: tuple(Evidence(ending, values) for ending, values in endings.items())
        for sample, endings in found.items()
    }


def _write_outcomes(file: Path, outcomes: dict[int, Outcome]) -> None:
    names = [name for name, _ in next(iter(outcomes.values())).scores]
    rows = [[value for _, value in outcome.scores] for outcome in outcomes.values()]
    evidence = {
        f"evidence|{sample}|{one.ending}|{name}": array
        for sample, outcome in outcomes.items()
        for one in outcome.evidence
        for name, array in one.values.items()
    }
    with whole_file(file) as aside:
        np.savez(
            aside,
            names=np.array(names, np.str_),
            samples=np.array(list(outcomes), np.int64),
            values=np.array(rows, np.float64),
            **evidence,  # type: ignore[arg-type]
        )


def _read_prepared(file: Path) -> Prepared | None:
    """None if there is none or it cannot be read."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return _unpacked({key: stored[key] for key in stored.files})
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _write_prepared(file: Path, prepared: Prepared) -> None:
    with whole_file(file) as aside:
        np.savez(aside, **_packed(prepared))  # type: ignore[arg-type]


def _packed(prepared: Prepared) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "payload_bits": prepared.payload_bits,
        "channel_uses": prepared.channel_uses,
        "answer_bits": prepared.answer_bits,
        "payload_sizes": np.array([len(payload) for payload in prepared.payloads], np.int64),
        "payload_bytes": np.frombuffer(b"".join(prepared.payloads), np.uint8),
    }
    optional = {
        "symbols": prepared.symbols,
        "confidence": prepared.confidence,
        "map_bits": prepared.map_bits,
    }
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
        map_bits=arrays.get("map_bits"),
    )
