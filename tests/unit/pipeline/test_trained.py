"""The chain without a clock, with the small digits network that the repository holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simsplit.codecs.entropy import count_codes
from simsplit.codecs.picture import is_available
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.messages import Delivery, Outcome, Scheme, ScoreRequest
from simsplit.networks.artefact import build_model, write_card, write_weights
from simsplit.networks.digits import DigitsNet
from simsplit.operators import Operator, total_macs
from simsplit.pipeline.pipeline import Pipeline
from simsplit.pipeline.trained import (
    BottleneckChain,
    ExitChain,
    TrainedNetwork,
    calibration,
    headline_of,
    model_chains,
    trained_chain,
)
from simsplit.pipeline.workloads import exit_workload, workloads
from simsplit.scenario.operating_points import OperatingPoint, Task
from simsplit.tasks.answers import lost_scores, task_scores
from simsplit.tasks.evidence import pooled
from simsplit.training.card import costs

MODELS = Path(__file__).parents[3] / "models"
SAMPLES = 60
K = 8  # channel uses of the digits network

POINTS = [
    OperatingPoint.model_validate(point)
    for point in (
        {"name": "local", "scheme": "local"},
        {"name": "png", "scheme": "raw", "codec": {"kind": "png"}},
        {"name": "jpeg", "scheme": "raw", "codec": {"kind": "jpeg", "quality": 75}},
        {"name": "pixels", "scheme": "raw", "codec": {"kind": "pixels"}},
        {"name": "webp", "scheme": "raw", "codec": {"kind": "webp", "quality": 75}},
        {"name": "coded", "scheme": "separate", "split": "stage2", "codec": {"kind": "entropy"}},
        {"name": "tiles", "scheme": "separate", "codec": {"kind": "png_tiles", "bits": 6}},
        {"name": "jscc", "scheme": "jscc", "split": "stage2"},
        {
            "name": "webp_exact",
            "scheme": "raw",
            "codec": {"kind": "webp", "lossless": True},
        },
        {"name": "adaptive", "scheme": "separate", "codec": {"kind": "adaptive_entropy"}},
        {
            "name": "tiles_jpeg",
            "scheme": "separate",
            "codec": {"kind": "jpeg_tiles", "quality": 90},
        },
        {
            "name": "tiles_webp",
            "scheme": "separate",
            "codec": {"kind": "webp_tiles", "quality": 90},
        },
        {
            "name": "tiles_exact",
            "scheme": "separate",
            "codec": {"kind": "webp_tiles", "lossless": True},
        },
    )
]
AVIF = [
    OperatingPoint.model_validate({"name": f"avif_{scheme}", "scheme": scheme, "codec": codec})
    for scheme, codec in (
        ("raw", {"kind": "avif", "quality": 90}),
        ("separate", {"kind": "avif_tiles", "quality": 90}),
    )
]
DIGITAL = [point.name for point in POINTS if point.scheme in ("raw", "separate")]


def opened(**changes: Any) -> Pipeline:
    task: dict[str, Any] = {"dataset": "digits", "height_px": 8, "width_px": 8, "samples": SAMPLES}
    task = {key: changes.pop(key, value) for key, value in task.items()}
    points = changes.get("operating_points", POINTS)
    chains = model_chains(
        changes.get("model", "digits_cnn"),
        Task.model_construct(**task),
        {f"operating_points[{i}]": point for i, point in enumerate(points)},
        changes.get("models_dir", MODELS),
    )
    return Pipeline(chains, seed=changes.get("seed", 7), cache_dir=changes.get("cache_dir"))


def network_of(pipeline: Pipeline) -> TrainedNetwork:
    network = next(iter(pipeline.chains.values())).network
    assert isinstance(network, TrainedNetwork)
    return network


def features(pipeline: Pipeline, name: str, samples: range) -> NDArray[np.float32]:
    """What the heads see of intact payloads."""
    chain = pipeline.chains[name]
    assert isinstance(chain, BottleneckChain)
    return chain.received(pipeline.prepared(name).payloads[samples.start : samples.stop])


@pytest.fixture(scope="module")
def chain() -> Pipeline:
    pipeline = opened()
    pipeline.prepare()
    return pipeline


def sent(request_id: int = 0, snr_db: float | tuple[float, ...] = 20.0) -> Delivery:
    """Everything went out: bits intact, or JSCC in grants of equal size."""
    grants = snr_db if isinstance(snr_db, tuple) else (snr_db,)
    return Delivery(request_id, True, False, (K // len(grants),) * len(grants), grants)


def accuracy(pipeline: Pipeline, name: str, delivery: Callable[[int], Delivery] = sent) -> float:
    outcomes = pipeline.score([ScoreRequest(name, i, delivery(i)) for i in range(SAMPLES)])
    return float(np.mean([outcome.as_dict()["accuracy"] for outcome in outcomes]))


class TestActOne:
    def test_digital_sizes_are_the_bytes(self, chain: Pipeline) -> None:
        for name in DIGITAL:
            prepared = chain.prepare()[name]
            assert prepared.payload_bits.tolist() == [len(p) * 8 for p in prepared.payloads]
            assert prepared.payload_bits.min() > 0 and not prepared.channel_uses.any()
            assert prepared.symbols is None

    def test_bare_pixels_are_a_byte_each(self, chain: Pipeline) -> None:
        assert set(chain.prepare()["pixels"].payload_bits.tolist()) == {8 * 8 * 8}

    def test_jscc_sends_unit_power_symbols_and_no_bits(self, chain: Pipeline) -> None:
        prepared = chain.prepare()["jscc"]
        assert not prepared.payload_bits.any() and prepared.payloads == ()
        assert prepared.channel_uses.tolist() == [K] * SAMPLES
        assert prepared.symbols is not None and prepared.symbols.shape == (SAMPLES, K)
        power = (np.abs(prepared.symbols) ** 2).mean(axis=1)
        np.testing.assert_allclose(power, 1.0, rtol=1e-5)

    def test_local_sends_nothing_but_may_send_its_answer(self, chain: Pipeline) -> None:
        prepared = chain.prepare()["local"]
        assert not prepared.payload_bits.any() and not prepared.channel_uses.any()
        assert prepared.answer_bits.tolist() == [8] * SAMPLES

    def test_progress_counts_operating_points(self) -> None:
        told: list[tuple[int, int]] = []
        opened(samples=2).prepare(lambda done, total: told.append((done, total)))
        assert told == [(i, len(POINTS)) for i in range(1, len(POINTS) + 1)]

    def test_a_second_run_reads_the_cache(
        self, chain: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened(cache_dir=tmp_path).prepare()
        assert len(list(tmp_path.rglob("*.npz"))) == len(POINTS)
        assert not list(tmp_path.rglob(".*.npz"))  # nothing left aside
        warm = opened(cache_dir=tmp_path)
        for one in warm.chains.values():
            monkeypatch.setattr(one, "make", lambda: pytest.fail("not from the cache"))
        for name, again in warm.prepare().items():
            fresh = chain.prepare()[name]
            assert again.payloads == fresh.payloads
            np.testing.assert_array_equal(again.payload_bits, fresh.payload_bits)
            np.testing.assert_array_equal(again.answer_bits, fresh.answer_bits)
            if fresh.symbols is not None:
                np.testing.assert_array_equal(again.symbols, fresh.symbols)

    def test_other_samples_are_not_taken_from_the_cache(self, tmp_path: Path) -> None:
        opened(cache_dir=tmp_path, samples=5).prepare()
        fewer = opened(cache_dir=tmp_path, samples=4).prepare()
        assert all(len(prepared.answer_bits) == 4 for prepared in fewer.values())

    def test_a_damaged_cache_file_is_made_again(self, tmp_path: Path) -> None:
        opened(cache_dir=tmp_path, samples=3).prepare()
        for file in tmp_path.rglob("*.npz"):
            file.write_bytes(file.read_bytes()[:100])
        again = opened(cache_dir=tmp_path, samples=3).prepare()
        assert again["coded"].payload_bits.min() > 0


class TestActThree:
    def test_every_way_answers_well_when_all_arrives(self, chain: Pipeline) -> None:
        for point in POINTS:
            assert accuracy(chain, point.name) > 0.85, point.name

    def test_png_and_local_are_the_same_network_on_the_same_picture(self, chain: Pipeline) -> None:
        requests = [(i, sent(i)) for i in range(SAMPLES)]
        ways = ("local", "png", "pixels")
        local, png, pixels = (
            chain.score([ScoreRequest(n, i, d) for i, d in requests]) for n in ways
        )
        assert local == png == pixels

    def test_a_local_retry_is_as_good_as_local(self, chain: Pipeline) -> None:
        retried = [Delivery(i, False, computed_locally=True) for i in range(SAMPLES)]
        outcomes = chain.score([ScoreRequest("coded", i, d) for i, d in enumerate(retried)])
        assert outcomes == chain.score([ScoreRequest("local", i, sent(i)) for i in range(SAMPLES)])

    def test_avif_answers_well(self) -> None:
        if not is_available("avif"):
            pytest.skip("this Pillow has no AVIF")
        pipeline = opened(operating_points=AVIF)
        pipeline.prepare()
        assert min(accuracy(pipeline, point.name) for point in AVIF) > 0.85

    def test_lossless_files_of_one_bit_depth_carry_the_same_feature(self, chain: Pipeline) -> None:
        """The codes are those of the entropy coder, so is what the heads see."""
        coded = features(chain, "coded", range(8))
        for name in ("adaptive", "tiles_exact"):
            np.testing.assert_array_equal(features(chain, name, range(8)), coded)
        assert np.abs(features(chain, "tiles_jpeg", range(8)) - coded).max() > 0

    def test_what_is_lost_scores_nothing(self, chain: Pipeline) -> None:
        for name in ("png", "coded", "jscc", "local"):
            assert accuracy(chain, name, lambda i: Delivery(i, False)) == 0.0

    def test_jscc_degrades_with_the_channel(self, chain: Pipeline) -> None:
        found = [accuracy(chain, "jscc", lambda i, s=s: sent(i, s)) for s in (-20.0, 0.0, 20.0)]
        assert found[0] < 0.5 < found[1] <= found[2]

    def test_a_request_alone_is_bit_for_bit_itself_in_any_company(self, chain: Pipeline) -> None:
        rng = np.random.default_rng(0)
        names = [point.name for point in POINTS]
        requests = [
            ScoreRequest(
                operating_point=str(rng.choice(names)),
                sample=int(rng.integers(SAMPLES)),
                delivery=sent(i, float(rng.uniform(-5, 9))),
            )
            for i in range(150)
        ]
        together = chain.score(requests)
        order = rng.permutation(len(requests))
        shuffled = opened().score([requests[i] for i in order])
        assert [shuffled[int(np.flatnonzero(order == i)[0])] for i in range(150)] == together
        fresh = opened()
        assert [fresh.score([request])[0] for request in requests[:40]] == together[:40]

    def test_received_features_alone_equal_those_in_company(self, chain: Pipeline) -> None:
        """Sharper than scores: the floats before the decision are equal to the last bit."""
        rng = np.random.default_rng(1)
        received = (rng.normal(size=(21, K)) + 1j * rng.normal(size=(21, K))).astype(np.complex64)
        variance = rng.uniform(0.1, 2, (21, K)).astype(np.float32)
        together = network_of(chain).inference.from_symbols(received, variance)
        for row in (0, 7, 13, 20):
            alone = network_of(chain).inference.from_symbols(received[[row]], variance[[row]])
            np.testing.assert_array_equal(alone[0], together[row])

    def test_noise_belongs_to_seed_and_request(self, chain: Pipeline) -> None:
        def heard(pipeline: Pipeline, request_id: int) -> np.ndarray:
            return pipeline.heard(ScoreRequest("jscc", 3, sent(request_id, 0.0)))[0]

        first = heard(chain, 5)
        np.testing.assert_array_equal(first, heard(opened(), 5))
        assert not np.array_equal(first, heard(chain, 6))
        assert not np.array_equal(first, heard(opened(seed=8), 5))

    def test_each_grant_has_its_own_noise(self, chain: Pipeline) -> None:
        _, variance = chain.heard(ScoreRequest("jscc", 0, sent(1, (0.0, 10.0))))
        np.testing.assert_allclose(variance, [1.0] * 4 + [0.1] * 4, rtol=1e-6)

    def test_a_jscc_delivery_must_carry_every_symbol(self, chain: Pipeline) -> None:
        short = Delivery(0, True, False, (K - 1,), (3.0,))
        with pytest.raises(ScenarioError, match="8 symbols"):
            chain.score([ScoreRequest("jscc", 0, short)])

    def test_shared_digital_results_are_computed_once(self) -> None:
        pipeline, calls = opened(), []
        inference = network_of(pipeline).inference
        answers = inference.answers
        pipeline.prepare()
        inference.answers = lambda f: calls.append(len(f)) or answers(f)  # type: ignore
        pipeline.score([ScoreRequest("coded", i % 3, sent(i)) for i in range(30)])
        pipeline.score([ScoreRequest("coded", 1, sent(99))])
        assert calls == [3]

    def test_nothing_asked_nothing_answered(self, chain: Pipeline) -> None:
        assert chain.score([]) == []

    def test_unknown_operating_point(self, chain: Pipeline) -> None:
        with pytest.raises(ScenarioError, match="Did you mean 'jscc'"):
            chain.score([ScoreRequest("jsc", 0, sent())])


def test_streets_without_an_answer_are_scored_with_the_constant() -> None:
    truth = {
        "segmentation": np.zeros((2, 2), np.uint8),
        "disparity": np.array([[1.0, 5.0], [1.0, 5.0]], np.float32),
        "clean": np.full((2, 2, 3), 100, np.uint8),
    }
    scores = dict(lost_scores(truth, {"disparity_px": 3.0, "colour": [110.0, 100.0, 100.0]}))
    assert scores["miou"] == scores["pixel_accuracy"] == 0.0
    assert scores["disparity_rmse_px"] == pytest.approx(2.0)
    assert scores["psnr_db"] == pytest.approx(10 * np.log10(255**2 / (100 / 3)))


def test_streets_scores_by_hand() -> None:
    truth = {
        "segmentation": np.array([[0, 0], [1, 1]], np.uint8),
        "disparity": np.zeros((2, 2), np.float32),
        "clean": np.zeros((2, 2, 3), np.uint8),
    }
    answer = {
        "segmentation": np.array([[0, 0], [0, 1]], np.uint8),
        "disparity": np.full((2, 2), 2.0, np.float32),
        "reconstruction": np.full((2, 2, 3), 51, np.uint8),
    }
    scores = dict(task_scores(answer, truth))
    assert scores["miou"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores["pixel_accuracy"] == 0.75
    assert scores["disparity_rmse_px"] == 2.0
    assert scores["psnr_db"] == pytest.approx(20 * np.log10(5))


def work(part: str, macs: float) -> tuple[Operator, ...]:
    return (Operator(part, "conv", macs, 1.0, 1.0),)


class TestCosts:
    parts: ClassVar[dict[str, tuple[Operator, ...]]] = {
        part: work(part, macs)
        for part, macs in {
            **{"encode": 10, "answer": 4, "digital_encode": 1, "digital_decode": 2},
            **{"jscc_encode": 3, "jscc_decode": 5},
        }.items()
    }

    def test_work_moves_but_the_whole_stays(self, chain: Pipeline) -> None:
        whole = chain.workload("local").device_macs
        assert chain.workload("local").edge_macs == 0
        assert (chain.workload("png").device_macs, chain.workload("png").edge_macs) == (0, whole)
        for name in ("coded", "jscc"):
            cost = chain.workload(name)
            assert 0 < cost.device_macs < whole and cost.device_macs + cost.edge_macs > whole
            assert total_macs(cost.local) == whole and cost.exit_head == ()

    def test_workloads_add_up(self) -> None:
        costs = workloads(self.parts)
        assert (costs[Scheme.SEPARATE].device_macs, costs[Scheme.SEPARATE].edge_macs) == (11, 6)
        assert (costs[Scheme.JSCC].device_macs, costs[Scheme.JSCC].edge_macs) == (13, 9)

    def test_an_exit_costs_what_the_point_does_not_compute_anyway(self) -> None:
        parts = self.parts | {"exit_trunk": work("exit_trunk", 6), "exit_head": work("head", 2)}
        beyond = {scheme: total_macs(c.exit_head) for scheme, c in workloads(parts).items()}
        head, trunk_and_head = 2, 8
        assert beyond.pop(Scheme.RAW) == trunk_and_head
        assert set(beyond.values()) == {head}
        cost = exit_workload(parts)
        assert (cost.device_macs, cost.edge_macs, total_macs(cost.local)) == (8, 0, 14)
        assert cost.exit_head == parts["exit_head"]

    def test_points_of_one_tail_may_share_a_batch(self, chain: Pipeline) -> None:
        tails = {point.name: chain.workload(point.name).tail for point in POINTS}
        assert tails.pop("local") == ""
        assert tails.pop("jscc") == "digits_cnn/jscc/stage2"
        coded = [point.name for point in POINTS if point.scheme == "separate"]
        assert {tails.pop(name) for name in coded} == {"digits_cnn/separate/stage2"}
        assert set(tails.values()) == {"digits_cnn/raw"}

    def test_headline(self) -> None:
        assert (headline_of("digits"), headline_of("streets")) == ("accuracy", "miou")


class DigitsExitNet(DigitsNet):
    """The digits network with an untrained exit behind its first convolution."""

    has_exit = True

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.exit = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 10))

    def exit_trunk(self, images: torch.Tensor) -> torch.Tensor:
        return self.trunk[:2](2.0 * images - 1.0)

    def exit_answer(self, feature: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"label": 40.0 * self.exit(feature)}


EXIT = OperatingPoint(name="early", scheme="local", exit=True)


def opened_with_exit(cache_dir: Path | None = None) -> Pipeline:
    plain, model = network_of(opened()), DigitsExitNet()
    model.load_state_dict(plain.artefact.model.state_dict(), strict=False)
    model.eval().requires_grad_(False)
    artefact = replace(plain.artefact, model=model, card=plain.artefact.card | costs(model, 8, 8))
    network = TrainedNetwork(artefact, plain.truth)
    chains = [trained_chain(point, network) for point in [*POINTS, EXIT]]
    return Pipeline(chains, seed=7, cache_dir=cache_dir)


@pytest.fixture(scope="module")
def early() -> Pipeline:
    return opened_with_exit()


@pytest.fixture(scope="module")
def probabilities(early: Pipeline) -> NDArray[np.float64]:
    """The exit's softmax ``(N, 10)`` in plain numpy."""
    images = network_of(early).truth["image"].astype(np.float32).transpose(0, 3, 1, 2) / 255.0
    model = network_of(early).artefact.model
    with torch.inference_mode():
        feature = model.exit_trunk(torch.from_numpy(images.repeat(3, axis=1)))
        logits = model.exit_answer(feature)["label"].double().numpy()
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


