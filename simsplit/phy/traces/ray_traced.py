"""Channel traces from Sionna's ray tracer: devices on straight tracks in a built-in city scene.

Needs ``pip install simsplit[rt]`` and a libLLVM of version 17 or newer, which Dr.Jit compiles with.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.phy.traces.make import (
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """What a ray-traced trace is made of, checked.

    Attributes:
        scene: Name of one of the ray tracer's built-in scenes.
        transmitter_m: Position (x, y, z).
        starts_m, velocities_mps: Position at time 0 and velocity of each device, (x, y, z).
        reference_dbm_per_re: Power sent per resource element.
        max_depth: Most reflections of a path.
        rays: Rays that are shot.
        no_path_dbm: The level to write where no path leads; None: that is an error.

    Raises:
        ScenarioError: Impossible parameters.
    """

    scene: str = "simple_street_canyon"
    transmitter_m: Point = (-32.0, 10.0, 32.0)
    starts_m: Sequence[Point] = ((-50.0, 0.0, 1.5),)
    velocities_mps: Sequence[Point] = ((1.0, 0.0, 0.0),)
    carrier_hz: float = 3.5e9
    duration_s: float = 10.0
    step_s: float = 0.01
    reference_dbm_per_re: float = 15.0
    bandwidth_hz: float = 18.36e6
    subbands: int = 12
    max_depth: int = 3
    rays: int = 10_000
    no_path_dbm: float | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        check_clock(self.duration_s, self.step_s)
        check_positive(
            carrier_hz=self.carrier_hz,
            bandwidth_hz=self.bandwidth_hz,
            subbands=self.subbands,
            rays=self.rays,
        )
        if self.max_depth < 0:
            raise ScenarioError("must not be negative", path="max_depth", value=self.max_depth)
        starts, velocities = np.shape(self.starts_m), np.shape(self.velocities_mps)
        if len(starts) != 2 or starts[1] != 3 or starts != velocities:
            message = "each device needs a start (x, y, z) and a velocity (x, y, z)"
            raise ScenarioError(message, path="starts_m", value=f"{starts} and {velocities}")

    def times_s(self) -> Floats:
        """Times of the rows of one device, ``(T,)``."""
        steps = round(self.duration_s / self.step_s)
        return np.arange(steps, dtype=np.float64) * self.step_s

    def tracks_m(self) -> Floats:
        """Positions ``(device, T, 3)``."""
        ways_m = np.asarray(self.velocities_mps, np.float64)[:, None] * self.times_s()[:, None]
        return np.asarray(np.asarray(self.starts_m)[:, None] + ways_m)


def make_rt_trace(out: str | Path, **said: Any) -> Path:
    """Write the RSRP along each track, with columns time_s, device, rsrp_dbm, x_m, y_m.

    RSRP = ``reference_dbm_per_re`` + 10 log10 of the mean |H_f|^2 over the subbands (TS 38.215
    clause 5.1.1: linear average over resource elements), H from all paths of up to ``max_depth``
    reflections between isotropic vertical antennas, phases kept: fading comes from the geometry.

    Args:
        out: The file.
        said: Settings, as `RaySettings` has them.

    Raises:
        ScenarioError: Impossible parameters; or a position without any path (a wall around it, say)
            while ``no_path_dbm``, the level to write there, is None.
        ArtefactError: The ray tracer or its LLVM is not installed.
    """
    file, settings = check_out(out), RaySettings(**said)
    tracer, tracks_m = _ray_tracer(), settings.tracks_m()
    gains = np.concatenate(list(_gains(tracer, settings, tracks_m.reshape(-1, 3))))
    _check_paths(gains, tracks_m, settings)
    levels_dbm = np.split(_levels_dbm(gains, settings), len(tracks_m))
    axes = {"x_m": tracks_m[..., 0].ravel(), "y_m": tracks_m[..., 1].ravel()}
    card = {
        "kind": "rt",
        "value": "rsrp",
        "parameters": asdict(settings),
        "without_path": int((gains == 0.0).sum()),
    }
    return write(file, table(settings.times_s(), levels_dbm, "rsrp_dbm", **axes), card)


def _levels_dbm(gains: Floats, settings: RaySettings) -> Floats:
    """RSRP ``(n,)`` of mean power gains ``(n,)``."""
    floor_dbm = settings.no_path_dbm
    levels_dbm = np.full(gains.shape, np.nan if floor_dbm is None else floor_dbm)
    reached = gains > 0.0
    levels_dbm[reached] = settings.reference_dbm_per_re + 10.0 * np.log10(gains[reached])
    return levels_dbm


def _check_paths(gains: Floats, tracks_m: Floats, settings: RaySettings) -> None:
    lost = np.flatnonzero(gains == 0.0)
    if lost.size and settings.no_path_dbm is None:
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
    chosen = os.environ.get(_LIBRARIES)
    files = [Path(chosen)] if chosen else _libraries()
    newest = max(files, key=llvm_version, default=None)
    if newest is None or llvm_version(newest) < OLDEST_LLVM:
        names = ", ".join(sorted({path.name for path in files})) or "none"
        raise ArtefactError(
            f"no libLLVM that the ray tracer can use. It needs {_INSTALL}", value=names
        )
    os.environ[_LIBRARIES] = str(newest)


def _libraries() -> list[Path]:
    folders = [Path(folder) for folder in _FOLDERS]
    return [file for folder in folders if folder.is_dir() for file in folder.glob("libLLVM*.so*")]


def llvm_version(file: Path) -> int:
    """Major version by the name of the library that the link points to; 0 if it does not tell."""
    match = re.search(r"libLLVM(?:-|\.so\.)(\d+)", file.resolve().name)
    return int(match[1]) if match else 0


def _gains(tracer: Any, settings: RaySettings, positions_m: Floats) -> Iterator[Floats]:
    """Mean power gain over the subbands at positions ``(n, 3)``, in pieces of at most 500."""
    mitsuba: Any = import_module("mitsuba")

    count = min(_AT_ONCE, len(positions_m))
    city = _scene(tracer, settings, count)
    solver = tracer.PathSolver()
    offsets_hz = frequencies_hz(settings.bandwidth_hz, settings.subbands).astype(np.float32)
    for first in range(0, len(positions_m), count):
        piece = positions_m[first : first + count]
        padded = np.concatenate([piece, np.repeat(piece[-1:], count - len(piece), axis=0)])
        for number, position in enumerate(padded.tolist()):
            city.receivers[f"device{number}"].position = mitsuba.Point3f(*position)
        paths = solver(
            city,
            max_depth=settings.max_depth,
            samples_per_src=settings.rays,
            refraction=False,
            seed=settings.seed,
        )
        response = paths.cfr(frequencies=mitsuba.Float(offsets_hz), out_type="numpy")
        power = np.abs(response.astype(np.complex128)) ** 2
        yield power.reshape(count, -1).mean(axis=1)[: len(piece)]


def _scene(tracer: Any, settings: RaySettings, receivers: int) -> Any:
    """The city with one transmitter and so many receivers, all with isotropic vertical antennas."""
    mitsuba: Any = import_module("mitsuba")

    file = getattr(tracer.scene, settings.scene, None)
    if not isinstance(file, str):
        names = [n for n, path in vars(tracer.scene).items() if str(path).endswith(".xml")]
        raise ScenarioError("no such scene", path="scene", value=settings.scene, choices=names)
    city = tracer.load_scene(file)
    city.frequency = settings.carrier_hz
    antenna = tracer.PlanarArray(num_rows=1, num_cols=1, pattern="iso", polarization="V")
    city.tx_array = city.rx_array = antenna
    city.add(tracer.Transmitter("base", position=mitsuba.Point3f(*settings.transmitter_m)))
    for number in range(receivers):
        city.add(tracer.Receiver(f"device{number}", position=mitsuba.Point3f(0, 0, 0)))
    return city
