"""Operating points with a trained code: what is sent, what it costs, what comes of what arrives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coded_digits import NETWORK, code_recipe, trained, write_module
from simsplit.codecs.workload import range_coding
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.messages import Delivery, Prepared, Scheme, ScoreRequest, Workload
from simsplit.operators import OF_CODE
from simsplit.pipeline.pipeline import Pipeline
from simsplit.pipeline.scenario import open_pipeline
from simsplit.results.identity import artefact_digests
from simsplit.scenario.load import digest, load
from simsplit.scenario.scenario import Scenario
from simsplit.study.codings import codings_of

SHORT: dict[str, Any] = {"train_images": 256, "test_images": 16}
CODES: dict[str, dict[str, Any]] = {
    "analog": {"kind": "jscc", "symbols": 32, "hidden": 8, "nested": True},
    "entropic": {"kind": "entropic", "channels": 2, "hidden": 8},
    "pictures": {"kind": "jscc", "symbols": 16, "hidden": 8, "stride": 2},
}
STUDENT = {
    "kind": "entropic",
    "channels": 4,
    "stride": 2,
    "transforms": "gdn",
    "encoder_channels": [6],
    "decoder_channels": [8],
}
SAMPLES = 12
POINTS = [{"name": name, "network": "cnn", "code": name} for name in CODES]
POINTS.append({"name": "local", "network": "cnn", "scheme": "local"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("coded")
    with pytest.MonkeyPatch.context() as monkeypatch:
        write_module(path, monkeypatch)
        trained(path / "models" / "net", NETWORK | {"test_images": 16})
        for name, code in CODES.items():
            cut = "input" if name == "pictures" else "body.2"
            phases = [{"train": ["code", "tail"], "epochs": 4}]
            recipe = code_recipe(code, cut=cut, phases=phases, **SHORT)
            trained(path / "models" / name, recipe)
        ends = {"cut": "input", "until": "body.2", "phases": [{"train": "code", "epochs": 2}]}
        trained(path / "models" / "student", code_recipe(STUDENT, **ends, **SHORT))
        monkeypatch.chdir(path)
        yield path


def scenario(**changes: Any) -> Scenario:
    net = {"name": "cnn", "source": "coded_nets:Cnn", "answer": "label"}
    content: dict[str, Any] = {
        "name": "coded",
        "duration_s": 1,
        "task": {"dataset": "digits", "height_px": 8, "width_px": 8, "samples": SAMPLES},
        "model": None,
        "networks": [net | {"weights": "models/net/weights.safetensors"}],
        "operating_points": POINTS,
        "devices": [
            {
                "name": "one",
                "count": 1,
                "hardware": "raspberry_pi_4",
                "operating_point": "analog",
                "arrivals": {"kind": "poisson", "rate_hz": 5},
            }
        ],
        "cell": {"channel": {"kind": "fixed_snr", "snr_db": 10}},
    }
    return load(content | changes)


def opened(**changes: Any) -> Pipeline:
    return open_pipeline(scenario(**changes), Path("models"), None)


def air(request: int, symbols: int = 32, snr_db: float = 10.0) -> Delivery:
    return Delivery(request, True, symbol_counts=(symbols,), symbol_snr_db=(snr_db,))


def accuracy(pipeline: Pipeline, point: str, deliveries: list[Delivery]) -> float:
    asked = [ScoreRequest(point, i % SAMPLES, d) for i, d in enumerate(deliveries)]
    return float(np.mean([outcome.as_dict()["accuracy"] for outcome in pipeline.score(asked)]))


def test_a_code_decides_scheme_and_split(folder: Path) -> None:
    points = {point.name: point for point in scenario().operating_points}
    assert (points["analog"].scheme, points["analog"].split) == (Scheme.JSCC, "body.2")
    assert (points["entropic"].scheme, points["pictures"].split) == (Scheme.SEPARATE, "input")


def test_what_is_sent(folder: Path) -> None:
    prepared: dict[str, Prepared] = opened().prepare()
    analog = prepared["analog"]
    assert analog.symbols is not None and analog.symbols.shape == (SAMPLES, 32)
    np.testing.assert_allclose((np.abs(analog.symbols) ** 2).mean(axis=1), 1.0, rtol=1e-5)
    assert set(analog.channel_uses) == {32} and not analog.payload_bits.any()
    entropic = prepared["entropic"]
    assert [8 * len(payload) for payload in entropic.payloads] == entropic.payload_bits.tolist()
    assert set(prepared["pictures"].channel_uses) == {16}


def test_codes_are_charged_on_their_side(folder: Path) -> None:
    pipeline = opened()
    work: dict[str, Workload] = {name: pipeline.workload(name) for name in CODES}
    device, edge = work["analog"].device, work["analog"].edge
    assert device[-1].name == f"{OF_CODE}encode" and edge[0].name == f"{OF_CODE}decode"
    assert not device[0].name.startswith(OF_CODE) and not edge[-1].name.startswith(OF_CODE)
    assert {name: len(w.range_coded) for name, w in work.items()} == {
        "analog": 0,
        "entropic": 3,
        "pictures": 0,
    }
    assert {o.name for o in work["pictures"].device} == {f"{OF_CODE}encode"}
    assert len({w.tail for w in work.values()}) == 3


def test_a_student_is_charged_and_what_it_replaces_is_not(folder: Path) -> None:
    """Encoder on the device; decoder and the network behind ``until`` at the edge; nothing else."""
    point = {"name": "student", "network": "cnn", "code": "student"}
    pipelines = opened(operating_points=[*POINTS, point])
    work, behind = pipelines.workload("student"), pipelines.workload("analog")
    assert {one.name for one in work.device} == {f"{OF_CODE}encode"}
    decoder = [one for one in work.edge if one.name == f"{OF_CODE}decode"]
    tail = [one for one in work.edge if one.name != f"{OF_CODE}decode"]
    assert decoder and tail == [o for o in behind.edge if not o.name.startswith(OF_CODE)]
    assert len(work.range_coded) == 3
    payloads = pipelines.prepare()["student"].payloads
    assert len(payloads) == SAMPLES
    assert accuracy(pipelines, "student", [Delivery(i, True) for i in range(SAMPLES)]) >= 0.0
    points = {p.name: p for p in scenario(operating_points=[*POINTS, point]).operating_points}
    assert points["student"].split == "input"


def test_a_students_split_is_where_its_encoder_stands(folder: Path) -> None:
    point = {"name": "student", "network": "cnn", "code": "student", "split": "body.2"}
    with pytest.raises(ScenarioError) as caught:
        scenario(operating_points=[*POINTS, point])
    text = str(caught.value)
    assert f"operating_points[{len(POINTS)}].split" in text and "input" in text
    assert "its encoder takes input, its decoder gives body.2" in text


def test_the_range_coder_takes_time(folder: Path) -> None:
    pipeline = opened()
    point = next(p for p in scenario().operating_points if p.name == "entropic")
    work, prepared = pipeline.workload("entropic"), pipeline.prepare()["entropic"]
    sent = codings_of(point, work, prepared).sent
    assert sent[0] == range_coding(work.range_coded, len(prepared.payloads[0]))
    assert sent[0].key == "entropy" and sent[0].elements == 32


def test_answers_are_worth_more_than_chance_and_noise_costs(folder: Path) -> None:
    pipeline = opened()
    clean = accuracy(pipeline, "analog", [air(i) for i in range(36)])
    deaf = accuracy(pipeline, "analog", [air(i, snr_db=-30.0) for i in range(36)])
    assert clean > 0.6 > 0.45 > deaf
    assert accuracy(pipeline, "entropic", [Delivery(i, True) for i in range(SAMPLES)]) > 0.25


def test_a_request_alone_hears_what_it_hears_among_others(folder: Path) -> None:
    pipeline = opened()
    asked = [ScoreRequest("analog", i % SAMPLES, air(i, snr_db=-4.0)) for i in range(70)]
    together = pipeline.score(asked)
    assert [pipeline.score([asked[i]])[0] for i in (3, 64, 69)] == [
        together[i] for i in (3, 64, 69)
    ]
    assert opened(seed=2).score(asked) != together


def test_lost_and_local_are_as_without_a_code(folder: Path) -> None:
    pipeline = opened()
    lost = [ScoreRequest("entropic", 0, Delivery(0, False))]
    assert pipeline.score(lost)[0].as_dict() == {"accuracy": 0.0}
    retried = [Delivery(i, True, computed_locally=True) for i in range(SAMPLES)]
    local = [Delivery(i, True) for i in range(SAMPLES)]
    assert accuracy(pipeline, "analog", retried) == accuracy(pipeline, "local", local)


def test_only_a_point_with_airtime_may_end_early(folder: Path) -> None:
    with pytest.raises(ScenarioError, match="carries 32 symbols"):
        opened().score([ScoreRequest("analog", 0, air(0, symbols=20))])
    points = [POINTS[0] | {"airtime_s": 0.01}]
    pipeline = opened(operating_points=points)
    outcome = pipeline.score([ScoreRequest("analog", 0, air(0, symbols=20))])[0]
    assert set(outcome.as_dict()) == {"accuracy"}


def test_the_cache_gives_the_same(folder: Path, tmp_path: Path) -> None:
    asked = [ScoreRequest("entropic", i, Delivery(i, True)) for i in range(SAMPLES)]
    made = [open_pipeline(scenario(), Path("models"), tmp_path) for _ in range(2)]
    assert made[0].score(asked) == made[1].score(asked)
    one, two = (m.prepare()["entropic"].payloads for m in made)
    assert one == two and list(tmp_path.rglob("*.npz"))


def test_a_code_counts_by_its_content(folder: Path) -> None:
    before, card = digest(scenario()), folder / "models" / "analog" / "card.json"
    digests, text = artefact_digests(scenario()), card.read_text()
    try:
        card.write_text(text.replace('"minutes"', '"minute"'))
        assert digest(scenario()) != before and artefact_digests(scenario()) != digests
    finally:
        card.write_text(text)
    assert digest(scenario()) == before


# --- mistakes ---------------------------------------------------------------------------------


def point(**changes: Any) -> dict[str, Any]:
    return {"operating_points": [POINTS[0] | changes, *POINTS[1:]]}


MISTAKES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "nearest name": (point(code="analogue"), ("operating_points[0].code", "Did you mean 'analog'")),
    "a model is no code": (point(code="net"), ("no such code",)),
    "another split": (point(split="stem.1"), ("operating_points[0].split", "body.2")),
    "another scheme": (point(scheme="separate"), ("operating_points[0].scheme", "jscc")),
    "a codec as well": (point(codec={"kind": "tensor"}), ("leave codec out",)),
    "no network": (point(network=None), ("say network: NAME",)),
    "airtime of bytes": (
        {"operating_points": [POINTS[1] | {"airtime_s": 0.1}, POINTS[0]]},
        ("airtime_s and min_symbols belong to scheme 'jscc' only",),
    ),
    "another size": (
        {"task": {"dataset": "streets", "height_px": 16, "width_px": 16, "samples": 4}},
        ("trained at 8 x 8 px", "16 x 16"),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told(name: str, folder: Path) -> None:
    changes, parts = MISTAKES[name]
    with pytest.raises((ScenarioError, ArtefactError)) as caught:
        scenario(**changes)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ("{", "other/card.json: damaged card: Expecting property name"),
        ("[]", "other/card.json: damaged card: it is no mapping"),
        ('{"kind": "network"}', "other/card.json is of kind network"),
    ],
)
def test_a_folder_that_holds_no_code_is_told_for_what_it_is(
    card: str, told: str, folder: Path
) -> None:
    own = folder / "models" / "other"
    own.mkdir(exist_ok=True)
    (own / "card.json").write_text(card)
    with pytest.raises((ScenarioError, ArtefactError)) as caught:
        scenario(**point(code="other"))
    assert told in str(caught.value)
    (own / "card.json").unlink()
    own.rmdir()


def test_a_code_of_another_network(folder: Path) -> None:
    net = scenario().networks[0].model_dump(mode="json")
    with pytest.raises(ScenarioError, match="trained for another coded_nets:Cnn"):
        scenario(networks=[net | {"options": {"width": 12}}])
    with pytest.raises(ScenarioError, match="trained for the network coded_nets:Cnn, not resnet18"):
        scenario(networks=[net | {"source": "resnet18", "weights": "random", "answer": None}])


def test_a_code_without_weights(folder: Path) -> None:
    weights = folder / "models" / "analog" / "weights.safetensors"
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-1])
        place = r"^operating_points\.analog\.code: .*analog.weights\.safetensors: "
        with pytest.raises(ArtefactError, match=place + r"the weights are not those of card\.json"):
            opened()
        weights.unlink()
        with pytest.raises(ArtefactError, match=r"no weights\.safetensors; run `simsplit train"):
            scenario()
    finally:
        weights.write_bytes(content)
