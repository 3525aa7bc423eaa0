"""Networks and uses that are out of the ordinary, and on which ours still answers as ART's classifier does."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.data_generators import PyTorchDataGenerator
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.attacks.fingerprint import _plain, weights_digest
from art_weakrobust.training.network import forward_of

SHAPE, CLASSES, N = (3, 8, 8), 5, 300
X = np.random.default_rng(0).random((N, *SHAPE), dtype=np.float32)
LABELS = np.random.default_rng(1).integers(CLASSES, size=N)
HOT = np.eye(CLASSES, dtype=np.float32)[LABELS]


class Net(nn.Module):
    """A convolution, a batch norm, a head; the rest differs."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 36, CLASSES)

    def features(self, x):
        return self.norm(self.conv(x)).relu().flatten(1)

    def forward(self, x):
        return self.head(self.features(x))


class Viewing(Net):
    """As ART's own examples flatten: by ``view``."""

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).relu().view(len(x), -1))


class InPlace(Net):
    """Shifts its input itself."""

    def forward(self, x):
        x -= 0.5
        return super().forward(x)


class Temperature(Net):
    """A learned number of another type than the weights, as NumPy makes it."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(np.log(2.0)))

    def forward(self, x):
        return super().forward(x) * self.scale.exp().float()


class Configured(Net):
    """Reads its temperature wherever its authors keep it."""

    def __init__(self):
        super().__init__()
        self.cfg, self.args, self.mask = {"t": [1.0]}, SimpleNamespace(t=1.0), np.ones(1, np.float32)

    def forward(self, x):
        return super().forward(x) * (self.cfg["t"][0] * self.args.t * float(self.mask[0]))


class Counting(Net):
    """Counts calls in a buffer, which its answers depend on."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * (1 + self.calls)


class Remembering(Net):
    """Keeps what it saw, but only when there will be a gradient."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def forward(self, x):
        features = self.features(x)
        if torch.is_grad_enabled():
            self.seen["features"] = features
        return self.head(features)


class OneNumber(Net):
    """One number an image, (n,)."""

    def forward(self, x):
        return super().forward(x)[:, 0]


class First(Net):
    """Answers relative to the first image of the batch."""

    def forward(self, x):
        return super().forward(x - x[:1])


class InPlaceViewing(Viewing):
    """Both at once."""

    def forward(self, x):
        return super().forward(x.sub_(0.5).div_(0.25))


class Gated(Net):
    """Looks at the rest of the batch once a gate is open."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return super().forward(x + self.gate * x.mean(0))


class Caching(Net):
    """Computes something when it is first called."""

    def __init__(self):
        super().__init__()
        self.shift = None

    def forward(self, x):
        if self.shift is None:
            self.shift = torch.full((1,), 0.5)
        return super().forward(x - self.shift)


