"""Contracts of a user's own classes: the examples keep them, and what breaks one is told which."""

from __future__ import annotations

import importlib.util
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit import contracts
from simsplit.errors import ContractError, ScenarioError

EXAMPLES = Path(__file__).parents[1] / "examples"
MOST_LINES = 15
CHECKS = {
    "own_codec": ("HalfSize", contracts.check_codec),
    "own_scheduler": ("WeakestFirst", contracts.check_scheduler),
    "own_channel": ("PassingBy", contracts.check_channel),
    "own_arrivals": ("Bursts", contracts.check_arrivals),
    "own_policy": ("Careful", contracts.check_policy),
    "own_data_set": ("Bars", contracts.check_data_set),
}


def example(module: str) -> Any:
    spec = importlib.util.spec_from_file_location(module, EXAMPLES / f"{module}.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return getattr(loaded, CHECKS[module][0])


@pytest.mark.parametrize("module", CHECKS)
def test_an_example_keeps_its_contract(module: str) -> None:
    CHECKS[module][1](example(module))


@pytest.mark.parametrize("module", CHECKS)
def test_an_example_is_short(module: str) -> None:
    """Lines of code: blank ones and the module's docstring do not count."""
    lines = (EXAMPLES / f"{module}.py").read_text().splitlines()[1:]
    assert len([line for line in lines if line.strip()]) <= MOST_LINES


def test_the_error_survives_another_process() -> None:
    error = ContractError.broken("Own", "a codec", "encode gives bytes", "str", path="a.b")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.path == "a.b" and again.value == "str"


# --- what breaks a contract ---------------------------------------------------------------------


def codec(**methods: Any) -> type:
    """Pictures as their own bytes, but for the methods given."""

    class Plain:
        def __init__(self, shape: tuple[int, ...]) -> None:
            self.shape, self.calls = shape, 0

        def encode(self, array: Any) -> Any:
            return array.tobytes()

        def decode(self, payload: bytes) -> Any:
            return np.frombuffer(payload, np.uint8).reshape(self.shape)

    return type("Own", (Plain,), methods)


def _once_more(self: Any, *_: Any) -> bytes:
    self.calls += 1
    return bytes([self.calls])


class Turns:
    """A scheduler that keeps the contract."""

    def __init__(self, view: Any) -> None:
        self.members: list[int] = []

    def add(self, device: int) -> None:
        if device not in self.members:
            self.members.append(device)

    def remove(self, device: int) -> None:
        if device in self.members:
            self.members.remove(device)

    def pick(self, count: int, slot: int) -> Any:
        return self.members[:count]

    def shares(self, picked: Any, need: Any, n_prb: int) -> Any:
        return [n_prb] * len(picked)

    def served(self, device: int, bits: float, n_prb: int) -> None:
        pass

    def __len__(self) -> int:
        return len(self.members)


def scheduler(**methods: Any) -> type:
    return type("Own", (Turns,), methods)


def channel(level: Any) -> type:
    return type("Own", (), {"__init__": _keep_rng, "snr_db": level})


def arrivals(gaps: Any) -> type:
    return type("Own", (), {"__init__": _keep_rng, "gaps_s": gaps})


def policy(choose: Any) -> type:
    def init(self: Any, costs: Any, options: Any, rng: Any) -> None:
        self.rng, self.calls = rng, 0

    return type("Own", (), {"__init__": init, "choose": choose})


def _keep_rng(self: Any, rng: Any) -> None:
    self.rng, self.calls = rng, 0


COUNTED = iter(range(10**9))
DECISION = contracts.Decision
BROKEN: dict[str, tuple[Any, type, str]] = {
    "codec: str": (contracts.check_codec, codec(encode=lambda s, a: "x"), "encode gives bytes"),
    "codec: list": (
        contracts.check_codec,
        codec(decode=lambda s, p: [1]),
        "decode gives a numpy array",
    ),
    "codec: shape": (
        contracts.check_codec,
        codec(decode=lambda s, p: np.frombuffer(p, np.uint8)),
        r"decode gives the agreed shape \(4, 6, 3\)",
    ),
    "codec: type": (
        contracts.check_codec,
        codec(decode=lambda s, p: np.zeros(s.shape)),
        "decode gives uint8",
    ),
    "codec: forgets": (
        contracts.check_codec,
        codec(encode=_once_more),
        "encode gives the same bytes for the same array",
    ),
    "codec: draws": (
        contracts.check_codec,
        codec(decode=lambda s, p: np.full(s.shape, next(COUNTED) % 251, np.uint8)),
        "decode gives the same array for the same bytes",
    ),
    "codec: no decode": (contracts.check_codec, codec(decode=None), r"it has decode\(\)"),
    "scheduler: twice": (
        contracts.check_scheduler,
        scheduler(pick=lambda s, count, slot: s.members[:1] * count),
        "pick gives each device once",
    ),
    "scheduler: many": (
        contracts.check_scheduler,
        scheduler(pick=lambda s, count, slot: s.members),
        "pick gives at most 1 devices",
    ),
    "scheduler: strangers": (
        contracts.check_scheduler,
        scheduler(pick=lambda s, count, slot: [1]),
        "pick gives devices that have something to send",
    ),
    "scheduler: nobody": (
        contracts.check_scheduler,
        scheduler(pick=lambda s, count, slot: []),
        "pick gives a device if there is one",
    ),
    "scheduler: names": (
        contracts.check_scheduler,
        scheduler(pick=lambda s, count, slot: ["a"]),
        "pick gives a sequence of whole numbers",
    ),
    "scheduler: no list": (
        contracts.check_scheduler,
        scheduler(pick=lambda s, count, slot: None),
        "pick gives a sequence of whole numbers",
    ),
    "scheduler: fewer shares": (
        contracts.check_scheduler,
        scheduler(shares=lambda s, picked, need, n_prb: []),
        "shares gives one number per device picked",
    ),
    "scheduler: negative": (
        contracts.check_scheduler,
        scheduler(shares=lambda s, picked, need, n_prb: [-1] * len(picked)),
        "shares gives numbers of at least 0",
    ),
    "scheduler: halves": (
        contracts.check_scheduler,
        scheduler(shares=lambda s, picked, need, n_prb: [0.5] * len(picked)),
        "shares gives a sequence of whole numbers",
    ),
    "scheduler: length": (
        contracts.check_scheduler,
        scheduler(__len__=lambda s: 7),
        "len gives the 0 devices in the order",
    ),
    "channel: NaN": (
        contracts.check_channel,
        channel(lambda s, t: math.nan),
        r"snr_db gives a number of dB in \[-200, 200\]",
    ),
    "channel: text": (
        contracts.check_channel,
        channel(lambda s, t: "12 dB"),
        r"snr_db gives a number of dB in \[-200, 200\]",
    ),
    "channel: draws when asked": (
        contracts.check_channel,
        channel(lambda s, t: s.rng.normal()),
        "the same time has the same level",
    ),
    "channel: another source": (
        contracts.check_channel,
        type(
            "Own",
            (),
            {
                "__init__": lambda s, rng: setattr(s, "level", float(next(COUNTED) % 97)),
                "snr_db": lambda s, t: s.level,
            },
        ),
        "it draws from its rng alone: the same rng, the same levels",
    ),
    "arrivals: back in time": (
        contracts.check_arrivals,
        arrivals(lambda s: [1.0, -0.5]),
        "every gap is a number of seconds, finite and at least 0",
    ),
    "arrivals: infinite": (
        contracts.check_arrivals,
        arrivals(lambda s: [math.inf]),
        "every gap is a number of seconds, finite and at least 0",
    ),
    "arrivals: None": (
        contracts.check_arrivals,
        arrivals(lambda s: [None]),
        "every gap is a number of seconds, finite and at least 0",
    ),
    "arrivals: no time passes": (
        contracts.check_arrivals,
        arrivals(lambda s: iter(float, 1.0)),
        "no more than 1000 gaps of 0 s in a row",
    ),
    "arrivals: never": (
        contracts.check_arrivals,
        arrivals(lambda s: []),
        "there is at least one arrival",
    ),
    "arrivals: another source": (
        contracts.check_arrivals,
        arrivals(lambda s: [1.0 + next(COUNTED)]),
        "it draws from its rng alone: the same rng, the same gaps",
    ),
    "policy: stranger": (
        contracts.check_policy,
        policy(lambda s, k, sample: "cloud"),
        "choose gives one of its points",
    ),
    "policy: nothing": (
        contracts.check_policy,
        policy(lambda s, k, sample: None),
        "choose gives one of its points",
    ),
    "policy: time": (
        contracts.check_policy,
        policy(lambda s, k, sample: DECISION("feature", -1.0)),
        "exit_s must be finite and not negative",
    ),
    "policy: another source": (
        contracts.check_policy,
        policy(lambda s, k, sample: ("feature", "picture")[(next(COUNTED) // 7) % 2]),
        "it draws from its rng alone: the same rng, the same choices",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_contract_says_which_clause(case: str) -> None:
    check, thing, clause = BROKEN[case]
    kind = case.partition(":")[0]
    article = "" if kind == "arrivals" else "a "
    with pytest.raises(
        ContractError, match=rf"Own breaks the contract of {article}{kind}: .*{clause}"
    ):
        check(thing)


def test_what_keeps_it_passes() -> None:
    contracts.check_codec(codec())
    contracts.check_codec(codec()((2, 2, 1)), (2, 2, 1))
    contracts.check_scheduler(Turns)
    contracts.check_channel(channel(lambda s, t: 12))
    contracts.check_arrivals(arrivals(lambda s: [0.0, 0.5]))
    contracts.check_policy(policy(lambda s, k, sample: "feature"))


@pytest.mark.parametrize("error", [LookupError("gone"), SystemExit(3), KeyboardInterrupt()])
def test_what_fails_is_one_sentence(error: BaseException) -> None:
    def fail(*_: Any) -> Any:
        raise error

    name = type(error).__name__
    with pytest.raises(ScenarioError, match=f"Own failed to encode: {name}"):
        contracts.check_codec(codec(encode=fail))
    with pytest.raises(ScenarioError, match=f"Own failed at 0 s: {name}"):
        contracts.check_channel(channel(fail))
    with pytest.raises(ScenarioError, match=f"Own failed to give its arrivals: {name}"):
        contracts.check_arrivals(arrivals(fail))


@pytest.mark.parametrize("name", ["Items", "Coder", "ChannelInside", "Codec", "Chooser"])
def test_what_errors_name_is_there(name: str) -> None:
    """Errors say ``simsplit.contracts.NAME`` of every contract."""
    assert getattr(contracts, name)._is_protocol


# --- data sets ------------------------------------------------------------------------------------


class _Listed(list):  # type: ignore[type-arg]
    def __init__(self, split: str) -> None:
        super().__init__([self.item()] * 2 if split == "test" else [])

    def item(self) -> Any:
        return np.zeros((4, 4, 3), np.uint8), 1


class Unlike(_Listed):
    def __getitem__(self, index: Any) -> Any:
        return np.random.default_rng().integers(0, 255, (8, 8, 3), np.uint8), 1


class Thrice(_Listed):
    def item(self) -> Any:
        return 1, 2, 3


class Normalised(_Listed):
    def item(self) -> Any:
        return np.full((4, 4, 3), -2.0), 1


@pytest.mark.parametrize(
    ("own", "clause"),
    [
        (Unlike, "Unlike breaks the contract of a data set: item 0 differs each time"),
        (Thrice, r"sample 0: an item must be \(picture, truth\) or a mapping"),
        (Normalised, r"a picture of floats must be in 0\.\.1"),
    ],
)
def test_a_data_set_that_breaks_its_contract(own: type, clause: str) -> None:
    with pytest.raises(ContractError, match=clause):
        contracts.check_data_set(own)


def test_a_data_set_without_items() -> None:
    with pytest.raises(ContractError, match="the train split is empty"):
        contracts.check_data_set(_Listed, split="train")
