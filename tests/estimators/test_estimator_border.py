"""What may come in, what goes out, and what is left untouched."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from art import config
from art.attacks.evasion import HopSkipJump, ProjectedGradientDescent
from art.data_generators import PyTorchDataGenerator
from art.estimators.classification import PyTorchClassifier
from art.estimators.classification.hugging_face import HuggingFaceClassifierPyTorch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from art_weakrobust.errors import ModelError
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.protocols import ModelInfo
from art_weakrobust.testing.networks import linear, small_cnn

SHAPE, CLASSES, N = (3, 8, 8), 5, 9
rng = np.random.default_rng(1)
X = rng.random((N, *SHAPE), dtype=np.float32)
Y = rng.integers(0, CLASSES, N)


def fast(model: nn.Module | None = None, **kwargs: Any) -> FastPyTorchClassifier:
    arguments = {"input_shape": SHAPE, "nb_classes": CLASSES, "clip_values": (0, 1), "device_type": "cpu", **kwargs}
    return FastPyTorchClassifier(
        model=small_cnn(SHAPE, CLASSES) if model is None else model, loss=nn.CrossEntropyLoss(), **arguments
    )


def test_the_constructor_is_that_of_art_without_the_pass_over_the_data() -> None:
    ours = inspect.signature(FastPyTorchClassifier.__init__).parameters
    theirs = inspect.signature(PyTorchClassifier.__init__).parameters

    assert list(ours) == [*theirs, "precision"]
    changed = {name for name in theirs if ours[name].default != theirs[name].default}
    assert changed == {"preprocessing"}
    assert fast().preprocessing_operations == []


@pytest.mark.parametrize(
    "x",
    [X.astype(np.float64), (X * 255).astype(np.uint8), X[::-1], X.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)],
    ids=["float64", "uint8", "negative strides", "not contiguous"],
)
def test_any_numeric_array_is_cast_at_the_border(x: np.ndarray) -> None:
    classifier = fast()
    plain = np.array(x, dtype=np.float32, order="C")

    for answer in (
        lambda images: classifier.predict(images),
        lambda images: classifier.loss_gradient(images, Y),
        lambda images: classifier.class_gradient(images, 1),
        lambda images: classifier.compute_loss(images, Y),
        lambda images: classifier.get_activations(images, 0),
    ):
        assert answer(x).dtype == np.float32
        assert np.array_equal(answer(x), answer(plain))


def test_index_labels_are_as_good_as_one_hot_labels() -> None:
    classifier, one_hot = fast(), np.eye(CLASSES, dtype=np.float32)[Y]

    expected = classifier.loss_gradient(X, one_hot)

    for labels in (Y, Y[:, None], Y.astype(np.int32), one_hot.astype(np.float64)):
        assert np.array_equal(classifier.loss_gradient(X, labels), expected)


def test_an_empty_batch_has_no_predictions() -> None:
    assert fast().predict(X[:0]).shape == (0, CLASSES)


def test_what_attacks_pass_on_to_predict_is_swallowed() -> None:
    assert np.array_equal(fast().predict(X, y=Y, logits=True, batch_size=2), fast().predict(X, batch_size=2))


def test_read_only_arrays_are_neither_refused_nor_written() -> None:
    x = X.copy()
    x.setflags(write=False)
    in_place = nn.Sequential(nn.Flatten(), nn.Hardtanh(0.4, 0.6, inplace=True), nn.Linear(192, CLASSES))

    fast(in_place).predict(x)
    fast(in_place).predict_tensor(torch.from_numpy(X))

    assert np.array_equal(x, X)
    assert X.max() > 0.9


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_models_of_other_types_take_and_give_float32(dtype: torch.dtype) -> None:
    classifier = fast(small_cnn(SHAPE, CLASSES).to(dtype))
    tolerance = 0.05 if dtype == torch.bfloat16 else 1e-5

    assert classifier.predict(X).dtype == np.float32
    assert classifier.loss_gradient(X, Y).dtype == np.float32
    assert np.allclose(classifier.predict(X), fast().predict(X), atol=tolerance)


class GivesPair(nn.Module):
    """A network that gives its features beside its logits."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(int(np.prod(SHAPE)), CLASSES)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.last(x.flatten(1)), x