class TestEarlyExit:
    def test_confidence_is_the_largest_probability(
        self, early: Pipeline, probabilities: NDArray[np.float64]
    ) -> None:
        found = early.prepare()["early"].confidence
        assert found is not None and found.dtype == np.float64 and found.shape == (SAMPLES,)
        assert 0.0 < found.min() < found.max() <= 1.0
        np.testing.assert_allclose(found, probabilities.max(axis=1), atol=1e-5)

    def test_only_the_exit_is_confident(self, early: Pipeline) -> None:
        known = {name for name, p in early.prepare().items() if p.confidence is not None}
        assert known == {"early"}

    def test_what_arrived_is_the_exits_answer(
        self, early: Pipeline, probabilities: NDArray[np.float64]
    ) -> None:
        right = probabilities.argmax(axis=1) == network_of(early).truth["label"]
        assert 0 < right.sum() < SAMPLES
        for on_device in (False, True):
            asked = [ScoreRequest("early", i, Delivery(i, True, on_device)) for i in range(SAMPLES)]
            scored = [outcome.as_dict()["accuracy"] for outcome in early.score(asked)]
            assert scored == right.astype(float).tolist()

    def test_its_answers_tell_how_well_calibrated_it_is(
        self, early: Pipeline, probabilities: NDArray[np.float64]
    ) -> None:
        right = probabilities.argmax(axis=1) == network_of(early).truth["label"]
        asked = [ScoreRequest("early", i, sent(i)) for i in range(SAMPLES)]
        values = [outcome.evidence[0].values for outcome in early.score(asked)]
        shown = np.array([one["calibration"] for one in values])
        np.testing.assert_allclose(shown[:, 0], probabilities.max(axis=1), atol=1e-5)
        assert shown[:, 1].tolist() == right.astype(float).tolist()
        bins = np.ceil(shown[:, 0] * 15)
        inside = [shown[bins == number] for number in range(16)]
        gaps = (abs(one[:, 1].sum() - one[:, 0].sum()) for one in inside)
        assert pooled("ece", values) == pytest.approx(sum(gaps) / SAMPLES)

    def test_nothing_else_is_evidence(self, early: Pipeline) -> None:
        lost = ScoreRequest("early", 0, Delivery(0, False))
        retried = ScoreRequest("early", 1, Delivery(1, False, True))
        others = [ScoreRequest(point.name, 2, sent(2, 3.0)) for point in POINTS]
        assert all(o.evidence == () for o in early.score([lost, retried, *others]))

    def test_of_a_map_the_share_of_right_pixels_counts(self) -> None:
        scores = (("miou", 0.4), ("pixel_accuracy", 0.75), ("psnr_db", 20.0))
        (one,) = calibration(Outcome(scores), 0.8)
        assert one.ending == "" and one.values["calibration"].tolist() == [0.8, 0.75]
        assert calibration(Outcome((("pixel_accuracy", float("nan")),)), 0.8) == ()

    def test_a_retry_is_the_whole_network_and_a_loss_is_nothing(self, early: Pipeline) -> None:
        retried = [ScoreRequest("early", i, Delivery(i, False, True)) for i in range(SAMPLES)]
        whole = [ScoreRequest("local", i, sent(i)) for i in range(SAMPLES)]
        assert early.score(retried) == early.score(whole)
        lost = [ScoreRequest("early", 0, Delivery(0, False))]
        assert early.score(lost)[0].as_dict() == {"accuracy": 0.0}

    def test_other_points_are_as_without_an_exit(self, early: Pipeline, chain: Pipeline) -> None:
        asked = [ScoreRequest(p.name, i, sent(i, 3.0)) for p in POINTS for i in range(9)]
        assert early.score(asked) == chain.score(asked)

    def test_company_changes_no_bit(self, early: Pipeline) -> None:
        together = early.prepare()["early"].confidence
        images = network_of(early).truth["image"]
        assert together is not None
        for row in (0, 8, 59):
            alone = network_of(early).inference.exit_features(images[row : row + 1])
            assert network_of(early).inference.exit_confidence(alone)[0] == together[row]
        ways = ("early", "local")
        asked = [ScoreRequest(name, i, sent(i)) for i in range(SAMPLES) for name in ways]
        fresh = opened_with_exit()
        assert [fresh.score([one])[0] for one in asked[:30]] == early.score(asked)[:30]

    def test_work_of_the_exit(self, early: Pipeline) -> None:
        cost, macs = early.workload("early"), network_of(early).artefact.card["macs_by_part"]
        assert macs["exit_head"] == 256 * 10 and macs["exit_trunk"] == 9 * 3 * 16 * 16
        assert cost.device_macs == macs["exit_trunk"] + macs["exit_head"] and cost.edge == ()
        assert cost.local == early.workload("local").local and cost.tail == ""

    def test_the_cache_keeps_the_confidence(self, early: Pipeline, tmp_path: Path) -> None:
        opened_with_exit(tmp_path).prepare()
        again = opened_with_exit(tmp_path)
        exit_chain = again.chains["early"]
        assert isinstance(exit_chain, ExitChain)
        exit_chain.make = lambda: pytest.fail("not from the cache")  # type: ignore[method-assign]
        cached = again.prepare()
        np.testing.assert_array_equal(
            cached["early"].confidence, early.prepare()["early"].confidence
        )
        assert cached["local"].confidence is None

    def test_a_model_without_an_exit(self) -> None:
        message = r"operating_points\[7\]\.exit: .*'digits_cnn' has no.*streets_exit.*'early'"
        points = [*POINTS[:7], EXIT]
        with pytest.raises(ScenarioError, match=message):
            opened(operating_points=points)


