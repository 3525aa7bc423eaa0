"""Does the model give the same answer twice, alone and in company?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..estimators.modes import evaluating
from .finding import Finding
from .patient import Patient

_COMPANY, _SAME = 8, 1e-3


def training_mode(patient: Patient) -> Iterator[Finding]:
    """Find modules in training mode: before evaluation a warning, after ``eval()`` an error."""
    module = patient.module
    if module is None:
        return
    if module.training:
        yield Finding(
            "mode-train",
            "warning",
            "The model is in training mode, as every fresh module is, and as ART's fit leaves it.",
            "Nothing: evaluation mode is used here; call model.eval() where you predict on your own.",
        )
    with evaluating(module):
        stubborn = [name or type(module).__name__ for name, part in module.named_modules() if part.training]
    if stubborn:
        yield Finding(
            "mode-stubborn",
            "error",
            f"{len(stubborn)} modules stay in training mode after eval(), {stubborn[0]!r} first.",
            "Let eval() reach them: call super().train(mode) where train() is overridden.",
        )


def determinism(patient: Patient) -> Iterator[Finding]:
    """Find outputs that differ between two passes over the same images."""
    again = patient.says(patient.x)
    difference = float(np.abs(again - patient.outputs).max())
    if difference > _SAME:
        changed = int((again.argmax(axis=1) != patient.outputs.argmax(axis=1)).sum())
        yield Finding(
            "outputs-random",
            "error",
            f"Two passes over the same {len(again)} images differ by up to {difference:.3g}; "
            f"{changed} predictions change.",
            "Find what draws in evaluation mode, a functional dropout say; a randomised defence needs expectation over "
            "transformation, which is not offered here.",
        )


def company(patient: Patient) -> Iterator[Finding]:
    """Find outputs that depend on the other images of the batch, as batch norm's do in training mode."""
    few = patient.x[:_COMPANY]
    apart = np.concatenate([patient.says(few[i : i + 1]) for i in range(len(few))])
    together = patient.outputs[:_COMPANY]
    difference = float(np.abs(apart - together).max() / max(1.0, float(np.abs(together).max())))
    if difference > _SAME:
        yield Finding(
            "outputs-batch",
            "error",
            f"Outputs of an image alone and in a batch differ by {difference:.3g} of the largest.",
            "Batch norm has to use its running statistics in evaluation mode: check track_running_stats and eval().",
        )
