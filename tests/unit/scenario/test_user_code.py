"""The files that a user's class is made of, found without running any of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from simsplit.scenario.user_code import module_file, source_digest, source_files


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user's own on Python's path; every module in it fails if it is run."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(folder: Path, **texts: str) -> None:
    """Modules by name, ``a__b`` being ``a/b.py``."""
    for name, text in texts.items():
        file = folder.joinpath(*name.split("__")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\nraise RuntimeError('this module was run')\n")


def package(folder: Path, name: str) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "__init__.py").write_text("raise RuntimeError('this package was run')\n")


def found(target: str) -> set[str]:
    assert not {name for name in sys.modules if name.startswith("zz_")}
    return set(source_files(target))


def modules(target: str) -> set[str]:
    """Those by their names; a package's files are there by their ways too."""
    return {name for name in found(target) if not {"/", ":"} & set(name)}


def test_a_module_alone(own: Path) -> None:
    write(own, zz_alone="import json, numpy\nfrom torch import nn")
    assert found("zz_alone:Net") == {"zz_alone"}
    assert source_files("zz_alone:Net")["zz_alone"] == own / "zz_alone.py"


@pytest.mark.parametrize(
    "line",
    [
        "import zz_helper",
        "import zz_helper as h, os",
        "from zz_helper import POINT",
        "from zz_helper import *",
        "def choose():\n    import zz_helper",
        "class P:\n    def choose(self):\n        from zz_helper import POINT",
        "try:\n    import zz_helper\nexcept ImportError:\n    pass",
        "if True:\n    pass\nelse:\n    import zz_helper",
        "with open('x'):\n    import zz_helper",
        "match 1:\n    case 1:\n        import zz_helper",
        "for _ in ():\n    pass\nelse:\n    import zz_helper",
        "try:\n    pass\nfinally:\n    import zz_helper",
        "import importlib\nh = importlib.import_module('zz_helper')",
        "h = __import__('zz_helper')",
        "import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    import zz_helper",
    ],
)
def test_a_helper_beside_it_counts_however_it_is_imported(own: Path, line: str) -> None:
    write(own, zz_main=line, zz_helper="import zz_further", zz_further="POINT = 1")
    assert found("zz_main:P") == {"zz_main", "zz_helper", "zz_further"}


@pytest.mark.parametrize(
    "line",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import zz_helper",
        "import typing\nif typing.TYPE_CHECKING:\n    import zz_helper",
        "text = 'import zz_helper'",
        "# import zz_helper",
    ],
)
def test_what_is_not_imported_does_not_count(own: Path, line: str) -> None:
    write(own, zz_main=line, zz_helper="POINT = 1")
    assert found("zz_main:P") == {"zz_main"}


def test_a_package_is_all_that_its_modules_import(own: Path) -> None:
    for name in ("zz_pkg", "zz_pkg/deep"):
        package(own, name)
    write(
        own,
        zz_pkg__net="from . import blocks\nfrom .deep.layers import Layer",
        zz_pkg__blocks="from zz_pkg.shared import K",
        zz_pkg__shared="import zz_beside",
        zz_pkg__unused="pass",
        zz_pkg__deep__layers="from .. import up\nfrom ..sizes import K",
        zz_pkg__up="pass",
        zz_pkg__sizes="pass",
        zz_beside="pass",
    )
    of_package = ("net", "blocks", "shared", "unused", "deep", "deep.layers", "up", "sizes")
    names = {f"zz_pkg.{name}" for name in of_package}
    assert modules("zz_pkg.net:Net") == {"zz_pkg", "zz_beside", *names}


def test_a_package_that_hands_on_its_class(own: Path) -> None:
    package(own, "zz_pkg")
    (own / "zz_pkg" / "__init__.py").write_text("from .net import Net\nraise RuntimeError\n")
    write(own, zz_pkg__net="pass")
    assert modules("zz_pkg:Net") == {"zz_pkg", "zz_pkg.net"}


def test_libraries_are_not_a_users_own(own: Path) -> None:
    write(own, zz_main="import torch, json, yaml\nimport simsplit.units")
    assert found("zz_main:P") == {"zz_main", "simsplit", "simsplit.units"}


@pytest.mark.parametrize(
    "target", ["zz_absent:P", "resnet18", "zz_absent.deep:P", ":", "", "sys:x"]
)
def test_what_is_not_there_has_no_files(own: Path, target: str) -> None:
    assert source_files(target) == {}


def test_a_module_that_cannot_be_parsed_is_itself_alone(own: Path) -> None:
    (own / "zz_broken.py").write_text("import zz_helper\ndef f(:\n")
    write(own, zz_helper="pass")
    assert found("zz_broken:P") == {"zz_broken"}


def test_modules_that_import_each_other(own: Path) -> None:
    write(own, zz_a="import zz_b", zz_b="import zz_a")
    assert found("zz_a:P") == found("zz_b:P") == {"zz_a", "zz_b"}


