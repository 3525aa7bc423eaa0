"""Corruption error, mCE and relative mCE, normalised by a named baseline; and the plain mean, under its own name.

Hendrycks and Dietterich, https://arxiv.org/abs/1903.12261, section 4.1:
``CE_c = sum_s E_sc / sum_s E'_sc``, relative ``CE_c = sum_s (E_sc - E_clean) / sum_s (E'_sc - E'_clean)``, where ``E'``
is the baseline's error; mCE is their mean over the corruptions, in per cent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import UsageError
from ..perturbations.corruptions.constants import SEVERITIES
from ..results import Validation
from .baselines import Baseline
from .comparison import TEST
from .rows import Row, number
from .verdicts import Verdicts, by_phase, stored_set


def mean_error(errors: Mapping[str, float]) -> float:
    """Return the plain mean over corruptions: normalised by nothing, so it is no mCE.

    :param errors: corruption -> mean error over its severities.
    """
    return float(np.mean(list(errors.values()))) if errors else float("nan")


def corruption_errors(errors: Mapping[str, float], baseline: Baseline) -> dict[str, float]:
    """Return corruption -> its error over the baseline's, in per cent, for corruptions that both have.

    :param errors: corruption -> mean error over the severities 1 to 5.
    """
    return {kind: 100 * errors[kind] / baseline.errors[kind] for kind in baseline.errors if kind in errors}


def mce(errors: Mapping[str, float], baseline: Baseline) -> float:
    """Return the mean corruption error in per cent; the baseline's own is 100.

    :param errors: corruption -> mean error over the severities 1 to 5; others than the baseline's are passed over.
    :raises UsageError: where one of the baseline's corruptions is missing: a mean over fewer is another quantity.
    """
    _refuse_missing(errors, baseline)
    return float(np.mean(list(corruption_errors(errors, baseline).values())))


def relative_mce(errors: Mapping[str, float], clean: float, baseline: Baseline) -> float:
    """Return the relative mCE in per cent: how much worse than clean the model gets, against the baseline.

    :param errors: as in :func:`mce`.
    :param clean: the error on the clean images.
    :raises UsageError: where a corruption is missing, or the baseline's clean error is not known.
    """
    _refuse_missing(errors, baseline)
    if baseline.clean is None:
        raise UsageError(f"baseline {baseline.name!r} has no clean error, which relative mCE needs: give 'clean'")
    worse = [(errors[kind] - clean) / (other - baseline.clean) for kind, other in baseline.errors.items()]
    return 100 * float(np.mean(worse))


def corruption_error_table(validation: Validation, baseline: Baseline, nb_classes: int | None) -> list[Row]:
    """Return one row a phase and set of corruptions: those that are computed, and each set on disk apart.

    Fields: phase, stored (name of the set on disk, None for computed ones), baseline, types, missing (corruptions of
    the baseline that were not judged at all five severities), n (images that all types judged), mean_error, ce
    (corruption -> per cent), mce and relative_mce (per cent; None where one is missing, or clean is not known). All are
    of the test set.

    :param nb_classes: of the data.
    :raises UsageError: where the baseline is of another number of classes.
    """
    baseline.check_classes(nb_classes)
    rows = []
    for phase, part in by_phase(validation).items():
        known = Verdicts.of(part, TEST)
        kinds = [kind for kind in known.types if kind.family == "corruptions"]
        for stored in dict.fromkeys(stored_set(kind) for kind in kinds):
            mine = {kind.type: kind.type.rpartition("/")[2] for kind in kinds if stored_set(kind) == stored}
            rows.append({"phase": phase, "stored": stored, **_row(known, mine, baseline)})
    return rows


def _row(known: Verdicts, kinds: Mapping[str, str], baseline: Baseline) -> Row:
    """Return a row for some types, type -> name of its corruption."""
    ran = [kind for kind in kinds if known.ran(kind)]
    values = np.stack([known.values(kind) for kind in ran], axis=1) if ran else np.empty((0, 0))
    judged = np.asarray(np.isfinite(values).all(axis=1))
    errors = {kinds[kind]: float(1 - values[judged, at].mean()) for at, kind in enumerate(ran)} if judged.any() else {}
    full = {kinds[kind] for kind in ran if known.severities(kind) == SEVERITIES}
    at_all = {name: error for name, error in errors.items() if name in full}
    missing = [name for name in baseline.errors if name not in at_all]
    clean = _clean_error(known, judged)
    relative = not missing and clean is not None and baseline.clean is not None
    return {
        "baseline": baseline.name,
        "types": ran,
        "missing": missing,
        "n": int(judged.sum()),
        "mean_error": number(mean_error(errors)),
        "ce": corruption_errors(at_all, baseline),
        "mce": None if missing else mce(at_all, baseline),
        "relative_mce": relative_mce(at_all, clean, baseline) if relative and clean is not None else None,
    }


def _clean_error(known: Verdicts, judged: np.ndarray) -> float | None:
    """Return the clean error of the images that were corrupted; None where they are not those of the test set."""
    clean = next((kind.type for kind in known.types if kind.family == "clean"), None)
    if clean is None or not judged.any():
        return None
    values = known.values(clean)[judged]
    return float(1 - values.mean()) if np.isfinite(values).all() else None


def _refuse_missing(errors: Mapping[str, float], baseline: Baseline) -> None:
    if missing := [kind for kind in baseline.errors if kind not in errors]:
        raise UsageError(
            f"mCE against {baseline.name!r} needs the error of {missing[0]!r} ({len(missing)} of "
            f"{len(baseline.errors)} corruptions missing); judge them all, or take the plain mean"
        )
