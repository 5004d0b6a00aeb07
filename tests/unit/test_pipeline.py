"""The chain without a clock, with the small digits network that the repository holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.messages import Delivery, Scheme
from simsplit.pipeline import Pipeline, lost_scores, open_pipeline, task_scores, workloads
from simsplit.scenario import OperatingPoint

MODELS = Path(__file__).parents[2] / "models"
SAMPLES = 60
K = 8  # channel uses of the digits network

POINTS = [
    OperatingPoint.model_validate(point)
    for point in (
        {"name": "local", "scheme": "local"},
        {"name": "png", "scheme": "raw", "codec": {"kind": "png"}},
        {"name": "jpeg", "scheme": "raw", "codec": {"kind": "jpeg", "quality": 75}},
        {"name": "webp", "scheme": "raw", "codec": {"kind": "webp", "quality": 75}},
        {"name": "coded", "scheme": "separate", "split": "stage2", "codec": {"kind": "entropy"}},
        {"name": "tiles", "scheme": "separate", "codec": {"kind": "png_tiles", "bits": 6}},
        {"name": "jscc", "scheme": "jscc", "split": "stage2"},
    )
]


def opened(**changes: Any) -> Pipeline:
    asked: dict[str, Any] = {
        "dataset_name": "digits",
        "height": 8,
        "width": 8,
        "samples": SAMPLES,
        "model": "digits_cnn",
        "models_dir": MODELS,
        "operating_points": POINTS,
        "seed": 7,
        "cache_dir": None,
    }
    return open_pipeline(**(asked | changes))


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
    outcomes = pipeline.score([(name, i, delivery(i)) for i in range(SAMPLES)])
    return float(np.mean([outcome.as_dict()["accuracy"] for outcome in outcomes]))


class TestActOne:
    def test_digital_sizes_are_the_bytes(self, chain: Pipeline) -> None:
        for name in ("png", "jpeg", "webp", "coded", "tiles"):
            prepared = chain.prepare()[name]
            assert prepared.payload_bits.tolist() == [len(p) * 8 for p in prepared.payloads]
            assert prepared.payload_bits.min() > 0 and not prepared.channel_uses.any()
            assert prepared.symbols is None

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
        monkeypatch.setattr(Pipeline, "_make", lambda *_: pytest.fail("not from the cache"))
        for name, again in opened(cache_dir=tmp_path).prepare().items():
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
        local, png = (chain.score([(n, i, d) for i, d in requests]) for n in ("local", "png"))
        assert local == png

    def test_a_local_retry_is_as_good_as_local(self, chain: Pipeline) -> None:
        retried = [Delivery(i, False, computed_locally=True) for i in range(SAMPLES)]
        outcomes = chain.score([("coded", i, d) for i, d in enumerate(retried)])
        assert outcomes == chain.score([("local", i, sent(i)) for i in range(SAMPLES)])

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
            (str(rng.choice(names)), int(rng.integers(SAMPLES)), sent(i, float(rng.uniform(-5, 9))))
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
        together = chain.inference.from_symbols(received, variance)
        for row in (0, 7, 13, 20):
            alone = chain.inference.from_symbols(received[[row]], variance[[row]])
            np.testing.assert_array_equal(alone[0], together[row])

    def test_noise_belongs_to_seed_and_request(self, chain: Pipeline) -> None:
        def heard(pipeline: Pipeline, request_id: int) -> np.ndarray:
            return pipeline._over_the_air("jscc", 3, sent(request_id, 0.0))[0]

        first = heard(chain, 5)
        np.testing.assert_array_equal(first, heard(opened(), 5))
        assert not np.array_equal(first, heard(chain, 6))
        assert not np.array_equal(first, heard(opened(seed=8), 5))

    def test_each_grant_has_its_own_noise(self, chain: Pipeline) -> None:
        _, variance = chain._over_the_air("jscc", 0, sent(1, (0.0, 10.0)))
        np.testing.assert_allclose(variance, [1.0] * 4 + [0.1] * 4, rtol=1e-6)

    def test_a_jscc_delivery_must_carry_every_symbol(self, chain: Pipeline) -> None:
        short = Delivery(0, True, False, (K - 1,), (3.0,))
        with pytest.raises(ScenarioError, match="8 symbols"):
            chain.score([("jscc", 0, short)])

    def test_shared_digital_results_are_computed_once(self) -> None:
        pipeline, calls = opened(), []
        answers = pipeline.inference.answers
        pipeline.prepare()
        pipeline.inference.answers = lambda f: calls.append(len(f)) or answers(f)  # type: ignore
        pipeline.score([("coded", i % 3, sent(i)) for i in range(30)])
        pipeline.score([("coded", 1, sent(99))])
        assert calls == [3]

    def test_nothing_asked_nothing_answered(self, chain: Pipeline) -> None:
        assert chain.score([]) == []

    def test_unknown_operating_point(self, chain: Pipeline) -> None:
        with pytest.raises(ScenarioError, match="Did you mean 'jscc'"):
            chain.score([("jsc", 0, sent())])


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


class TestCosts:
    def test_work_moves_but_the_whole_stays(self, chain: Pipeline) -> None:
        whole = chain.workload("local").device_macs
        assert chain.workload("local").edge_macs == 0
        assert (chain.workload("png").device_macs, chain.workload("png").edge_macs) == (0, whole)
        for name in ("coded", "jscc"):
            cost = chain.workload(name)
            assert 0 < cost.device_macs < whole and cost.device_macs + cost.edge_macs > whole
            assert cost.local_macs == whole

    def test_workloads_add_up(self) -> None:
        parts = {"encode": 10, "answer": 4, "digital_encode": 1, "digital_decode": 2}
        costs = workloads(parts | {"jscc_encode": 3, "jscc_decode": 5})
        assert (costs[Scheme.SEPARATE].device_macs, costs[Scheme.SEPARATE].edge_macs) == (11, 6)
        assert (costs[Scheme.JSCC].device_macs, costs[Scheme.JSCC].edge_macs) == (13, 9)

    def test_headline(self, chain: Pipeline) -> None:
        assert chain.headline_metric == "accuracy"


class TestMistakes:
    def test_missing_weights(self, tmp_path: Path) -> None:
        with pytest.raises(ArtefactError, match=r"run `simsplit train .*digits_cnn/recipe\.yaml`"):
            opened(models_dir=tmp_path)

    def test_wrong_dataset_size_and_samples(self) -> None:
        with pytest.raises(ScenarioError, match=r"^task\.dataset: .*digits"):
            opened(dataset_name="streets")
        with pytest.raises(ScenarioError, match=r"^task\.height_px: .*8 x 8"):
            opened(height=64)
        with pytest.raises(ScenarioError, match=r"^task\.samples"):
            opened(samples=100_000)

    def test_wrong_split(self) -> None:
        point = OperatingPoint(name="x", scheme="jscc", split="stage3")
        with pytest.raises(ScenarioError, match=r"operating_points\[0\]\.split.*stage2"):
            opened(operating_points=[point])


def test_importing_the_pipeline_does_not_import_torch() -> None:
    code = "import sys, simsplit.pipeline; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
