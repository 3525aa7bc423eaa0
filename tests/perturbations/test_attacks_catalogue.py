"""The catalogue says of every evasion attack what the installed ART says, and leaves none out in silence."""

from __future__ import annotations

import inspect
from math import inf

import numpy as np
import pytest
from art.attacks import EvasionAttack, evasion

from art_weakrobust.errors import UsageError
from art_weakrobust.perturbations.attacks.build import BUILDERS, kind_of
from art_weakrobust.perturbations.attacks.catalogue import CATALOGUE, ROWS, name_of, row_of
from art_weakrobust.perturbations.attacks.randomness import seeded
from art_weakrobust.perturbations.attacks.rows.left_out import LEFT_OUT
from art_weakrobust.perturbations.attacks.settings import budget_of, used
from art_weakrobust.plugins.manager import Manager

BUILT = {row.name: row for row in ROWS if row.target is None and row.package != "numba"}
EXPORTED = {name for name, kind in vars(evasion).items() if isinstance(kind, type) and issubclass(kind, EvasionAttack)}

ABSENT = {row.kind for row in ROWS if row.package == "numba"} - EXPORTED
"""What ART exports only where numba can be imported."""
ARTS = {row.name: row for row in ROWS if ":" not in row.kind and row.kind not in ABSENT}


def arguments(row) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(getattr(evasion, row.kind)).parameters)


def test_every_attack_of_art_has_a_row_or_a_reason():
    known = {kind for kind in CATALOGUE if ":" not in kind}
    assert (known | set(LEFT_OUT)) - ABSENT == EXPORTED
    assert not known & set(LEFT_OUT)
    assert all(LEFT_OUT.values())


def test_names_are_registered_and_stand_once():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert set(names) <= set(Manager(third_party=False).names("attack"))


@pytest.mark.parametrize("row", ARTS.values(), ids=ARTS)
def test_a_row_says_what_the_constructor_says(row):
    taken = arguments(row)
    defaults = {name: parameter.default for name, parameter in taken.items()}
    assert next(iter(taken)) == row.estimator_argument
    assert defaults.get("batch_size") == row.batch_size
    assert defaults.get("targeted") == row.targeted
    assert set(row.defaults) <= set(taken)
    assert set().union(*row.by_norm.values()) <= set(taken)
    assert (row.eps_as[0] in taken) == row.bounded
    assert (row.step is not None) == ("eps_step" in taken)
    assert ("loss_type" in taken) <= row.clones


@pytest.mark.parametrize("row", ARTS.values(), ids=ARTS)
def test_what_is_set_afterwards_is_no_constructor_argument(row):
    known = set(getattr(evasion, row.kind).attack_params)
    not_set = {"summary_writer", "random_eps"}  # of one run alone
    assert set(row.settings) == (known - set(arguments(row)) - not_set) & {"norm", "num_random_init", "decay"}


@pytest.mark.parametrize("row", ARTS.values(), ids=ARTS)
def test_an_attack_that_asks_for_gradients_is_said_to_need_them(row):
    asked = {part for kinds in getattr(evasion, row.kind)._estimator_requirements for part in np.atleast_1d(kinds)}
    if any("Gradients" in kind.__name__ for kind in asked):
        assert "gradients" in row.needs


@pytest.mark.parametrize("name", BUILT)
def test_an_attack_is_built_quiet_untargeted_and_in_batches_of_the_run(name, network):
    estimator = network(0)
    attack = getattr(BUILDERS, BUILT[name].attribute)(estimator, eps=0.25, batch_size=17)
    holder = used(attack)
    assert isinstance(attack, kind_of(BUILT[name]))
    assert attack.estimator is estimator
    assert not attack.targeted
    assert not getattr(holder, "verbose", False)
    assert getattr(holder, "batch_size", 17) == 17
    assert not any(getattr(part, "verbose", False) for part in getattr(attack, "attacks", ()))


@pytest.mark.parametrize("name", [name for name, row in BUILT.items() if row.bounded and row.eps_as == ("eps", 1)])
def test_a_bounded_attack_gets_its_budget_and_keeps_it(name, network, small, predicted, images):
    estimator, row = network(1), BUILT[name]
    for norm in row.norms:
        eps = {inf: 0.3, 2.0: 1.5, 1.0: 8.0}[norm]
        attack = small(name, estimator, norm=norm, eps=eps)
        assert budget_of(attack)[1] == eps
        assert budget_of(attack)[0] in (norm, None)
        with seeded(0):
            x_adv = attack.generate(images.copy(), predicted(estimator, images))
        distance = np.linalg.norm((x_adv.astype(np.float64) - images).reshape(len(images), -1), ord=norm, axis=1)
        assert (distance <= eps * 1.0001).all()


