"""Sabotaged models and data: each gets the finding that names what was done to it, and a clean pair gets none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_weakrobust import diagnose
from art_weakrobust.datasets.digits import digits
from art_weakrobust.doctor.examine import ASKING, BEFORE, examine
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.models.digits_cnn import digits_cnn

SAMPLES = digits(split="test").take(np.arange(400))
X, Y = SAMPLES.x, SAMPLES.y


class Colour(nn.Module):
    """Digits whose figure is drawn in red alone: the order of the channels matters."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x[:, :1])


class Functional(nn.Module):
    """A model with one function before or after it."""

    def __init__(self, net, before=None, after=None):
        super().__init__()
        self.net, self.before, self.after = net, before, after

    def forward(self, x):
        x = x if self.before is None else self.before(x)
        logits = self.net(x)
        return logits if self.after is None else self.after(logits)


class Stubborn(nn.Module):
    """Stays in training mode whatever it is told."""

    def __init__(self, net):
        super().__init__()
        self.net, self.noise = net, nn.Dropout(0.5)

    def train(self, mode=True):
        super().train(mode)
        self.noise.training = True
        return self

    def forward(self, x):
        return self.net(self.noise(x))


class BatchStatistics(nn.Module):
    """Normalises by the batch that it happens to be in."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x - x.mean(dim=(0, 2, 3), keepdim=True) + 0.3)


@pytest.fixture(scope="module")
def net():
    return digits_cnn()[0].eval()


def estimator(net, channels=1, kind=FastPyTorchClassifier, clip=(0, 1)):
    return kind(
        net, nn.CrossEntropyLoss(), input_shape=(channels, 8, 8), nb_classes=10, clip_values=clip, device_type="cpu"
    )


def red(x):
    return np.concatenate([x, np.full_like(x, 0.1), np.full_like(x, 0.1)], axis=1)


def codes(*arguments, **options):
    return {finding.code: finding.severity for finding in diagnose(*arguments, **options)}


@pytest.mark.parametrize("kind", [FastPyTorchClassifier, PyTorchClassifier])
def test_a_clean_pair_gets_a_clean_bill(net, kind):
    diagnosis = examine(estimator(net, kind=kind), X, Y, budgets=[(np.inf, 0.1), (2.0, 0.5)])
    assert diagnosis.findings == ()
    assert set(diagnosis.passed) == {*BEFORE, *ASKING}
    assert diagnosis.not_run == {}


MEAN, STD = 0.485, 0.229


def noisy(x):
    return torch.nn.functional.dropout(x, 0.3, training=True)


SABOTAGE = {
    "0-255 pixels": ("pixels-range", "error", None, lambda: (X * 255, Y)),
    "normalised pixels": ("pixels-range", "error", None, lambda: ((X - MEAN) / STD, Y)),
    "pixels divided twice": ("pixels-scale", "error", None, lambda: (X / 255, Y)),
    "a NaN pixel": (
        "pixels-not-finite",
        "error",
        None,
        lambda: (np.where(np.arange(X.size).reshape(X.shape) == 77, np.nan, X), Y),
    ),
    "pixels of text": ("pixels-type", "error", None, lambda: (X.astype(str), Y)),
    "light and dark exchanged": ("pixels-inverted", "error", None, lambda: (1 - X, Y)),
    "normalisation applied twice": (
        "normalisation-twice",
        "error",
        lambda net: Functional(net, before=lambda x: (((x - MEAN) / STD) - MEAN) / STD * STD + MEAN),
        lambda: (X, Y),
    ),
    "normalisation missing": (
        "normalisation-missing",
        "error",
        lambda net: Functional(net, before=lambda x: x * STD + MEAN),
        lambda: (X, Y),
    ),
    "a model for 0-255": (
        "pixels-scale",
        "error",
        lambda net: Functional(net, before=lambda x: x / 255),
        lambda: (X, Y),
    ),
    "labels shifted by one": ("labels-order", "error", None, lambda: (X, (Y + 1) % 10)),
    "labels permuted": ("labels-order", "error", None, lambda: (X, np.random.default_rng(0).permutation(10)[Y])),
    "labels from one": ("labels-range", "error", None, lambda: (X, Y + 1)),
    "negative labels": ("labels-range", "error", None, lambda: (X, Y - 1)),
    "soft labels": ("labels-one-hot", "error", None, lambda: (X, np.full((len(Y), 10), 0.1))),
    "labels of fractions": ("labels-type", "error", None, lambda: (X, Y + 0.5)),
    "too few labels": ("labels-count", "error", None, lambda: (X, Y[:-1])),
    "dropout that ignores eval()": (
        "outputs-random",
        "error",
        lambda net: Functional(net, before=noisy),
        lambda: (X, Y),
    ),
    "train() that ignores its mode": ("mode-stubborn", "error", Stubborn, lambda: (X, Y)),
    "statistics of the batch": ("outputs-batch", "error", BatchStatistics, lambda: (X, Y)),
    "probabilities": (
        "outputs-probabilities",
        "warning",
        lambda net: Functional(net, after=lambda z: z.softmax(1)),
        lambda: (X, Y),
    ),
    "NaN outputs": (
        "outputs-not-finite",
        "error",
        lambda net: Functional(net, after=lambda z: z * torch.nan),
        lambda: (X, Y),
    ),
    "random weights": (
        "accuracy-chance",
        "warning",
        lambda _: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
        lambda: (X, Y),
    ),
    "outputs without slope": (
        "gradients-zero",
        "error",
        lambda net: Functional(net, before=lambda x: (x * 15).round().detach() / 15 + 0 * x),
        lambda: (X, Y),
    ),
    "a graph that is cut": (
        "gradients-none",
        "error",
        lambda net: Functional(net, before=lambda x: x.detach()),
        lambda: (X, Y),
    ),
    "gradients of something else": (
        "gradients-masked",
        "warning",
        lambda net: Functional(net, before=lambda x: x.detach() + (x.flip(-1) - x.flip(-1).detach())),
        lambda: (X, Y),
    ),
    "images too small": ("input-size", "error", None, lambda: (X[:, :, :3, :3], Y)),
    "a fresh model": ("mode-train", "warning", lambda net: Functional(net).train(), lambda: (X, Y)),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_each_sabotage_gets_its_finding(net, name):
    code, severity, make, data = SABOTAGE[name]
    torch.manual_seed(0)
    x, y = data()
    model = net.eval() if make is None else make(net)
    assert codes(estimator(model), x, y).get(code) == severity
    net.eval()


@pytest.mark.parametrize("name", SABOTAGE)
def test_a_finding_says_what_was_seen_and_what_to_do_in_a_sentence_each(net, name):
    _, _, make, data = SABOTAGE[name]
    torch.manual_seed(0)
    for finding in diagnose(estimator(net.eval() if make is None else make(net)), *data()):
        assert "\n" not in finding.seen + finding.do
        assert finding.seen.endswith(".") or ":" in finding.seen
        assert finding.do.endswith(".")
    net.eval()


def test_bgr_images_are_found_by_the_colour_that_matters(net):
    model = estimator(Colour(net).eval(), channels=3)
    assert codes(model, red(X), Y) == {}
    assert codes(model, np.ascontiguousarray(red(X)[:, ::-1]), Y)["channels-order"] == "error"


@pytest.mark.parametrize(
    ("budget", "severity"), [((np.inf, 8.0), "error"), ((np.inf, 2 / 255 / 255), "warning"), ((2.0, 1e-6), "warning")]
)
def test_budgets_on_the_wrong_scale_are_found(net, budget, severity):
    assert codes(estimator(net), X, Y, budgets=[budget]) == {"eps-scale": severity}


def test_a_budget_of_zero_is_meant(net):
    assert codes(estimator(net), X, Y, budgets=[(np.inf, 0.0)]) == {}


def test_a_published_figure_out_of_reach_is_found(net):
    wrong = Y.copy()
    wrong[::3] = (wrong[::3] + np.random.default_rng(1).integers(1, 10, len(wrong[::3]))) % 10
    assert codes(estimator(net), X, wrong, published=0.98) == {"accuracy-published": "warning"}
    assert codes(estimator(net), X, Y, published=0.98) == {}


def test_one_hot_labels_are_understood(net):
    assert codes(estimator(net), X, np.eye(10)[Y]) == {}


def test_pixels_of_another_range_are_held_to_the_clip_values(net):
    model = Functional(net, before=lambda x: x / 255).eval()
    assert codes(estimator(model, clip=(0, 255)), X * 255, Y) == {}
    assert codes(estimator(model, clip=(0, 255)), X, Y)["pixels-scale"] == "error"


def test_after_unreadable_pixels_the_model_is_not_asked(net):
    diagnosis = examine(estimator(net), X * 255, Y)
    assert set(diagnosis.not_run) == set(ASKING)


def test_after_labels_in_another_order_no_other_form_of_the_images_is_tried(net):
    diagnosis = examine(estimator(net), X, (Y + 1) % 10)
    assert diagnosis.not_run == {"input form": "nothing can be said after labels-order"}


def test_labels_that_do_not_go_with_the_images_are_counted_as_they_were_given(net):
    (finding,) = diagnose(estimator(net), np.concatenate([X, X]), Y)
    assert (finding.code, finding.seen) == ("labels-count", "There are 400 labels for 800 images.")


def test_model_and_global_random_state_are_left_as_they_were(net):
    model = Functional(net).train()
    state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    diagnose(estimator(model), X, Y)
    assert model.training
    assert net.training
    assert np.array_equal(np.random.get_state()[1], state)
    assert torch.equal(torch.get_rng_state(), torch_state)
    net.eval()


def test_the_gravest_comes_first(net):
    found = diagnose(estimator(Functional(net).train()), X, (Y + 1) % 10)
    severities = [finding.severity for finding in found]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert set(severities) == {"error", "warning"}
    net.eval()
