"""The examination: every check on one small slice, in an order in which each can rely on those before it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from art.estimators.estimator import LossGradientsMixin

from ..errors import UserError
from ..estimators.modes import evaluating
from .budgets import budget_scale
from .finding import Diagnosis, Finding, sorted_findings
from .gradients import gradients
from .inputs import input_form
from .labels import label_format, label_order, label_range
from .modes import company, determinism, training_mode
from .outputs import clean_accuracy, output_kind
from .patient import Budget, Patient
from .pixels import pixels

Check = Callable[[Patient], Iterator[Finding]]

SLICE = 512
"""Most samples that are looked at; fewer of large images, so that it stays a matter of seconds."""
_FEWEST, _PIXELS = 64, 512 * 3 * 40 * 40

BEFORE: Mapping[str, Check] = MappingProxyType(
    {"pixels": pixels, "labels": label_format, "budgets": budget_scale, "mode": training_mode}
)
"""Checks that need no answer of the model; after an error of the first two the model is not asked."""

ASKING: Mapping[str, Check] = MappingProxyType(
    {
        "outputs": output_kind,
        "label range": label_range,
        "determinism": determinism,
        "batch dependence": company,
        "label order": label_order,
        "input form": input_form,
        "accuracy": clean_accuracy,
        "gradients": gradients,
    }
)
"""Checks that ask the model."""

_VOIDED: Mapping[str, Collection[str]] = MappingProxyType(
    {"outputs-not-finite": ASKING.keys(), "labels-range": ASKING.keys(), "labels-order": ("input form",)}
)
"""Finding -> the checks that it leaves nothing to say to."""


def diagnose(
    estimator: Any, x: np.ndarray, y: np.ndarray, *, budgets: Sequence[Budget] = (), published: float | None = None
) -> list[Finding]:
    """Return what is wrong with a model and a slice of its data, the gravest first; an empty list is a clean bill.

    :param estimator: ART-compatible; it is left as it was.
    :param x: images (n, c, h, w), as they will be given to it; some hundred are enough.
    :param y: labels (n,), or one-hot (n, classes).
    :param budgets: norm and eps of the attacks to come.
    :param published: clean accuracy in [0, 1] that is published for the model on these data.
    """
    return list(examine(estimator, x, y, budgets=budgets, published=published).findings)


def examine(
    estimator: Any, x: np.ndarray, y: np.ndarray, *, budgets: Sequence[Budget] = (), published: float | None = None
) -> Diagnosis:
    """Return findings, checks that passed, and checks that could not be made; parameters as for :func:`diagnose`."""
    x, y = np.asarray(x), np.asarray(y)
    if len(y) == len(x):
        x, y = x[:SLICE], y[:SLICE]
    patient = Patient(estimator, x, y, tuple(budgets), published)
    skipped = {} if patient.module else {"mode": "the estimator is a black box"}
    findings, passed, not_run = _made(patient, BEFORE, skipped)
    if any(finding.severity == "error" and finding.code.startswith(("pixels", "labels")) for finding in findings):
        not_run |= dict.fromkeys(ASKING, "pixels or labels have to be mended first")
    else:
        patient = replace(patient, x=np.ascontiguousarray(x, dtype=np.float32))
        with evaluating(patient.module) if patient.module else nullcontext():
            more, fine, skipped = _asked(patient)
        findings, passed, not_run = [*findings, *more], [*passed, *fine], not_run | skipped
    return Diagnosis(sorted_findings(findings), tuple(passed), not_run, len(x))


def slice_size(shape: tuple[int, ...]) -> int:
    """Return how many images of a shape (c, h, w) an examination asks for."""
    return int(np.clip(_PIXELS // max(1, int(np.prod(shape))), _FEWEST, SLICE))


def _asked(patient: Patient) -> tuple[list[Finding], list[str], dict[str, str]]:
    try:
        patient.outputs.shape[1]
    except UserError:
        raise
    except Exception as error:
        cause = " ".join(str(error).split())[:300]
        finding = Finding(
            "input-size",
            "error",
            f"The model does not take images of shape {patient.x.shape[1:]}: {cause}",
            "Resize and crop the images (--resize, --crop), or choose a model for their size.",
        )
        return [finding], [], dict.fromkeys(ASKING, "the model does not run on these images")
    skipped = {}
    if not isinstance(patient.estimator, LossGradientsMixin):
        skipped["gradients"] = "the estimator gives no gradients"
    return _made(patient, ASKING, skipped)


def _made(
    patient: Patient, checks: Mapping[str, Check], skipped: Mapping[str, str]
) -> tuple[list[Finding], list[str], dict[str, str]]:
    findings: list[Finding] = []
    passed: list[str] = []
    not_run: dict[str, str] = {}
    for name, check in checks.items():
        void = next((finding.code for finding in findings if name in _VOIDED.get(finding.code, ())), None)
        if name in skipped or void is not None:
            not_run[name] = skipped.get(name) or f"nothing can be said after {void}"
            continue
        found = list(check(patient))
        findings += found
        if not found:
            passed.append(name)
    return findings, passed, not_run