class TestMistakes:
    def test_a_codec_of_another_network(self) -> None:
        said = {"name": "t", "scheme": "separate", "split": "stage2", "network": "other"}
        point = OperatingPoint.model_validate(said | {"codec": {"kind": "tensor"}})
        with pytest.raises(ScenarioError, match=r"no codec of the model's own.*'t'"):
            opened(operating_points=[point]).prepare()

    def test_missing_weights(self, tmp_path: Path) -> None:
        with pytest.raises(ArtefactError, match=r"run `simsplit train .*digits_cnn/recipe\.yaml`"):
            opened(models_dir=tmp_path)

    def test_wrong_dataset_size_and_samples(self) -> None:
        with pytest.raises(ScenarioError, match=r"^task\.dataset: .*digits"):
            opened(dataset="streets")
        with pytest.raises(ScenarioError, match=r"^task\.height_px: .*8 x 8"):
            opened(height_px=64)
        with pytest.raises(ScenarioError, match=r"^task\.samples"):
            opened(samples=100_000)

    def test_no_avif_in_this_pillow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("simsplit.codecs.build.is_available", lambda _: False)
        for place, point in enumerate(AVIF):
            message = rf"^operating_points\[{place}\]\.codec\.kind: .*built without AVIF.*'avif"
            with pytest.raises(ScenarioError, match=message):
                opened(operating_points=[*POINTS[:place], point])
        assert opened().chains  # all that is not AVIF

    def test_wrong_split(self) -> None:
        point = OperatingPoint(name="x", scheme="jscc", split="stage3")
        with pytest.raises(ScenarioError, match=r"operating_points\[0\]\.split.*stage2"):
            opened(operating_points=[point])


