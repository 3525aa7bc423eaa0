"""Do labels and outputs speak of the same classes?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linear_sum_assignment

from .finding import Finding
from .patient import Patient, percent

_NEAR_ONE, _FAR_BELOW = 0.6, 0.5
"""Accuracy under another reading of the labels that gives it away, and how far below it the accuracy as read lies."""


def label_format(patient: Patient) -> Iterator[Finding]:
    """Find labels that are no class indices: soft, fractional, or too many for the images."""
    y = np.asarray(patient.y)
    if len(y) != len(patient.x):
        yield Finding(
            "labels-count",
            "error",
            f"There are {len(y)} labels for {len(patient.x)} images.",
            "Give one label an image.",
        )
    elif y.ndim == 2 and y.shape[1] > 1:
        if not (((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()):
            yield Finding(
                "labels-one-hot",
                "error",
                f"The labels have shape {y.shape} but their rows are not a single 1, else 0.",
                "Give class indices, or one-hot rows.",
            )
    elif y.dtype.kind not in "iufb" or (y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.rint(y)).all())):
        yield Finding(
            "labels-type",
            "error",
            f"The labels are of type {y.dtype} and not whole numbers.",
            "Give class indices from 0: soft labels have no one right answer.",
        )
    elif y.ndim > 2:
        yield Finding("labels-shape", "error", f"The labels have shape {y.shape}.", "Give class indices (n,).")


def label_range(patient: Patient) -> Iterator[Finding]:
    """Find labels that are no class of the model."""
    classes = patient.outputs.shape[1]
    low, high = int(patient.labels.min()), int(patient.labels.max())
    if low < 0 or high >= classes:
        yield Finding(
            "labels-range",
            "error",
            f"Labels run from {low} to {high}, and the model has the classes 0 to {classes - 1}.",
            "Correct the labels, or choose the model that was trained on them.",
        )


def label_order(patient: Patient) -> Iterator[Finding]:
    """Find labels that are right under another numbering: shifted by an offset, or permuted.

    A permutation is learnt on half of the samples and judged on the other half, where enough of each class are there.
    """
    found = _offset(patient) or _permutation(patient)
    if found is not None:
        how, accuracy = found
        yield Finding(
            "labels-order",
            "error",
            f"{percent(patient.accuracy)} of {len(patient.x)} samples are right, and {percent(accuracy)} {how}.",
            "Number the classes as the model does: compare class_names with those that it was trained with.",
        )


def _offset(patient: Patient) -> tuple[str, float] | None:
    predicted, classes = patient.outputs.argmax(axis=1), patient.outputs.shape[1]
    shifts = np.bincount((predicted - patient.labels) % classes, minlength=classes)
    shift = int(shifts[1:].argmax()) + 1
    accuracy = float(shifts[shift] / len(predicted))
    if not _gives_away(accuracy, patient.accuracy):
        return None
    return f"once the labels are shifted by {shift if shift <= classes // 2 else shift - classes:+d}", accuracy


def _permutation(patient: Patient) -> tuple[str, float] | None:
    predicted, classes = patient.outputs.argmax(axis=1), patient.outputs.shape[1]
    learn, judge = slice(0, None, 2), slice(1, None, 2)
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (patient.labels[learn], predicted[learn]), 1)
    meant = np.empty(classes, np.int64)
    rows, columns = linear_sum_assignment(-counts)
    meant[rows] = columns
    accuracy = float((meant[patient.labels[judge]] == predicted[judge]).mean())
    return ("under the best renumbering", accuracy) if _gives_away(accuracy, patient.accuracy) else None


def _gives_away(accuracy: float, as_read: float) -> bool:
    return accuracy >= _NEAR_ONE and as_read <= _FAR_BELOW * accuracy
