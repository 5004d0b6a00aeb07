"""Whether two editions of simsplit give the same numbers, bit for bit.

    python tests/golden/compare_editions.py OLD NEW [--scenario NAME ...] [--baseline DIR]

OLD and NEW are checkouts. Every bundled scenario, shortened, and a few points of the bundled sweeps
are run with the source of each, in a process, a folder and a cache of its own, through what stays:
``simsplit.run``, ``simsplit.sweep`` and the ``simsplit`` command. Then the files are compared: rows
of requests column by column with types, summaries and tables value by value. Excepted are digests,
versions, wall times and paths. One line per case; the exit status is 1 if anything differs.

With ``--baseline`` the old results stay in that folder and are computed once per state of OLD.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame, Series

DURATION_S = {
    "awgn_cliff": 2.0,
    "city_drive": 1.5,
    "compressible_features": 3.0,
    "digits_smoke": 4.0,
    "early_exit": 4.0,
    "edge_cloud": 2.5,
    "entropic_student": 1.0,
    "factory_edge": 1.0,
    "iot_narrowband": 120.0,
    "mtl_split": 2.0,
    "neurosurgeon": 12.0,
    "snr_threshold": 5.0,
    "split_choice": 3.0,
    "urban_5g": 5.0,
}
OTHER_DURATION_S = 2.0  # of a scenario that this table does not know yet
REPLICATIONS = 2
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "digits_smoke, exact blocks": ("digits_smoke", ("cell.fidelity=exact", "duration_s=1")),
    "urban_5g, another seed": ("urban_5g", ("seed=7", "duration_s=2")),
}
SWEEPS = {
    "snr_split": "cell.channel.snr_db == 5 and split == 'stage3' and coding != 'tiles'",
    "compressible_features": (
        "encoder == 'encoder2_proposed' and "
        "(device.operating_point in ['jpeg80', 'entropy'] or devices.cameras.count == 8)"
    ),
}
SWEEP_DURATION_S = 1.5
IGNORED = frozenset(("digest", "artefacts", "versions", "platform", "wall_time_s", "folder"))
MOST_TOLD = 5  # differences printed per case


# --- what is run --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One thing to run: a scenario, a sweep from Python, or a bundled sweep."""

    name: str
    kind: str  # run, sweep or command
    source: str
    overrides: tuple[str, ...] = ()
    where: str = ""

    @property
    def folder(self) -> str:
        """Name of its result folder: another one when the case is another."""
        said = json.dumps([self.kind, self.source, self.overrides, self.where, REPLICATIONS])
        return f"{self.kind}-{self.source}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def cases(scenarios: Sequence[str]) -> list[Case]:
    """All cases of these scenarios, single runs first."""
    found = [_shortened(name) for name in scenarios]
    found += [
        Case(name, "run", source, overrides)
        for name, (source, overrides) in VARIANTS.items()
        if source in scenarios
    ]
    if "digits_smoke" in scenarios:
        found.append(Case("sweep from Python", "sweep", "digits_smoke"))
    of_sweep = {"snr_split": "split_choice"}
    return found + [
        Case(f"sweep {name}", "command", name, (f"duration_s={SWEEP_DURATION_S}",), where)
        for name, where in SWEEPS.items()
        if of_sweep.get(name, name) in scenarios
    ]


def _shortened(name: str) -> Case:
    return Case(name, "run", name, (f"duration_s={DURATION_S.get(name, OTHER_DURATION_S)}",))


def bundled(checkout: Path) -> list[str]:
    """Names of the scenarios that a checkout brings."""
    return sorted(path.stem for path in (checkout / "scenarios").glob("*.yaml"))


# --- the process of one edition -----------------------------------------------------------------


def work(checkout: Path, out: Path, wanted: Sequence[Case]) -> None:
    """Run the cases with the package of this checkout; a failure is stored instead of a result."""
    import simsplit

    found = Path(str(simsplit.__file__)).resolve()
    if not found.is_relative_to(checkout):
        raise SystemExit(f"wrong package: {found} is not in {checkout}")
    for case in wanted:
        started_s = time.perf_counter()
        try:
            _run(case, checkout, out / case.folder)
        except (Exception, SystemExit):
            (out / f"{case.folder}.failed").write_text(traceback.format_exc(), encoding="utf-8")
        took_s = time.perf_counter() - started_s
        print(f"  {case.name}: {took_s:.1f} s", file=sys.stderr, flush=True)


