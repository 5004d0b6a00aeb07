"""Every kind of channel trace that can be made, by its name, with checked settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from simsplit.errors import ScenarioError
from simsplit.phy.traces.make import make_cdl_trace, make_tdl_trace
from simsplit.phy.traces.ray_traced import make_rt_trace

KINDS = ("tdl", "cdl", "rt")


def make_trace(kind: str, out: Path, settings: Mapping[str, Any]) -> Path:
    """Write a trace of a kind; ``settings`` are keyword arguments of its maker. Returns its path.

    Raises:
        ScenarioError: No such kind, or a setting that its maker does not have.
        ArtefactError: The ray tracer is not installed.
    """
    make = _maker(kind)
    names = [name for name in inspect.signature(make).parameters if name != "out"]
    for key in settings:
        if key not in names:
            message = f"no such setting of a {kind} trace"
            raise ScenarioError(message, path=key, value=key, choices=names)
    try:
        return make(out, **settings)
    except TypeError as error:
        raise ScenarioError(
            f"a setting has the wrong type ({error})", value=dict(settings)
        ) from None


def _maker(kind: str) -> Callable[..., Path]:
    makers: dict[str, Callable[..., Path]] = {
        "tdl": make_tdl_trace,
        "cdl": make_cdl_trace,
        "rt": make_rt_trace,
    }
    if kind not in makers:
        raise ScenarioError("no such kind of trace", value=kind, choices=KINDS)
    return makers[kind]
