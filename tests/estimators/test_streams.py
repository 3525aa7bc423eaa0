"""Parts of a batch side by side: the same answers in the same order, and nobody else's threads are touched."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections import UserList

import numpy as np
import pytest
import torch
from torch import nn

from art_weakrobust.analysis import neighborhood_source
from art_weakrobust.analysis.neighborhood_draws import NeighborRows, joined
from art_weakrobust.analysis.neighborhood_source import Corrupted, Uniform, source_named
from art_weakrobust.errors import ModelError
from art_weakrobust.estimators.judge import judge_logits
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.estimators.streams import cut, side_by_side
from art_weakrobust.perturbations.types import CorruptionType
from art_weakrobust.results import PerturbationType, Samples

X = np.random.default_rng(0).random((70, 3, 8, 8), dtype=np.float32)


class Threads(nn.Module):
    """A network that notes in which threads it is asked."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 36, 5)
        self.asked_in = UserList()  # an object of its own: a list that grows would count as written to

    def forward(self, x):
        self.asked_in.append((threading.get_ident(), len(x)))
        return self.head(self.norm(self.conv(x)).flatten(1))


def classifier(streams, model=None):
    torch.manual_seed(0)
    made = FastPyTorchClassifier(
        model=Threads() if model is None else model,
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


def test_parts_of_a_batch_are_asked_in_threads_of_their_own():
    estimator = classifier(2)
    estimator.predict(X)
    asked = estimator._network()._model.asked_in
    here = threading.get_ident()
    sizes = [size for thread, size in asked if thread != here]
    assert sorted(sizes) == [6, *[8] * 8]


@pytest.mark.parametrize(("n", "size", "alone"), [(1, 16, True), (16, 16, True), (17, 16, False), (17, 32, True)])
def test_a_single_batch_is_not_worth_threads_of_its_own(n, size, alone):
    estimator = classifier(2)
    estimator.set_plan(batch_size=size)
    estimator.predict(X)
    networks = estimator.model, estimator._network()._model
    for ask in (estimator.predict, lambda x: estimator.predict_tensor(torch.from_numpy(x))):
        for network in networks:
            network.asked_in.clear()
        ask(X[:n])
        asked = [*networks[0].asked_in, *networks[1].asked_in]
        assert sum(size for _, size in asked) == n
        assert all((thread == threading.get_ident()) == alone for thread, _ in asked)


def test_several_batches_of_a_size_that_is_asked_for_are_answered_in_streams():
    estimator = classifier(2)
    estimator.set_plan(batch_size=len(X))
    estimator.predict_tensor(torch.from_numpy(X))
    asked = estimator._network()._model.asked_in
    asked.clear()
    estimator.predict(X, batch_size=16)
    assert {size for thread, size in asked if thread != threading.get_ident()} >= {8}


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
        assert side_by_side(lambda _: torch.get_num_threads(), range(2), 2) == [1, 1]
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
    ("n", "batch_size", "streams", "size", "threads"),
    [
        (100, 32, 2, 16, 2),
        (20, 32, 2, 10, 2),
        (9, 16, 2, 5, 2),
        (1, 16, 4, 1, 1),
        (40, 4, 2, 4, 1),
        (90, 16, 8, 8, 2),
        (128, 128, 3, 42, 3),
        (512, 33, 2, 16, 2),
        (512, 50, 4, 12, 4),
    ],
)
def test_there_is_work_for_every_stream_but_no_part_is_too_small(n, batch_size, streams, size, threads):
    parts, count = cut(n, batch_size, streams)
    assert parts[0] == slice(0, min(n, size))
    assert count == threads


def test_work_is_done_in_streams_and_what_it_asks_is_answered_there():
    estimator, images = classifier(2), torch.from_numpy(X)
    alone = classifier(1).predict_tensor(images)
    seen = []

    def work(part):
        seen.append(threading.get_ident())
        assert not torch.is_grad_enabled()
        return estimator.predict_tensor(images[part])

    assert torch.allclose(torch.cat(estimator.each(work, len(X), 16)), alone, atol=1e-5)
    assert threading.get_ident() not in seen
    asked = [thread for thread, _ in estimator._network()._model.asked_in]
    assert sorted(asked[-len(seen) :]) == sorted(seen)
    assert estimator.forwards == len(X)


def test_without_streams_work_is_done_here():
    assert classifier(1).each(lambda _: threading.get_ident(), 40, 16) == [threading.get_ident()] * 3


def test_neighbors_that_are_scored_in_streams_are_those_of_one():
    uniform, both, calls = Uniform(radius=0.1), threading.Barrier(2), itertools.count()

    def once_both_are_there(x, ids, index):
        if next(calls) < 2:  # on a busy machine one thread would do all the work before the other begins
            both.wait(10)
        return uniform(x, ids, index)

    rows, together = (NeighborRows(source=s, last=5, batch_size=32) for s in (uniform, once_both_are_there))
    samples = Samples(ids=np.arange(20), x=X[:20], y=np.arange(20) % 5)
    estimator = classifier(2)
    alone, several = rows(classifier(1), samples), together(estimator, samples)
    assert len({thread for thread, _ in estimator._network()._model.asked_in} - {threading.get_ident()}) == 2
    assert alone.column("flips").equals(several.column("flips"))
    assert np.allclose(alone.column("score_sum"), several.column("score_sum"), atol=1e-5)
    assert np.allclose(alone.column("least_margin"), several.column("least_margin"), atol=1e-5)


