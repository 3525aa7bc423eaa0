"""Data are brought to the model's size, and what does not go together is told before the first forward pass."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from art_weakrobust import Spec, hookimpl
from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.errors import DataError, ModelError, PluginError
from art_weakrobust.pipeline.agreement import check_info_on_data, check_model_on_data
from art_weakrobust.pipeline.context import Context
from art_weakrobust.pipeline.examination import diagnosed
from art_weakrobust.pipeline.options import Options
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.protocols import ModelInfo


def arrays(shape=(3, 8, 8), classes=4, names=()):
    return ArrayDataset(np.zeros((classes, *shape), np.float32), np.arange(classes), class_names=names, name="mine")


@pytest.mark.parametrize(
    ("info", "data", "words"),
    [
        (
            ModelInfo(input_shape=(3, 32, 32)),
            arrays(),
            r"of shape \(3, 32, 32\), and mine has \(3, 8, 8\).*--resize 32 --crop 32",
        ),
        (ModelInfo(input_shape=(3, 8, 8), resize=9), arrays((3, 8, 10)), r"\(3, 8, 10\).*--resize 9 --crop 8"),
        (ModelInfo(input_shape=(1, 8, 8)), arrays(), r"\(3, 8, 8\): other channels"),
        (ModelInfo(nb_classes=3), arrays(names="abcd"), "the label 3, outside the 3 classes"),
        (ModelInfo(nb_classes=9), arrays(names="abcd"), "knows 9 classes, and mine has 4"),
    ],
)
def test_a_mismatch_is_an_error_that_says_what_to_do(info, data, words):
    with pytest.raises((ModelError, DataError), match=words):
        check_info_on_data(info, data, "net")


@pytest.mark.parametrize(
    ("info", "sized"),
    [
        (ModelInfo(), False),
        (ModelInfo(4, (3, 8, 8)), False),
        (ModelInfo(nb_classes=9), False),  # labels that are numbers alone may be some of them
        (ModelInfo(input_shape=(3, 32, 32)), True),  # the user has chosen another size
    ],
)
def test_what_goes_together_or_is_not_known_passes(info, sized):
    check_info_on_data(info, arrays(), "net", sized=sized)


class Tiny(nn.Module):
    """Says how bright the left half is, of images of 6x6 alone; counts what it is asked."""

    asked = 0

    def forward(self, x):
        Tiny.asked += 1
        left = x[..., :3].mean((1, 2, 3))
        return torch.stack([left, 1 - left], 1)


class Plugin:
    """Models that name their preprocessing, as zoo models do."""

    @hookimpl
    def weakrobust_register_models(self):
        def net(argument, nb_classes=None):
            info = ModelInfo(2, (3, 6, 6), resize=8, crop=6, interpolation="nearest", published=1.0)
            Plugin.offered = nb_classes
            return Tiny().eval(), info

        return [
            Spec("six", "takes 6x6", lambda argument: net(argument)),
            Spec("six-asking", "asks for the classes", net),
            Spec("black", "labels alone", lambda argument: (_labels, ModelInfo(gradients=False))),
        ]


def _labels(x):
    return (np.asarray(x)[..., :3].mean((1, 2, 3)) < 0.5).astype(np.int64)


@pytest.fixture
def pictures(tmp_path):
    for split in ("train", "test"):
        for label, name in enumerate(("bright", "dark")):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(12):
                pixels = np.full((20 + i, 16, 3), 40 if label else 210, np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return f"folder:{tmp_path}"


def context(**given):
    return Context(Options().with_({"eps": 0.1, **given}), Manager([Plugin()], third_party=False))


@pytest.mark.parametrize("model", ["six", "six-asking"])
def test_images_of_many_sizes_are_brought_to_the_one_that_the_model_names(model, pictures):
    made = context(model=model, dataset=pictures, resize=None) if model == "six" else None
    if made is None:  # it asks for the classes, and data of one size alone tell them before
        made = context(model=model, dataset=pictures, resize=8, crop=6)
        _ = made.base
        assert Plugin.offered == 2
    assert made.train.input_shape == made.test.input_shape == (3, 6, 6)
    assert made.base.nb_classes == 2


def test_folders_of_fewer_classes_than_the_model_says_are_refused_whoever_made_it():
    """A pruned tree of ImageNet, read as folders, would otherwise be judged by the wrong numbers without a word."""
    estimator = SimpleNamespace(predict=lambda x: np.zeros((len(x), 9), np.float32))
    with pytest.raises(ModelError, match=r"knows 9 classes, and mine has 4.*imagenet:ROOT"):
        check_model_on_data(estimator, arrays(names="abcd"), "net")
    check_model_on_data(estimator, arrays(), "net")


def test_what_the_user_wrote_comes_before_what_the_model_asks_for(pictures):
    made = context(model="six", dataset=pictures, resize=12, crop=10)
    assert made.train.input_shape == (3, 10, 10)
    _ = made.base


def test_data_that_cannot_be_resized_are_refused_before_a_forward_pass(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.zeros((4, 3, 8, 8), np.float32), y_train=[0, 1, 0, 1])
    made = context(model="six", dataset=f"npz:{tmp_path}/a.npz")
    Tiny.asked = 0
    with pytest.raises(ModelError, match=r"takes images of shape \(3, 6, 6\)"):
        _ = made.base
    assert Tiny.asked == 0


def test_the_doctor_hears_the_figure_that_is_published(tmp_path):
    x = np.where(np.arange(64)[:, None, None, None] % 2, 0.8, 0.2).astype(np.float32) * np.ones(
        (1, 3, 6, 6), np.float32
    )
    y = np.arange(64) % 2 == 0
    y[::8] = ~y[::8]  # an eighth is wrong, and 100 % are published
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y.astype(np.int64))
    findings = diagnosed(context(model="six", dataset=f"npz:{tmp_path}/a.npz", split="all"), ()).findings
    assert "accuracy-published" in {finding.code for finding in findings}


def test_a_black_box_of_labels_gets_the_number_of_classes_from_the_data(pictures):
    made = context(model="black", dataset=pictures, resize=8, crop=6, estimator="black-box")
    assert made.base.nb_classes == 2
    assert made.base.decisions_only


def test_a_black_box_is_refused_where_a_network_is_needed(pictures):
    with pytest.raises(ModelError, match=r"choose a model with gradients, or an --estimator for black boxes"):
        _ = context(model="black", dataset=pictures, resize=8, crop=6).base


@pytest.mark.parametrize(
    ("attacks", "words"),
    [("pgd", "attack 'pgd' needs gradients"), ("square", "attack 'square' needs scores")],
)
def test_attacks_that_ask_for_more_than_labels_are_refused_in_one_sentence(attacks, words, pictures):
    made = context(model="black", dataset=pictures, resize=8, crop=6, estimator="black-box", attacks=attacks)
    with pytest.raises(PluginError, match=f"{words}, which the estimator does not give"):
        made.check_needs(made.base, ("before",))
    made.check_needs(made.base, ("score",))  # which builds none


def test_fine_tuning_a_black_box_is_refused_before_an_hour_is_spent_on_scores(pictures):
    made = context(model="black", dataset=pictures, resize=8, crop=6, estimator="black-box", attacks="")
    with pytest.raises(PluginError, match="trainer 'weakrobust' needs gradients, which the estimator does not give"):
        made.check_needs(made.base, ("score", "select", "before", "finetune"))
    made.check_needs(made.base, ("score", "select", "before"))
