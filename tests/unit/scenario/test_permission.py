"""Who may import what: nothing of a user's own runs unless somebody said so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from simsplit.errors import ScenarioError
from simsplit.scenario import permission
from simsplit.scenario.permission import (
    Carried,
    code_allowed,
    give,
    is_permitted,
    is_said,
    takes_permission,
)
from simsplit.scenario.user_code import build_target, import_target
from simsplit.sim.policy.knowledge import Chooser

MODULE = """
from subprocess import run
from os import system


class Net:
    def __init__(self, **options):
        self.options = options


class Child(Net):
    pass


class Picky(Net):
    def __init__(self, width):
        raise ValueError(f"no width {width}")


class Leaves(Net):
    def __init__(self):
        raise SystemExit("bye")


class Chooses:
    def choose(self, knowledge, sample):
        return "a"


def make(**options):
    return Child(**options)


def make_other():
    return "text"


def make_number():
    return 3


NUMBER = 3
LAMBDA = lambda: Net()
THING = Net()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Modules of a user's on Python's path, which is no permission."""
    (tmp_path / "zp_nets.py").write_text(MODULE + f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (tmp_path / "zp_exit.py").write_text("raise SystemExit(0)\n")
    (tmp_path / "zp_stop.py").write_text("raise KeyboardInterrupt\n")
    (tmp_path / "zp_generator.py").write_text("raise GeneratorExit\n")
    (tmp_path / "zp_crash.py").write_text("1 / 0\n")
    (tmp_path / "zp_syntax.py").write_text("def f(:\n")
    (tmp_path / "zp_lacks.py").write_text("import zp_none\n")
    monkeypatch.delenv("SIMSPLIT_PATH", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("zp_")]:
        del sys.modules[name]


def get(target: str, base: Any = None) -> Any:
    return import_target(target, path="networks[0].source", base=base)


# --- who may ------------------------------------------------------------------------------------


def test_nothing_runs_unasked(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own)  # neither the working folder nor Python's path is a permission
    with pytest.raises(ScenarioError, match="--allow-code") as caught:
        get("zp_nets:Net")
    assert caught.value.path == "networks[0].source" and caught.value.value == "zp_nets:Net"
    assert "SIMSPLIT_PATH" in str(caught.value) and "allow_code=True" in str(caught.value)
    assert not (own / "ran").exists() and "zp_nets" not in sys.modules


def test_who_says_so_may(own: Path) -> None:
    with code_allowed():
        assert get("zp_nets:Net").__name__ == "Net"
    with pytest.raises(ScenarioError, match="--allow-code"):
        get("zp_nets:Net")  # although it is imported by now


def test_a_folder_of_simsplit_path_may(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSPLIT_PATH", str(own / "other"))
    with pytest.raises(ScenarioError, match="--allow-code"):
        get("zp_nets:Net")
    monkeypatch.setenv("SIMSPLIT_PATH", str(own))
    assert get("zp_nets:Net").__name__ == "Net"
    assert not is_said("zp_nets:Net")


def test_a_linked_folder_of_simsplit_path_may(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "link").symlink_to(own)
    monkeypatch.setenv("SIMSPLIT_PATH", str(own / "link"))
    assert is_permitted("zp_nets:Net", own / "zp_nets.py")
    assert is_permitted("zp_nets:Net", own / "link" / "zp_nets.py")
    assert not is_permitted("zp_nets:Net", own.parent / "zp_nets.py")


def test_installed_libraries_need_it_too_and_simsplit_does_not() -> None:
    with pytest.raises(ScenarioError, match="--allow-code"):
        get("json:JSONDecoder")
    assert get("simsplit.networks.multitask:Segmenter").__name__ == "Segmenter"


def test_false_takes_nothing_back() -> None:
    with code_allowed(), code_allowed(False):
        assert is_said("a:B")
    assert not is_said("a:B")


def test_a_verbs_keyword_holds_while_it_runs() -> None:
    @takes_permission
    def verb(*, allow_code: bool = False) -> bool:
        return is_said("a:B")

    assert verb(allow_code=True) and not verb() and not verb(allow_code=False)


# --- handed over --------------------------------------------------------------------------------


class Handed:
    """A class of this test's own module."""


def test_an_object_that_was_handed_over_needs_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "_given", {})
    name = give(Handed)
    assert name == f"{__name__}:Handed" and get(name) is Handed


def test_a_handed_class_whose_file_changed_is_refused(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permission, "_given", {})
    from zp_nets import Net  # type: ignore[import-not-found]

    name = give(Net)
    assert get(name) is Net and get(name) is Net
    (own / "zp_nets.py").write_text(MODULE + "# edited\n")
    with pytest.raises(ScenarioError, match="have changed since it was imported"):
        get(name)


def test_what_cannot_be_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Inner:
        pass

    for thing, text in [(Inner, "top of a module"), (Handed(), "its class"), (len, "its class")]:
        with pytest.raises(ValueError, match=text):
            give(thing)
    monkeypatch.setattr(Handed, "__module__", "__main__")
    monkeypatch.setattr(permission, "file_of_given", lambda thing: None)
    with pytest.raises(ValueError, match="put it in a module"):
        give(Handed)


