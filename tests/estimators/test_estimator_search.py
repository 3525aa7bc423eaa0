"""The copy that searches follows the model, answers as it does, and never judges."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from torch import Tensor, nn

from art_weakrobust.errors import ModelError
from art_weakrobust.estimators.judge import judge_logits
from art_weakrobust.estimators.precision import native_precision
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.estimators.search import example_images
from art_weakrobust.testing.networks import linear, small_cnn

SHAPE, CLASSES, N = (3, 8, 8), 5, 9
rng = np.random.default_rng(3)
X = rng.random((N, *SHAPE), dtype=np.float32)
Y = rng.integers(0, CLASSES, N)
XT, YT = torch.from_numpy(X), torch.from_numpy(Y)


def fast(model: nn.Module | None = None, **kwargs: Any) -> FastPyTorchClassifier:
    arguments = {"input_shape": SHAPE, "nb_classes": CLASSES, "clip_values": (0, 1), "device_type": "cpu", **kwargs}
    loss = arguments.pop("loss", nn.CrossEntropyLoss())
    return FastPyTorchClassifier(small_cnn(SHAPE, CLASSES) if model is None else model, loss, **arguments)


def searches_on_a_copy(classifier: FastPyTorchClassifier) -> bool:
    return classifier._network() is not classifier._model


def agrees(classifier: FastPyTorchClassifier) -> None:
    """Hold the search to what PyTorch says of the model itself."""
    flags = [(part, part.training) for part in classifier.model.modules()]
    leaf = XT.clone().requires_grad_(True)
    logits = classifier.model.eval()(leaf)
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(logits, YT), leaf)
    for part, training in flags:
        part.training = training
    scale = gradient.abs().max()
    assert np.abs(classifier.loss_gradient(X, Y) - gradient.numpy()).max() <= 1e-5 * scale
    assert (classifier.predict_tensor(XT) - logits).abs().max() <= 1e-5 * logits.abs().max()


def written_in_place(model: Any) -> None:
    with torch.no_grad():
        model[0].weight.mul_(2)


def written_through_data(model: Any) -> None:
    model[0].weight.data.mul_(2)


def statistics_moved(model: Any) -> None:
    model.train()
    model(XT * 3)


def parameter_replaced(model: Any) -> None:
    model[0].weight = nn.Parameter(model[0].weight.detach() * 2)


def data_replaced(model: Any) -> None:
    model[0].weight.data = model[0].weight.data * 2


def state_loaded(model: Any) -> None:
    model.load_state_dict(small_cnn(SHAPE, CLASSES, seed=7).state_dict())


def layer_replaced(model: Any) -> None:
    model[2] = nn.Tanh()


def layer_added(model: Any) -> None:
    model.append(nn.Tanh())


def setting_changed(model: Any) -> None:
    model[1].eps = 0.5


CHANGES = [
    written_in_place,
    written_through_data,
    statistics_moved,
    parameter_replaced,
    data_replaced,
    state_loaded,
    layer_replaced,
    layer_added,
    setting_changed,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_changes_in_the_model_is_followed(change: Callable[[Any], None]) -> None:
    classifier = fast()
    before = classifier.loss_gradient(X, Y)
    assert searches_on_a_copy(classifier)

    change(classifier.model)
    classifier.refresh()

    agrees(classifier)
    assert not np.allclose(classifier.loss_gradient(X, Y), before, rtol=1e-3, atol=0)
    assert searches_on_a_copy(classifier)


ASKED: dict[str, Callable[[FastPyTorchClassifier], np.ndarray]] = {
    "pgd": lambda on: ProjectedGradientDescent(on, eps=0.1, eps_step=0.03, max_iter=3, verbose=False).generate(X, Y),
    "fgm, which predicts nothing": lambda on: FastGradientMethod(on, norm=2, eps=0.1).generate(X, Y),
    "loss_gradient": lambda on: on.loss_gradient(X, Y),
    "class_gradient": lambda on: on.class_gradient(X, Y),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_whoever_asks_sees_a_change_made_since_the_last_time(
    ask: Callable[[FastPyTorchClassifier], np.ndarray], change: Callable[[Any], None]
) -> None:
    classifier = fast()
    ask(classifier)

    change(classifier.model)

    expected = ask(fast(copy.deepcopy(classifier.model)))
    assert np.abs(ask(classifier) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_batch_under_attack_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, looks = fast(), []
    monkeypatch.setattr("art_weakrobust.estimators.search.checksum", lambda tensors: looks.append(1) or [])
    ASKED["pgd"](classifier)
    looks.clear()

    ASKED["pgd"](classifier)

    assert len(looks) == 1


def test_counted_writes_are_seen_without_being_told() -> None:
    classifier = fast()
    classifier.predict_tensor(XT)

    written_in_place(classifier.model)

    agrees(classifier)


def test_values_alone_are_folded_anew_into_the_copy_that_there_is() -> None:
    classifier = fast()
    first = classifier._network()

    written_in_place(classifier.model)

    assert classifier._network() is first
    layer_replaced(classifier.model)
    classifier.refresh()
    assert classifier._network() is not first


def test_inside_searching_the_model_is_looked_at_once_and_counted_writes_are_followed() -> None:
    classifier = fast()
    written = fast(copy.deepcopy(classifier.model))
    with classifier.searching():
        before = classifier.loss_gradient(X, Y)
        written_through_data(classifier.model)
        classifier.predict(X)
        assert np.array_equal(classifier.loss_gradient(X, Y), before)
        written_in_place(classifier.model)
        agrees(classifier)
    written_through_data(written.model)
    with written.searching():
        agrees(written)


def test_searching_holds_for_the_thread_that_is_inside_alone() -> None:
    classifier, elsewhere = fast(), ThreadPoolExecutor(1)
    other, own = classifier.searching("bfloat16"), classifier.searching("float32")

    elsewhere.submit(other.__enter__).result()
    assert classifier.precision == "float32"
    assert elsewhere.submit(lambda: classifier.precision).result() == "bfloat16"
    own.__enter__()  # and left after the other one, so that each would restore what the other had set
    elsewhere.submit(other.__exit__, None, None, None).result()
    own.__exit__(None, None, None)

    assert classifier.precision == "float32"
    written_through_data(classifier.model)
    agrees(classifier)


def test_hooks_are_called_and_training_mode_is_the_models_own() -> None:
    classifier, seen = fast(), []
    classifier.loss_gradient(X, Y)
    handle = classifier.model[2].register_forward_hook(lambda *_: seen.append(1))

    classifier.loss_gradient(X, Y)
    classifier.predict_tensor(XT)

    assert len(seen) == 2
    handle.remove()
    assert searches_on_a_copy(classifier)
    assert classifier._network(training_mode=True) is classifier._model
    mean = classifier.model[1].running_mean.clone()
    classifier.loss_gradient(X, Y, training_mode=True)
    assert not torch.equal(classifier.model[1].running_mean, mean)


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = small_cnn(SHAPE, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x + 0.1 * torch.randn_like(x))


class Counting(Noisy):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.net(x) * self.calls


class WithoutACopy(Noisy):
    def __deepcopy__(self, _memo: Any) -> Any:
        raise TypeError("cannot be copied")

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class ReadTwiceInLargeBatches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, CLASSES, 3), nn.BatchNorm2d(CLASSES)
        self.norm.running_mean.fill_(0.5)
        self.norm.running_var.fill_(3.0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        return (self.norm(h) + (h if len(x) > 4 else 0)).mean((2, 3)) * 5


@pytest.mark.parametrize("model", [Noisy, Counting, WithoutACopy, ReadTwiceInLargeBatches], ids=lambda m: m.__name__)
def test_models_whose_copy_would_not_answer_alike_are_searched_on_themselves(model: type[nn.Module]) -> None:
    before = torch.get_rng_state()
    built = model()
    torch.set_rng_state(before)
    classifier = fast(built)

    assert not searches_on_a_copy(classifier)
    assert torch.equal(torch.get_rng_state(), before)
    assert classifier.loss_gradient(X, Y).any()
    torch.set_rng_state(before)


def test_a_copy_that_cannot_be_made_is_told_once_and_remembered_until_one_is(caplog: pytest.LogCaptureFixture) -> None:
    classifier = fast(WithoutACopy())
    for change in (lambda model: None, written_in_place):
        change(classifier.model.net)
        classifier.loss_gradient(X, Y)

    assert classifier.search_failure == "TypeError: cannot be copied"
    (told,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert told.getMessage() == "WithoutACopy is searched on as it is, no copy is made: TypeError: cannot be copied"
    classifier.set_params(model=small_cnn(SHAPE, CLASSES))
    assert searches_on_a_copy(classifier)
    assert classifier.search_failure is None


def test_a_copy_that_answers_otherwise_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    classifier = fast(Noisy())

    assert not searches_on_a_copy(classifier)
    assert classifier.search_failure is None
    assert not caplog.records


def test_a_model_that_is_searched_on_itself_is_tried_again_only_when_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier, tried = fast(WithoutACopy()), []
    monkeypatch.setattr("art_weakrobust.estimators.search.pairs", lambda *_: tried.append(1) or [])
    for _ in range(3):
        classifier.loss_gradient(X, Y)
    assert len(tried) == 1

    written_through_data(classifier.model.net)
    classifier.loss_gradient(X, Y)

    assert len(tried) == 2


def test_images_of_the_check_are_always_the_same_and_lie_in_the_clip_values() -> None:
    images = example_images(SHAPE, (np.float32(-2), np.float32(3)))

    assert images.shape[1:] == SHAPE
    assert -2 <= images.min() < -1.5
    assert 2.5 < images.max() <= 3
    assert torch.equal(images, example_images(SHAPE, (np.float32(-2), np.float32(3))))


def test_the_judge_and_predict_ask_the_model_itself_in_float32() -> None:
    classifier = fast(precision="bfloat16")
    exact = fast()
    asked = []
    handle = classifier.model.register_forward_hook(lambda *_: asked.append(1))

    predictions, judged = classifier.predict(X), judge_logits(classifier, X)
    with classifier.searching("bfloat16"):
        searched = classifier.predict(X)

    assert len(asked) == 3
    handle.remove()
    for logits in (predictions, judged, searched):
        assert np.array_equal(logits, exact.predict(X))


def test_bfloat16_searches_and_gives_float32() -> None:
    exact, approximate = fast(), fast(precision="bfloat16")

    logits, gradient = approximate.logits_and_gradient(XT, YT)

    assert logits.dtype == gradient.dtype == torch.float32
    assert not torch.equal(logits, exact.logits(XT))
    assert torch.allclose(logits, exact.logits(XT), atol=0.05)
    cosine = nn.functional.cosine_similarity(gradient.flatten(1), exact.input_gradient(XT, YT).flatten(1))
    assert cosine.min() > 0.95
    assert torch.equal(approximate.predict_tensor(XT), exact.predict_tensor(XT))
    with exact.searching("bfloat16"):
        assert torch.equal(exact.logits(XT), logits)
    assert exact.precision == "float32"


def test_auto_is_bfloat16_where_the_device_computes_it_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    for native in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda native=native: native, raising=False)
        assert fast(precision="auto").precision == ("bfloat16" if native else "float32")
    assert native_precision(torch.device("meta")) == "float32"
    for capability, expected in (((7, 5), "float32"), ((8, 0), "bfloat16")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device, found=capability: found)
        assert native_precision(torch.device("cuda")) == expected


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
@pytest.mark.parametrize("folding", ["none", "conv-bn"])
@pytest.mark.parametrize("batch_size", [2, 128])
def test_every_plan_gives_the_same_answers(memory_format: str, folding: str, batch_size: int) -> None:
    classifier = fast()
    classifier.set_plan(memory_format=memory_format, folding=folding, batch_size=batch_size)

    agrees(classifier)
    assert searches_on_a_copy(classifier) == (memory_format == "channels_last" or folding == "conv-bn")
    if searches_on_a_copy(classifier):
        weight = next(p for p in classifier._network().parameters() if p.ndim == 4)
        assert weight.is_contiguous(memory_format=getattr(torch, memory_format + "_format", torch.channels_last))


def test_a_compiled_copy_is_asked_where_the_plan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(torch, "compile", lambda module, **_options: compiled.append(module) or module)
    classifier = fast(linear(SHAPE, CLASSES))
    assert not searches_on_a_copy(classifier)

    classifier.set_plan(compile=True)

    agrees(classifier)
    assert len(compiled) == 1
    assert compiled[0] in classifier._network().modules()


def test_what_torch_compile_returns_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    classifier = fast(linear(SHAPE, CLASSES))

    classifier.set_plan(compile=True)

    agrees(classifier)
    assert searches_on_a_copy(classifier)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"precision": "float16"}, "plan precision='float16' is not possible; use 'float32' or 'bfloat16'"),
        ({"folding": True}, "plan folding=True is not possible; use 'none' or 'conv-bn'"),
        ({"compile": 1}, "plan compile=1 is not possible; use False or True"),
        ({"batch_size": 0}, "plan batch_size=0 is not possible; use a whole number from 1"),
        ({"batch": 1}, "plan key 'batch' is not known; the keys are memory_format"),
    ],
)
def test_plans_that_are_not_known_are_refused(keys: dict[str, Any], message: str) -> None:
    classifier = fast()
    before = dict(classifier.plan)

    with pytest.raises(ModelError, match=message):
        classifier.set_plan(**keys)
    with pytest.raises(ModelError, match=message):
        classifier.plan = keys

    assert classifier.plan == before


def test_precision_is_a_parameter_as_any_other() -> None:
    model = small_cnn(SHAPE, CLASSES)
    classifier = fast(model, precision="bfloat16", optimizer=torch.optim.SGD(model.parameters(), lr=0.1))

    assert classifier.get_params()["precision"] == "bfloat16"
    assert classifier.clone_for_refitting().precision == "bfloat16"
    classifier.set_params(precision="float32")
    assert classifier.plan["precision"] == "float32"
    with pytest.raises(ModelError, match="precision 'half' is not known"):
        fast(precision="half")


def test_copies_make_a_copy_of_their_own() -> None:
    classifier = fast()
    classifier.loss_gradient_tensor(XT, YT)

    for twin in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        assert twin._network() is not classifier._network()
        written_in_place(twin.model)
        agrees(twin)
    agrees(classifier)


def test_logits_are_part_of_the_callers_graph_and_parameters_of_none() -> None:
    classifier = fast()
    start = XT.clone().requires_grad_(True)

    classifier.logits(start * 2 - 0.5).logsumexp(1).sum().backward()

    assert start.grad is not None
    expected = classifier.input_gradient(XT * 2 - 0.5, YT, lambda logits, _y: logits.logsumexp(1))
    assert torch.allclose(start.grad, 2 * expected, rtol=1e-4, atol=1e-6)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in classifier.model.parameters())


def test_a_loss_of_ones_own_gets_the_labels_as_they_are() -> None:
    weight = torch.randn(CLASSES, 192, generator=torch.Generator().manual_seed(0))
    classifier = fast(linear(SHAPE, CLASSES, weight=weight))

    gradient = classifier.input_gradient(XT, YT, lambda logits, y: 3 * logits.gather(1, y[:, None])[:, 0])

    assert torch.allclose(gradient, 3 * weight[YT].reshape(XT.shape))


def test_gradients_of_large_batches_on_a_cpu_are_taken_part_by_part() -> None:
    one_hot = np.eye(CLASSES, dtype=np.float32)[Y]
    losses = [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(reduction="sum", label_smoothing=0.1),
        nn.CrossEntropyLoss(weight=torch.arange(1.0, CLASSES + 1)),
        nn.MSELoss(),
    ]
    for loss in losses:
        whole, parted = fast(loss=loss), fast(loss=loss)
        parted.set_plan(batch_size=4)
        expected = whole.loss_gradient(X, one_hot)
        assert np.abs(parted.loss_gradient(X, one_hot) - expected).max() <= 1e-5 * np.abs(expected).max()
        assert torch.allclose(
            parted.loss_gradient(XT, torch.from_numpy(one_hot)), torch.from_numpy(expected), rtol=1e-4
        )
        for label in (None, 2, Y):
            assert np.allclose(parted.class_gradient(X, label), whole.class_gradient(X, label), rtol=1e-4, atol=1e-7)
        assert parted.gradients == whole.gradients + N


def test_weights_written_past_the_counters_are_followed_between_steps_on_a_large_batch() -> None:
    classifier, labels = fast(), nn.functional.one_hot(YT, CLASSES).float()
    classifier.set_plan(batch_size=2)
    before = classifier.loss_gradient(XT, labels)
    next(classifier.model.parameters()).data.mul_(2)

    expected = fast(copy.deepcopy(classifier.model)).loss_gradient(XT, labels)
    assert not torch.allclose(before, expected, rtol=1e-2)
    torch.testing.assert_close(classifier.loss_gradient(XT, labels), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("preprocessing", [None, (0.5, 0.25)])
def test_labels_are_looked_into_once_for_an_attack_and_again_when_written(preprocessing, monkeypatch) -> None:
    classifier, looked = fast(preprocessing=preprocessing), []
    reduce_labels = classifier.reduce_labels
    monkeypatch.setattr(classifier, "reduce_labels", lambda y: looked.append(1) or reduce_labels(y))
    labels = nn.functional.one_hot(YT, CLASSES).float()

    for _ in range(3):
        before = classifier.loss_gradient(XT, labels)
    assert len(looked) == 1
    labels.copy_(labels.roll(1, 1))

    assert not torch.equal(classifier.loss_gradient(XT, labels), before)
    assert len(looked) == 2