class BatchNormed(Net):
    """No running statistics."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)


class Tied(Net):
    """Two convolutions of one weight, a batch norm behind the first alone."""

    def __init__(self):
        super().__init__()
        self.conv, self.again = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.again.weight = self.conv.weight
        self.norm, self.head = nn.BatchNorm2d(3), nn.Linear(3 * 64, CLASSES)

    def forward(self, x):
        return self.head(self.again(self.norm(self.conv(x)).relu()).flatten(1))


def pair(make, loss=None, **options):
    torch.manual_seed(0)
    stock, fast = make(), make()
    fast.load_state_dict(stock.state_dict())
    options = {"input_shape": SHAPE, "nb_classes": CLASSES, "clip_values": (0, 1), "device_type": "cpu", **options}
    loss = loss or nn.CrossEntropyLoss()
    return PyTorchClassifier(model=stock, loss=loss, **options), FastPyTorchClassifier(model=fast, loss=loss, **options)


def same(stock, fast, *asks):
    for ask in asks:
        expected = ask(stock)
        np.testing.assert_allclose(ask(fast), expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())


ASKS = {
    "gradient": lambda c: c.loss_gradient(X, HOT),
    "predict": lambda c: c.predict(X, batch_size=N),
    "few": lambda c: c.predict(X[:9]),
    "classes": lambda c: c.class_gradient(X[:9]),
    "labels": lambda c: c.class_gradient(X, LABELS),
    "loss": lambda c: c.compute_loss(X, HOT),
    "activations": lambda c: c.get_activations(X[:9], "conv", batch_size=4),
}


@pytest.mark.parametrize("first", ["gradient", "predict", "classes"])
@pytest.mark.parametrize(
    "make",
    [Net, Viewing, InPlace, InPlaceViewing, Caching, Temperature, Configured, Remembering, First, BatchNormed, Tied],
    ids=lambda m: m.__name__,
)
def test_every_answer_is_that_of_the_stock_class_whatever_is_asked_first(make, first, caplog):
    stock, fast = pair(make)
    same(stock, fast, ASKS[first], *ASKS.values())
    assert fast.search_failure is None
    assert not caplog.records


def test_a_network_that_views_is_searched_on_by_a_folded_copy_and_tuned(tmp_path, monkeypatch):
    monkeypatch.setenv("ART_WEAKROBUST_CACHE", str(tmp_path))
    _, fast = pair(Viewing)
    fast.loss_gradient(X, HOT)
    assert fast.plan["memory_format"] == "contiguous"
    assert fast.plan["folding"] == "conv-bn"
    assert fast._network() is not fast._model
    fast.set_plan(memory_format="channels_last")  # what a model does not allow is left out
    assert fast.plan["memory_format"] == "contiguous"
    found = fast.tune(X[:32], cost=lambda plan, _seconds: 1.0 + (plan["memory_format"] == "contiguous"))
    assert found["memory_format"] == fast.plan["memory_format"] == "contiguous"
    assert fast.tune(cost=None) == found  # kept
    fast.set_params(model=Net())
    assert fast.plan["memory_format"] == "channels_last"


def test_a_network_that_views_can_be_trained():
    stock, _ = pair(Viewing)
    forward = forward_of(stock, torch.device("cpu"), "float32")
    assert forward(stock.model, torch.from_numpy(X[:4])).shape == (4, CLASSES)
    assert forward_of(pair(Net)[0], torch.device("cpu"), "float32").memory_format == torch.channels_last


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.cfg["t"].__setitem__(0, 3.0),
        lambda m: setattr(m.args, "t", 3.0),
        lambda m: m.mask.__setitem__(0, 3.0),
    ],
)
def test_a_change_inside_of_a_container_is_followed(change):
    stock, fast = pair(Configured)
    same(stock, fast, ASKS["gradient"])
    change(stock.model), change(fast.model)
    same(stock, fast, ASKS["gradient"], ASKS["classes"])


def test_a_network_that_counts_its_calls_is_called_as_often_as_by_the_stock_class():
    stock, fast = pair(Counting)
    for _ in range(3):
        same(stock, fast, ASKS["gradient"])
    assert fast.model.calls == stock.model.calls == 3


def test_what_a_network_keeps_for_a_loss_of_ones_own_is_what_the_loss_finds():
    answers = []
    for kind in (PyTorchClassifier, FastPyTorchClassifier):
        torch.manual_seed(0)
        model = Remembering()

        def loss(logits, y, model=model):
            return nn.functional.cross_entropy(logits, y) + model.seen["features"].square().mean()

        classifier = kind(model=model, loss=loss, input_shape=SHAPE, nb_classes=CLASSES, device_type="cpu")
        answers.append(classifier.loss_gradient(X[:20], HOT[:20]))
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(ignore_index=2),
        nn.NLLLoss(ignore_index=2),
        nn.CrossEntropyLoss(ignore_index=2, label_smoothing=0.1),
        nn.CrossEntropyLoss(weight=torch.arange(1.0, 6.0)),
        nn.CrossEntropyLoss(reduction="sum"),
    ],
    ids=str,
)
def test_gradients_of_large_batches_are_those_of_the_whole_loss(loss):
    same(*pair(Net, loss), ASKS["gradient"])


def test_a_label_that_is_ignored_is_counted_by_nobody():
    _, fast = pair(Net, nn.CrossEntropyLoss())
    labels = np.where(np.arange(N) < 150, -100, LABELS)
    expected = fast.loss_gradient(X[150:], LABELS[150:])
    np.testing.assert_allclose(fast.loss_gradient(X, labels)[150:], expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.SoftMarginLoss()], ids=str)
def test_one_number_an_image_meets_its_label(loss):
    labels = np.where(LABELS > 2, 1, -1).astype(np.float32)
    stock, fast = pair(OneNumber, loss, nb_classes=2)
    same(stock, fast, lambda c: c.loss_gradient(X, labels))


class ByTheLargest(PreprocessorPyTorch):
    """A defence that looks at all of its images."""

    def forward(self, x, y=None):
        return x / x.max() * x.mean(), y

    @property
    def apply_fit(self):
        return False

    @property
    def apply_predict(self):
        return True

    def _check_params(self):
        pass


def test_a_defence_that_looks_at_all_images_gets_all_of_them():
    def defence():
        return ByTheLargest(device_type="cpu")

    stock, fast = pair(Net, preprocessing_defences=defence())
    same(
        stock,
        fast,
        lambda c: c.predict(X, batch_size=64),
        ASKS["gradient"],
        ASKS["classes"],
        ASKS["labels"],
        ASKS["activations"],
    )


def test_labels_that_numpy_writes_into_are_read_again():
    _, fast = pair(Net)
    labels, x = LABELS[:8].copy(), torch.from_numpy(X[:8])
    shared = torch.from_numpy(labels)
    fast.loss_gradient(x, shared)
    labels[:] = (labels + 1) % CLASSES
    np.testing.assert_allclose(fast.loss_gradient(x, shared), fast.loss_gradient(X[:8], labels), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("ask", ["compute_loss", "get_activations", "_predict_framework"])
def test_a_network_that_works_in_place_does_not_reach_the_callers_tensor(ask):
    _, fast = pair(InPlace)
    x = torch.from_numpy(X[:4]).clone()
    arguments = {"compute_loss": (x, HOT[:4]), "get_activations": (x, "conv", 128, True), "_predict_framework": (x,)}
    arguments["compute_loss"] = (x, torch.from_numpy(HOT[:4]))
    getattr(fast, ask)(*arguments[ask])
    assert torch.equal(x, torch.from_numpy(X[:4]))


def test_soft_labels_of_a_loader_are_trained_on_as_in_the_stock_class():
    soft = torch.softmax(torch.from_numpy(np.random.default_rng(2).random((N, CLASSES), dtype=np.float32)), 1)
    after = []
    for classifier in pair(Net):
        classifier.set_params(optimizer=torch.optim.SGD(classifier.model.parameters(), lr=0.1))
        data = torch.utils.data.TensorDataset(torch.from_numpy(X), soft)
        loader = torch.utils.data.DataLoader(data, batch_size=50)
        classifier.fit_generator(PyTorchDataGenerator(loader, size=N, batch_size=50), nb_epochs=2)
        after.append(classifier.model.head.weight.detach())
    torch.testing.assert_close(after[1], after[0], rtol=1e-4, atol=1e-6)


class Focal(nn.Module):
    """A loss of one's own, which gathers by class number."""

    def forward(self, logits, y):
        chosen = logits.log_softmax(1).gather(1, y.reshape(-1, 1).long())
        return -((1 - chosen.exp()) ** 2 * chosen).mean()


