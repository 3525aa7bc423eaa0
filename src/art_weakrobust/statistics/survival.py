"""Distances or times of which some are known only to lie beyond: censored."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from .inference import CONFIDENCE, wilson


def kaplan_meier(
    values: ArrayLike, observed: ArrayLike, *, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return where a survival function falls, (k,), its value beyond each of these, and both ends of its interval.

    :param values: distances or times, (n,); NaN is left out.
    :param observed: bool (n,): False where it is known only that the true value lies beyond, that is censored.

    The interval is Wilson's for as many images as would give the variance by Greenwood; without censoring that is n.
    Source: E. L. Kaplan and P. Meier, J. Am. Stat. Assoc. 53 (1958) 457-481; K. J. Rothman, J. Chronic Dis. 31 (1978)
    557-560.
    """
    value, seen = np.asarray(values, np.float64), np.asarray(observed, bool)
    value, seen = value[np.isfinite(value)], seen[np.isfinite(value)]
    at, deaths = np.unique(value[seen], return_counts=True)
    risk = (value >= at[:, None]).sum(axis=1)
    share = np.cumprod(1 - deaths / risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.cumsum(deaths / (risk * (risk - deaths)))  # Greenwood's variance over the square of the share
        size = np.where(share > 0, (1 - share) / (share * relative), value.size)
    ends = [wilson(s * n, n, confidence=confidence) for s, n in zip(share, size, strict=True)]
    lower, upper = np.reshape(np.asarray(ends, np.float64), (-1, 2)).T
    return at, share, lower, upper


def censored_normal(values: ArrayLike, observed: ArrayLike) -> tuple[float, float]:
    """Return mean and deviation of a normal law by maximum likelihood, NaN with fewer than two distinct values.

    Parameters are those of :func:`kaplan_meier`.
    """
    value, seen = np.asarray(values, np.float64), np.asarray(observed, bool)
    value, seen = value[np.isfinite(value)], seen[np.isfinite(value)]
    if np.unique(value[seen]).size < 2:
        return np.nan, np.nan
    start = float(value[seen].mean()), float(value[seen].std())
    if seen.all():
        return start

    def loss(law: np.ndarray) -> float:
        z = (value - law[0]) / np.exp(law[1])
        return float(-(stats.norm.logpdf(z[seen]) - law[1]).sum() - stats.norm.logsf(z[~seen]).sum())

    found = optimize.minimize(loss, (start[0], np.log(start[1])), method="Nelder-Mead", options={"xatol": 1e-6}).x
    return float(found[0]), float(np.exp(found[1]))
