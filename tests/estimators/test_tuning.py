"""Which plan is chosen, that it is kept, and what tuning leaves alone. Nothing is timed here."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest
import torch
from art.defences.preprocessor import FeatureSqueezing
from torch import nn

from art_weakrobust.errors import ModelError, UsageError
from art_weakrobust.estimators import tuning
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.estimators.stopwatch import Stopwatch
from art_weakrobust.estimators.turns import LEAST_GAIN, compared
from art_weakrobust.testing.networks import small_cnn

SHAPE, CLASSES = (3, 8, 8), 5
X = np.random.default_rng(1).random((9, *SHAPE), dtype=np.float32)
DEFAULT = {
    "memory_format": "channels_last",
    "precision": "float32",
    "batch_size": 128,
    "folding": "none",
    "compile": False,
    "streams": 1,
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder of each test's own."""
    monkeypatch.setenv("ART_WEAKROBUST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def multiplies_bfloat16(monkeypatch):
    """A processor that does, whichever this one is."""
    monkeypatch.setattr(tuning, "native_precision", lambda device: "bfloat16")


def network():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, CLASSES)
    )


def fast(model=None):
    return FastPyTorchClassifier(
        model=network() if model is None else model,
        loss=nn.CrossEntropyLoss(),
        input_shape=SHAPE,
        nb_classes=CLASSES,
        clip_values=(0, 1),
        device_type="cpu",
    )


def price(tried=None, **factors):
    """Return a cost that is the product of a factor for each value of the plan, 1 where none is named."""

    def cost(plan, _seconds):
        if tried is not None:
            tried.append(dict(plan))
        return float(np.prod([factors.get(f"{key}_{value}".replace("-", "_"), 1.0) for key, value in plan.items()]))

    return cost


def unexpected(plan, _seconds):
    raise AssertionError(f"{plan} is measured")


# --- the choice


def test_every_key_gets_its_cheapest_value():
    estimator = fast()
    cheap = {"memory_format_contiguous": 0.9, "folding_conv_bn": 0.8, "precision_bfloat16": 0.5}
    plan = estimator.tune(cost=price(**cheap, batch_size_32=0.9, batch_size_64=0.8))
    wanted = {"memory_format": "contiguous", "precision": "bfloat16", "batch_size": 64, "folding": "conv-bn"}
    assert plan == {**wanted, "compile": False, "streams": 1}
    assert estimator.plan == plan


def test_later_keys_are_tried_with_the_best_of_those_before(monkeypatch):
    tried = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    fast().tune(cost=price(tried, folding_conv_bn=0.8, precision_bfloat16=0.5))
    assert all(plan["folding"] == "conv-bn" and plan["precision"] == "bfloat16" for plan in tried[-3:])
    assert [plan["batch_size"] for plan in tried[-5:]] == [128, 32, 64, 128, 128]
    assert [plan["streams"] for plan in tried[-2:]] == [1, 2]


@pytest.mark.parametrize(("gain", "chosen"), [(LEAST_GAIN / 2, 128), (LEAST_GAIN * 2, 64)])
def test_a_gain_that_noise_could_make_changes_nothing(gain, chosen):
    assert fast().tune(cost=price(batch_size_64=1 - gain))["batch_size"] == chosen


@pytest.mark.parametrize(
    ("late", "factors", "chosen"),
    [(64, {"batch_size_64": 0.8e-4, "batch_size_128": 1e-4}, 64), (128, {"batch_size_128": 1e-4}, 128)],
)
def test_what_slows_the_machine_during_one_turn_decides_nothing(late, factors, chosen):
    seen = set()

    def cost(plan, seconds):
        slow = 1.45 if plan["batch_size"] == late and late not in seen else 1.0
        seen.add(plan["batch_size"])
        return slow * price(**{"batch_size_32": 1.02e-4, "batch_size_64": 1.02e-4, **factors})(plan, seconds)

    assert fast().tune(cost=cost) == {**fast().plan, "batch_size": chosen}


