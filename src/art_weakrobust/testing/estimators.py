"""The contract of an estimator, as checks that a plugin's author can run: ``check_estimator(spec)``."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from art.estimators.classification.classifier import ClassGradientsMixin, ClassifierMixin
from art.estimators.estimator import BaseEstimator, LossGradientsMixin

from ..errors import UserError
from ..plugins import Spec
from ..protocols import ModelInfo
from .contract import (
    CHECKED,
    CLASSES,
    SHAPE,
    check_picklable,
    claim,
    host,
    images,
    same_state,
    state_of,
    untouched_generators,
)
from .networks import small_cnn

_STEP = 1e-2
"""Length of the step by which a gradient is looked at."""

TOLERANCE = 1e-5
"""By how much an output may differ where a batch is cut in another way: batches of another size add up otherwise."""


def check_estimator(spec: Spec, *, options: Mapping[str, Any] | None = None) -> None:
    """Hold an estimator to its contract, on a small network of random weights and eight images.

    It is a classifier of ART's with the shape, the classes and the range of pixels that it was told; its outputs are
    one finite row an image and depend on that image alone; gradients, where it has any, are shaped as the images,
    finite, each its image's own, and lead to a larger loss; those of classes, where it has any, are the same for one
    class, for one an image, and among all; images, labels, weights and, unless ``facts["draws"]`` is true, global
    random state are left alone; the same question has the same answer, also of a pickled and restored estimator; and
    its spec can be pickled.

    :param options: what a user may write behind its name.
    :raises AssertionError: with a sentence, for the first part that does not hold.
    """
    check_picklable(spec, "estimator")
    who, module = f"estimator {spec.name!r}", small_cnn(SHAPE, CLASSES).eval()
    info = ModelInfo(nb_classes=CLASSES, input_shape=SHAPE, name="small_cnn")
    before = state_of(module)
    with untouched_generators(f"building {who}"):
        try:
            estimator = host("estimator", spec).make("estimator", CHECKED, module, info, written=dict(options or {}))
        except UserError as error:
            raise AssertionError(f"{who} is not built around an nn.Module: {error}") from error
    _check_attributes(who, estimator)
    with nullcontext() if spec.facts.get("draws") else untouched_generators(who):
        _check_outputs(who, estimator)
        if isinstance(estimator, LossGradientsMixin):
            _check_gradients(who, estimator)
        if isinstance(estimator, ClassGradientsMixin):
            _check_class_gradients(who, estimator)
        _check_pickle(who, estimator)
    changed = same_state(before, state_of(module))
    claim(changed is None, f"{who} changes the model: {changed}")


def _check_attributes(who: str, estimator: Any) -> None:
    claim(
        isinstance(estimator, BaseEstimator) and isinstance(estimator, ClassifierMixin),
        f"{who} is a {type(estimator).__name__}, expected a classifier of ART's (BaseEstimator and ClassifierMixin)",
    )
    for name, expected in (("input_shape", SHAPE), ("nb_classes", CLASSES)):
        got = getattr(estimator, name, None)
        claim(got == expected, f"{who} has {name}={got!r}, and was told {expected!r}")
    clip = None if estimator.clip_values is None else [float(np.max(value)) for value in estimator.clip_values]
    claim(clip == [0.0, 1.0], f"{who} has clip_values={estimator.clip_values!r}, expected (0, 1)")


def _check_outputs(who: str, estimator: Any) -> None:
    x = images(8)
    given = x.copy()
    whole = np.asarray(estimator.predict(given, batch_size=8))
    claim(np.array_equal(given, x), f"{who}: predict writes into the images that it is handed: copy them first")
    claim(whole.shape == (8, CLASSES), f"{who}: predict gives {whole.shape} for 8 images and {CLASSES} classes")
    claim(whole.dtype == np.float32, f"{who}: predict gives {whole.dtype}, expected float32")
    claim(bool(np.isfinite(whole).all()), f"{who}: predict gives numbers that are not finite")
    again = np.asarray(estimator.predict(x, batch_size=8))
    claim(np.array_equal(whole, again), f"{who}: predict gives another answer to the same question")
    for size in (1, 3):
        _check_close(who, "predict", np.asarray(estimator.predict(x, batch_size=size)), whole)
    parts = [np.asarray(estimator.predict(x[rows], batch_size=8)) for rows in (slice(0, 5), slice(5, 8))]
    _check_close(who, "predict", np.concatenate(parts), whole)


def _check_gradients(who: str, estimator: Any) -> None:
    x, y = images(8), np.eye(CLASSES, dtype=np.float32)[np.arange(8) % CLASSES]
    given, labels = x.copy(), y.copy()
    whole = np.asarray(estimator.loss_gradient(given, labels))
    kept = np.array_equal(given, x) and np.array_equal(labels, y)
    claim(kept, f"{who}: loss_gradient writes into the images or labels that it is handed: copy them first")
    claim(whole.shape == x.shape, f"{who}: loss_gradient gives {whole.shape} for images of {x.shape}")
    claim(bool(np.isfinite(whole).all()), f"{who}: loss_gradient gives numbers that are not finite")
    part = np.asarray(estimator.loss_gradient(x[:3], y[:3]))
    # ART's loss is a mean over the batch: directions are what has to stay.
    _check_close(who, "loss_gradient", _directions(part), _directions(whole[:3]))
    again = np.asarray(estimator.loss_gradient(x, y))
    claim(_close(again, whole), f"{who}: loss_gradient gives another answer to the same question")
    _check_ascent(who, estimator, x, y, whole)


def _check_ascent(who: str, estimator: Any, x: np.ndarray, y: np.ndarray, gradient: np.ndarray) -> None:
    claim(bool(gradient.any()), f"{who}: loss_gradient is zero for every image")
    step = _STEP * _directions(gradient)
    try:
        up, down = (np.asarray(estimator.compute_loss(np.float32(x + s), y)).reshape(-1) for s in (step, -step))
    except (NotImplementedError, AttributeError, UserError):
        return  # it need not have one, and not every loss has one a sample
    claim(
        float((up - down).mean()) >= -TOLERANCE,
        f"{who}: loss_gradient leads to a smaller loss: attacks go along it, and want a larger one",
    )


def _check_class_gradients(who: str, estimator: Any) -> None:
    x, labels = images(8), np.arange(8) % CLASSES
    given = x.copy()
    every = np.asarray(estimator.class_gradient(given))
    claim(np.array_equal(given, x), f"{who}: class_gradient writes into the images that it is handed: copy them first")
    expected = (len(x), CLASSES, *x.shape[1:])
    claim(every.shape == expected, f"{who}: class_gradient gives {every.shape} for all classes, expected {expected}")
    claim(bool(np.isfinite(every).all()), f"{who}: class_gradient gives numbers that are not finite")
    _check_close(who, "class_gradient", np.asarray(estimator.class_gradient(x[:3])), every[:3])
    for label, wanted in ((1, every[:, 1]), (labels, every[np.arange(8), labels])):
        one = np.asarray(estimator.class_gradient(x, label))
        same = one.shape == (len(x), 1, *x.shape[1:]) and _close(one[:, 0], wanted)
        claim(same, f"{who}: class_gradient with label={label!r} is not what it gives among all classes")


def _directions(gradient: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(gradient.reshape(len(gradient), -1), axis=1).reshape(-1, 1, 1, 1)
    return np.asarray(gradient / np.where(length == 0, 1, length))


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max() <= TOLERANCE * max(float(np.abs(b).max()), float(np.finfo(np.float32).tiny)))


def _check_close(who: str, method: str, part: np.ndarray, whole: np.ndarray) -> None:
    apart = float(np.abs(part - whole).max())
    claim(
        apart <= TOLERANCE * max(1.0, float(np.abs(whole).max())),
        f"{who}: {method} gives another answer in batches of another size (apart by {apart:.2g}): what an image gets "
        f"has to be its own",
    )


def _check_pickle(who: str, estimator: Any) -> None:
    x = images(8)
    try:
        again = pickle.loads(pickle.dumps(estimator))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(f"{who} cannot be pickled: {error}") from error
    with torch.no_grad():
        same = np.array_equal(again.predict(x, batch_size=8), estimator.predict(x, batch_size=8))
    claim(same, f"{who} gives other answers after a pickle")
    if isinstance(estimator, LossGradientsMixin):
        y = np.eye(CLASSES, dtype=np.float32)[np.arange(8) % CLASSES]
        gradients = (np.asarray(each.loss_gradient(x, y)) for each in (again, estimator))
        claim(_close(*gradients), f"{who} gives other gradients after a pickle")
