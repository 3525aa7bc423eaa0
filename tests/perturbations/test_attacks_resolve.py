"""Names, factories, classes and ready-made objects become types with a name and a budget."""

from __future__ import annotations

from functools import partial
from math import inf
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.attacks import EvasionAttack
from art.attacks.evasion import (
    BasicIterativeMethod,
    BoundaryAttack,
    DeepFool,
    FastGradientMethod,
    ProjectedGradientDescent,
)
from art.estimators.classification import BlackBoxClassifier
from art.estimators.estimator import BaseEstimator

from art_weakrobust import Spec, hookimpl
from art_weakrobust.errors import AttackError, PluginError, UsageError
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.attacks.settings import used
from art_weakrobust.perturbations.resolve import attack_type, resolve_attacks, resolve_corruptions
from art_weakrobust.perturbations.types import AttackType
from art_weakrobust.plugins.manager import AttackFactory, Manager
from art_weakrobust.plugins.reference import Reference
from art_weakrobust.testing.networks import small_cnn


class Darken(EvasionAttack):
    """An attack without norm and budget."""

    _estimator_requirements = (BaseEstimator,)

    def __init__(self, estimator, by: float = 0.1) -> None:
        super().__init__(estimator=estimator)
        self.by = by

    def generate(self, x, y=None, **kwargs):
        return x * np.float32(1 - self.by)


class Plugin:
    @hookimpl
    def weakrobust_register_attacks(self):
        return [Spec("my_attack", "an attack", Darken, facts={"norm": None, "group": "mine", "source": "me"})]

    @hookimpl
    def weakrobust_register_corruptions(self):
        return [
            Spec("fade", "a corruption", fade, facts={"group": "mine", "source": "me"}),
            Spec("my-c", "many", many, many=True),
        ]


def fade(x, ids, severity, seed):
    return x * (1 - severity / 10)


def many(argument, batch_size=None):
    return {f"my-c/{name}": SimpleNamespace(paired=True, dataset=lambda severity: None) for name in argument.split("+")}


@pytest.fixture(scope="module")
def manager():
    return Manager([Plugin()], third_party=False)


@pytest.fixture(scope="module")
def estimator():
    return FastPyTorchClassifier(
        small_cnn(), loss=torch.nn.CrossEntropyLoss(), input_shape=(1, 8, 8), nb_classes=10, clip_values=(0, 1)
    )


@pytest.fixture
def resolve(manager, estimator):
    return partial(resolve_attacks, manager=manager, estimator=estimator, eps=2 / 255, eps_l2=0.5)


def built(kind: AttackType, estimator) -> EvasionAttack:
    return used(kind.factory(estimator))


def test_registered_attacks_get_the_runs_budget_by_their_norm(resolve, estimator):
    kinds = resolve(["fgm", "pgd", "pgd@2", "bim"])
    assert [(k.name, k.threat.norm, k.threat.eps) for k in kinds] == [
        ("fgm-linf", inf, 2 / 255),
        ("pgd-linf", inf, 2 / 255),
        ("pgd-l2", 2, 0.5),
        ("bim-linf", inf, 2 / 255),
    ]
    assert all(kind.few_step for kind in kinds)
    assert [(built(k, estimator).norm, built(k, estimator).eps) for k in kinds] == [
        (k.threat.norm, k.threat.eps) for k in kinds
    ]


def test_pgd_takes_twenty_steps_of_a_quarter_from_a_random_start(resolve, estimator):
    (kind,) = resolve("pgd")
    attack = built(kind, estimator)
    assert (attack.max_iter, attack.eps_step, attack.num_random_init) == (20, 0.5 / 255, 1)


def test_what_the_user_wrote_comes_first(resolve, estimator):
    (kind,) = resolve(["pgd@2:max_iter=50:eps=0.25:eps_step=1/255"])
    attack = built(kind, estimator)
    assert (kind.threat.eps, attack.eps, attack.max_iter, attack.eps_step) == (0.25, 0.25, 50, 1 / 255)


def test_a_budget_of_zero_is_a_budget(resolve, estimator):
    (kind,) = resolve(["pgd:eps=0"])
    x = np.full((2, 1, 8, 8), 0.5, np.float32)
    np.testing.assert_array_equal(kind.factory(estimator).generate(x), x)