def test_a_change_anywhere_changes_the_digest(own: Path) -> None:
    write(own, zz_main="import zz_helper", zz_helper="import zz_further", zz_further="K = 1")
    digests = {source_digest("zz_main:P")}
    for name in ("zz_main", "zz_helper", "zz_further"):
        with (own / f"{name}.py").open("a") as file:
            file.write("# changed\n")
        digests.add(source_digest("zz_main:P"))
    assert len(digests) == 4 and None not in digests


def test_the_same_code_in_another_folder_has_the_same_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = set()
    for folder in (tmp_path / "a", tmp_path / "b"):
        write(folder, zz_main="import zz_helper", zz_helper="K = 1")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            digests.add(source_digest("zz_main:P"))
    assert len(digests) == 1


def test_no_package_is_run_to_find_a_module_of_it(own: Path) -> None:
    package(own, "zz_pkg")
    write(own, zz_pkg__net="pass")
    assert module_file("zz_pkg.net") == own / "zz_pkg" / "net.py"
    assert module_file("zz_pkg") == own / "zz_pkg" / "__init__.py"
    assert module_file("zz_pkg.absent") is None and module_file("sys") is None


def test_helpers_are_found_on_the_search_path_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", zz_main="import zz_helper")
    write(tmp_path / "b", zz_helper="K = 1")
    monkeypatch.setenv("SIMSPLIT_PATH", os.pathsep.join(str(tmp_path / name) for name in "ab"))
    assert found("zz_main:P") == {"zz_main", "zz_helper"}


# --- all files of a package, and data ----------------------------------------------------------


def test_every_file_of_a_package_counts(own: Path) -> None:
    package(own, "zz_pkg")
    write(own, zz_pkg__net="pass", zz_pkg__deep__late="import zz_far", zz_far="pass")
    for name in ("table.json", "deep/raw.bin", ".hidden", "__pycache__/net.cpython-311.pyc"):
        (own / "zz_pkg" / name).parent.mkdir(exist_ok=True)
        (own / "zz_pkg" / name).write_text("1")
    ways = {name for name in found("zz_pkg.net:Net") if "/" in name}
    files = ("__init__.py", "net.py", "deep/late.py", "table.json", "deep/raw.bin")
    assert ways == {f"zz_pkg/{name}" for name in files}
    assert "zz_far" in found("zz_pkg.net:Net")  # which only a module beside it imports


def test_a_package_that_is_imported_counts_as_a_whole(own: Path) -> None:
    package(own, "zz_tools")
    write(own, zz_main="import zz_tools", zz_tools__blocks="pass")
    assert "zz_tools/blocks.py" in found("zz_main:P")


@pytest.mark.parametrize(
    "line",
    [
        "from pathlib import Path\nPath(__file__).parent / 'zz.json'",
        "from pathlib import Path\nPath(__file__).with_name('zz.json')",
        "import os\nos.path.join(os.path.dirname(__file__), 'zz.json')",
        "import os\ndef f():\n    return os.path.dirname(__file__), 'zz_data/a.txt'",
        "from pathlib import Path\nPath(__file__).parent / 'zz_data' / 'a.txt'",
        "from pathlib import Path\nPath(__file__).with_suffix('.json')",
    ],
)
def test_data_beside_a_module_counts_if_it_is_named(own: Path, line: str) -> None:
    write(own, zz_main=line)
    (own / "zz_data").mkdir()
    for name in ("zz.json", "zz_main.json", "zz_data/a.txt"):
        (own / name).write_text("1")
    before = source_digest("zz_main:P")
    for name in ("zz.json", "zz_main.json", "zz_data/a.txt"):
        (own / name).write_text("22")
    assert source_digest("zz_main:P") != before
    assert len(found("zz_main:P")) == 2


def test_other_files_beside_a_module_do_not_count(own: Path) -> None:
    write(own, zz_main="x = 'zz.json'\ny = '..', '.', '/'")
    (own / "zz.json").write_text("1")
    assert found("zz_main:P") == {"zz_main"}


def test_a_helpers_new_import_counts_at_once(own: Path) -> None:
    write(own, zz_main="import zz_helper", zz_helper="pass", zz_later="pass")
    assert found("zz_main:P") == {"zz_main", "zz_helper"}
    write(own, zz_helper="import zz_later")
    assert found("zz_main:P") == {"zz_main", "zz_helper", "zz_later"}


@pytest.mark.parametrize(
    "line",
    [
        "from . import zz_part",
        "from .zz_part import K",
        "def f():\n    from .zz_part import K",
        "import importlib\nimportlib.import_module('zz_pkg.zz_part')",
        "import importlib\nimportlib.import_module('.zz_part', __package__)",
        "import importlib\nimportlib.import_module(f'{__package__}.zz_{\"part\"}')",
    ],
)
def test_a_part_of_the_package_counts_however_it_is_imported(own: Path, line: str) -> None:
    package(own, "zz_pkg")
    write(own, zz_pkg__net=line, zz_pkg__zz_part="K = 1")
    before = source_digest("zz_pkg.net:Net")
    write(own, zz_pkg__zz_part="K = 2")
    assert source_digest("zz_pkg.net:Net") != before