def test_a_value_that_is_much_slower_has_no_second_turn():
    tried = []
    fast().tune(cost=price(tried, precision_bfloat16=5e-4, precision_float32=1e-4, batch_size_32=2))
    assert [plan["precision"] for plan in tried].count("bfloat16") == 1
    assert [plan["batch_size"] for plan in tried if plan["batch_size"] < 128] == [32, 64, 64]


@pytest.mark.parametrize(
    ("precision", "tried"), [("float32", {"float32"}), ("bfloat16", {"bfloat16"}), ("auto", {"float32", "bfloat16"})]
)
def test_no_other_precision_is_tried_than_those_asked_for(precision, tried):
    seen = []
    plan = fast().tune(precision=precision, cost=price(seen, precision_bfloat16=1.5))
    assert {plan["precision"] for plan in seen} == tried
    assert plan["precision"] == ("bfloat16" if precision == "bfloat16" else "float32")


def test_a_precision_that_the_processor_only_emulates_is_not_tried(monkeypatch):
    monkeypatch.setattr(tuning, "native_precision", lambda device: "float32")
    tried = []
    fast().tune(cost=price(tried))
    assert {plan["precision"] for plan in tried} == {"float32"}


@pytest.mark.parametrize("asked", [False, True])
def test_compilation_is_tried_last_and_only_where_asked_for(asked):
    tried = []
    plan = fast().tune(compile=asked, cost=price(tried, compile_True=0.5))
    assert [plan["compile"] for plan in tried] == [False] * (len(tried) - asked) + [True] * asked
    assert plan["compile"] is asked


