"""Do a model and its data belong together? From what is known of both, and then from one image."""

from __future__ import annotations

import numpy as np

from ..datasets.base import ids_of, labels_of
from ..errors import DataError, ModelError, UserError
from ..protocols import Dataset, Estimator, ModelInfo


def check_info_on_data(info: ModelInfo, data: Dataset, name: str, *, sized: bool = False) -> None:
    """Hold what is known of a model against what is known of the data; nothing is run.

    :param info: what it does not say is not checked.
    :param name: the model, as the user wrote it.
    :param sized: whether the user chose the size of the images, which then may be another than the model's own.
    :raises ModelError: for another number of channels or classes, or images of another size.
    :raises DataError: where a label is outside the model's classes.
    """
    where, shape = getattr(data, "name", "the data"), getattr(data, "input_shape", None)
    if info.input_shape is not None and shape is not None:
        told = f"model {name!r} takes images of shape {info.input_shape}, and {where} has {tuple(shape)}"
        if shape[0] != info.input_shape[0]:
            raise ModelError(f"{told}: other channels; choose data of the kind that it was made for")
        if not sized and tuple(shape) != tuple(info.input_shape):
            side = info.input_shape[1]
            raise ModelError(
                f"{told}; bring them to its size (--resize {info.resize or side} --crop {side}, from data in files), "
                "or choose another model"
            )
    if info.nb_classes is None:
        return
    _check_classes(data, info.nb_classes, name)


def check_model_on_data(estimator: Estimator, data: Dataset, name: str) -> None:
    """Run one image through the model, and hold its classes against the labels.

    :raises ModelError: where the model cannot take the images, or knows another number of classes than the data name.
    :raises DataError: where a label is outside the model's classes.
    """
    samples = data.take(ids_of(data)[:1])
    try:
        logits = np.asarray(estimator.predict(samples.x))
    except UserError:
        raise
    except Exception as error:
        cause = " ".join(str(error).split())[:300]
        raise ModelError(f"model {name!r} cannot take images of shape {samples.x.shape[1:]}: {cause}") from error
    if logits.ndim != 2 or len(logits) != 1:
        raise ModelError(f"model {name!r} gives outputs of shape {logits.shape} for one image, expected (1, classes)")
    if not np.isfinite(logits).all():
        raise ModelError(f"model {name!r} gives outputs that are not finite for the first image: check its weights")
    _check_classes(data, logits.shape[1], name)


def _check_classes(data: Dataset, classes: int, name: str) -> None:
    """Labels without names may be some of a model's classes; as many names as it has classes are no accident."""
    labels, named = labels_of(data), len(getattr(data, "class_names", ()))
    if labels.max() >= classes:
        where = f"{getattr(data, 'name', 'data')}: sample {ids_of(data)[labels.argmax()]} has the label {labels.max()}"
        raise DataError(
            f"{where}, outside the {classes} classes of model {name!r}; correct the labels, or choose another model"
        )
    if named and named != classes:
        raise ModelError(
            f"model {name!r} knows {classes} classes, and {getattr(data, 'name', 'the data')} has {named}; choose a "
            "model for these classes (some of ImageNet's folders are imagenet:ROOT, which keeps their numbers)"
        )