def test_outputs_that_are_no_tensor_are_refused_in_a_sentence() -> None:
    classifier = fast(GivesPair())
    for ask in (classifier.predict, lambda x: classifier.loss_gradient(x, Y)):
        with pytest.raises(ModelError, match=r"model gives a tuple, expected a tensor of logits"):
            ask(X)


def test_gradients_leave_the_parameters_as_they_were() -> None:
    classifier = fast()
    classifier.model[0].weight.requires_grad_(False)
    required = [parameter.requires_grad for parameter in classifier.model.parameters()]

    classifier.loss_gradient(X, Y)
    classifier.class_gradient(X)
    classifier.loss_gradient_tensor(torch.from_numpy(X), torch.from_numpy(Y))

    assert [parameter.requires_grad for parameter in classifier.model.parameters()] == required
    assert all(parameter.grad is None for parameter in classifier.model.parameters())


def test_parameters_thaw_where_a_gradient_fails() -> None:
    classifier = fast()

    with pytest.raises(IndexError):
        classifier.loss_gradient(X, Y + CLASSES)

    assert all(parameter.requires_grad for parameter in classifier.model.parameters())


def test_a_model_cut_off_from_its_input_has_no_gradient() -> None:
    class Cut(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach().flatten(1)[:, :CLASSES]

    with pytest.raises(ValueError, match="Gradient term"):
        fast(Cut()).loss_gradient(X, Y)


def test_the_tensor_gradient_of_a_sample_is_its_own_whatever_the_batch() -> None:
    classifier, x, y = fast(), torch.from_numpy(X), torch.from_numpy(Y)

    whole = classifier.loss_gradient_tensor(x, y)
    alone = torch.cat([classifier.loss_gradient_tensor(x[i : i + 1], y[i : i + 1]) for i in range(N)])

    assert torch.allclose(whole, alone, rtol=1e-5, atol=1e-7)
    assert np.allclose(whole.numpy() / N, classifier.loss_gradient(X, Y), rtol=1e-5, atol=1e-8)


def test_tensor_paths_restore_the_training_flag_of_every_module() -> None:
    classifier, x, y = fast(), torch.from_numpy(X), torch.from_numpy(Y)
    classifier.model.train()
    classifier.model[1].eval()
    flags = [module.training for module in classifier.model.modules()]
    statistics = classifier.model[1].running_mean.clone()

    logits = classifier.predict_tensor(x)
    classifier.loss_gradient_tensor(x, y)

    assert [module.training for module in classifier.model.modules()] == flags
    assert torch.equal(classifier.model[1].running_mean, statistics)
    assert np.allclose(logits.numpy(), classifier.predict(X), rtol=1e-5, atol=1e-6)


def test_tensor_paths_work_inside_inference_mode_and_their_answers_outside() -> None:
    classifier, y = fast(), torch.from_numpy(Y)
    with torch.inference_mode():
        x = torch.from_numpy(X) * 1
        gradient = classifier.loss_gradient_tensor(x, y)
    target = classifier.predict_tensor(x).softmax(1)

    scores = torch.zeros(N, CLASSES, requires_grad=True)
    (scores.log_softmax(1) * target).sum().backward()

    assert gradient.abs().sum() > 0
    assert scores.grad is not None


def test_a_module_that_keeps_a_tensor_of_its_first_forward_can_be_differentiated_later() -> None:
    class Caching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.cache = linear(SHAPE, CLASSES), None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.cache = torch.full((1,), 0.5) if self.cache is None else self.cache
            return self.net(x * self.cache)

    classifier = fast(Caching())
    classifier.predict(X)

    assert classifier.loss_gradient(X, Y).any()


def test_only_the_logits_of_a_sequential_are_kept_and_its_forward_is_respected() -> None:
    class Negated(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -super().forward(x)

    plain = small_cnn(SHAPE, CLASSES)
    outputs = fast(plain)._model(torch.from_numpy(X))

    assert [tuple(output.shape) for output in outputs] == [(N, CLASSES)]
    assert np.array_equal(fast(Negated(*plain)).predict(X), -fast(plain).predict(X))


def test_images_are_counted_forwards_and_backwards() -> None:
    classifier = fast()

    classifier.predict(X, batch_size=4)
    assert (classifier.forwards, classifier.gradients) == (N, 0)
    classifier.loss_gradient(X, Y)
    assert (classifier.forwards, classifier.gradients) == (2 * N, N)
    classifier.class_gradient(X)
    assert (classifier.forwards, classifier.gradients) == (3 * N, N + CLASSES * N)
    classifier.class_gradient(X, Y)
    assert (classifier.forwards, classifier.gradients) == (4 * N, N + CLASSES * N + N)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))], ids=["copy", "pickle"])