@pytest.mark.parametrize(("faster", "chosen"), [(0.45, (True, 1)), (0.55, (False, 2))])
def test_compilation_takes_the_place_of_streams_where_it_gains_more(faster, chosen, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    tried = []

    def cost(plan, seconds):
        alone = price(tried, streams_2=0.5)(plan, seconds)
        return faster if plan["compile"] else alone

    plan = fast().tune(compile=True, cost=cost)
    assert (plan["compile"], plan["streams"]) == chosen


def test_each_key_is_judged_by_the_passes_that_it_changes(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    measured = {}

    class Noted(Stopwatch):
        def __call__(self, plan, _seconds):
            changed = {key for key, value in plan.items() if value != DEFAULT.get(key, False)} or {"default"}
            measured.setdefault((self._gradients, self._searches), set()).update(changed)
            return 1.0

    monkeypatch.setattr(tuning, "Stopwatch", Noted)
    fast().tune(compile=True)
    both = {"default", "precision", "memory_format", "folding", "batch_size"}
    assert measured.pop((True, False)) == both
    assert measured.pop((False, True)) >= {"streams"}
    assert measured.pop((True, True)) >= {"compile"}
    assert not measured


def test_images_that_are_not_planes_are_never_channels_last():
    model = nn.Sequential(nn.Linear(6, CLASSES))
    estimator = FastPyTorchClassifier(
        model=model, loss=nn.CrossEntropyLoss(), input_shape=(6,), nb_classes=CLASSES, device_type="cpu"
    )
    tried = []
    estimator.tune(cost=price(tried))
    assert {plan["memory_format"] for plan in tried} == {"contiguous"}


# --- memory and time that run out


def out_of_memory_above(limit, cost):
    def limited(plan, seconds):
        if plan["batch_size"] > limit:
            raise torch.OutOfMemoryError("no memory")
        return cost(plan, seconds)

    return limited


def test_a_default_batch_that_does_not_fit_is_halved():
    plan = fast().tune(cost=out_of_memory_above(40, price(folding_conv_bn=0.5)))
    assert (plan["batch_size"], plan["folding"]) == (32, "conv-bn")


def test_a_larger_batch_that_does_not_fit_is_left_out():
    assert fast().tune(cost=out_of_memory_above(32, price(batch_size_64=0.1)))["batch_size"] == 32


def test_a_plan_that_the_model_cannot_follow_is_left_out_with_a_warning(caplog):
    def cost(plan, _seconds):
        if plan["precision"] == "bfloat16":
            raise RuntimeError("not implemented for 'BFloat16'")
        return 1.0

    assert fast().tune(cost=cost)["precision"] == "float32"
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told.endswith("is left out: not implemented for 'BFloat16'")


def test_a_model_that_cannot_be_run_at_all_is_an_error_and_the_plan_stays():
    estimator = fast()
    before = dict(estimator.plan)

    def cost(plan, _seconds):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        estimator.tune(cost=cost)
    assert estimator.plan == before


def test_nothing_is_tried_once_the_time_is_over(caplog):
    now, tried = [0.0], []

    def slow(plan, seconds):
        now[0] += 5
        return price(tried, precision_bfloat16=0.5, batch_size_64=0.5)(plan, seconds)

    with caplog.at_level(logging.WARNING):
        plan = fast().tune(seconds=12, cost=slow, clock=lambda: now[0])
    assert len(tried) == 3
    assert (plan["precision"], plan["batch_size"]) == ("bfloat16", 128)
    assert "is not tried; more seconds try it" in caplog.text


@pytest.mark.parametrize(
    ("asked", "message"),
    [({"precision": "float16"}, "precision 'float16' is not known"), ({"seconds": 0}, "seconds 0 has to be")],
)
def test_what_cannot_be_asked_for_is_refused(asked, message):
    with pytest.raises((ModelError, UsageError), match=message):
        fast().tune(**asked)


# --- kept plans


def test_a_second_call_measures_nothing():
    estimator, another = fast(), fast()
    plan = estimator.tune(cost=price(memory_format_contiguous=0.5, batch_size_32=0.5))
    for again in (estimator, another):
        assert again.tune(cost=unexpected) == plan
        assert again.plan == plan


def test_the_same_is_measured_whatever_the_plan_was_before():
    tried, again = [], []
    estimator = fast()
    estimator.tune(cost=price(tried, memory_format_contiguous=0.5, batch_size_32=0.5))
    estimator.tune(again=True, cost=price(again, memory_format_contiguous=0.5, batch_size_32=0.5))
    assert again == tried


def test_other_weights_of_the_same_architecture_follow_the_same_plan():
    plan = fast().tune(cost=price(batch_size_64=0.5))
    model = network()
    torch.nn.init.ones_(model[0].weight)
    assert fast(model).tune(cost=unexpected) == plan


@pytest.mark.parametrize("asked", [{"precision": "float32"}, {"compile": True}, {"again": True}])
def test_what_was_not_asked_for_before_is_measured(asked):
    estimator, tried = fast(), []
    estimator.tune(cost=price())
    estimator.tune(**asked, cost=price(tried))
    assert tried


@pytest.mark.parametrize("changed", ["architecture", "threads", "torch"])
def test_another_architecture_machine_or_version_is_measured(changed, monkeypatch):
    fast().tune(cost=price())
    model = small_cnn(SHAPE, CLASSES) if changed == "architecture" else network()
    if changed == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 93)
    if changed == "torch":
        monkeypatch.setattr(torch, "__version__", "93.0")
    tried = []
    fast(model).tune(cost=price(tried))
    assert tried


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"precision": "float7"}'])
def test_a_kept_plan_that_is_damaged_is_measured_again(content, cache, caplog):
    plan = fast().tune(cost=price(batch_size_64=0.5))
    (file,) = cache.glob("plan-*.json")
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert fast().tune(cost=price(batch_size_64=0.5)) == plan
    assert "is measured again" in caplog.text
    assert fast().tune(cost=unexpected) == plan


def test_a_cache_that_cannot_be_written_costs_a_warning(cache, caplog):
    cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert fast().tune(cost=price(batch_size_64=0.5))["batch_size"] == 64
    assert "ART_WEAKROBUST_CACHE" in caplog.text


# --- what tuning leaves alone


