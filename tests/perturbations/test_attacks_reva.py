"""REVa's own six, as its reference code runs them, together by one name and one by one."""

from __future__ import annotations

import numpy as np
import pytest

from art_weakrobust.datasets.arrays import as_dataset
from art_weakrobust.errors import AttackError, PluginError, UsageError
from art_weakrobust.perturbations.attacks.binding import bind
from art_weakrobust.perturbations.attacks.crafting import crafter
from art_weakrobust.perturbations.attacks.randomness import seeded
from art_weakrobust.perturbations.attacks.reva import AdamUniversal, RandomisedFGSM, suite
from art_weakrobust.perturbations.attacks.settings import used
from art_weakrobust.perturbations.resolve import resolve_attacks
from art_weakrobust.plugins.manager import AttackFactory, Manager
from art_weakrobust.plugins.reference import Reference

MANAGER = Manager(third_party=False)
SIX = ["reva-bim", "reva-fgsm", "reva-pgd", "reva-rfgsm", "reva-uap", "reva-mifgsm"]


def resolved(attacks, estimator):
    return resolve_attacks(attacks, MANAGER, estimator=estimator, eps=2 / 255, eps_l2=0.5)


def test_the_suite_stands_for_six_types(network):
    kinds = resolved("reva", network(0))
    assert [kind.name for kind in kinds] == [f"{name}-linf" for name in SIX]
    assert {kind.threat.norm for kind in kinds} == {np.inf}
    assert [round(kind.threat.eps, 4) for kind in kinds] == [0.0157, 0.0157, 0.0157, 0.0157, 0.1, 0.0157]


def test_each_has_the_parameters_of_the_reference_code(network):
    estimator = network(0)
    built = {kind.name: used(crafter(kind.factory)(estimator)) for kind in resolved("reva", estimator)}
    steps = [built[f"reva-{name}-linf"].max_iter for name in ("bim", "pgd", "rfgsm", "mifgsm", "uap")]
    assert steps == [10, 40, 10, 10, 10]
    for name in ("bim", "pgd", "rfgsm", "mifgsm"):
        assert built[f"reva-{name}-linf"].eps_step == pytest.approx(1 / 255)
    assert built["reva-pgd-linf"].num_random_init == 1
    assert built["reva-mifgsm-linf"].decay == 1.0
    assert built["reva-uap-linf"].learning_rate == 0.01


def test_one_budget_can_be_written_for_all(network):
    assert {kind.threat.eps for kind in resolved(["reva:eps=2/255"], network(0))} == {2 / 255}
    assert suite(eps=0.5)[0] == "reva-bim:eps=0.5"


def test_one_of_the_six_stands_alone_beside_others_and_under_a_label(network):
    kinds = resolved(["pgd", "reva-pgd", "reva-pgd:eps=1/255:label=mild"], network(0))
    assert [(kind.name, kind.threat.eps) for kind in kinds] == [
        ("pgd-linf", 2 / 255),
        ("reva-pgd-linf", 4 / 255),
        ("mild", 1 / 255),
    ]


def test_a_label_of_the_suite_stands_before_each_name(network):
    kinds = resolved({"code": "reva"}, network(0))
    assert [kind.name for kind in kinds] == [f"code/{name}" for name in SIX]


def test_the_suite_is_no_single_attack(network):
    factory = AttackFactory(MANAGER, Reference.parse("reva"), {"eps": 0.1})
    with pytest.raises(AttackError, match="returned a list"):
        bind(factory, network(0))
    with pytest.raises(PluginError, match="no option 'max_iter'"):
        resolved("reva:max_iter=3", network(0))


def test_rfgsm_starts_with_a_random_step_and_keeps_its_budget(network, predicted, images):
    estimator = network(1)
    y = predicted(estimator, images)
    with seeded(0):
        x_adv = RandomisedFGSM(estimator, eps=0.1, eps_step=0.03, verbose=False).generate(images, y)
    assert np.abs(x_adv - images).max() <= 0.1 + 1e-6
    assert (x_adv >= 0).all()
    assert (x_adv <= 1).all()
    loss = estimator.compute_loss(images, y), estimator.compute_loss(x_adv, y)
    assert (loss[1] > loss[0]).all()
    with seeded(0):
        start = RandomisedFGSM(estimator, eps=0.1, eps_step=0.03, max_iter=0, verbose=False).generate(images, y)
    inside = (images > 0.03) & (images < 0.97)
    np.testing.assert_allclose(np.abs(start - images)[inside], 0.03, atol=1e-6)


def test_adam_raises_the_loss_of_all_by_one_perturbation(network, predicted):
    estimator = network(1)
    x = np.random.default_rng(3).random((60, 1, 8, 8), np.float32)
    y = predicted(estimator, x)
    attack = AdamUniversal(estimator, eps=0.3, learning_rate=0.05, verbose=False)
    with seeded(0):
        x_adv = attack.generate(x, y)
    np.testing.assert_array_equal(x_adv, np.clip(x + attack.noise, 0, 1))
    assert np.abs(attack.noise).max() <= 0.3 + 1e-6
    assert estimator.compute_loss(x_adv, y).mean() > estimator.compute_loss(x, y).mean() + 0.05
    others = np.random.default_rng(4).random((60, 1, 8, 8), np.float32)
    moved = np.clip(others + attack.noise, 0, 1)
    loss = [estimator.compute_loss(z, predicted(estimator, others)).mean() for z in (others, moved)]
    assert loss[1] > loss[0]  # on samples that it was not crafted on


def test_the_universal_one_is_crafted(network, images):
    estimator = network(1)
    craft = as_dataset(np.random.default_rng(3).random((30, 1, 8, 8), np.float32), np.arange(30) % 10)
    (kind,) = resolve_attacks(["reva-uap"], MANAGER, estimator=estimator, craft=craft)
    noise = kind.factory(estimator).noise
    np.testing.assert_array_equal(kind.factory(estimator).generate(images), np.clip(images + noise, 0, 1))


@pytest.mark.parametrize("kind", [RandomisedFGSM, AdamUniversal])
def test_a_mask_is_refused_and_not_overlooked(kind, network, images):
    with pytest.raises(UsageError, match="mask is not possible"):
        kind(network(0), verbose=False).generate(images, np.zeros(4, int), mask=np.zeros_like(images))
