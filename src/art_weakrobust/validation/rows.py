"""What every table's row is made of: an estimate with its interval, a paired change with its test."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..results import Finetuning, PerturbationType
from ..statistics import bootstrap_difference, bootstrap_mean, mcnemar, newcombe, paired_bootstrap, sign_test, wilson

Row = dict[str, Any]
"""One row of a table: field name -> plain Python value."""

LEVEL = 0.05
"""A verdict follows a corrected p below this."""
_SAME = 1e-12
"""Shares closer than this are one share: 0.6 - 0.4 and 0.8 - 0.6 differ in their last bits."""


def number(value: float) -> float | None:
    """Return a plain float, None for NaN: what JSON and people can read."""
    return float(value) if np.isfinite(value) else None


def described(kind: PerturbationType, finetuning: Finetuning | None) -> Row:
    """Return type, family, group, origin and trained: whether training drew it, None where there was no training."""
    trained = None if finetuning is None else finetuning.trained(kind)
    return {"type": kind.type, "family": kind.family, "group": kind.group, "origin": kind.origin, "trained": trained}


def estimate(values: np.ndarray, *, pooled: bool, seed: int) -> Row:
    """Return n, accuracy, lower, upper and interval of the mean of some images.

    :param values: share of right verdicts an image, (n,), NaN where unknown.
    :param pooled: whether an image has several verdicts (severities, types): bootstrap over images, else Wilson.
        Where all images are alike, a bootstrap has no width, and Wilson's interval, conservative for shares, stands in.
    """
    known = values[np.isfinite(values)]
    bootstrap = pooled and np.ptp(known) > _SAME if known.size else False
    total = float(known.sum())
    lower, upper = bootstrap_mean(known, seed) if bootstrap else wilson(min(total, known.size), known.size)
    return {
        "n": int(known.size),
        "accuracy": number(total / known.size if known.size else np.nan),
        "lower": number(lower),
        "upper": number(upper),
        "interval": "bootstrap" if bootstrap else "wilson",
    }


def excess(weak: np.ndarray, control: np.ndarray, *, pooled: bool, seed: int) -> Row:
    """Return n_weak, n_control, weak_error, control_error, excess, lower, upper and interval of two groups of images.

    :param weak: error an image, (n,), NaN where unknown; ``control`` likewise.
    :param pooled: as in :func:`estimate`; two-sample bootstrap, else Newcombe.
    """
    weak, control = weak[np.isfinite(weak)], control[np.isfinite(control)]
    filled = weak.size > 0 and control.size > 0
    bootstrap = pooled and filled and (np.ptp(weak) > _SAME or np.ptp(control) > _SAME)
    lower, upper = (
        bootstrap_difference(weak, control, seed)
        if bootstrap
        else newcombe(min(weak.sum(), weak.size), weak.size, min(control.sum(), control.size), control.size)
    )
    errors = [float(group.mean()) if group.size else np.nan for group in (weak, control)]
    return {
        "n_weak": int(weak.size),
        "n_control": int(control.size),
        "weak_error": number(errors[0]),
        "control_error": number(errors[1]),
        "excess": number(errors[0] - errors[1]),
        "lower": number(lower),
        "upper": number(upper),
        "interval": "bootstrap" if bootstrap else "newcombe",
    }


def change(before: np.ndarray, after: np.ndarray, *, pooled: bool, seed: int) -> Row:
    """Return n, before, after, change, lower, upper, gained, lost, test and p of a paired comparison.

    :param before: share of right verdicts an image, (n,), NaN where unknown; ``after``: of the same images.
    :param pooled: whether an image has several verdicts: exact sign test over images, else McNemar's exact test.
        Where no image changed, or all by as much, the paired bootstrap has no width: lower and upper are None.
    """
    known = np.isfinite(before) & np.isfinite(after)
    before, after = before[known], after[known]
    differences = after - before
    gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
    n = int(known.sum())
    spread = n > 0 and np.ptp(differences) > _SAME
    lower, upper = paired_bootstrap(differences, seed) if spread else (np.nan, np.nan)
    p = (sign_test(differences) if pooled else mcnemar(gained, lost)) if n else np.nan
    return {
        "n": n,
        "before": number(before.mean()) if n else None,
        "after": number(after.mean()) if n else None,
        "change": number(differences.mean()) if n else None,
        "lower": number(lower),
        "upper": number(upper),
        "gained": gained,
        "lost": lost,
        "test": "sign" if pooled else "mcnemar",
        "p": number(p),
    }


def direction(row: Row, p_holm: float | None) -> str:
    """Return ``better``, ``worse``, ``no_evidence``, or ``not run`` for a row of :func:`change` and its corrected p.

    The sign test looks at how many images rose and fell, the change at by how much; where they disagree, neither is
    evidence.
    """
    if p_holm is None:
        return "not run"
    if p_holm < LEVEL and row["change"] * (row["gained"] - row["lost"]) > 0:
        return "better" if row["change"] > 0 else "worse"
    return "no_evidence"
