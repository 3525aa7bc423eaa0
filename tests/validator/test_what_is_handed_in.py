"""What the validator takes: attacks, corruptions, labels, clip values; what it refuses, and in which words."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from art.attacks.evasion import DeepFool, FastGradientMethod, ProjectedGradientDescent, SpatialTransformation
from art.estimators.classification import BlackBoxClassifierNeuralNetwork

from art_weakrobust import WeakRobustTrainer
from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.errors import AttackError, DataError, ModelError, PluginError, UsageError


def dim(x, ids, severity, seed):
    return x * (1 - severity / 6)


def kinds(validator, arrays, **options):
    """Return the types of an evaluation of a few digits, by name."""
    evaluation = validator(**options).evaluate(arrays.x_train[:80], arrays.y_train[:80])
    return {kind.type: kind for kind in evaluation.validation.types if kind.family not in ("clean", "noise")}


@pytest.mark.parametrize("clip", [(0, 255), (-1, 1), None])
@pytest.mark.parametrize("what", ["validator", "trainer", "evaluate"])
def test_other_pixels_than_0_to_1_are_refused_in_one_sentence_with_the_way_out(
    what, clip, classifier, validator, arrays
):
    wrong = classifier(clip_values=clip)
    refusing = {
        "validator": validator,
        "trainer": WeakRobustTrainer,
        "evaluate": lambda other: validator().evaluate(arrays.x_train, arrays.y_train, classifier=other),
    }
    with pytest.raises(UsageError, match=r"clip_values are .*expected \(0, 1\): put the scaling .* inside") as refused:
        refusing[what](wrong)
    assert "\n" not in str(refused.value)


def test_attacks_are_names_factories_classes_and_ready_made_objects(validator, classifier, arrays):
    estimator = classifier()
    ready = FastGradientMethod(estimator, eps=0.07, norm=2)
    found = kinds(
        validator,
        arrays,
        attacks=["bim:max_iter=2", partial(ProjectedGradientDescent, eps=0.05, max_iter=2, verbose=False), ready],
        corruptions=[],
    )
    assert {name: (kind.norm, kind.eps) for name, kind in found.items()} == {
        "bim-linf": ("inf", 0.1),
        "pgd-linf": ("inf", 0.05),
        "fgm-l2": ("2", 0.07),
    }


def test_mappings_give_labels(validator, arrays):
    found = kinds(
        validator,
        arrays,
        attacks={"one step": "fgm", "small": "fgm:eps=0.01"},
        corruptions={"dimmed": dim, "flat": "contrast"},
    )
    assert list(found) == ["one step", "small", "dimmed", "flat"]
    assert found["small"].eps == 0.01


def test_two_of_one_name_need_labels(validator, arrays):
    with pytest.raises(UsageError, match="two are named 'fgm-linf'; write label="):
        kinds(validator, arrays, attacks=["fgm", "fgm:eps=0.01"])
    with pytest.raises(UsageError, match="two are named 'dim'"):
        kinds(validator, arrays, attacks=[], corruptions=[dim, dim])
    assert list(kinds(validator, arrays, attacks=["fgm", "fgm:eps=0.01:label=small"], corruptions=[])) == [
        "fgm-linf",
        "small",
    ]


@pytest.mark.parametrize("none", [None, [], "", {}])
def test_none_of_a_kind_is_none(validator, arrays, none):
    assert kinds(validator, arrays, attacks=none, corruptions=none) == {}


def test_a_list_may_be_written_as_text_and_an_iterator_is_kept(validator, arrays):
    assert list(kinds(validator, arrays, attacks="fgm, fgm@2", corruptions="contrast")) == [
        "fgm-linf",
        "fgm-l2",
        "contrast",
    ]
    own = validator(attacks=iter(["fgm"]), corruptions=[])
    for _ in range(2):
        types = own.evaluate(arrays.x_train[:40], arrays.y_train[:40]).validation.types
        assert [kind.type for kind in types][2:] == ["fgm-linf"]


def test_index_and_one_hot_labels_and_a_data_set_give_the_same(validator, story, arrays):
    own = validator(attacks=[], corruptions=[])
    one_hot = np.eye(10, dtype=np.float32)[arrays.y_train]
    for given in ((arrays.x_train, one_hot), (ArrayDataset(arrays.x_train, arrays.y_train),)):
        evaluation = own.evaluate(*given)
        np.testing.assert_array_equal(evaluation.scores["score"], story.before.scores["score"])
        assert evaluation.weak_set.table == story.before.weak_set.table


def test_class_names_of_a_data_set_reach_the_report(validator, arrays, tmp_path):
    names = [f"digit <{number}>" for number in range(10)]
    data = ArrayDataset(arrays.x_train, arrays.y_train, class_names=names)
    evaluation = validator(attacks=[], corruptions=[]).evaluate(data)
    assert "digit &lt;3&gt;" in evaluation.to_html(tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda x, y: (x * 255, y), r"x of training samples.*expected \[0, 1\]; divide by 255"),
        (lambda x, y: (x, None), "y is missing"),
        (lambda x, y: (x, y + 1), "label 10"),
        (lambda x, y: (x.transpose(0, 2, 3, 1), y), "channels come last"),
        (lambda x, y: (x, y[:-1]), "labels for 80 images"),
        (lambda x, y: (np.where(x > 0.9, np.nan, x), y), "nan"),
    ],
)
def test_arrays_that_cannot_be_right_are_told_in_one_line(validator, arrays, spoil, said):
    with pytest.raises(DataError, match=said) as refused:
        validator().evaluate(*spoil(arrays.x_train[:80], arrays.y_train[:80]))
    assert "\n" not in str(refused.value)


def test_images_of_another_shape_are_told_before_any_work(validator, arrays):
    with pytest.raises(ModelError, match=r"cannot take images of shape \(3, 8, 8\)"):
        validator().evaluate(arrays.x_train[:80].repeat(3, 1), arrays.y_train[:80])


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"attacks": ["pdg"]}, PluginError, "unknown attack 'pdg', did you mean 'pgd'"),
        ({"corruptions": ["contrats"]}, PluginError, "unknown corruption 'contrats', did you mean 'contrast'"),
        ({"scorer": "neighbourhood"}, PluginError, "unknown scorer 'neighbourhood', did you mean 'neighborhood'"),
        ({"attacks": ["fgm:epz=1"]}, PluginError, "no option 'epz'"),
        ({"neighbors": 0}, UsageError, "neighbors 0"),
        ({"severities": (0, 6)}, UsageError, "severit"),
        ({"fraction": 1.5}, UsageError, r"fraction=1\.5"),
        ({"fraction": None, "top_k": 0}, UsageError, "top_k=0"),
    ],
)
def test_wrong_names_and_values_are_told(validator, arrays, options, error, said):
    with pytest.raises(error, match=said):
        validator(**options).evaluate(arrays.x_train[:40], arrays.y_train[:40])


def test_a_ready_made_attack_that_cannot_be_rebound_is_refused(validator, classifier, arrays):
    with pytest.raises(AttackError, match=r"ready-made SpatialTransformation cannot be rebound.*functools.partial"):
        kinds(validator, arrays, attacks=[SpatialTransformation(classifier(), verbose=False)], corruptions=[])


def test_any_attack_comes_as_a_factory(validator, arrays):
    found = kinds(validator, arrays, attacks={"deepfool": partial(DeepFool, max_iter=2, verbose=False)}, corruptions=[])
    assert list(found) == ["deepfool"]


def test_a_black_box_is_scored_and_corrupted_and_its_gradients_are_missed_in_one_sentence(
    classifier, validator, arrays
):
    model = classifier()
    box = BlackBoxClassifierNeuralNetwork(
        lambda x: model.predict(x.astype(np.float32)), (1, 8, 8), 10, clip_values=(0, 1), channels_first=True
    )
    assert "contrast" in kinds(validator, arrays, estimator=box, attacks=[])
    with pytest.raises(AttackError, match="it needs loss gradients"):
        kinds(validator, arrays, estimator=box, attacks=["fgm"])