def test_a_loss_of_ones_own_gets_the_labels_as_they_are_given():
    same(*pair(Net, Focal()), lambda c: c.loss_gradient(X[:9], LABELS[:9]))


def test_several_answers_an_image_are_handed_on():
    class Twice(Net):
        def forward(self, x):
            return super().forward(torch.cat([x, x + 0.1]))

    same(*pair(Twice), lambda c: c.predict(X[:20], batch_size=8))


def test_a_scripted_network_is_taken():
    torch.manual_seed(0)
    network = torch.jit.trace(Net().eval(), torch.zeros(2, *SHAPE))
    same(
        *(
            kind(network, nn.CrossEntropyLoss(), SHAPE, CLASSES, device_type="cpu")
            for kind in (PyTorchClassifier, FastPyTorchClassifier)
        ),
        ASKS["few"],
        ASKS["gradient"],
    )


def test_neither_the_check_of_a_copy_nor_tuning_draws_from_the_global_generator(tmp_path, monkeypatch):
    monkeypatch.setenv("ART_WEAKROBUST_CACHE", str(tmp_path))

    class Noise(Net):
        def forward(self, x):
            return super().forward(x + 0 * torch.randn_like(x))

    _, fast = pair(Noise)
    torch.manual_seed(3)
    fast.loss_gradient(X[:8], HOT[:8])
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    fast._search.__init__()
    fast._network()
    fast.tune(X[:8], seconds=0.05)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_a_network_that_works_in_place_and_views_is_asked_once(hooked, training):
    stock, fast = pair(InPlaceViewing)
    for classifier in (stock, fast) if hooked else ():
        classifier.model.conv.register_forward_hook(lambda module, inputs, output: None)
    same(stock, fast, lambda c: c.loss_gradient(X[:20], HOT[:20], training_mode=training))
    assert fast.model.norm.num_batches_tracked == stock.model.norm.num_batches_tracked == int(training)


