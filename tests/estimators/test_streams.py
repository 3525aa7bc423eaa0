"""Batches side by side: the same answers in the same order, and nobody else's threads are touched."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

from art_weakrobust.analysis.neighborhood_draws import NeighborRows
from art_weakrobust.analysis.neighborhood_source import Uniform
from art_weakrobust.errors import ModelError
from art_weakrobust.estimators.judge import judge_logits
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.estimators.streams import part_size, side_by_side
from art_weakrobust.results import Samples

X = np.random.default_rng(0).random((70, 3, 8, 8), dtype=np.float32)


class Threads(nn.Module):
    """A network that notes in which threads it is asked."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 36, 5)
        self.asked_in = []

    def forward(self, x):
        self.asked_in.append((threading.get_ident(), len(x)))
        return self.head(self.norm(self.conv(x)).flatten(1))


def classifier(streams):
    torch.manual_seed(0)
    made = FastPyTorchClassifier(
        model=Threads(),
        loss=nn.CrossEntropyLoss(),
        input_shape=(3, 8, 8),
        nb_classes=5,
        clip_values=(0, 1),
        device_type="cpu",
    )
    made.set_plan(streams=streams, batch_size=16)
    return made


def test_the_answers_are_those_of_one_stream():
    alone, several = classifier(1), classifier(2)
    assert np.allclose(several.predict(X), alone.predict(X), atol=1e-5)


def test_batches_are_asked_in_threads_of_their_own():
    estimator = classifier(2)
    estimator.predict(X)
    asked = estimator._network()._model.asked_in
    here = threading.get_ident()
    sizes = [size for thread, size in asked if thread != here]
    assert sorted(sizes) == [6, *[8] * 8]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_tensors_are_answered_in_streams_in_the_precision_asked_for(precision):
    alone, several = (classifier(streams).predict_tensor(torch.from_numpy(X), precision) for streams in (1, 2))
    assert torch.allclose(several, alone, atol=1e-5)
    assert torch.equal(several, several.bfloat16().float()) == (precision == "bfloat16")


def test_the_judge_asks_the_model_itself_and_here():
    estimator = classifier(2)
    estimator.predict(X)
    estimator.model.asked_in.clear()
    logits = judge_logits(estimator, X, 32)
    assert [size for _, size in estimator.model.asked_in] == [32, 32, 6]
    assert {thread for thread, _ in estimator.model.asked_in} == {threading.get_ident()}
    assert np.array_equal(logits, judge_logits(classifier(1), X, 32))


def test_every_image_is_counted_once():
    estimator = classifier(2)
    estimator.predict(X)
    assert estimator.forwards == len(X)


def test_a_write_through_data_is_seen():
    estimator = classifier(2)
    before = estimator.predict(X)
    estimator.model.head.bias.data += 1
    assert np.allclose(estimator.predict(X), before + 1, atol=1e-5)


def test_a_model_without_a_copy_is_asked_itself():
    estimator = classifier(2)
    estimator.model.register_forward_hook(lambda *_: None)
    assert np.array_equal(estimator.predict(X), classifier(1).predict(X))
    assert {thread for thread, _ in estimator.model.asked_in} == {threading.get_ident()}


def test_training_mode_asks_the_model_itself():
    estimator = classifier(2)
    estimator.predict(X, training_mode=True)
    assert sum(size for _, size in estimator.model.asked_in) == len(X)


@pytest.mark.parametrize("n", [0, 1, 7, 17])
def test_few_images_are_answered_too(n):
    assert np.allclose(classifier(3).predict(X[:n]), classifier(1).predict(X[:n]), atol=1e-5)


def test_other_threads_keep_their_number_of_threads():
    before = torch.get_num_threads()
    inside = side_by_side(lambda _: torch.get_num_threads(), range(4), 2)
    assert inside == [1, 1, 1, 1]
    assert torch.get_num_threads() == before
    assert side_by_side(lambda _: torch.get_num_threads(), range(4), 2) == inside


def test_the_number_of_threads_that_a_user_set_is_left_alone():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert side_by_side(lambda _: torch.get_num_threads(), [0], 1) == [1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_results_are_in_the_order_of_the_parts():
    gate = threading.Event()

    def second_first(part):
        if part == 0:
            assert gate.wait(10)
        gate.set()
        return part

    assert side_by_side(second_first, range(3), 2) == [0, 1, 2]


def test_what_is_raised_in_a_stream_reaches_the_caller():
    def refuse(_part):
        raise ModelError("no")

    with pytest.raises(ModelError, match="no"):
        side_by_side(refuse, range(3), 2)


@pytest.mark.parametrize(
    ("n", "batch_size", "streams", "size"),
    [(100, 32, 2, 16), (20, 32, 2, 10), (9, 16, 2, 8), (1, 16, 4, 8), (40, 4, 2, 4)],
)
def test_there_is_work_for_every_stream_but_none_is_too_small(n, batch_size, streams, size):
    assert part_size(n, batch_size, streams) == size


def test_work_is_done_in_streams_and_what_it_asks_is_answered_there():
    estimator = classifier(2)
    parts = [torch.from_numpy(X[start : start + 16]) for start in range(0, len(X), 16)]
    alone = [classifier(1).predict_tensor(part) for part in parts]
    here, seen = threading.get_ident(), []

    def work(part):
        seen.append(threading.get_ident())
        return estimator.predict_tensor(part)

    said = estimator.each(work, parts)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(said, alone, strict=True))
    assert here not in seen
    asked = [thread for thread, size in estimator._network()._model.asked_in if size in (16, 6)]
    assert sorted(asked[-len(parts) :]) == sorted(seen)
    assert estimator.forwards == len(X)


def test_without_streams_work_is_done_here():
    assert classifier(1).each(lambda _: threading.get_ident(), range(3)) == [threading.get_ident()] * 3


def test_neighbors_that_are_scored_in_streams_are_those_of_one():
    rows = NeighborRows(source=Uniform(radius=0.1), last=5, batch_size=32)
    samples = Samples(ids=np.arange(20), x=X[:20], y=np.arange(20) % 5)
    alone, several = (rows(classifier(streams), samples) for streams in (1, 2))
    assert alone.column("flips").equals(several.column("flips"))
    assert np.allclose(alone.column("score_sum"), several.column("score_sum"), atol=1e-5)
    assert np.allclose(alone.column("least_margin"), several.column("least_margin"), atol=1e-5)
