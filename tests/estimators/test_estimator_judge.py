"""The judge: exact float32 in evaluation mode, whatever state the estimator was left in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.estimators.classification import BlackBoxClassifierNeuralNetwork, PyTorchClassifier
from torch import nn

from art_weakrobust.estimators.judge import exact_float32, judge_logits, module_of
from art_weakrobust.estimators.plan import plan_for
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.protocols import ModelInfo
from art_weakrobust.testing.networks import linear, small_cnn

SHAPE, CLASSES = (3, 8, 8), 5
X = np.random.default_rng(2).random((7, *SHAPE), dtype=np.float32)


def classifier(kind: type, model: nn.Module) -> PyTorchClassifier:
    return kind(model, nn.CrossEntropyLoss(), SHAPE, CLASSES, clip_values=(0, 1), device_type="cpu")


def test_stock_and_fast_are_judged_alike() -> None:
    model = small_cnn(SHAPE, CLASSES)
    expected = model.eval()(torch.from_numpy(X)).detach().numpy()

    of_stock, of_fast = (judge_logits(classifier(k, model), X, 3) for k in (PyTorchClassifier, FastPyTorchClassifier))

    assert of_stock.dtype == np.float32
    assert np.array_equal(of_stock, of_fast)
    assert np.allclose(of_fast, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [PyTorchClassifier, FastPyTorchClassifier])
def test_every_training_flag_is_restored_and_no_statistic_moves(kind: type) -> None:
    model = small_cnn(SHAPE, CLASSES)
    judged = classifier(kind, model)
    model.train()
    model[2].eval()
    flags = [module.training for module in model.modules()]
    mean = model[1].running_mean.clone()

    logits = judge_logits(judged, X)

    assert [module.training for module in model.modules()] == flags
    assert torch.equal(model[1].running_mean, mean)
    assert np.array_equal(logits, judge_logits(judged, X))


def test_autocast_around_the_judge_changes_nothing() -> None:
    judged = classifier(FastPyTorchClassifier, small_cnn(SHAPE, CLASSES))
    exact = judge_logits(judged, X)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        approximate = judged.predict(X)
        inside = judge_logits(judged, X)
        assert torch.is_autocast_enabled("cpu")

    assert not np.array_equal(approximate, exact)
    assert np.array_equal(inside, exact)


def precision() -> list[object]:
    backends = torch.backends
    owners = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
    return [torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32, *(o.fp32_precision for o in owners)]


@pytest.mark.parametrize("wanted", ["highest", "high", "medium"])
def test_switches_of_precision_are_off_inside_and_restored_even_after_a_failure(wanted: str) -> None:
    def fail_inside() -> None:
        with exact_float32():
            assert precision()[:2] == ["highest", False]
            assert set(precision()[2:]) <= {"none", "ieee"}
            raise KeyError

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(wanted)
    try:
        outside = precision()
        with pytest.raises(KeyError):
            fail_inside()
        assert precision() == outside
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_newer_switches_of_precision_are_off_inside_as_well() -> None:
    torch.backends.mkldnn.conv.fp32_precision = "bf16"
    try:
        with exact_float32():
            assert torch.backends.mkldnn.conv.fp32_precision == "ieee"
        assert torch.backends.mkldnn.conv.fp32_precision == "bf16"
    finally:
        torch.backends.mkldnn.conv.fp32_precision = "none"


def test_a_module_that_works_in_eval_is_asked_through_it() -> None:
    class Merging(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.merged = linear(SHAPE, CLASSES), False

        def train(self, mode: bool = True) -> Merging:
            self.merged = not mode
            return super().train(mode)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x) if self.merged else torch.zeros(len(x), CLASSES)

    model = Merging()
    judged = classifier(FastPyTorchClassifier, model)
    model.train()

    assert judge_logits(judged, X).any()
    assert not model.merged


def test_a_black_box_is_asked_in_float32_by_its_predict() -> None:
    weight = np.random.default_rng(3).random((192, CLASSES))
    seen = []

    def predict(x: np.ndarray) -> np.ndarray:
        seen.append(x.dtype)
        return x.reshape(len(x), -1) @ weight

    box = BlackBoxClassifierNeuralNetwork(predict, SHAPE, CLASSES, clip_values=(0, 1))

    logits = judge_logits(box, X.astype(np.float64), 3)

    assert logits.dtype == np.float32
    assert set(seen) == {np.dtype(np.float32)}
    assert np.allclose(logits, X.reshape(7, -1) @ weight, rtol=1e-5)
    assert module_of(box) is None


def test_a_subclass_with_a_predict_of_its_own_is_judged_by_it() -> None:
    class Negated(FastPyTorchClassifier):
        def predict(self, x: np.ndarray, **kwargs: object) -> np.ndarray:
            return -super().predict(x, **kwargs)

    model = linear(SHAPE, CLASSES)

    assert np.array_equal(
        judge_logits(classifier(Negated, model), X), -judge_logits(classifier(FastPyTorchClassifier, model), X)
    )


def test_the_plan_follows_from_device_and_model() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda:0")

    assert plan_for(cpu, small_cnn(SHAPE, CLASSES))["memory_format"] == "channels_last"
    assert plan_for(cpu, linear(SHAPE, CLASSES))["memory_format"] == "contiguous"
    assert plan_for(gpu, small_cnn(SHAPE, CLASSES))["memory_format"] == "contiguous"
    assert plan_for(cpu, small_cnn(SHAPE, CLASSES))["folding"] == "conv-bn"
    assert set(plan_for(cpu, linear())) == {"memory_format", "precision", "batch_size", "folding", "compile", "streams"}


@pytest.mark.parametrize(("name", "kind"), [("fast", FastPyTorchClassifier), ("stock", PyTorchClassifier)])
def test_estimators_are_made_by_name(name: str, kind: type) -> None:
    offered = {"device": "cpu", "batch_size": 16, "clip_values": (0, 1), "input_shape": SHAPE, "seed": 0}

    made = Manager(third_party=False).make("estimator", name, small_cnn(SHAPE, CLASSES), ModelInfo(), offered=offered)

    assert type(made) is kind
    assert made.nb_classes == CLASSES