def test_copies_leave_no_files_and_keep_the_optimizer_bound(duplicate, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(config, "ART_DATA_PATH", str(tmp_path))
    model = small_cnn(SHAPE, CLASSES)
    classifier = fast(model, optimizer=torch.optim.Adam(model.parameters()), preprocessing=(0.5, 0.5))
    classifier.fit(X, Y, nb_epochs=1)

    twin = duplicate(classifier)

    assert list(tmp_path.iterdir()) == []
    assert np.array_equal(twin.predict(X), classifier.predict(X))
    twin.fit(X, Y, nb_epochs=1)
    assert not np.array_equal(twin.predict(X), classifier.predict(X))
    assert twin.plan == classifier.plan


def test_set_params_derives_what_follows() -> None:
    classifier, other = fast(), linear(SHAPE, CLASSES)

    classifier.set_params(model=other, loss=nn.MSELoss(), preprocessing=(0.5, 0.5))

    assert classifier.model is other
    assert classifier.plan["memory_format"] == "contiguous"
    assert classifier.all_framework_preprocessing
    assert np.allclose(classifier.predict(X), fast(other, preprocessing=(0.5, 0.5)).predict(X))
    assert np.isfinite(classifier.loss_gradient(X, np.eye(CLASSES, dtype=np.float32)[Y])).all()
    classifier.set_params(**classifier.get_params())
    assert classifier.model is other


def test_label_loaders_may_give_class_numbers_or_one_hot_rows() -> None:
    ends = []
    for labels in (torch.from_numpy(Y), nn.functional.one_hot(torch.from_numpy(Y), CLASSES).float()):
        model = small_cnn(SHAPE, CLASSES)
        classifier = fast(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
        loader = DataLoader(TensorDataset(torch.from_numpy(X), labels), batch_size=3)
        classifier.fit_generator(PyTorchDataGenerator(loader, size=N, batch_size=3), nb_epochs=2)
        ends.append(classifier.predict(X))

    assert np.array_equal(*ends)
    assert not np.array_equal(ends[0], fast().predict(X))


@pytest.mark.parametrize("clip_values", [(0, 1), (-1.5, 2.0), (0, 255), None])
def test_any_clip_values_are_taken(clip_values) -> None:
    classifier = fast(clip_values=clip_values)

    assert np.isfinite(classifier.predict(X)).all()
    assert (classifier.clip_values is None) == (clip_values is None)


def test_devices_are_named_as_in_art_or_as_in_pytorch() -> None:
    assert fast(device_type="cpu").device == torch.device("cpu")
    assert fast(device_type="gpu").device.type in ("cpu", "cuda")
    assert fast(device_type="cpu:0").device == torch.device("cpu:0")
    with pytest.raises(ModelError, match="'gpux' is not known"):
        fast(device_type="gpux")
    with pytest.raises(ModelError, match="'cuda:99' is not present"):
        fast(device_type="cuda:99")


def test_sharing_gives_one_module_and_one_optimizer() -> None:
    model = small_cnn(SHAPE, CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    stock = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), SHAPE, CLASSES, optimizer, clip_values=(0, 1), device_type="cpu"
    )

    shared = FastPyTorchClassifier.sharing(stock)

    assert shared.model is model
    assert shared.optimizer is optimizer
    assert shared.preprocessing_operations == []
    shared.set_plan(memory_format="contiguous")  # another format need not give the same bits
    assert np.array_equal(shared.predict(X), stock.predict(X))
    assert FastPyTorchClassifier.sharing(shared) is shared


def test_a_hugging_face_classifier_is_shared_with_its_outputs_unwrapped() -> None:
    class HuggingFaceLike(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_cnn(SHAPE, CLASSES)

        def forward(self, x: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(logits=self.net(x))

    stock = HuggingFaceClassifierPyTorch(
        HuggingFaceLike(), nn.CrossEntropyLoss(), SHAPE, CLASSES, clip_values=(0, 1), device_type="cpu"
    )

    shared = FastPyTorchClassifier.sharing(stock)

    assert np.allclose(shared.predict(X), stock.predict(X), rtol=1e-5)
    one_hot = np.eye(CLASSES, dtype=np.float32)[Y]
    assert np.allclose(shared.loss_gradient(X, one_hot), stock.loss_gradient(X, one_hot), rtol=1e-5, atol=1e-8)
    assert shared.layer_names == stock.layer_names


def test_a_classifier_with_answers_of_its_own_is_not_shared() -> None:
    class Doubled(PyTorchClassifier):
        def predict(self, x: np.ndarray, **kwargs: Any) -> np.ndarray:
            return 2 * super().predict(x, **kwargs)

    with pytest.raises(ModelError, match="Doubled is not shared"):
        FastPyTorchClassifier.sharing(Doubled(linear(SHAPE, CLASSES), nn.CrossEntropyLoss(), SHAPE, CLASSES))


def test_a_model_tells_its_number_of_classes_by_one_forward_pass() -> None:
    model = small_cnn(SHAPE, CLASSES).train()

    classifier = FastPyTorchClassifier.from_model(model, ModelInfo(input_shape=SHAPE), device="cpu", batch_size=32)

    assert classifier.nb_classes == CLASSES
    assert classifier.plan["batch_size"] == 32
    assert model.training
    assert model[1].num_batches_tracked == 0
    with pytest.raises(ModelError, match="input_shape of model 'mine' is not known"):
        FastPyTorchClassifier.from_model(model, ModelInfo(name="mine"))
    with pytest.raises(ModelError, match=r"does not take images of shape \(1, 8, 8\)"):
        FastPyTorchClassifier.from_model(model, ModelInfo(name="mine"), input_shape=(1, 8, 8))
    with pytest.raises(ModelError, match=r"is no torch\.nn\.Module"):
        FastPyTorchClassifier.from_model(lambda x: x, ModelInfo(), input_shape=SHAPE)  # type: ignore[arg-type]


def test_attacks_that_compute_in_float64_run_on_numpy_2() -> None:
    classifier = fast()
    attack = HopSkipJump(classifier, max_iter=1, max_eval=50, init_eval=10, init_size=20, verbose=False)

    assert attack.generate(X[:1]).shape == (1, *SHAPE)


def test_pgd_keeps_to_tensors_and_gives_what_it_gives_on_the_stock_class() -> None:
    model = small_cnn(SHAPE, CLASSES)
    stock = PyTorchClassifier(model, nn.CrossEntropyLoss(), SHAPE, CLASSES, clip_values=(0, 1), device_type="cpu")
    results = [
        ProjectedGradientDescent(c, eps=0.1, eps_step=0.02, max_iter=5, batch_size=4, verbose=False).generate(X, Y)
        for c in (stock, fast(model))
    ]

    assert np.allclose(*results, atol=1e-6)
