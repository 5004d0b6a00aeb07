"""What ``import simsplit`` offers: verbs, each a typed function, with no module in its way."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import pytest

import simsplit
import synthetic

VERBS = {
    "load",
    "run",
    "rates",
    "replicate",
    "sweep",
    "resume",
    "status",
    "load_results",
    "read_requests",
    "read_result",
    "compare",
    "optimise",
    "capacity",
    "check",
    "validate",
    "train",
    "report",
    "plot",
    "table",
}
CLASSES = {"Scenario", "Result", "SimsplitError"}
FOLDERS = {  # the parameter that takes a folder or file, as a text or a path
    "load": "source",
    "check": "source",
    "run": "out",
    "replicate": "out",
    "sweep": "out",
    "resume": "out",
    "status": "folder",
    "load_results": "folder",
    "read_requests": "folder",
    "read_result": "folder",
    "compare": "a",
    "optimise": "out",
    "capacity": "out",
    "train": "recipe",
    "report": "folder",
    "plot": "folder",
    "table": "source",
}


def test_dir_lists_the_verbs_and_nothing_else() -> None:
    assert set(dir(simsplit)) == VERBS | CLASSES | {"__version__"}
    assert set(simsplit.__all__) == VERBS | CLASSES


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'runs'"):
        _ = simsplit.runs


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_classes(name: str) -> None:
    assert inspect.isclass(getattr(simsplit, name))


@pytest.mark.parametrize("name", sorted(VERBS))
def test_a_verb_is_a_function_typed_and_documented(name: str) -> None:
    verb = getattr(simsplit, name)
    assert inspect.isfunction(verb) and verb.__name__ == name
    signature = inspect.signature(verb)
    annotations = [one.annotation for one in signature.parameters.values()]
    assert inspect.Parameter.empty not in [*annotations, signature.return_annotation]
    text = inspect.getdoc(verb) or ""
    first = text.split("\n\n")[0]
    assert first.endswith(".") and len(first) < 200
    assert name == "validate" or "Raises:" in text, "say which errors"


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_folders_may_be_texts_or_paths(name: str) -> None:
    annotation = str(inspect.signature(getattr(simsplit, name)).parameters[FOLDERS[name]])
    union = annotation.partition(":")[2].partition("=")[0]
    module = importlib.import_module(getattr(simsplit, name).__module__)
    for alias in ("Comparable", "Source"):
        if alias in union:
            union = str(getattr(module, alias))
    assert "str" in union and "Path" in union


def test_no_module_shadows_a_verb() -> None:
    """Neither a module of a verb's name beside ``__init__`` nor one that was imported first."""
    package = Path(simsplit.__file__).parent
    assert not {path.stem for path in package.iterdir()} & (VERBS | CLASSES)
    names = ", ".join(sorted(VERBS))
    code = f"""
import simsplit.study.run, simsplit.study.sweep, simsplit.study.check, simsplit.study.capacity
import simsplit.results.compare, simsplit.training.train, simsplit.pages.report
from types import FunctionType
from simsplit import {names}
assert all(type(verb) is FunctionType for verb in ({names}))
assert simsplit.run is run
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_importing_the_package_loads_no_library() -> None:
    code = (
        "import sys, simsplit; print([m for m in ('numpy', 'torch', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_types_are_shipped() -> None:
    assert (Path(simsplit.__file__).parent / "py.typed").is_file()
    assert get_type_hints(simsplit.SimsplitError.__init__)["message"] is str


@pytest.mark.parametrize("kind", [str, Path])
def test_a_result_through_the_public_verbs(tmp_path: Path, kind: type[str] | type[Path]) -> None:
    """Each reads the same folder, named by a text or a path."""
    folder = tmp_path / "a"
    written = synthetic.store(folder)
    stored = simsplit.read_result(kind(folder))
    assert stored.scenario == written.scenario and len(stored.requests) == len(written.requests)
    text = simsplit.table(kind(folder), ["operating_point", "accuracy"]).text
    assert len(text) == len(simsplit.load_results(kind(folder))) > 0
    same = simsplit.compare(kind(folder), stored)
    assert same.differences and all(one.difference == 0 for one in same.differences)
    paths = simsplit.plot(kind(folder), "latency_cdf", kind(tmp_path / "figures"))
    assert {path.parent for path in paths} == {tmp_path / "figures"}
    assert {path.suffix for path in paths} == {".png", ".pdf", ".pgf", ".csv"}
    page = simsplit.report(kind(folder))
    assert page == folder / "report.html" and page.read_text().startswith("<!")
    with pytest.raises(simsplit.SimsplitError):
        simsplit.status(kind(folder))  # no sweep


def test_a_check_of_a_mapping_path_or_name(tmp_path: Path) -> None:
    by_name = simsplit.check("digits_smoke", overrides=["devices.png.count=2"])
    assert by_name.groups[0].name == "png"
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(simsplit.load("digits_smoke").model_dump(mode="json")))
    written_out = replace(simsplit.check("digits_smoke"), defaults={})  # the file says everything
    assert simsplit.check(str(file)) == simsplit.check(file) == written_out
    assert by_name.offered_hz > simsplit.check(file).offered_hz