def test_the_row_of_a_type_says_what_it_is(resolve):
    info = resolve(["pgd@2"])[0].info
    assert (info.type, info.family, info.group, info.origin) == ("pgd-l2", "attacks", "gradient", "generated")
    assert (info.norm, info.eps, info.source) == ("2", 0.5, "https://arxiv.org/abs/1706.06083")


def test_l1_asks_for_a_budget(resolve):
    with pytest.raises(UsageError, match="eps="):
        resolve(["pgd@1"])
    assert resolve(["pgd@1:eps=10"])[0].name == "pgd-l1"


def test_bim_knows_one_norm(resolve):
    with pytest.raises(UsageError, match="pgd@2"):
        resolve(["bim@2"])


def test_an_unknown_name_and_an_unknown_option_name_what_is_known(resolve):
    with pytest.raises(PluginError, match="did you mean 'pgd'"):
        resolve(["pdg"])
    with pytest.raises(PluginError, match="max_iter"):
        resolve(["pgd:max_itr=3"])


def test_a_plugins_attack_without_a_norm_is_judged_in_linf(resolve):
    (kind,) = resolve(["my_attack:by=0.5"])
    assert (kind.name, kind.threat.eps, kind.few_step) == ("my_attack-linf", 2 / 255, False)
    assert (kind.info.group, kind.info.source) == ("mine", "me")


def test_a_factory_has_the_catalogues_name_and_its_own_budget(resolve):
    pgd = partial(ProjectedGradientDescent, norm=2, eps=0.75, eps_step=0.1, max_iter=20)
    kinds = resolve([pgd, lambda e: FastGradientMethod(e, eps=0.1), lambda e: BasicIterativeMethod(e, eps=0.2)])
    assert [(k.name, k.threat.eps) for k in kinds] == [("pgd-l2", 0.75), ("fgm-linf", 0.1), ("bim-linf", 0.2)]
    assert all(kind.few_step for kind in kinds)


def test_a_factory_without_norm_and_budget_is_named_and_judged_in_linf(resolve):
    def shade(estimator):
        return Darken(estimator, by=0.2)

    (kind,) = resolve([shade])
    assert (kind.name, kind.threat.norm, kind.threat.eps, kind.few_step) == ("darken-linf", inf, 2 / 255, False)


def test_a_ready_made_attack_keeps_its_budget_and_is_rebound(resolve, estimator):
    other = FastPyTorchClassifier(small_cnn(seed=1), torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1))
    attack = ProjectedGradientDescent(other, eps=0.3, eps_step=0.1)
    (kind,) = resolve([attack])
    assert (kind.name, kind.threat.eps) == ("pgd-linf", 0.3)
    assert kind.factory(estimator).estimator is estimator
    assert attack.estimator is other


@pytest.mark.parametrize("entry", [ProjectedGradientDescent, partial(ProjectedGradientDescent, max_iter=7)])
def test_a_constructors_default_is_nobodys_budget(resolve, estimator, entry):
    (kind,) = resolve([entry])
    attack = built(kind, estimator)
    assert (kind.name, kind.threat.eps, attack.eps, attack.eps_step) == ("pgd-linf", 2 / 255, 2 / 255, 0.5 / 255)


def test_a_partial_without_a_budget_gets_that_of_its_norm(resolve, estimator):
    (kind,) = resolve([partial(FastGradientMethod, norm=2)])
    assert (kind.name, kind.threat.eps, built(kind, estimator).eps) == ("fgm-l2", 0.5, 0.5)


def test_labels_come_before_the_registrys_names(resolve):
    kinds = resolve({"pgd": partial(FastGradientMethod, eps=0.1), "strong": "pgd:max_iter=50", "weak": "pgd"})
    assert [k.name for k in kinds] == ["pgd", "strong", "weak"]
    assert kinds[0].threat.eps == 0.1


def test_a_label_may_be_written_behind_a_name(resolve):
    assert [k.name for k in resolve(["pgd", "pgd:max_iter=50:label=pgd-50"])] == ["pgd-linf", "pgd-50"]


def test_two_of_one_name_need_labels(resolve):
    with pytest.raises(UsageError, match=r"two are named 'pgd-linf'.*label"):
        resolve(["pgd", partial(ProjectedGradientDescent, eps=0.1)])


def test_a_type_passes_through_and_takes_a_label(resolve):
    (kind,) = resolve(["pgd"])
    assert resolve([kind]) == [kind]
    assert resolve({"mine": kind})[0].name == "mine"