def test_the_threshold_attack_takes_its_budget_in_steps_of_a_255th(network):
    assert BUILDERS.threshold(network(0), eps=8 / 255).th == 8
    assert BUILDERS.threshold(network(0), eps=8.9 / 255).th == 8
    assert BUILDERS.threshold(network(0), eps=0).th == 1


@pytest.mark.parametrize("row", [row for row in BUILT.values() if len(row.norms) < 3], ids=lambda row: row.name)
def test_a_norm_in_which_it_does_not_work_is_refused_with_those_in_which_it_does(row, network):
    norm = next(norm for norm in (1.0, 2.0, inf) if norm not in row.norms)
    with pytest.raises(UsageError, match=rf"{row.name} is L\S+( and L\S+)? alone; in L"):
        getattr(BUILDERS, row.attribute)(network(0), norm=norm)


def test_what_the_user_writes_comes_before_our_defaults(network):
    attack = used(BUILDERS.pgd(network(0), eps=0.4, eps_step=0.3, max_iter=7, num_random_init=2))
    assert (attack.eps, attack.eps_step, attack.max_iter, attack.num_random_init) == (0.4, 0.3, 7, 2)
    assert BUILDERS.ead(network(0), norm=2).decision_rule == "L2"
    assert BUILDERS.ead(network(0), norm=2, decision_rule="EN").decision_rule == "EN"


@pytest.mark.parametrize("max_iter", [0, 2.5, True])
def test_a_number_of_steps_that_is_none_is_refused(max_iter, network):
    with pytest.raises(UsageError, match="max_iter="):
        BUILDERS.pgd(network(0), max_iter=max_iter)


@pytest.mark.parametrize("name", ["deepfool", "newtonfool", "hopskipjump", "boundary", "signopt", "cw-l2", "square"])
def test_y_means_what_the_row_says(name, network, small, predicted, images):
    estimator = network(1)
    true = predicted(estimator, images)
    wrong = np.roll(true, 1, axis=1)
    results = []
    for y in (true, wrong):
        with seeded(0):
            results.append(small(name, estimator).generate(images.copy(), y))
    assert np.array_equal(*results) == (BUILT[name].y == "prediction")


def test_jsma_aims_at_the_runner_up_of_the_labels_it_is_given(network, small, predicted, images):
    estimator = network(1)
    scores = estimator.predict(images)
    x_adv = small("jsma", estimator, gamma=1.0).generate(images, predicted(estimator, images))
    fooled = estimator.predict(x_adv).argmax(1)
    runner_up = scores.argsort(1)[:, -2]
    assert (fooled != scores.argmax(1)).any()
    assert set(zip(fooled, range(4), strict=True)) <= {
        (c, i) for i in range(4) for c in (runner_up[i], scores[i].argmax())
    }


def test_a_class_is_known_by_its_name_and_a_subclass_is_not():
    class Mine(evasion.DeepFool):
        pass

    assert row_of(evasion.CarliniL2Method).name == name_of(evasion.CarliniL2Method) == "cw-l2"
    assert row_of(evasion.ProjectedGradientDescentNumpy).name == "pgd"
    assert row_of(Mine) is None
    assert name_of(Mine) == "mine"


@pytest.mark.parametrize("name", ["acg", "reacg", "art-apgd"])
def test_an_attack_is_not_the_weaker_for_larger_batches(name, network):
    estimator = network(1)
    x = np.random.default_rng(0).random((32, 1, 8, 8), dtype=np.float32)
    labels = estimator.predict(x).argmax(1)
    fooled = []
    for batch_size in (1, 32):
        options = {"norm": np.inf, "eps": 0.08, "batch_size": batch_size, "max_iter": 30, "nb_random_init": 1}
        with seeded(0):
            x_adv = Manager(third_party=False).make("attack", name, estimator, **options).generate(x, labels)
        fooled.append(int((estimator.predict(x_adv).argmax(1) != labels).sum()))
    assert fooled[0] > 4
    assert abs(fooled[1] - fooled[0]) <= 2