class Fading(Threads):
    """Dropout, and a norm that stands alone: in training mode its answers are others, and it writes to itself."""

    def __init__(self):
        super().__init__()
        self.drop, self.alone = nn.Dropout(0.5), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.head(self.drop(self.alone(self.norm(self.conv(x)).relu())).flatten(1))


def test_nobody_switches_the_copy_while_streams_are_in_it():
    estimator = classifier(2, Fading())
    expected = classifier(1, estimator.model).predict_tensor(torch.from_numpy(X))
    images, before = torch.from_numpy(X), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            said = torch.cat(estimator.each(lambda part: estimator.predict_tensor(images[part]), len(X), 16))
            assert torch.allclose(said, expected, atol=1e-5)
    finally:
        sys.setswitchinterval(before)
    assert not any(part.training for part in estimator._network().modules())


def test_no_more_images_are_in_work_than_a_batch_has():
    for n, batch_size, streams in ((100, 32, 2), (100, 16, 8), (100, 4, 2), (9, 128, 64), (40, 30, 4)):
        parts, threads = cut(n, batch_size, streams)
        assert threads * max(part.stop - part.start for part in parts) <= batch_size
        assert [at for part in parts for at in range(part.start, part.stop)] == list(range(n))


def test_work_that_fails_in_a_stream_fails_here():
    def refuse(part):
        raise ModelError(f"no {part.start}")

    with pytest.raises(ModelError, match="no 0"):
        classifier(2).each(refuse, len(X), 16)


def test_where_there_is_no_copy_work_is_done_here_in_whole_batches():
    estimator = classifier(2)
    estimator.model.register_forward_hook(lambda *_: None)
    here = threading.get_ident()
    said = estimator.each(lambda part: (threading.get_ident(), part.stop - part.start), len(X), 16)
    assert said == [*[(here, 16)] * 4, (here, 6)]


def test_neighbors_are_scored_in_streams_inside_inference_mode_as_well():
    rows = NeighborRows(source=Uniform(radius=0.1), last=5, batch_size=32)
    samples = Samples(ids=np.arange(20), x=X[:20], y=np.arange(20) % 5)
    with torch.inference_mode():
        inside = rows(classifier(2), samples)
    outside = rows(classifier(2), samples)
    assert inside.column("flips").equals(outside.column("flips"))
    assert np.allclose(inside.column("score_sum"), outside.column("score_sum"), atol=1e-6)
    assert outside.equals(rows(classifier(2), samples))


def test_a_source_is_asked_without_a_graph_and_somebody_elses_corruption_by_one_thread_at_a_time():
    seen, inside = set(), []

    def slow(x, ids, severity, seed):
        inside.append(1)
        seen.add((torch.is_grad_enabled(), len(inside), threading.get_ident()))
        time.sleep(0.005)
        inside.pop()
        return x

    kind = CorruptionType(PerturbationType("slow", "corruptions"), slow)
    rows = NeighborRows(source=Corrupted(kind=kind), last=5, batch_size=16)
    rows(classifier(2), Samples(ids=np.arange(20), x=X[:20], y=np.arange(20) % 5))
    assert {(graph, count) for graph, count, _ in seen} == {(False, 1)}
    assert len({thread for _, _, thread in seen} - {threading.get_ident()}) == 2


def test_ranges_of_neighbors_are_joined_to_the_whole_in_streams():
    samples = Samples(ids=np.arange(20), x=X[:20], y=np.arange(20) % 5)
    source = Uniform(radius=0.1)
    parts = [
        NeighborRows(source=source, first=first, last=last, batch_size=16)(classifier(2), samples)
        for first, last in ((0, 2), (2, 5))
    ]
    whole = NeighborRows(source=source, last=5, batch_size=16)(classifier(2), samples)
    both = joined(parts)
    assert both.column("flips").equals(whole.column("flips"))
    assert both.column("least_number").equals(whole.column("least_number"))
    assert np.allclose(both.column("score_sum"), whole.column("score_sum"), atol=1e-6)


def test_where_one_stream_is_left_its_work_is_done_here_and_not_cut_again():
    estimator, images = classifier(2), torch.from_numpy(X)
    estimator.each(lambda part: estimator.predict_tensor(images[part]), len(X), 8)
    asked = estimator._network()._model.asked_in[-9:]
    assert asked == [*[(threading.get_ident(), 8)] * 8, (threading.get_ident(), 6)]


@pytest.mark.parametrize("streams", [1, 2])
def test_work_records_no_graph_and_a_batch_has_images(streams):
    assert not any(classifier(streams).each(lambda _: torch.is_grad_enabled(), len(X), 16))
    with pytest.raises(ValueError, match="batch_size 0"):
        classifier(streams).each(lambda _: None, len(X), 0)


def test_our_own_corruptions_need_not_wait_for_each_other(monkeypatch):
    taken = []

    class Lock:
        def __enter__(self):
            taken.append(1)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(neighborhood_source, "_ONE_AT_A_TIME", Lock())
    x, ids = torch.from_numpy(X[:4]).repeat(1, 1, 4, 4), torch.arange(4)
    for name in ("fog", "gaussian_noise"):
        source_named(name, radius=0.1, radius_norm=np.inf, seed=0, quantise=False)(x, ids, 0)
    assert not taken
    Corrupted(kind=CorruptionType(PerturbationType("mine", "corruptions"), lambda x, *_: x))(x, ids, 0)
    assert taken
