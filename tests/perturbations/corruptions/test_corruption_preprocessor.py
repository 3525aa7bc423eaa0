"""``CorruptionPreprocessor``: a corruption among the preprocessing defences of any ART estimator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.estimators.classification import PyTorchClassifier

from art_weakrobust import CorruptionPreprocessor
from art_weakrobust.errors import DataError, PluginError, UsageError
from art_weakrobust.kernels.keyed import derive
from art_weakrobust.perturbations.corruptions.colour import contrast
from art_weakrobust.perturbations.corruptions.noise import gaussian_noise
from art_weakrobust.testing.networks import linear

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).uniform(0.2, 0.8, (300, *SHAPE)).astype(np.float32)


def classifier(defence=None):
    weight = torch.from_numpy(np.random.default_rng(1).normal(0, 1, (3, 64))).float()
    model = linear(SHAPE, weight=weight, bias=torch.zeros(3))
    return PyTorchClassifier(
        model, torch.nn.CrossEntropyLoss(), SHAPE, 3, clip_values=(0, 1), preprocessing_defences=defence
    )


def test_images_are_numbered_by_their_places(x):
    made, labels = CorruptionPreprocessor("gaussian_noise", severity=2, seed=5)(x, np.arange(300))
    wanted = gaussian_noise(torch.from_numpy(x), torch.arange(300), 2, derive(5, "gaussian_noise"))
    np.testing.assert_array_equal(made, wanted.numpy())
    np.testing.assert_array_equal(labels, np.arange(300))


def test_an_art_estimator_predicts_on_corrupted_images(x):
    defence = CorruptionPreprocessor("contrast", severity=5)
    assert isinstance(defence, PreprocessorPyTorch)
    corrupted = contrast(torch.from_numpy(x), torch.arange(300), 5, 0).numpy()
    np.testing.assert_allclose(classifier(defence).predict(x), classifier().predict(corrupted), atol=1e-5)


def test_apply_predict_false_leaves_prediction_alone(x):
    defence = CorruptionPreprocessor("contrast", severity=5, apply_predict=False)
    np.testing.assert_array_equal(classifier(defence).predict(x), classifier().predict(x))


def test_attacks_get_the_gradient_of_the_identity(x):
    defence = CorruptionPreprocessor("contrast", severity=1)
    y = np.eye(3)[np.arange(300) % 3]
    corrupted = contrast(torch.from_numpy(x), torch.arange(300), 1, 0).numpy()
    gradient = classifier(defence).loss_gradient(x, y)
    np.testing.assert_allclose(gradient, classifier().loss_gradient(corrupted, y), atol=1e-5)
    found = FastGradientMethod(classifier(defence), eps=0.1).generate(x[:5])
    assert np.abs(found - x[:5]).max() == pytest.approx(0.1, abs=1e-6)


def test_parameters_can_be_set_as_art_sets_them(x):
    defence = CorruptionPreprocessor("contrast")
    defence.set_params(severity=4)
    np.testing.assert_array_equal(defence(x)[0], CorruptionPreprocessor("contrast", severity=4)(x)[0])
    with pytest.raises(UsageError, match="severity 9 of corruption 'contrast'"):
        defence.set_params(severity=9)


def test_a_function_will_do(x):
    made, _ = CorruptionPreprocessor(lambda_free, severity=3)(x)
    np.testing.assert_allclose(made, x / 3)


def lambda_free(x, ids, severity, seed):
    return x / severity


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(PluginError, match="did you mean 'contrast'"):
        CorruptionPreprocessor("contrst")


def test_pixels_out_of_range_are_refused(x):
    with pytest.raises(DataError, match=r"contrast: sample 0 holds the pixel .* before they are normalised"):
        CorruptionPreprocessor("contrast")(x * 255)
