"""Attacks that make one perturbation for all get training samples that are judged nowhere."""

from __future__ import annotations

import numpy as np
import pytest
from art.attacks.evasion import FastGradientMethod

from art_weakrobust import Spec, hookimpl
from art_weakrobust.datasets.arrays import as_dataset
from art_weakrobust.datasets.base import ids_of
from art_weakrobust.datasets.subset import Subset
from art_weakrobust.errors import AttackError
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.pipeline.street import craft_of, sets_of

UAP = "reva-uap:max_iter=2"


class Asking:
    """A plugin whose attack wants samples to craft on, and keeps what it is offered."""

    def __init__(self):
        self.offered = []

    @hookimpl
    def weakrobust_register_attacks(self):
        return [Spec("asking", "wants craft", self.build)]

    def build(self, estimator, eps=0.1, craft=None):
        self.offered.append(craft)
        return FastGradientMethod(estimator, eps=eps)


@pytest.fixture(scope="module")
def evaluated(validator, arrays):
    """An evaluation with an attack that crafts and one that is offered the same."""
    plugin = Asking()
    made = validator(attacks=[UAP, "asking"], corruptions=[], plugins=[plugin])
    return plugin, made, made.evaluate(arrays.x_train, arrays.y_train)


def test_evaluate_offers_training_samples_outside_weak_set_and_control(evaluated, arrays):
    plugin, _, evaluation = evaluated
    weak_set = evaluation.weak_set
    judged = {int(i) for role in ("tune", "held_out", "control") for i in weak_set.ids(role)}
    offered = [craft for craft in plugin.offered if craft is not None]
    assert offered
    for craft in offered:
        ids = set(ids_of(craft).tolist())
        assert not ids & judged
        assert ids | judged == set(range(len(arrays.x_train)))


def test_the_same_seed_gives_the_same_verdicts_of_an_attack_that_crafts(evaluated, arrays):
    _, made, evaluation = evaluated
    again = made.evaluate(arrays.x_train, arrays.y_train, weak_set=evaluation.weak_set)

    def verdicts(validation):
        kept = ("index", "set", "prediction", "perturbation_norm", "queries", "status")
        rows = [row for row in validation.table.to_pylist() if row["type"] == "reva-uap-linf" and row["set"] != "tune"]
        return sorted(repr([row[name] for name in kept]) for row in rows)

    assert verdicts(again.records.before) == verdicts(evaluation.records.before)
    assert verdicts(again.records.before)


def test_validate_alone_asks_for_samples(validator, classifier, arrays):
    data = as_dataset(arrays.x_train, arrays.y_train)
    sets = {"test": (data, np.arange(20))}
    with pytest.raises(AttackError, match=r"'reva-uap-linf' .* craft="):
        validator(attacks=[UAP], corruptions=[]).validate(classifier(), sets, SerialMap())
    craft = (arrays.x_train[200:260], arrays.y_train[200:260])
    found = validator(attacks=[UAP], corruptions=[], craft=craft).validate(classifier(), sets, SerialMap())
    assert "reva-uap-linf" in found.table["type"].to_pylist()


def test_craft_of_a_part_of_a_split_stays_in_that_part(evaluated, arrays):
    weak_set = evaluated[2].weak_set
    data = as_dataset(arrays.x_train, arrays.y_train)
    part = Subset(data, np.arange(100))
    craft = craft_of(part, weak_set)
    judged = np.concatenate([ids for _, ids in sets_of(weak_set, data, None, tune=True).values()])
    assert set(ids_of(craft)) == set(range(100)) - set(judged.tolist())
    np.testing.assert_array_equal(craft.labels(), arrays.y_train[ids_of(craft)])