def _run(case: Case, checkout: Path, out: Path) -> None:
    import simsplit

    if case.kind == "run":
        simsplit.run(
            case.source, out=out, replications=REPLICATIONS, overrides=list(case.overrides)
        )
    elif case.kind == "sweep":
        axes: dict[str, list[Any]] = {"cell.channel.snr_db": [0, 12], "edge.max_batch": [1]}
        simsplit.sweep(case.source, axes, replications=REPLICATIONS, out=out, workers=1)
    else:
        _command(case, checkout, out)


def _command(case: Case, checkout: Path, out: Path) -> None:
    """The sweep command as the shell would call it; its module is where pyproject says it is."""
    import tomllib
    from importlib import import_module

    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, function = project["scripts"]["simsplit"].partition(":")
    settings = [part for text in case.overrides for part in ("--set", text)]
    options = ["--replications", str(REPLICATIONS), "--workers", "1", "--where", case.where]
    sys.argv = ["simsplit", "sweep", case.source, *settings, *options, "--out", str(out)]
    try:
        getattr(import_module(module), function)()
    except SystemExit as ended:
        if ended.code:
            raise


def produce(checkout: Path, out: Path, wanted: Sequence[Case]) -> None:
    """Run the cases in a process of their own, away from any checkout and any shared cache."""
    with tempfile.TemporaryDirectory(prefix="edition-") as place:
        environment = os.environ | {
            "PYTHONPATH": str(checkout),
            "SIMSPLIT_CACHE": str(Path(place) / "cache"),
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        asked = json.dumps([vars(case) for case in wanted])
        file = str(Path(__file__).resolve())
        line = [sys.executable, "-P", file, "--work", asked, str(checkout), str(out)]
        subprocess.run(line, cwd=place, env=environment, stdout=subprocess.DEVNULL, check=True)


def source_digest(checkout: Path) -> str:
    """SHA-256 of what decides the numbers of a checkout, fitted weights left out."""
    digest = hashlib.sha256()
    for path in sorted((*checkout.glob("simsplit/**/*.py"), *checkout.glob("scenarios/**/*.yaml"))):
        digest.update(str(path.relative_to(checkout)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def complete_baseline(checkout: Path, folder: Path, wanted: Sequence[Case]) -> None:
    """Run those cases that the folder lacks; a folder of another source is refused."""
    said, note = source_digest(checkout), folder / "edition.txt"
    if not note.is_file():
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(f"{folder} is no baseline")
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(said + "\n", encoding="utf-8")
    elif note.read_text(encoding="utf-8").strip() != said:
        raise SystemExit(f"{folder} is the baseline of another source than {checkout}")
    missing = [case for case in wanted if not (folder / case.folder).is_dir()]
    for case in missing:
        (folder / f"{case.folder}.failed").unlink(missing_ok=True)
    if missing:
        produce(checkout, folder, missing)


# --- comparison ---------------------------------------------------------------------------------


def differences(old: Path, new: Path, case: Case) -> Iterator[str]:
    """What differs between the results of one case, each as one line of text."""
    for edition, folder in (("OLD", old), ("NEW", new)):
        failure = folder / f"{case.folder}.failed"
        if failure.is_file():
            yield f"{edition} failed: {failure.read_text(encoding='utf-8').strip()}"
            return
    one, other = old / case.folder, new / case.folder
    if case.kind == "run":
        yield from result_differences(one, other)
    else:
        yield from file_differences(one / "points.parquet", other / "points.parquet")
        yield from _points_differ(one, other)


def _points_differ(old: Path, new: Path) -> Iterator[str]:
    """The results of a sweep's points, in the order of its table: folders may have other names."""
    import pandas as pd

    names = [
        pd.read_parquet(folder / "points.parquet")["folder"].drop_duplicates().tolist()
        for folder in (old, new)
    ]
    for one, other in zip(*names, strict=False):
        for text in result_differences(old / one, new / other):
            yield f"point {one}: {text}"


def result_differences(old: Path, new: Path) -> Iterator[str]:
    """What differs between two result folders."""
    yield from file_differences(old / "requests.parquet", new / "requests.parquet")
    for name in ("summary.json", "table.json"):
        texts = [(folder / name).read_text(encoding="utf-8") for folder in (old, new)]
        yield from value_differences(json.loads(texts[0]), json.loads(texts[1]), name)


def file_differences(old: Path, new: Path) -> Iterator[str]:
    """What differs between two Parquet files."""
    import pandas as pd

    for text in frame_differences(pd.read_parquet(old), pd.read_parquet(new)):
        yield f"{old.name}: {text}"


def frame_differences(old: DataFrame, new: DataFrame) -> Iterator[str]:
    """What differs between two frames: rows, columns, types, every value."""
    if len(old) != len(new):
        yield f"{len(old)} rows, now {len(new)}"
        return
    if list(old) != list(new):
        lost, come = (_only_in(*pair) for pair in ((old, new), (new, old)))
        yield f"columns lost {lost}, come {come}" if lost or come else "columns in another order"
    for column in [name for name in old if name in new and name not in IGNORED]:
        if old[column].dtype != new[column].dtype:
            yield f"column {column}: type {old[column].dtype}, now {new[column].dtype}"
        elif (rows := _rows_that_differ(old[column], new[column])) != []:
            before, after = old[column].iloc[rows[0]], new[column].iloc[rows[0]]
            yield (
                f"column {column}: {len(rows)} rows differ, "
                f"the first is row {rows[0]}: {before!r}, now {after!r}"
            )


def _only_in(one: Iterable[Any], other: Iterable[Any]) -> list[str]:
    known = {*other}
    return [str(name) for name in one if name not in known]


def _rows_that_differ(old: Series[Any], new: Series[Any]) -> list[int]:
    """Positions of values that are not the same bit for bit; a NaN is the same as itself."""
    import numpy as np

    one, other = old.to_numpy(), new.to_numpy()
    if one.dtype.kind == "f":
        bits = f"u{one.dtype.itemsize}"
        return [int(row) for row in np.flatnonzero(one.view(bits) != other.view(bits))]
    pairs = enumerate(zip(one.tolist(), other.tolist(), strict=True))
    return [row for row, (a, b) in pairs if (type(a), repr(a)) != (type(b), repr(b))]


def value_differences(old: Any, new: Any, where: str) -> Iterator[str]:
    """What differs between two JSON values, named by its path."""
    if isinstance(old, dict) and isinstance(new, dict):
        if list(old) != list(new):
            lost, come = _only_in(old, new), _only_in(new, old)
            order = "keys in another order"
            yield f"{where}: " + (f"keys lost {lost}, come {come}" if lost or come else order)
        for key in [key for key in old if key in new and key not in IGNORED]:
            yield from value_differences(old[key], new[key], f"{where}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from value_differences(one, other, f"{where}[{index}]")
    elif (type(old), repr(old)) != (type(new), repr(new)):
        yield f"{where}: {_short(old)}, now {_short(new)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


# --- command line -------------------------------------------------------------------------------


def report(old: Path, new: Path, case: Case) -> bool:
    """Print one case's line and what differs in it; whether all is the same."""
    found = list(differences(old, new, case))
    verdict = f"{len(found)} differences" if found else f"same ({_rows(old, case)} rows)"
    print(f"{case.name:28} {verdict}", flush=True)
    for text in found[:MOST_TOLD]:
        print(f"    {text}")
    if len(found) > MOST_TOLD:
        print("    …")
    return not found


def _rows(folder: Path, case: Case) -> int:
    from pyarrow.parquet import read_metadata

    files = (folder / case.folder).rglob("requests.parquet")
    return sum(int(read_metadata(file).num_rows) for file in files)


def compare(old: Path, new: Path, wanted: Sequence[Case], baseline: Path | None) -> bool:
    """Run what must be run and compare every case; whether all is the same."""
    with tempfile.TemporaryDirectory(prefix="editions-") as place:
        stored, fresh = baseline or Path(place) / "old", Path(place) / "new"
        print(f"OLD {old}", file=sys.stderr)
        complete_baseline(old, stored, wanted)
        fresh.mkdir()
        print(f"NEW {new}", file=sys.stderr)
        produce(new, fresh, wanted)
        return sum(not report(stored, fresh, case) for case in wanted) == 0


def main() -> int:
    """Read the command line; 1 if anything differs."""
    if sys.argv[1:2] == ["--work"]:
        work(Path(sys.argv[3]), Path(sys.argv[4]), [_case(one) for one in json.loads(sys.argv[2])])
        return 0
    first, *rest = str(__doc__).splitlines()
    parser = argparse.ArgumentParser(
        description=first, epilog="\n".join(rest), formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("old", type=Path, help="checkout of the old edition")
    parser.add_argument("new", type=Path, help="checkout of the new edition")
    parser.add_argument("--scenario", action="append", help="only this one (and its sweeps)")
    parser.add_argument("--baseline", type=Path, help="folder that keeps the old results")
    asked = parser.parse_args()
    old, new = asked.old.resolve(), asked.new.resolve()
    names = bundled(old)
    if unknown := sorted({*(asked.scenario or ())} - {*names}):
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(names)}")
    baseline = asked.baseline and asked.baseline.resolve()
    return 0 if compare(old, new, cases(asked.scenario or names), baseline) else 1


def _case(said: dict[str, Any]) -> Case:
    return Case(**said | {"overrides": tuple(said["overrides"])})


if __name__ == "__main__":
    sys.exit(main())
