"""Same seed, same answer; and the global random state is nobody's business."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from art_weakrobust import WeakRobustTrainer
from art_weakrobust.results import column


def test_two_runs_with_one_seed_give_identical_scores_weak_set_and_verdicts(story, validator, arrays, test_arrays):
    random.seed(11)  # whatever others drew meanwhile
    np.random.seed(12)
    torch.manual_seed(13)
    again = validator().evaluate(arrays.x_train, arrays.y_train, **test_arrays)
    assert repr(again.scores.table.to_pylist()) == repr(story.before.scores.table.to_pylist())
    assert again.weak_set.table == story.before.weak_set.table
    assert again.validation.table.to_pylist() == story.before.validation.table.to_pylist()


def test_another_seed_draws_other_neighbors_and_other_halves(story, validator, arrays):
    other = validator(seed=1, attacks=[], corruptions=[]).evaluate(arrays.x_train, arrays.y_train)
    assert not np.array_equal(other.scores["score"], story.before.scores["score"], equal_nan=True)
    assert other.weak_set.table != story.before.weak_set.table


@pytest.fixture(scope="module")
def by_batch(validator, arrays):
    """The same evaluation in batches of 7 and of 256."""
    return [validator(batch_size=size, attacks=["fgm"]).evaluate(arrays.x_train, arrays.y_train) for size in (7, 256)]


def test_scores_agree_whatever_the_batch(by_batch):
    seven, many = (evaluation.scores for evaluation in by_batch)
    np.testing.assert_allclose(seven["score"], many["score"], rtol=0, atol=1e-5)
    clear = np.abs(seven["neighbor_margin"].astype(np.float64)) > 1e-4
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(seven["flips"][clear], many["flips"][clear])


def test_the_weak_set_and_clear_verdicts_agree_whatever_the_batch(by_batch):
    assert by_batch[0].weak_set.table == by_batch[1].weak_set.table
    seven, many = (evaluation.validation.table for evaluation in by_batch)
    assert column(seven, "index").tolist() == column(many, "index").tolist()
    assert (column(seven, "prediction") == column(many, "prediction")).mean() > 0.995


@pytest.mark.parametrize("scorer", ["attack:attack=pgd:eps=0.1", "attack:attack=pgd@2:eps=0.5"])
def test_scores_by_an_attack_agree_whatever_the_batch(validator, arrays, scorer):
    seven, many = (
        validator(scorer=scorer, batch_size=size, attacks=[], corruptions=[])
        .evaluate(arrays.x_train[:100], arrays.y_train[:100])
        .scores
        for size in (7, 256)
    )
    np.testing.assert_allclose(seven["score"], many["score"], rtol=0, atol=1e-5)
    assert np.nansum(many["score"]) > 0


def test_evaluating_and_fitting_leave_the_global_random_state_alone(story):
    assert all(state == story.states[0] for state in story.states)


def test_the_global_random_state_moves_no_weight(story, classifier, arrays):
    random.seed(21)
    np.random.seed(22)
    torch.manual_seed(23)
    again = classifier(rate=0.01)
    trainer = WeakRobustTrainer(again, eps=0.1, corruptions=["contrast", "pixelate"])
    trainer.fit(
        arrays.x_train,
        arrays.y_train,
        nb_epochs=1,
        weak_set=story.before.weak_set,
        weak_types=story.before.weak_types,
        guard=(arrays.x_val, arrays.y_val),
    )
    for name, values in again.model.state_dict().items():
        assert torch.equal(values, story.tuned.model.state_dict()[name]), name