def test_predict_stays_in_float32_whatever_the_search_does():
    estimator = fast(network().eval())
    before = estimator.predict(X)
    fastest = {"memory_format_contiguous": 0.5, "folding_conv_bn": 0.5, "precision_bfloat16": 0.5, "batch_size_32": 0.5}
    assert estimator.tune(X, cost=price(**fastest))["precision"] == "bfloat16"
    after = estimator.predict(X)
    assert after.dtype == np.float32
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_training_flags_counters_weights_and_generators_are_left_as_they_were():
    estimator = fast(network().train())
    estimator.model[1].eval()
    weights = {name: value.clone() for name, value in estimator.model.state_dict().items()}
    drawn = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    estimator.tune(seconds=1e-6)
    assert [part.training for part in estimator.model] == [True, False, True, True, True]
    assert (estimator.forwards, estimator.gradients) == (0, 0)
    assert all(torch.equal(value, weights[name]) for name, value in estimator.model.state_dict().items())
    assert all(parameter.grad is None for parameter in estimator.model.parameters())
    assert torch.equal(torch.random.get_rng_state(), drawn[0])
    np.testing.assert_array_equal(np.random.get_state()[1], drawn[1])


# --- the measure


class Paced:
    """An estimator on which an image takes a known time, by a clock of its own; every pass is noted."""

    def __init__(self, seconds, first=0.0):
        self.now, self.seconds, self.passes = 0.0, seconds, []
        self.plan, self.device, self.clip_values, self.input_shape = {}, "cpu", (np.float32(0), np.float32(1)), SHAPE
        self._late = itertools.chain([first], itertools.repeat(0.0))

    def predict(self, x, batch_size):
        assert len(x) % batch_size == 0
        self.passes.append(len(x))
        self.now += len(x) * self.seconds / 2 + next(self._late)
        return np.zeros((len(x), CLASSES), np.float32)

    def each(self, work, n, batch_size):
        return [work(slice(start, min(start + batch_size, n))) for start in range(0, n, batch_size)]

    def predict_tensor(self, x, precision):
        assert precision == self.plan["precision"]
        self.now += len(x) * self.seconds / 4
        return torch.zeros(len(x), CLASSES)

    def loss_gradient_tensor(self, x, y):
        assert len(x) == len(y)
        self.now += len(x) * self.seconds / 2
        return x


@pytest.mark.parametrize("images", [None, X])
def test_the_cost_is_seconds_an_image_without_the_first_pass(images):
    estimator = Paced(seconds=1 / 1024, first=7.0)
    cost = Stopwatch(estimator, images, clock=lambda: estimator.now)
    assert cost(DEFAULT, 2.0) == pytest.approx(1 / 1024)
    assert estimator.plan == DEFAULT
    assert set(estimator.passes) == {8, 128}


def test_a_prediction_alone_can_be_measured():
    estimator = Paced(seconds=1 / 1024)
    cost = Stopwatch(estimator, X, gradients=False, searches=True, clock=lambda: estimator.now)
    assert cost({**DEFAULT, "streams": 2}, 2.0) == pytest.approx(
        3 / 4096
    )  # a half for predict, a quarter for the search
    assert set(estimator.passes) == {8, 128, 4 * 128}


@pytest.mark.parametrize("batch_size", [128, 64])
def test_the_first_pass_of_a_plan_is_no_measure(batch_size):
    estimator = Paced(seconds=1 / 1024)
    cost = Stopwatch(estimator, X, clock=lambda: estimator.now)
    cost(DEFAULT, 0.2)
    estimator._late = itertools.chain([0.5], itertools.repeat(0.0))
    assert cost({**DEFAULT, "batch_size": batch_size, "folding": "conv-bn"}, 0.2) == pytest.approx(1 / 1024)


def test_all_passes_can_be_measured_at_once():
    estimator = Paced(seconds=1 / 1024)
    cost = Stopwatch(estimator, X, searches=True, clock=lambda: estimator.now)
    assert cost(DEFAULT, 2.0) == pytest.approx(5 / 4096)
    assert set(estimator.passes) == {8, 128, 4 * 128}