def test_one_attack_without_a_list_and_a_thing_that_is_none_are_refused(resolve, estimator):
    with pytest.raises(UsageError, match="sequence"):
        resolve(FastGradientMethod(estimator))
    with pytest.raises(UsageError, match="expected a name"):
        resolve([3])
    assert resolve(None) == []


def test_a_black_box_is_refused_before_the_run(manager):
    black_box = BlackBoxClassifier(lambda x: np.eye(10)[np.zeros(len(x), int)], (1, 8, 8), 10, clip_values=(0, 1))
    with pytest.raises(AttackError, match="loss gradients"):
        resolve_attacks(["pgd"], manager, estimator=black_box)
    assert resolve_attacks(["my_attack"], manager, estimator=black_box)[0].name == "my_attack-linf"


def test_a_factory_made_by_the_manager_is_an_attack_by_name(manager, estimator):
    kind = attack_type(AttackFactory(manager, Reference.parse("pgd:max_iter=3"), {"eps": 0.1}), estimator)
    assert (kind.name, kind.threat.eps) == ("pgd-linf", 0.1)


def test_corruptions_by_name_function_and_label(manager):
    kinds = resolve_corruptions(["fade"], manager)
    assert (kinds[0].name, kinds[0].info.family, kinds[0].info.group) == ("fade", "corruptions", "mine")
    assert [k.name for k in resolve_corruptions([fade], manager)] == ["fade"]
    assert [k.name for k in resolve_corruptions({"dim": fade, "dimmer": "fade"}, manager)] == ["dim", "dimmer"]


def test_a_corruption_that_is_many_gives_a_type_each(manager):
    kinds = resolve_corruptions(["my-c:fog+snow"], manager, batch_size=3)
    assert [(k.name, k.stored, k.info.origin) for k in kinds] == [
        ("my-c/fog", True, "stored"),
        ("my-c/snow", True, "stored"),
    ]
    assert resolve_corruptions({"c": "my-c:fog"}, manager)[0].name == "c/fog"


@pytest.mark.parametrize(
    ("corruptions", "said"),
    [
        (["fade", fade], "two are named 'fade'"),
        ([lambda x, ids, severity, seed: x], "has no name"),
        ({"dim": 3}, "expected a name"),
        (["fade:strong"], "nothing after the colon"),
        ({"": fade}, "label"),
    ],
)
def test_corruptions_that_cannot_be_named_or_called_are_refused(manager, corruptions, said):
    with pytest.raises(UsageError, match=said):
        resolve_corruptions(corruptions, manager)


def test_names_that_say_their_norm_are_left_alone(resolve):
    kinds = resolve("deepfool, cw-l2@2, cw-linf, hopskipjump@inf, jsma@inf:label=dots")
    assert [(k.name, k.threat.norm, k.threat.eps) for k in kinds] == [
        ("deepfool-l2", 2, 0.5),
        ("cw-l2", 2, 0.5),
        ("cw-linf", inf, 2 / 255),
        ("hopskipjump-linf", inf, 2 / 255),
        ("dots", inf, 2 / 255),
    ]


def test_an_attack_that_seeks_the_smallest_takes_a_budget_to_be_held_against(resolve):
    assert resolve("deepfool:eps=1.5:max_iter=3")[0].threat.eps == 1.5
    with pytest.raises(UsageError, match="cw-l2 is L2 alone"):
        resolve("cw-l2@inf")


def test_a_class_gets_what_its_user_left_to_the_run_and_nothing_that_was_written(resolve, estimator):
    boundary, deepfool = resolve([BoundaryAttack, partial(DeepFool, batch_size=3)], batch_size=64)
    assert [boundary.name, deepfool.name] == ["boundary-l2", "deepfool-l2"]
    made = boundary.factory(estimator)
    assert (made.targeted, made.verbose, made.batch_size) == (False, False, 64)
    assert deepfool.factory(estimator).batch_size == 3


def test_a_ready_made_attack_without_a_norm_is_judged_in_that_of_its_row(resolve, estimator):
    (kind,) = resolve([DeepFool(estimator, verbose=False)])
    assert (kind.name, kind.threat.norm, kind.threat.eps) == ("deepfool-l2", 2, 0.5)


def test_the_manager_makes_any_attack_of_the_catalogue(manager, estimator):
    attack = manager.make("attack", "deepfool", estimator, written={"max_iter": 3}, offered={"norm": 2, "eps": 0.5})
    assert isinstance(attack, DeepFool)
    assert attack.max_iter == 3
    assert attack.batch_size > 1
