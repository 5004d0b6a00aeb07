"""docs/your_network.md: its blocks are the files beside it, short enough, and do what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from markdown_pages import ROOT, fences, read
from simsplit.training.phases import parse_phased_recipe

FOLDER = ROOT / "docs" / "your_network"
MODELS = ("marks_net", "marks_jscc", "marks_entropic")
MOST_LINES = {
    "code/marks.py": 30,
    "marks.yaml": 40,
    **{f"models/{name}/recipe.yaml": 25 for name in MODELS},
}


def test_the_blocks_are_the_files() -> None:
    shown = [content for language, content in fences(read(ROOT / "docs" / "your_network.md"))]
    files = ("make_pictures.py", *MOST_LINES)
    assert sorted(shown) == sorted((FOLDER / file).read_text() for file in files)


@pytest.mark.parametrize("file", MOST_LINES)
def test_it_is_short(file: str) -> None:
    assert len((FOLDER / file).read_text().splitlines()) <= MOST_LINES[file]


def test_its_recipe_is_one(tmp_path: Path) -> None:
    """The first, which needs no weights; the others are trained in the walk."""
    (tmp_path / "pictures" / "disc").mkdir(parents=True)
    content = yaml.safe_load((FOLDER / "models/marks_net/recipe.yaml").read_text())
    folder = tmp_path / "models" / "marks_net"
    folder.mkdir(parents=True)
    assert parse_phased_recipe(content, folder).kind == "network"


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after the whole walk."""
    folder = tmp_path_factory.mktemp("walk")
    here = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{here}{os.pathsep}{os.environ['PATH']}",
        "SIMSPLIT_CACHE": str(folder / "cache"),
    }
    done = subprocess.run(
        ["bash", str(FOLDER / "walk.sh")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_walk_shows_what_the_page_says(walked: Path) -> None:
    """JSCC is above every digital way from -5 to 5 dB; at 20 dB all are right but for a few."""
    points = pd.read_csv(walked / "sweep" / "points.csv")
    score = points.pivot(
        index="cell.channel.snr_db", columns="operating_point", values="score_accuracy"
    )
    digital = score[["local", "jpeg", "entropic"]].max(axis=1)
    assert (score["jscc"] - digital).loc[[-5, 0, 5]].min() > 0.05
    assert score.loc[20].min() > 0.9
    assert score.loc[-10].drop("jscc").max() < 0.02
    assert (walked / "figures" / "metric.pdf").is_file()
