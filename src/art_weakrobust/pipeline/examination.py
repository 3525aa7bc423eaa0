"""The doctor's round before a run: a slice of the samples to be scored, and the budgets of the attacks to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..datasets.base import ids_of
from ..doctor.examine import examine, slice_size
from ..doctor.finding import Diagnosis, Finding
from ..doctor.patient import Budget
from ..errors import UsageError
from ..protocols import Dataset, Estimator
from ..store import Run
from ..store.layout import MANIFEST
from .context import Context


def before_scoring(out: Path, context: Context, stages: Sequence[str], *, force: bool = False) -> Diagnosis | None:
    """Examine what is about to be scored; None where nothing is, or where it was scored already.

    :raises UsageError: where the doctor finds an error, unless ``--ignore-doctor``; nothing has been written then.
    """
    if "score" not in stages or (not force and _is_scored(out)):
        return None
    diagnosis = diagnosed(context, stages)
    if not context.options.ignore_doctor:
        refuse_errors(diagnosis, "--ignore-doctor")
    return diagnosis


def diagnosed(context: Context, stages: Sequence[str]) -> Diagnosis:
    """Examine the model and the data of a run, with the budgets of its attacks where it validates."""
    attacks = context.attacks if "before" in stages else ()
    budgets = [(attack.threat.norm, attack.threat.eps) for attack in attacks]
    halved_by = getattr(context.whole, "halved_by", None)
    return examined(context.base, context.train, budgets, published=context.info.published, halved_by=halved_by)


def _is_scored(out: Path) -> bool:
    if not (out / MANIFEST).exists():
        return False
    with Run.open(out, write=False) as run:
        return bool(run.manifest["stages"].get("score", {}).get("status") == "done")


def examined(
    estimator: Estimator,
    data: Dataset,
    budgets: Sequence[Budget],
    published: float | None = None,
    halved_by: int | None = None,
) -> Diagnosis:
    """Examine an estimator on samples of ``data``, evenly spread over its order.

    :param budgets: norm and eps of the attacks that will be run.
    :param published: clean accuracy in [0, 1] that is published for the model, or None.
    :param halved_by: the seed by which the test set is drawn, where it is half of the one split there is; noted, as
        whoever reads the figures has to know.
    """
    ids = ids_of(data)
    shape = getattr(data, "input_shape", None) or data.take(ids[:1]).x.shape[1:]
    places = np.linspace(0, len(ids) - 1, min(len(ids), slice_size(shape))).astype(np.int64)
    samples = data.take(ids[np.unique(places)])
    diagnosis = examine(estimator, samples.x, samples.y, budgets=budgets, published=published)
    return diagnosis if halved_by is None else replace(diagnosis, findings=(*diagnosis.findings, _halved(halved_by)))


def _halved(seed: int) -> Finding:
    return Finding(
        "one-split",
        "note",
        f"The data are one split: half of it, stratified and drawn with seed {seed}, is the test set.",
        "Give a test set where there is one, or other seeds to see how much the draw matters.",
    )


def refuse_errors(diagnosis: Diagnosis, how: str) -> None:
    """Stop before an hour is spent on figures that would mean nothing.

    :param how: how to go on all the same: ``--ignore-doctor``.
    :raises UsageError: with the first error that was found, and what to do.
    """
    if not diagnosis.errors:
        return
    first, *more = diagnosis.errors
    others = f" (and {len(more)} more: {', '.join(finding.code for finding in more)})" if more else ""
    raise UsageError(f"the doctor found {first.code}{others}: {first.seen} {first.do} {how} goes on all the same")