def test_a_network_whose_images_come_to_hang_together_is_looked_at_again():
    stock, fast = pair(Gated)
    same(stock, fast, ASKS["gradient"], ASKS["predict"])
    for classifier in (stock, fast):
        with torch.no_grad():
            classifier.model.gate.fill_(3.0)
    same(stock, fast, *ASKS.values())


def test_a_network_that_fills_a_cache_gets_its_copy_once_that_is_full():
    _, fast = pair(Caching)
    fast.loss_gradient(X[:8], HOT[:8])
    fast.loss_gradient(X[:8], HOT[:8])
    assert fast._network() is not fast._model


def by_column(logits, y):
    return -(y * logits.log_softmax(1)).sum(1).mean()


def brier(logits, y):
    return ((logits.softmax(1) - y) ** 2).mean()


@pytest.mark.parametrize("loss", [by_column, brier])
@pytest.mark.parametrize("n", [1, CLASSES, 9])
def test_a_loss_of_ones_own_that_wants_a_column_a_class_gets_it_for_index_labels_too(loss, n):
    _, fast = pair(Net, loss)
    expected = fast.loss_gradient(X[:n], HOT[:n])
    np.testing.assert_allclose(fast.loss_gradient(X[:n], LABELS[:n]), expected, rtol=1e-5, atol=1e-8)


def test_labels_may_be_a_list_for_a_large_batch_as_well():
    _, fast = pair(Net)
    np.testing.assert_array_equal(fast.loss_gradient(X, LABELS.tolist()), fast.loss_gradient(X, LABELS))


def test_what_identifies_a_model_is_no_address_and_no_count_of_calls():
    class Odd(Net):
        def __init__(self):
            super().__init__()
            self.table, self.calls, self.scale = {nn.functional.relu: 1}, 0, 2.0

        def extra_repr(self):
            return repr(nn.functional.relu)

        def forward(self, x):
            self.calls, self.last = self.calls + 1, x.detach()
            return super().forward(x) * self.scale

    _, fast = pair(Odd)
    before = weights_digest(fast)
    assert "0x" not in repr(_plain(fast.model))
    fast.predict(X[:4])
    assert weights_digest(fast) == before
    fast.model.scale = 3.0
    assert weights_digest(fast) != before