def test_workers_know_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread, which has a context of its own, as a process has."""
    monkeypatch.setattr(permission, "_given", {"x:Y": Handed})
    with ThreadPoolExecutor(1) as pool:
        with code_allowed():
            task = Carried(is_said)
        assert pool.submit(task, "a:B").result()
        assert not pool.submit(Carried(is_said), "a:B").result()
        assert not pool.submit(is_said, "a:B").result()
        assert task.handed == {"x:Y": Handed}


# --- what is refused, permission or not ---------------------------------------------------------

REFUSED: dict[str, tuple[str, Any, str]] = {
    "no colon": ("zp_nets", None, "not of the form package.module:Name"),
    "two colons": ("zp_nets:Net:x", None, "not of the form"),
    "call": ("zp_nets:Net()", None, "not of the form"),
    "relative": (".zp_nets:Net", None, "not of the form"),
    "path": ("./zp_nets.py:Net", None, "not of the form"),
    "spaces": ("zp_nets: Net", None, "not of the form"),
    "empty": ("", None, "not of the form"),
    "dotted name": ("zp_nets:Net.part", None, "not of the form"),
    "no module": ("zp_none:Net", None, "cannot be imported: ModuleNotFoundError"),
    "no submodule": ("zp_nets.part:Net", None, "cannot be imported: ModuleNotFoundError"),
    "no class": ("zp_nets:Nett", None, "zp_nets has no such class.*Did you mean 'Net'"),
    "needs another": ("zp_lacks:Net", None, "No module named 'zp_none'"),
    "exits": ("zp_exit:Net", None, "cannot be imported: SystemExit: 0"),
    "stops": ("zp_stop:Net", None, "cannot be imported: KeyboardInterrupt"),
    "generator": ("zp_generator:Net", None, "cannot be imported: GeneratorExit"),
    "crashes": ("zp_crash:Net", None, "cannot be imported: ZeroDivisionError"),
    "no Python": ("zp_syntax:Net", None, "cannot be imported: SyntaxError"),
    "number": ("zp_nets:NUMBER", None, "neither a class nor a function of your own, but an int"),
    "object": ("zp_nets:THING", None, "neither a class nor a function of your own, but a Net"),
    "module": ("os:path", None, "neither a class nor a function of your own, but a module"),
    "eval": ("builtins:eval", None, "but a builtin function"),
    "system": ("os:system", None, "but a builtin function"),
    "system by another way": ("zp_nets:system", None, "but a builtin function"),
    "popen": ("subprocess:Popen", Handed, "is not derived from"),
    "popen as a policy": ("subprocess:Popen", Chooser, r"has no choose\(\), which the contract"),
    "run": ("subprocess:run", Handed, "function of a library"),
    "run by another way": ("zp_nets:run", Handed, "function of a library"),
    "rmtree": ("shutil:rmtree", Handed, "function of a library"),
    "other base": ("zp_nets:Net", Handed, "is not derived from"),
    "lacks a method": ("zp_nets:Net", Chooser, r"has no choose\(\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_target_must_not_be(own: Path, case: str) -> None:
    target, base, text = REFUSED[case]
    with code_allowed(), pytest.raises(ScenarioError, match=text) as caught:
        get(target, base)
    assert caught.value.path == "networks[0].source" and caught.value.exit_code == 2


def test_popen_is_never_called(tmp_path: Path) -> None:
    options = {"args": f"touch {tmp_path / 'ran'}", "shell": True}
    for target in ("subprocess:Popen", "subprocess:run", "os:system"):
        with code_allowed(), pytest.raises(ScenarioError):
            build_target(target, path="x", base=Handed, options=options)
    assert not list(tmp_path.iterdir())


def build(target: str, base: Any = None, **options: Any) -> Any:
    with code_allowed():
        return build_target(target, path="networks.net.source", base=base, options=options)


def test_classes_and_functions_are_built(own: Path) -> None:
    assert build("zp_nets:Net", width=3).options == {"width": 3}
    assert type(build("zp_nets:make", width=3)).__name__ == "Child"
    assert type(build("zp_nets:LAMBDA")).__name__ == "Net"


@pytest.mark.parametrize(
    ("target", "options", "base", "texts"),
    [
        ("zp_nets:Picky", {"width": 3}, None, ["networks.net.options", "no width 3", "Picky"]),
        ("zp_nets:Picky", {"colour": 3}, None, ["networks.net.options", "colour"]),
        ("zp_nets:Picky", {}, None, ["networks.net.source", "width"]),
        ("zp_nets:Leaves", {}, None, ["networks.net.source", "SystemExit: bye"]),
        ("zp_nets:make_other", {}, Handed, ["made a str, which is not derived from"]),
        ("zp_nets:make_number", {}, Handed, ["made an int, which is not derived from"]),
        ("zp_nets:make", {}, Chooser, ["made a Child, which has no choose()"]),
    ],
)
def test_what_cannot_be_built(
    own: Path, target: str, options: dict[str, Any], base: Any, texts: list[str]
) -> None:
    with pytest.raises(ScenarioError) as caught:
        build(target, base, **options)
    assert all(text in str(caught.value) for text in texts), str(caught.value)


def test_a_real_ctrl_c_stops(own: Path) -> None:
    (own / "zp_slow.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nfor _ in range(10**7): pass\n"
    )
    with code_allowed(), pytest.raises(KeyboardInterrupt):
        get("zp_slow:Net")


def test_changed_code_is_imported_anew(own: Path) -> None:
    (own / "zp_pkg").mkdir()
    (own / "zp_pkg" / "__init__.py").write_text("from .net import Net\n")
    (own / "zp_pkg" / "net.py").write_text("from .size import K\nclass Net:\n    k = K\n")
    for k in ("1", "2", "333"):
        (own / "zp_pkg" / "size.py").write_text(f"K = {k}\n")
        with code_allowed():
            assert get("zp_pkg:Net").k == int(k)
