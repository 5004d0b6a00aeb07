"""A machine of a scenario: its hardware file, measured profile and latency predictor in one."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from simsplit.codecs.workload import Coding
from simsplit.errors import ScenarioError
from simsplit.files import file_digest
from simsplit.hardware.codec_costs import CodecCosts, Side, default_costs_file, read_costs
from simsplit.hardware.predictor import LatencyModel, read_model
from simsplit.hardware.profile import Profile
from simsplit.hardware.profile_file import read_profile
from simsplit.hardware.roofline import Hardware, load_hardware
from simsplit.operators import OF_CODE, Operators
from simsplit.scenario.bundled import model_dir


class Machine:
    """One hardware file at one frequency level, with what was measured and fitted for it.

    Measured and fitted times are those of the highest level; at a lower one they are longer by the
    ratio that the roofline gives.
    """

    def __init__(self, hardware: Hardware) -> None:
        self.hardware = hardware
        self._highest = hardware.at_level(hardware.levels[-1].name) if hardware.level else hardware
        self._profile: Profile | None = None
        self._predictor: LatencyModel | None = None
        if hardware.profile is not None:
            self._profile = _profile(hardware.profile, _digest(Path(hardware.profile)))
        if hardware.predictor is not None:
            folder = model_dir(hardware.predictor)
            self._predictor = _predictor(folder, tuple(map(_digest, predictor_files(folder))))

    def seconds(self, work: Operators, network: str, batch: int = 1) -> float:
        """Seconds of one launch: as measured where it was, else by the roofline."""
        if not work:
            return 0.0
        if self._profile is not None and network:
            code = tuple(o for o in work if o.name.startswith(OF_CODE))
            names = [o.name for o in work if not o.name.startswith(OF_CODE)]
            measured_s = self._profile.seconds(network, names, batch)
            if measured_s is not None:
                code_s = self.hardware.seconds(code, batch) if code else 0.0
                return measured_s * self._slower(work, batch) + code_s
        return self.hardware.seconds(work, batch)

    def believed_s(self, work: Operators, network: str) -> float:
        """Seconds of a batch of one as the latency predictor has it; else the true ones."""
        if self._predictor is None or not work:
            return self.seconds(work, network)
        return self._predictor.seconds(work, 1) * self._slower(work, 1)

    def codec_s(self, side: Side, coding: Coding) -> float:
        """Seconds of one core to encode or decode: a fixed-function block's, else as measured.

        The profile of codecs has them for the core that it was measured on; here they are longer by
        the ratio of the 7-zip ratings.

        Raises:
            ScenarioError: The hardware has no rating, or the codec was not measured.
        """
        hardware = self.hardware
        for block in hardware.codec_blocks:
            if block.kind == coding.key:
                pace = block.encode_s_per_kpixel if side == "encode" else block.decode_s_per_kpixel
                return pace * coding.pixels / 1000
        if hardware.seven_zip_mips is None:
            message = "hardware has no seven_zip_mips, by which codecs are charged"
            raise ScenarioError(message, value=hardware.name)
        return self._costs().seconds(side, coding, hardware.seven_zip_mips)

    def _costs(self) -> CodecCosts:
        own = self.hardware.codec_profile
        return read_costs(default_costs_file() if own is None else Path(own))

    def reached_share(self, work: Operators, batch: int = 1) -> float:
        """Share of the roofline that a launch reaches, in [0, 1], whoever told its seconds."""
        return self.hardware.reached_share(work, batch)

    def _slower(self, work: Operators, batch: int) -> float:
        """Seconds at this level over those at the highest, both by the roofline."""
        highest_s = self._highest.seconds(work, batch)
        return self.hardware.seconds(work, batch) / highest_s if highest_s > 0 else 1.0


def predictor_files(folder: Path) -> list[Path]:
    """What a latency predictor is read from."""
    return [folder / "card.json", folder / "table.npz"]


def _digest(file: Path) -> str:
    """Of a file that is there; what is missing is told when it is read."""
    return file_digest(file) if file.is_file() else ""


@lru_cache(maxsize=8)
def _profile(path: str, digest: str) -> Profile:
    """``digest``: of the file; another content is another profile."""
    return read_profile(Path(path))


@lru_cache(maxsize=8)
def _predictor(folder: Path, digests: tuple[str, ...]) -> LatencyModel:
    """``digests``: of the folder's files; another content is another predictor."""
    return read_model(folder)


def machine(name: str) -> Machine:
    """The machine of a name like ``phone_soc`` or ``phone_soc@low`` (a frequency level).

    Opened once while its files stay as they are.
    """
    reference, level = _parted(name)
    full_speed = load_hardware(reference)
    files = [Path(full_speed.profile)] if full_speed.profile else []
    if full_speed.predictor is not None:
        files += predictor_files(model_dir(full_speed.predictor))
    digests = tuple(map(_digest, files))
    return _machine(full_speed.at_level(level) if level else full_speed, digests)


@lru_cache(maxsize=64)
def _machine(hardware: Hardware, digests: tuple[str, ...]) -> Machine:
    return Machine(hardware)


def _parted(name: str) -> tuple[str, str]:
    """Hardware and level; a user's own hardware is a path, in which there may be an ``@`` too."""
    if name.endswith(".yaml"):
        return name, ""
    reference, _, level = name.rpartition("@")
    return (reference, level) if reference else (name, "")
