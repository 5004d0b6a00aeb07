"""Channel traces from Sionna's ray tracer: devices on straight tracks in a built-in city scene.

Needs ``pip install simsplit[rt]`` and a libLLVM of version 17 or newer, which Dr.Jit compiles with.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.fit.traces import (
    check_clock,
    check_out,
    check_positive,
    frequencies_hz,
    table,
    write,
)

Point = tuple[float, float, float]
Floats = NDArray[np.float64]

OLDEST_LLVM = 17  # 16 and older abort the process: "Cannot select: fmaximum"
_LIBRARIES = "DRJIT_LIBLLVM_PATH"
_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
_AT_ONCE = 500  # receivers per solve: 0.2 to 0.5 s on two cores
_INSTALL = "pip install simsplit[rt] and a libLLVM of version 17 or newer (apt install libllvm19)"


def make_rt_trace(
    out: str | Path,
    *,
    scene: str = "simple_street_canyon",
    transmitter_m: Point = (-32.0, 10.0, 32.0),
    starts_m: Sequence[Point] = ((-50.0, 0.0, 1.5),),
    velocities_mps: Sequence[Point] = ((1.0, 0.0, 0.0),),
    carrier_hz: float = 3.5e9,
    duration_s: float = 10.0,
    step_s: float = 0.01,
    reference_dbm_per_re: float = 15.0,
    bandwidth_hz: float = 18.36e6,
    subbands: int = 12,
    max_depth: int = 3,
    rays: int = 10_000,
    no_path_dbm: float | None = None,
    seed: int = 1,
) -> Path:
    """Write the RSRP along each track, with columns time_s, device, rsrp_dbm, x_m, y_m.

    RSRP = ``reference_dbm_per_re`` + 10 log10 of the mean |H_f|^2 over the subbands (TS 38.215
    clause 5.1.1: linear average over resource elements), H from all paths of up to ``max_depth``
    reflections between isotropic vertical antennas, phases kept: fading comes from the geometry.

    Raises:
        ScenarioError: Impossible parameters; or a place without any path (a wall around it, say)
            while ``no_path_dbm``, the level to write there, is None.
        ArtefactError: The ray tracer or its LLVM is not installed.
    """
    said = {key: value for key, value in locals().items() if key != "out"}
    file = Path(out)
    _check(file, said)
    tracer = _ray_tracer()
    times_s: Floats = np.arange(round(duration_s / step_s), dtype=np.float64) * step_s
    tracks_m = (
        np.asarray(starts_m)[:, None]
        + np.asarray(velocities_mps, np.float64)[:, None] * times_s[:, None]
    )
    gains = np.concatenate(list(_gains(tracer, said, tracks_m.reshape(-1, 3))))
    _check_paths(gains, tracks_m, said)
    levels_dbm = np.split(_levels_dbm(gains, said), len(tracks_m))
    where = {"x_m": tracks_m[..., 0].ravel(), "y_m": tracks_m[..., 1].ravel()}
    card = {"kind": "rt", "value": "rsrp", "parameters": said}
    found = {"without_path": int((gains == 0.0).sum())}
    return write(file, table(times_s, levels_dbm, "rsrp_dbm", **where), card | found)


def _levels_dbm(gains: Floats, said: dict[str, Any]) -> Floats:
    floor_dbm = said["no_path_dbm"]
    levels_dbm = np.full(gains.shape, np.nan if floor_dbm is None else floor_dbm)
    reached = gains > 0.0
    levels_dbm[reached] = said["reference_dbm_per_re"] + 10.0 * np.log10(gains[reached])
    return levels_dbm


def _check(out: Path, said: dict[str, Any]) -> None:
    check_out(out)
    check_clock(said)
    check_positive(said, ("carrier_hz", "bandwidth_hz", "subbands", "rays"))
    if said["max_depth"] < 0:
        raise ScenarioError("must not be negative", path="max_depth", value=said["max_depth"])
    starts, velocities = np.shape(said["starts_m"]), np.shape(said["velocities_mps"])
    if len(starts) != 2 or starts[1] != 3 or starts != velocities:
        message = "each device needs a start (x, y, z) and a velocity (x, y, z)"
        raise ScenarioError(message, path="starts_m", value=f"{starts} and {velocities}")


def _check_paths(gains: Floats, tracks_m: Floats, said: dict[str, Any]) -> None:
    lost = np.flatnonzero(gains == 0.0)
    if lost.size and said["no_path_dbm"] is None:
        point = tracks_m.reshape(-1, 3)[lost[0]].round(2).tolist()
        share = f"{lost.size} of {gains.size} places have no path to the transmitter"
        message = f"{share}; move the track or say no_path_dbm, the level there. First: {point}"
        raise ScenarioError(message, path="starts_m")


def _ray_tracer() -> Any:
    """The module ``sionna.rt``, with an LLVM that does not abort the process."""
    _choose_llvm()
    try:
        tracer = import_module("sionna.rt")
    except (ImportError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ArtefactError(f"no ray tracer: {reason}. It needs {_INSTALL}") from None
    return tracer


def _choose_llvm() -> None:
    """Point Dr.Jit to the newest libLLVM, unless the environment does."""
    said = os.environ.get(_LIBRARIES)
    found = [Path(said)] if said else _libraries()
    newest = max(found, key=_llvm_version, default=None)
    if newest is None or _llvm_version(newest) < OLDEST_LLVM:
        seen = ", ".join(sorted({path.name for path in found})) or "none"
        raise ArtefactError(
            f"no libLLVM that the ray tracer can use. It needs {_INSTALL}", value=seen
        )
    os.environ[_LIBRARIES] = str(newest)


def _libraries() -> list[Path]:
    folders = [Path(folder) for folder in _FOLDERS]
    return [file for folder in folders if folder.is_dir() for file in folder.glob("libLLVM*.so*")]


def _llvm_version(file: Path) -> int:
    """Major version by the name of the library that the link points to; 0 if it does not tell."""
    found = re.search(r"libLLVM(?:-|\.so\.)(\d+)", file.resolve().name)
    return int(found[1]) if found else 0


def _gains(tracer: Any, said: dict[str, Any], places_m: Floats) -> Iterator[Floats]:
    """Mean power gain over the subbands at places ``(n, 3)``, in pieces of at most 500."""
    mitsuba: Any = import_module("mitsuba")

    count = min(_AT_ONCE, len(places_m))
    city = _scene(tracer, said, count)
    solver = tracer.PathSolver()
    offsets_hz = frequencies_hz(said["bandwidth_hz"], said["subbands"]).astype(np.float32)
    for first in range(0, len(places_m), count):
        piece = places_m[first : first + count]
        padded = np.concatenate([piece, np.repeat(piece[-1:], count - len(piece), axis=0)])
        for number, place in enumerate(padded.tolist()):
            city.receivers[f"device{number}"].position = mitsuba.Point3f(*place)
        paths = solver(
            city,
            max_depth=said["max_depth"],
            samples_per_src=said["rays"],
            refraction=False,
            seed=said["seed"],
        )
        response = paths.cfr(frequencies=mitsuba.Float(offsets_hz), out_type="numpy")
        power = np.abs(response.astype(np.complex128)) ** 2
        yield power.reshape(count, -1).mean(axis=1)[: len(piece)]


def _scene(tracer: Any, said: dict[str, Any], receivers: int) -> Any:
    """The city with one transmitter and so many receivers, all with isotropic vertical antennas."""
    mitsuba: Any = import_module("mitsuba")

    file = getattr(tracer.scene, said["scene"], None)
    if not isinstance(file, str):
        names = [n for n, found in vars(tracer.scene).items() if str(found).endswith(".xml")]
        raise ScenarioError("no such scene", path="scene", value=said["scene"], choices=names)
    city = tracer.load_scene(file)
    city.frequency = said["carrier_hz"]
    antenna = tracer.PlanarArray(num_rows=1, num_cols=1, pattern="iso", polarization="V")
    city.tx_array = city.rx_array = antenna
    city.add(tracer.Transmitter("base", position=mitsuba.Point3f(*said["transmitter_m"])))
    for number in range(receivers):
        city.add(tracer.Receiver(f"device{number}", position=mitsuba.Point3f(0, 0, 0)))
    return city
