"""One contract for every trained network in ``models``: shapes along each path, power, batches."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.networks.artefact import Artefact, load_artefact
from simsplit.networks.inference import Inference
from simsplit.scenario.bundled import is_trained, model_choices, models_dir
from simsplit.tasks.datasets import Arrays, open_dataset

NAMES = [name for name in model_choices() if is_trained(name)]


@pytest.fixture(scope="module", params=NAMES)
def artefact(request: pytest.FixtureRequest) -> Artefact:
    return load_artefact(models_dir(), request.param)


@pytest.fixture(scope="module")
def inference(artefact: Artefact) -> Inference:
    return Inference(artefact.model)


@pytest.fixture(scope="module")
def arrays(artefact: Artefact) -> Arrays:
    card = artefact.card
    size = {"height": card["height"], "width": card["width"]}
    return open_dataset(str(card["dataset"]), "test", **size).arrays(range(3))


def test_an_answer_per_picture(inference: Inference, arrays: Arrays) -> None:
    answers = inference.answers(inference.features(arrays["image"]))
    assert answers and all(len(values) == 3 for values in answers.values())
    for key in set(answers) & set(arrays):
        assert answers[key].shape == arrays[key].shape


def test_the_digital_path_ends_in_a_feature(
    artefact: Artefact, inference: Inference, arrays: Arrays
) -> None:
    features = inference.features(arrays["image"])
    latents = inference.latents(features)
    assert latents.shape == (3, *artefact.model.latent_shape)
    assert inference.from_latents(latents).shape == features.shape


def test_symbols_have_unit_power_and_lead_back(
    artefact: Artefact, inference: Inference, arrays: Arrays
) -> None:
    if not inference.has_jscc:
        assert artefact.model.symbol_count == 0
        return
    features = inference.features(arrays["image"])
    symbols = inference.symbols(features)
    assert symbols.shape == (3, artefact.model.symbol_count)
    np.testing.assert_allclose((np.abs(symbols) ** 2).mean(axis=1), 1.0, rtol=1e-5)
    noise = np.full(symbols.shape, 0.1, np.float32)
    assert inference.from_symbols(symbols, noise).shape == features.shape


def test_nothing_depends_on_the_batch(inference: Inference, arrays: Arrays) -> None:
    """Bit for bit, so that a request scored alone gives what it gives in a batch."""
    together, alone = (inference.features(arrays["image"][part]) for part in (slice(3), [2]))
    np.testing.assert_array_equal(together[2], alone[0])
    for key, values in inference.answers(alone).items():
        np.testing.assert_array_equal(inference.answers(together)[key][2], values[0])


def test_an_early_exit_answers_as_the_network_does(
    artefact: Artefact, inference: Inference, arrays: Arrays
) -> None:
    if not artefact.model.has_exit:
        with pytest.raises(NotImplementedError, match="no early exit"):
            inference.exit_features(arrays["image"])
        return
    features = inference.exit_features(arrays["image"])
    whole = inference.answers(inference.features(arrays["image"]))
    early = inference.exit_answers(features)
    assert {key: (v.shape, v.dtype) for key, v in early.items()} == {
        key: (v.shape, v.dtype) for key, v in whole.items()
    }
    confidence = inference.exit_confidence(features)
    assert confidence.shape == (3,) and (confidence > 0).all() and (confidence <= 1).all()