class TestNetworkWithoutJscc:
    """Streets 16x32 through an untrained network whose split is its own, not its class's."""

    @pytest.fixture
    def models(self, tmp_path: Path) -> Path:
        said = {"encoder": "encoder1", "widths": [4, 4, 8, 16], "blocks": [1, 1, 1, 1]}
        network = said | {"stem_stride": 1}
        model = build_model("compressible", 16, 32, network)
        latents = np.random.default_rng(0).integers(0, 256, (9, *model.latent_shape))
        tables = {8: count_codes(latents.astype(np.uint8), 8)}
        folder = tmp_path / "features"
        folder.mkdir()
        digest = write_weights(folder, model, tables)
        card = {"dataset": "streets", "constant_answer": {}, "weights_digest": digest}
        identity = {"kind": "compressible", "height": 16, "width": 32, "network": network}
        write_card(folder, card | identity | {"recipe_digest": ""} | costs(model, 16, 32))
        return tmp_path

    def opened(self, models: Path, *points: dict[str, Any]) -> Pipeline:
        return opened(
            dataset="streets",
            height_px=16,
            width_px=32,
            samples=2,
            model="features",
            models_dir=models,
            operating_points=[OperatingPoint.model_validate(point) for point in points],
        )

    def test_jscc_is_refused(self, models: Path) -> None:
        local, jscc = {"name": "a", "scheme": "local"}, {"name": "b", "scheme": "jscc"}
        with pytest.raises(ScenarioError) as caught:
            self.opened(models, local, jscc)
        error = caught.value
        assert error.path == "operating_points[1].scheme" and error.value == "jscc"
        assert "'features'" in error.message and "JSCC" in error.message
        assert tuple(error.choices) == ("local", "raw", "separate")

    def test_the_split_is_the_networks_own(self, models: Path) -> None:
        codec = {"kind": "jpeg_tiles", "quality": 95}
        point = {"name": "a", "scheme": "separate", "codec": codec}
        pipeline = self.opened(models, point, point | {"name": "b", "split": "layer4"})
        tails = {pipeline.workload(name).tail for name in ("a", "b")}
        assert tails == {"features/separate/layer4"}
        prepared = pipeline.prepare()
        assert prepared["a"].payloads == prepared["b"].payloads
        assert features(pipeline, "a", range(1)).shape == (1, 16, 2, 4)
        with pytest.raises(ScenarioError, match=r"operating_points\[0\]\.split.*layer4"):
            self.opened(models, point | {"split": "layer3"})


def test_importing_the_pipeline_does_not_import_torch() -> None:
    code = "import sys, simsplit.pipeline; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