def test_as_many_streams_as_threads_are_tried(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert fast().tune(cost=price(streams_3=0.5))["streams"] == 3


def test_a_slow_model_is_measured_on_fewer_images():
    estimator = Paced(seconds=1 / 16)
    cost = Stopwatch(estimator, X, clock=lambda: estimator.now)
    assert cost(DEFAULT, 2.0) == pytest.approx(1 / 16)
    assert max(estimator.passes) == 32


def test_a_batch_that_cannot_be_measured_in_time_is_no_candidate():
    estimator = Paced(seconds=1 / 1024)
    cost = Stopwatch(estimator, X, clock=lambda: estimator.now)
    cost(DEFAULT, 0.5)
    estimator.passes.clear()
    assert cost({**DEFAULT, "batch_size": 1024}, 0.5) == float("inf")
    assert not estimator.passes
    assert cost({**DEFAULT, "batch_size": 64}, 0.5) == pytest.approx(1 / 1024)


def test_with_one_thread_streams_are_not_measured(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    tried = []
    fast().tune(cost=price(tried))
    assert {plan["streams"] for plan in tried} == {1}
    assert [plan["batch_size"] for plan in tried[-3:]] == [128, 32, 64]  # and nothing after the last key


def test_where_preprocessing_may_be_anything_streams_are_not_measured(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    tried, estimator = [], fast()
    estimator.set_params(preprocessing_defences=FeatureSqueezing(clip_values=(0, 1)))
    estimator.tune(cost=price(tried))
    assert {plan["streams"] for plan in tried} == {1}


def test_later_plans_are_measured_on_as_many_batches_as_the_first():
    estimator = Paced(seconds=1 / 256, first=1.0)
    cost = Stopwatch(estimator, X, gradients=False, searches=True, clock=lambda: estimator.now)
    cost(DEFAULT, 1.5)
    first = max(estimator.passes)
    estimator.seconds /= 8
    cost({**DEFAULT, "streams": 2}, 1.5)
    assert max(estimator.passes) == first


@pytest.mark.parametrize(
    "costs", [[1.0, 1.0], [0.9, 0.9], [1.2, 0.9, 0.9], [0.9, 1.2, 1.2], [2.5], [float("inf")]], ids=str
)
def test_a_value_has_turns_until_it_is_known_whether_it_gains(costs):
    given = iter(costs)

    def measure(plan):
        return next(given) if plan["batch_size"] == 64 else 1.0

    assert compared(DEFAULT, "batch_size", [64], measure, 3, lambda: False, None) == {64: costs}


@pytest.mark.parametrize("settled", [float("inf"), float("nan"), 0.0])
def test_nothing_is_compared_with_a_plan_that_cannot_be_measured_again(settled):
    assert compared(DEFAULT, "batch_size", [64], lambda _: settled, 3, lambda: False, None) == {64: []}


def test_a_value_of_unknown_cost_is_no_gain():
    def measure(plan):
        return float("nan") if plan["batch_size"] == 64 else 1.0

    assert compared(DEFAULT, "batch_size", [64], measure, 3, lambda: False, None) == {64: [float("inf")]}


def test_a_plan_that_fails_when_it_is_measured_again_is_kept(caplog):
    asked = []

    def cost(plan, _seconds):
        asked.append(plan)
        if len(asked) > 1 and plan == asked[0]:
            raise RuntimeError("no longer")
        return 1.9

    plan = fast().tune(cost=cost, precision="float32")
    assert plan == {**asked[0], "streams": 1}
    assert "is not tried; the plan so far could not be measured again" in caplog.text


@pytest.mark.parametrize(("seconds", "size"), [(1 / 32, 42), (1 / 16, 21), (1 / 8, 16), (1 / 5, 13)])
def test_a_slow_model_is_measured_on_two_batches_that_can_be_cut_into_streams(seconds, size):
    estimator = Paced(seconds=seconds)
    cost = Stopwatch(estimator, X, gradients=False, searches=True, clock=lambda: estimator.now)
    cost({**DEFAULT, "streams": 2}, 2.0)
    assert max(estimator.passes) == 2 * size
