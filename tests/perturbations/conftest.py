"""Every attack that build.py builds, set so that it changes the images of a small network within a second or so."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks import EvasionAttack

from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.attacks.build import BUILDERS
from art_weakrobust.perturbations.attacks.catalogue import ROWS
from art_weakrobust.testing.networks import small_cnn

_CW = {"max_iter": 20, "binary_search_steps": 2, "learning_rate": 0.1, "initial_const": 10.0}
SMALL: dict[str, dict[str, Any]] = {
    "acg": {"max_iter": 5, "nb_random_init": 1},
    "art-apgd": {"max_iter": 5, "nb_random_init": 1},
    "reacg": {"max_iter": 5, "nb_random_init": 1},
    "boundary": {"max_iter": 5, "num_trial": 3, "sample_size": 3},
    "cw-l0": _CW,
    "cw-l2": _CW,
    "cw-linf": {"max_iter": 10, "learning_rate": 0.1, "initial_const": 4.0},
    "deepfool": {"max_iter": 5},
    "ead": {"max_iter": 20, "binary_search_steps": 1, "learning_rate": 0.2, "initial_const": 10.0},
    "hopskipjump": {"max_iter": 1, "max_eval": 20, "init_eval": 5},
    "newtonfool": {"max_iter": 3},
    "jsma": {"gamma": 0.2},
    "reva-pgd": {"max_iter": 4},
    "signopt": {"max_iter": 2, "num_trial": 5, "k": 4, "query_limit": 100},
    "square": {"max_iter": 20},
    "threshold": {"max_iter": 1, "eps": 0.4},
    "uap": {"max_iter": 1, "attacker_params": {"max_iter": 10}},
    "reva-uap": {"max_iter": 4},
    "zoo": {
        "max_iter": 20,
        "nb_parallel": 32,
        "batch_size": 1,
        "use_resize": False,
        "use_importance": False,
        "learning_rate": 0.2,
        "initial_const": 100.0,
    },
}


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Four images, float32 (4, 1, 8, 8) in [0, 1]; nobody alters them."""
    x = np.random.default_rng(0).random((4, 1, 8, 8), np.float32)
    x.flags.writeable = False
    return x


@pytest.fixture(scope="session")
def network():
    """Return a function that makes a classifier around a small network of random weights."""

    def make(seed: int = 0, kind: type = FastPyTorchClassifier, nb_classes: int = 10, **options) -> Any:
        named = {"input_shape": (1, 8, 8), "nb_classes": nb_classes, "clip_values": (0, 1), "device_type": "cpu"}
        module = small_cnn(num_classes=nb_classes, seed=seed)
        return kind(module, loss=torch.nn.CrossEntropyLoss(), **named, **options)

    return make


@pytest.fixture(scope="session")
def few_steps() -> dict[str, dict[str, Any]]:
    """Name of an attack -> options with which it takes a second or so."""
    return SMALL


@pytest.fixture(scope="session")
def small():
    """Return a function that builds an attack with few steps and a budget that fools a small network."""

    def build(name: str, estimator: Any, **options) -> EvasionAttack:
        row = next(row for row in ROWS if row.name == name)
        chosen = {"eps": 0.3 if row.norms[0] == inf else 1.5, **SMALL.get(name, {}), **options}
        return getattr(BUILDERS, row.attribute)(estimator, **chosen)

    return build


@pytest.fixture(scope="session")
def predicted():
    """Return a function estimator, images -> its predictions, one-hot: as labels, everything is right when clean."""

    def labels(estimator: Any, x: np.ndarray) -> np.ndarray:
        return np.eye(estimator.nb_classes, dtype=np.float32)[estimator.predict(x).argmax(1)]

    return labels
