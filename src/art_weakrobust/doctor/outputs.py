"""Are the outputs logits, finite, and good for anything?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..statistics import wilson
from .finding import Finding
from .patient import Patient, percent


def output_kind(patient: Patient) -> Iterator[Finding]:
    """Find outputs that are not finite, or probabilities where logits are needed."""
    outputs = patient.outputs
    if not np.isfinite(outputs).all():
        bad = int((~np.isfinite(outputs)).any(axis=1).sum())
        yield Finding(
            "outputs-not-finite",
            "error",
            f"The outputs of {bad} of {len(outputs)} images are NaN or infinite.",
            "Check the weights, and the range of the pixels.",
        )
        return
    sums = outputs.sum(axis=1)
    if outputs.shape[1] > 1 and outputs.min() >= 0 and np.abs(sums - 1).max() < 1e-3 and patient.module is not None:
        yield Finding(
            "outputs-probabilities",
            "warning",
            "The outputs of every image are in [0, 1] and sum to 1: probabilities, not logits.",
            "Leave the softmax out of the model: cross-entropy on probabilities has flat gradients, and attacks fail.",
        )


def clean_accuracy(patient: Patient) -> Iterator[Finding]:
    """Find an accuracy that is no better than chance, or below what is published."""
    n, right = len(patient.x), int(patient.right.sum())
    low, high = wilson(right, n)
    seen = f"{percent(patient.accuracy)} of {n} samples are right (95 % interval {percent(low)} to {percent(high)})"
    if low <= patient.chance:
        yield Finding(
            "accuracy-chance",
            "warning",
            f"{seen}, and the commonest label alone would get {percent(patient.chance)}.",
            "Check that weights were loaded, and that model and data belong together.",
        )
    elif patient.published is not None and high < patient.published - 0.01:
        yield Finding(
            "accuracy-published",
            "warning",
            f"{seen}, and {percent(patient.published)} are published.",
            "Check weights, size, normalisation and class numbers against the publication.",
        )
