"""Strengths and weaknesses: a type's error against the mean of its family, on the same images (REVa's ρ and ν).

Judged on the held-out weak half; the same test on the tune half names the weak types that guide training, and shows no
figure.

Source: Nuhu et al., arXiv 2509.19197, section III.
"""

from __future__ import annotations

import numpy as np

from ..results import Validation
from ..statistics import holm, sign_flip_test
from .rows import LEVEL, Row, estimate, number
from .verdicts import TUNE, Verdicts, by_phase, family, shown_sets

FAMILIES = ("attacks", "corruptions")
HELD_OUT = "held_out"
MIN_TYPES = 3
"""A mean of fewer types says nothing of a family: with two, one is above it whenever the other is below."""


def weak_types(validation: Validation, *, seed: int = 0) -> list[str]:
    """Return the types that are weak on the *tune* half, in the validation's order: they guide training.

    :param validation: of the base model, with a set ``tune``; without one the list is empty.
    """
    return _named(validation, TUNE, "weakness", seed)


def weaknesses(validation: Validation, *, seed: int = 0) -> list[str]:
    """Return the types whose error on the held-out half is significantly above their family's mean."""
    return _named(validation, HELD_OUT, "weakness", seed)


def strengths(validation: Validation, *, seed: int = 0) -> list[str]:
    """Return the types whose error on the held-out half is significantly below their family's mean."""
    return _named(validation, HELD_OUT, "strength", seed)


def verdict_table(validation: Validation, *, seed: int = 0) -> list[Row]:
    """Return one row a phase and type of attacks and corruptions, judged on the held-out half.

    Fields: type, family, set, phase, n, error, family_error, difference, p, p_holm, verdict. ``n`` counts the images
    with a verdict under every type of the family; ``verdict`` is weakness, strength, neither, or none where the
    family has fewer than three types or no such image.
    """
    return [
        {**row, "set": HELD_OUT, "phase": phase}
        for phase, part in by_phase(validation).items()
        for row in _judged(Verdicts.of(part, HELD_OUT), seed)
    ]


def family_means(validation: Validation, *, seed: int = 0) -> list[Row]:
    """Return one row a phase, set and family: the mean accuracy over its types, on the images that all of them judge.

    Fields: phase, set, family, types (their number), n, accuracy, lower, upper, interval. Stored sets stand apart and
    are not in it.
    """
    rows: list[Row] = []
    for phase, part in by_phase(validation).items():
        for name in shown_sets(part):
            verdicts = Verdicts.of(part, name)
            for group in FAMILIES:
                kinds, values = _family(verdicts, group)
                if kinds:
                    shown = estimate(values.mean(axis=1), pooled=True, seed=seed)
                    rows.append({"phase": phase, "set": name, "family": group, "types": len(kinds), **shown})
    return rows


def _named(validation: Validation, name: str, verdict: str, seed: int) -> list[str]:
    found = {row["type"] for row in _judged(Verdicts.of(validation, name), seed) if row["verdict"] == verdict}
    return [kind.type for kind in validation.types if kind.type in found]


def _judged(verdicts: Verdicts, seed: int) -> list[Row]:
    rows: list[Row] = []
    for group in FAMILIES:
        kinds, values = _family(verdicts, group)
        errors = 1 - values
        means = errors.mean(axis=1) if kinds else errors
        judged = len(kinds) >= MIN_TYPES and len(values) > 0
        raw = [sign_flip_test(errors[:, at] - means, seed) if judged else np.nan for at in range(len(kinds))]
        for at, (kind, p, p_holm) in enumerate(zip(kinds, raw, holm(raw), strict=True)):
            error, family_error = (float(e.mean()) if len(values) else np.nan for e in (errors[:, at], means))
            side = "weakness" if error > family_error else "strength"
            rows.append(
                {
                    "type": kind,
                    "family": group,
                    "n": len(values),
                    "error": number(error),
                    "family_error": number(family_error),
                    "difference": number(error - family_error),
                    "p": number(p),
                    "p_holm": number(p_holm),
                    "verdict": "none" if not judged else side if p_holm < LEVEL else "neither",
                }
            )
    return rows


def _family(verdicts: Verdicts, group: str) -> tuple[list[str], np.ndarray]:
    """Return the types of a family that ran, and their values (n, types) on the images that all of them judge."""
    kinds = [kind for kind in family(verdicts.types, group) if verdicts.ran(kind)]
    if not kinds:
        return [], np.empty((0, 0))
    values = np.stack([verdicts.values(kind) for kind in kinds], axis=1)
    return kinds, values[np.isfinite(values).all(axis=1)]
