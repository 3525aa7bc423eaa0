"""An attack attacks the model it is judged on, and what is judged on was never trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from torch import nn

from art_weakrobust import FastPyTorchClassifier, WeakRobustTrainer, WeakRobustValidator
from art_weakrobust.testing.networks import linear

SHAPE = (1, 4, 4)


def hyperplane(weight: torch.Tensor, x: np.ndarray) -> FastPyTorchClassifier:
    """Two classes on both sides of a hyperplane through the median of ``x``."""
    half = float(np.median(x.reshape(len(x), -1) @ weight.numpy())) / 2
    model = linear(SHAPE, weight=torch.stack([-weight, weight]) / 2, bias=torch.tensor([half, -half]))
    return FastPyTorchClassifier(model, nn.CrossEntropyLoss(), SHAPE, 2, clip_values=(0, 1), device_type="cpu")


def test_a_twin_that_resists_transferred_attacks_alone_is_broken_by_the_rebound_one():
    # The base looks at the first eight pixels alone, the twin at the others: what is made on the base does not touch
    # what the twin sees, and both are right about all samples.
    rng = np.random.default_rng(2)
    x = rng.uniform(0.3, 0.7, (300, *SHAPE)).astype(np.float32)
    weight = torch.from_numpy(rng.normal(0, 0.5, 16)).float()
    first = torch.arange(16) < 8
    base, twin = hyperplane(weight * first, x), hyperplane(weight * ~first, x)
    agreed = base.predict(x).argmax(1) == twin.predict(x).argmax(1)
    x, y = x[agreed], base.predict(x[agreed]).argmax(1)
    train, test = slice(0, 100), slice(100, 130)
    attack = ProjectedGradientDescent(base, eps=0.25, eps_step=0.1, max_iter=10, verbose=False)
    transferred = attack.generate(x[test], np.eye(2)[y[test]])
    assert (base.predict(transferred).argmax(1) == y[test]).mean() == 0.0
    assert (twin.predict(transferred).argmax(1) == y[test]).mean() == 1.0

    validator = WeakRobustValidator(
        base, radius=0.2, neighbors=8, eps=0.25, attacks=[attack], corruptions=[], verbose=False
    )
    before = validator.evaluate(x[train], y[train], x_test=x[test], y_test=y[test])
    after = validator.evaluate(
        x[train], y[train], x_test=x[test], y_test=y[test], classifier=twin, weak_set=before.weak_set
    )

    headline = after.compare(before).tables["headline"].set_index("metric")
    assert headline.loc["clean", "after"] == 1.0
    assert headline.loc["robust", "before"] == 0.0
    assert headline.loc["robust", "after"] == 0.0  # 1.0 if the attack had been made on the base
    assert attack.estimator is base


def tuned_weights(
    story, classifier, arrays, spoilt: np.ndarray, guard=None, **options
) -> tuple[dict, WeakRobustTrainer]:
    """Return the weights after training on digits of which some are replaced by noise under wrong labels."""
    rng = np.random.default_rng(3)
    x, y = arrays.x_train.copy(), arrays.y_train.copy()
    x[spoilt] = rng.random(x[spoilt].shape, dtype=np.float32)
    y[spoilt] = (y[spoilt] + 1) % 10
    tuned = classifier(rate=0.01)
    trainer = WeakRobustTrainer(tuned, eps=0.1, corruptions=["contrast", "pixelate"], **options)
    trainer.fit(x, y, nb_epochs=1, weak_set=story.before.weak_set, weak_types=story.before.weak_types, guard=guard)
    return {name: values.clone() for name, values in tuned.model.state_dict().items()}, trainer


def test_held_out_half_and_control_group_move_no_weight_no_statistic_and_no_choice(story, classifier, arrays):
    weak = story.before.weak_set
    unseen = np.concatenate([weak.held_out, weak.control])
    guard = (arrays.x_val, arrays.y_val)
    clean, _ = tuned_weights(story, classifier, arrays, unseen[:0], guard)
    spoilt, trainer = tuned_weights(story, classifier, arrays, unseen, guard)
    assert all(torch.equal(clean[name], spoilt[name]) for name in clean)
    assert not np.intersect1d(trainer.finetuning.trained_ids, unseen).size

    moved, _ = tuned_weights(story, classifier, arrays, weak.tune, guard)
    assert any(not torch.equal(clean[name], moved[name]) for name in clean)


def test_the_guard_part_moves_no_weight(story, classifier, arrays):
    clean, _ = tuned_weights(story, classifier, arrays, np.arange(0), (arrays.x_val, arrays.y_val))
    wrong = (arrays.x_val[::-1].copy(), arrays.y_val)
    other, trainer = tuned_weights(story, classifier, arrays, np.arange(0), wrong)
    assert all(torch.equal(clean[name], other[name]) for name in clean)
    assert trainer.finetuning.guard_split == "given"


def test_a_guard_part_taken_from_the_training_samples_lies_outside_everything_else(story, classifier, arrays):
    with pytest.warns(UserWarning, match="has probably memorised them"):
        _, trainer = tuned_weights(story, classifier, arrays, np.arange(0))
    record, weak = trainer.finetuning, story.before.weak_set
    assert record.guard_split == "train"
    assert len(record.guard_ids) >= 10
    for others in (record.trained_ids, weak.tune, weak.held_out, weak.control):
        assert not np.intersect1d(record.guard_ids, others).size
