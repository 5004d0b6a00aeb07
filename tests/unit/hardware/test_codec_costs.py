"""Unit: what codecs cost by the laws, scaled by a core's rating, or by a block of their own."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter

from simsplit.codecs.workload import Coding, codec_key, coding_of, map_coding
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.hardware.codec_costs import Law, default_costs_file, read_costs
from simsplit.hardware.fit_codecs import (
    Point,
    bundled_recipe,
    fit_affine,
    fit_laws,
    fit_lz77,
    law_rows,
    profile_codecs,
    write_profile,
)
from simsplit.hardware.machine import Machine
from simsplit.hardware.measure_codecs import low_s, measure, stand_of, times_s
from simsplit.hardware.roofline import CodecBlock, load_hardware
from simsplit.scenario.bundled import hardware_choices, hardware_dir
from simsplit.scenario.operating_points import CodecSpec

SPEC = TypeAdapter(CodecSpec)
SPECS = [
    *({"kind": kind} for kind in ("png", "jpeg", "webp", "avif", "pixels")),
    {"kind": "webp", "lossless": True},
    *({"kind": kind} for kind in ("entropy", "adaptive_entropy", "png_tiles")),
    *({"kind": kind, "quality": 90} for kind in ("jpeg_tiles", "webp_tiles", "avif_tiles")),
    {"kind": "webp_tiles", "lossless": True},
    *({"kind": "tensor", "dtype": dtype} for dtype in ("float32", "float16", "uint8")),
]


@pytest.mark.parametrize("content", SPECS, ids=str)
def test_every_codec_is_charged_its_law_over_the_core_s_speed(content: dict) -> None:
    """By hand: coefficients x (1, elements, bytes, channels, tables) x rating over rating."""
    spec = SPEC.validate_python(content)
    shape = (64, 128, 3) if spec.kind in ("png", "jpeg", "webp", "avif", "pixels") else (24, 4, 8)
    coding, costs = coding_of(spec, [shape], 1000), read_costs(default_costs_file())
    phone = Machine(load_hardware("phone_soc"))
    channels = shape[0] if "entropy" in spec.kind else 0
    terms = [1, math.prod(shape), 1000, channels, channels * 256]
    for side in ("encode", "decode"):
        law = costs.laws[codec_key(spec)][side]
        c, n = law.coefficients, terms[1]
        by_hand_s = (
            sum(a * b for a, b in zip(c, terms, strict=True))
            if law.form == "affine"
            else c[0] + c[1] * n * (n / (n + 32768)) ** c[2] * (1000 / n) ** c[3]
        )
        by_hand_s *= costs.seven_zip_mips / phone.hardware.seven_zip_mips
        assert phone.codec_s(side, coding) == pytest.approx(by_hand_s)
        assert by_hand_s > 0


def test_an_answer_s_map_has_a_law_too() -> None:
    coding = map_coding((64, 128), 300)
    assert (coding.elements, coding.pixels) == (8192, 8192)
    assert Machine(load_hardware("edge_gpu")).codec_s("encode", coding) > 0


def test_a_slower_level_of_a_cpu_codes_slower() -> None:
    board, coding = load_hardware("raspberry_pi_5"), Coding("jpeg", 24576, 2000, pixels=8192)
    full_s = Machine(board).codec_s("encode", coding)
    assert Machine(board.at_level("1500mhz")).codec_s("encode", coding) == pytest.approx(
        1.6 * full_s
    )


def test_a_fixed_function_block_takes_its_own_format_alone() -> None:
    block = CodecBlock("jpeg", 2e-6, 3e-6)
    phone = load_hardware("phone_soc")
    with_block, without = Machine(replace(phone, codec_blocks=(block,))), Machine(phone)
    jpeg, png = (Coding(kind, 24576, 2000, pixels=8192) for kind in ("jpeg", "png"))
    assert with_block.codec_s("encode", jpeg) == pytest.approx(2e-6 * 8.192)
    assert with_block.codec_s("decode", jpeg) == pytest.approx(3e-6 * 8.192)
    assert with_block.codec_s("encode", png) == without.codec_s("encode", png)


@pytest.mark.parametrize("name", hardware_choices())
def test_every_bundled_machine_has_a_rating_with_its_source(name: str) -> None:
    hardware = load_hardware(name)
    assert hardware.seven_zip_mips and len(hardware.sources["seven_zip_mips"]) > 10
    for block in hardware.codec_blocks:
        assert f"codec_blocks.{block.kind}.encode_s_per_kpixel" in hardware.sources


def test_the_old_key_says_what_to_write_instead(tmp_path: Path) -> None:
    sheet = yaml.safe_load((hardware_dir() / "phone_soc.yaml").read_text())
    sheet["codec_s_per_kpixel"] = {"value": 1e-5, "source": "assumption: as before"}
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(sheet))
    with pytest.raises(ScenarioError, match=r"codec_s_per_kpixel is no more.*seven_zip_mips"):
        load_hardware(str(tmp_path / "old.yaml"))


def test_a_sheet_may_name_a_profile_of_its_own(tmp_path: Path) -> None:
    content = json.loads(default_costs_file().read_text())
    for law in content["laws"]["jpeg"].values():
        law["coefficients"] = [2 * c for c in law["coefficients"]]
    (tmp_path / "own.json").write_text(json.dumps(content))
    sheet = yaml.safe_load((hardware_dir() / "phone_soc.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(sheet | {"codec_profile": "own.json"}))
    coding = Coding("jpeg", 24576, 2000, pixels=8192)
    mine, ours = (
        Machine(load_hardware(name)) for name in (str(tmp_path / "mine.yaml"), "phone_soc")
    )
    assert mine.codec_s("encode", coding) == pytest.approx(2 * ours.codec_s("encode", coding))


@pytest.mark.parametrize("text", ["", "{}", '{"format": "other"}', "[1]"])
def test_a_damaged_profile_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ArtefactError, match="damaged profile of codecs"):
        read_costs(tmp_path / "bad.json")
    with pytest.raises(ArtefactError, match="no such profile of codecs"):
        read_costs(tmp_path / "none.json")


# --- measuring and fitting ----------------------------------------------------------------------


def ticks() -> object:
    """A clock that goes 1 ms ahead at every look."""
    now = iter(range(0, 10**12, 10**6))
    return lambda: next(now)


def test_short_calls_are_repeated_and_divided() -> None:
    calls: list[int] = []
    taken = times_s(lambda: calls.append(1), ticks())
    assert taken == [pytest.approx(1e-3)] * 4 and len(calls) == 5


def test_the_lowest_fifth_counts() -> None:
    assert low_s([5.0, 1.0, 2.0, 3.0, 4.0, 9.0]) == (2.0, 2.0)


def test_a_stand_codes_both_ways() -> None:
    feature = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    stand = stand_of(SPEC.validate_python({"kind": "entropy", "bits": 4}), feature, "u", "what")
    measure([stand], 2, clock_ns=ticks())
    assert stand.coding.table_entries == 64 and stand.coding.coded_bytes == len(stand.encode())
    assert {len(times) for times in stand.times_s.values()} == {8}


def points(law: Law, key: str, sizes: list[int]) -> list[Point]:
    codings = [Coding(key, n, n * share, channels=8) for n in sizes for share in (0.2, 0.6)]
    return [
        Point(one, "", str(one.elements), "", law.seconds(one), law.seconds(one), 1.0, 1.0, False)
        for one in codings
    ]


def test_the_affine_fit_finds_the_law_that_made_the_points() -> None:
    law = Law("affine", (1e-4, 2e-8, 3e-8, 0.0, 0.0))
    found = fit_affine(points(law, "jpeg", [1000, 10000, 100000]), "encode")
    for n in (3000, 300000):
        coding = Coding("jpeg", n, 0.4 * n, channels=8)
        assert found.seconds(coding) == pytest.approx(law.seconds(coding), rel=0.01)


def test_the_lz77_fit_finds_the_law_that_made_the_points() -> None:
    law = Law("lz77", (5e-5, 2e-7, 0.5, -0.8))
    found = fit_lz77(points(law, "png_tiles", [1000, 10000, 100000, 1000000]), "encode")
    assert found.coefficients == pytest.approx(law.coefficients, rel=0.01)


def test_held_out_points_judge_and_do_not_fit() -> None:
    law = Law("affine", (1e-4, 2e-8, 0.0, 0.0, 0.0))
    seen = points(law, "jpeg", [1000, 10000, 100000])
    away = replace(seen[2], encode_s=2 * seen[2].encode_s, held_out=True)
    found = fit_laws([*seen[:2], *seen[3:], away])["jpeg"]
    assert found["encode"].held_out_error == pytest.approx(0.5, abs=0.01)
    assert found["decode"].held_out_error == pytest.approx(0.0, abs=0.01)


def test_a_small_profile_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = bundled_recipe(1, 1234.0)
    small = {
        "sizes": ((16, 32), (32, 64)),
        "held_out": ((32, 32),),
        "scenes": 1,
        "pictures": recipe.pictures[:2],
        "features": recipe.features[:1],
    }
    content = profile_codecs(recipe.model_copy(update=small))
    write_profile(tmp_path / "p.json", content)
    costs = read_costs(tmp_path / "p.json")
    assert costs.seven_zip_mips == 1234.0 and set(costs.laws) == {"map", "png", "jpeg", "entropy"}
    assert [row[0] for row in law_rows(content)] == list(costs.laws)
    assert {point["held_out"] for point in content["points"]} == {True, False}
    assert content["implementations"]["pillow"]


def test_a_rating_of_nothing_is_refused() -> None:
    with pytest.raises(ScenarioError, match="7-zip rating"):
        bundled_recipe(None, 0.0)
