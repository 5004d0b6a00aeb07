"""Every kind of channel trace that can be made, by its name, with checked settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from simsplit.errors import ScenarioError
from simsplit.phy.traces.make import FadingSettings, make_cdl_trace, make_tdl_trace
from simsplit.phy.traces.ray_traced import RaySettings, make_rt_trace

KINDS = ("tdl", "cdl", "rt")


def make_trace(kind: str, out: Path, settings: Mapping[str, Any]) -> Path:
    """Write a trace of a kind; ``settings`` are those of its record. Returns its path.

    Raises:
        ScenarioError: No such kind, or a setting that its record does not have.
        ArtefactError: The ray tracer is not installed.
    """
    make, record = _maker(kind)
    names = [field.name for field in fields(record)]
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


def _maker(kind: str) -> tuple[Callable[..., Path], type[FadingSettings | RaySettings]]:
    makers: dict[str, tuple[Callable[..., Path], type[FadingSettings | RaySettings]]] = {
        "tdl": (make_tdl_trace, FadingSettings),
        "cdl": (make_cdl_trace, FadingSettings),
        "rt": (make_rt_trace, RaySettings),
    }
    if kind not in makers:
        raise ScenarioError("no such kind of trace", value=kind, choices=KINDS)
    return makers[kind]
