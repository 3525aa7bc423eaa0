from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.errors import UsageError
from art_weakrobust.kernels.losses import margin
from art_weakrobust.statistics import wilson
from art_weakrobust.testing.networks import linear
from art_weakrobust.threat import ThreatModel
from art_weakrobust.training.guard import guard_of, judge, survives
from art_weakrobust.training.network import Forward

FORWARD = Forward(torch.device("cpu"))
WEIGHT = torch.randn(2, 64, generator=torch.Generator().manual_seed(4))
X = 0.3 + 0.4 * torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(60) % 2
DATA = ArrayDataset(X.numpy(), Y.numpy())


@pytest.mark.parametrize(("norm", "dual"), [(float("inf"), 1.0), (2.0, 2.0)])
def test_on_a_linear_classifier_those_survive_that_are_further_from_the_boundary_than_eps(norm, dual):
    model = linear(num_classes=2, weight=WEIGHT).eval()
    distance = margin(model(X), Y) / (WEIGHT[0] - WEIGHT[1]).norm(dual)
    eps = distance[distance > 0].median().item()

    robust = survives(model, FORWARD, X, Y, torch.arange(60), ThreatModel(norm, eps), seed=0)

    clear = (distance - eps).abs() > 1e-3 * eps
    assert torch.equal(robust[clear], (distance > eps)[clear])
    assert clear.sum() > 50


def test_judging_tells_how_many_samples_it_saw_and_their_intervals():
    model = linear(num_classes=2, weight=WEIGHT)
    right = int((model(X).argmax(1) == Y).sum())

    found = judge(
        model, FORWARD, guard_of((X.numpy(), Y.numpy()), DATA, np.arange(60), 0), ThreatModel(2, 0.1), robust=7
    )

    assert (found["clean"], found["n"], found["n_robust"]) == (right / 60, 60, 7)
    assert (found["clean_low"], found["clean_high"]) == wilson(right, 60)
    assert found["robust"] <= 1


def test_no_more_images_are_in_a_pass_than_a_batch_holds():
    sizes = []

    def counted(_module, inputs):
        sizes.append(len(inputs[0]))

    model = linear(num_classes=2, weight=WEIGHT)
    model.register_forward_pre_hook(counted)
    guard = replace(guard_of((X.numpy(), Y.numpy()), DATA, np.arange(60), 0), batch_size=16)

    judge(model, FORWARD, guard, ThreatModel(2, 0.1))

    assert max(sizes) == 16


def test_without_a_guard_part_a_stratified_twentieth_of_the_training_set_serves_with_a_warning():
    labels = np.repeat(np.arange(4), 100)
    data = ArrayDataset(np.zeros((400, 1, 8, 8), np.float32), labels)

    with pytest.warns(UserWarning, match="guard is None: 20 training samples"):
        guard = guard_of(None, data, np.arange(400), seed=0)

    assert guard.split == "train"
    assert np.bincount(labels[guard.ids]).tolist() == [5, 5, 5, 5]


def test_a_guard_part_that_was_handed_in_is_taken_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = guard_of((X.numpy(), Y.numpy()), DATA, np.arange(60), 0)
        elsewhere = guard_of((ArrayDataset(X.numpy(), Y.numpy()), np.array([5, 3])), DATA, np.arange(60), 0)
        own = guard_of((DATA, np.array([5, 3])), DATA, np.arange(60), 0)

    assert (arrays.split, len(arrays.ids)) == ("given", 60)
    assert (elsewhere.split, elsewhere.ids.tolist()) == ("given", [3, 5])
    assert own.split == "train"


@pytest.mark.parametrize("guard", [(X.numpy(), Y.numpy(), 3), (DATA, np.empty(0, np.int64))])
def test_a_guard_part_that_is_none_is_refused(guard):
    with pytest.raises(UsageError, match="guard"):
        guard_of(guard, DATA, np.arange(60), 0)
