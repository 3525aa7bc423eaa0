"""Robustness distributions: how adversarial distances are spread over samples, and the security curve made of them.

A censored distance lies beyond what was looked at, and is counted as that and no less. Source: Bosman et al., JAIR
2025, who found distances log-normal for most networks. Imports neither torch nor ART.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from ..results import Table, column
from ..statistics import censored_normal, kaplan_meier, wilson

_KNOWN = ("ok", "censored", "misclassified")
_POINTS = 25
"""Budgets of a security curve, beside none: quantiles of the distances."""


@dataclass(frozen=True)
class LogNormal:
    """A law of distances: their logarithms are normal.

    :param mu: mean of the logarithms.
    :param sigma: their standard deviation.
    :param ks: goodness of fit: the largest gap between the law and the Kaplan-Meier estimate, from 0, a perfect fit.
    :param p: share of samples drawn from the law itself and fitted anew whose gap is at least as large: below .05 the
        law does not describe the distances.
    """

    mu: float
    sigma: float
    ks: float
    p: float

    @property
    def median(self) -> float:
        """The distance that half of the samples do not reach."""
        return float(np.exp(self.mu))


@dataclass(frozen=True)
class RobustnessDistribution:
    """The empirical distribution of distances, with censoring respected.

    :param eps: distances at which it rises, (k,).
    :param within: share of samples with an adversarial within each, (k,); what lies beyond the last is not known.
    :param lower: of its 95 % interval, (k,); ``upper`` likewise.
    :param n: how many samples it is made of; ``censored``: how many of them have no distance.
    """

    eps: np.ndarray
    within: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n: int
    censored: int


def robustness_distribution(distance: ArrayLike, eps_max: ArrayLike) -> RobustnessDistribution:
    """Return the share of samples with an adversarial within each distance (Kaplan and Meier).

    :param distance: (n,), NaN where none was found within ``eps_max``.
    :param eps_max: how far was looked, one number or (n,); a sample whose ``eps_max`` is NaN as well is left out.
    """
    value, seen = _censored(distance, eps_max)
    at, share, lower, upper = kaplan_meier(value, seen)
    known = np.isfinite(value)
    return RobustnessDistribution(at, 1 - share, 1 - upper, 1 - lower, int(known.sum()), int((known & ~seen).sum()))


def fit_lognormal(distance: ArrayLike, eps_max: ArrayLike, seed: int = 0, draws: int = 199) -> LogNormal:
    """Return the log-normal law of most likelihood, and how well it fits; NaN with fewer than two distinct distances.

    Parameters are those of :func:`robustness_distribution` but for these:

    :param seed: of the draws that ``p`` is made of; the global random state is neither read nor changed.
    :param draws: how many data sets are drawn from the law and fitted anew; 0 leaves ``p`` NaN.
    """
    value, seen = _censored(distance, eps_max)
    known = np.isfinite(value) & (value > 0)
    value, seen = np.log(value[known]), seen[known]
    mu, sigma = censored_normal(value, seen)
    if not np.isfinite(mu):
        return LogNormal(np.nan, np.nan, np.nan, np.nan)
    gap, limit = _gap(value, seen, mu, sigma), np.where(seen, np.inf, value).min(initial=np.inf)
    generator, larger = np.random.default_rng(seed), 0
    for _ in range(draws):
        drawn = generator.normal(mu, sigma, value.size)
        drawn, there = np.minimum(drawn, limit), drawn <= limit
        law = censored_normal(drawn, there)
        larger += not np.isfinite(law[0]) or _gap(drawn, there, *law) >= gap
    return LogNormal(mu, sigma, gap, (larger + 1) / (draws + 1) if draws else np.nan)


def security_curve(distances: Table, ids: ArrayLike) -> list[dict[str, object]]:
    """Return accuracy against the budget: rows phase, norm, eps, accuracy, lower, upper, n, with Wilson's interval.

    Nothing is asked of a model: a sample is right at a budget below its distance. One that is misclassified is wrong at
    any budget; one whose distance is unknown is left out. Beyond the nearest censoring there is no point.

    :param distances: rows of :data:`~art_weakrobust.results.DISTANCES`.
    :param ids: of the samples it is made of: a group that is representative of what it stands for.
    """
    mine = np.isin(column(distances, "index"), np.asarray(ids))
    phase, norm = (column(distances, name).astype(str) for name in ("phase", "norm"))
    rows: list[dict[str, object]] = []
    for key in dict.fromkeys(zip(phase[mine], norm[mine], strict=True)):
        chosen = mine & (phase == key[0]) & (norm == key[1])
        rows += [{"phase": key[0], "norm": key[1], **point} for point in _curve(distances, chosen)]
    return rows


def _curve(distances: Table, chosen: np.ndarray) -> list[dict[str, object]]:
    status = column(distances, "status").astype(str)[chosen]
    distance = column(distances, "distance").astype(np.float64)[chosen]
    known = np.isin(status, _KNOWN)
    if not (status == "ok").any():
        return []
    reaches = np.where(status == "censored", np.inf, np.where(status == "misclassified", 0.0, distance))[known]
    found = np.sort(reaches[np.isfinite(reaches) & (reaches > 0)])
    budgets = [0.0, *np.unique(np.quantile(found, np.linspace(0, 1, _POINTS), method="higher"))]
    points: list[dict[str, object]] = []
    for eps in budgets:
        right, n = int((reaches > eps).sum()), reaches.size
        lower, upper = wilson(right, n)
        points.append({"eps": float(eps), "accuracy": right / n, "lower": lower, "upper": upper, "n": n})
    return points


def _censored(distance: ArrayLike, eps_max: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each sample is known to be right, and whether it is known where it is not."""
    value = np.asarray(distance, np.float64).ravel()
    seen = np.isfinite(value)
    return np.where(seen, value, np.broadcast_to(np.asarray(eps_max, np.float64), value.shape)), seen


def _gap(value: np.ndarray, seen: np.ndarray, mu: float, sigma: float) -> float:
    """Return the largest gap between a normal law and the Kaplan-Meier estimate, before and after each of its steps."""
    at, share, _, _ = kaplan_meier(value, seen)
    law, within = ndtr((at - mu) / sigma), 1 - share
    return float(np.maximum(np.abs(law - within), np.abs(law - np.append(0, within[:-1]))).max())