class Dense(nn.Module):
    """Nothing to fold and nothing to lay out: there is no copy of it."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(3 * 64, 16), nn.Linear(16, CLASSES)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.head(self.hidden(x.flatten(1)).relu())


class Together(Dense):
    """Every image is answered by what the others of its batch are."""

    def forward(self, x):
        self.calls += 1
        h = self.hidden(x.flatten(1))
        return self.head((h - h.mean(0)).relu())


@pytest.mark.parametrize("x", [X, np.tile(X[:20], (2, 1, 1, 1)), np.zeros_like(X)], ids=["random", "tiled", "zero"])
@pytest.mark.parametrize("make", [Dense, Together], ids=lambda m: m.__name__)
def test_class_gradients_without_a_copy_are_those_of_the_stock_class(make, x):
    stock, fast = pair(make)
    for training_mode in (False, True):
        same(stock, fast, lambda c, mode=training_mode: c.class_gradient(x, LABELS[: len(x)], training_mode=mode))
    assert fast._network() is fast._model
    assert fast.model.calls == stock.model.calls


SHARE = 1e-7
"""Of what images say: less than any comparison of answers would find."""


class Mingled(Net):
    """Images hang together by their mean."""

    def forward(self, x):
        logits = super().forward(x)
        return logits + SHARE * logits.mean(0)


class AfterTheFirst(Net):
    """Every image hangs on the one before it in its batch."""

    def forward(self, x):
        logits = super().forward(x)
        return logits - SHARE * torch.cat([logits[:1], logits[:-1]])


class Sure(Net):
    """Gives probabilities, which add up to one whatever the mean is."""

    def forward(self, x):
        logits = super().forward(x)
        return (logits + SHARE * logits.mean(0)).softmax(1)


class Scaled(Net):
    """Gradients are as long as those of the batch let them be, on their way back."""

    def forward(self, x):
        features = self.features(x)
        if features.requires_grad:
            features.register_hook(lambda g: g / g.norm())
        return self.head(features)


@pytest.mark.parametrize("make", [Mingled, AfterTheFirst, Sure, Scaled], ids=lambda m: m.__name__)
def test_where_gradients_meet_there_is_no_copy(make):
    stock, fast = pair(make)
    assert fast._network() is fast._model
    same(stock, fast, lambda c: c.class_gradient(X, LABELS), lambda c: c.loss_gradient(X, HOT))


class Stepped(torch.autograd.Function):
    """Has no gradient at all."""

    @staticmethod
    def forward(_context, x):
        return x.round(decimals=3)


class Quantised(Net):
    def forward(self, x):
        return Stepped.apply(super().forward(x))


class Spoilt(Net):
    """Its gradient is lost by a write to what it needs."""

    def forward(self, x):
        logits = super().forward(x)
        scales = logits.exp()
        scales.log_()
        return scales


class Rooted(Net):
    """Its gradient is no number at the least of its logits, and zero times that is none elsewhere."""

    def forward(self, x):
        logits = super().forward(x)
        return (logits - logits.amin(1, keepdim=True)).sqrt()


class Steep(Net):
    """Its gradients are infinite at the least of its logits."""

    def forward(self, x):
        logits = super().forward(x)
        return (logits - logits.amin(1, keepdim=True).detach()).sqrt()


@pytest.mark.parametrize("make", [Quantised, Spoilt, Rooted, Steep], ids=lambda m: m.__name__)
def test_a_network_without_gradients_that_count_has_a_copy_to_predict_with(make, caplog):
    stock, fast = pair(make)
    assert fast._network() is not fast._model
    expected = stock.predict(X)
    np.testing.assert_allclose(fast.predict_tensor(torch.from_numpy(X)), expected, atol=1.1e-3 * np.abs(expected).max())
    assert not caplog.records
