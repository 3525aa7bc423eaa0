"""Intervals and tests of what was measured on images.

An image is the unit: several severities of one image are not several samples, so that whatever pools severities is
resampled, or flipped, image by image. Values that are NaN are unknown and left out; where nothing is left the answer is
NaN, never 0. Intervals are 95 % unless ``confidence`` says otherwise and two-sided, and are not corrected for their
number; :func:`holm` corrects tests.

Resampling works on distinct values and their multiplicities. A sum over resampled images is a multinomial sum over
values, a sum of flipped images a binomial one: the same distributions at a fraction of the cost where values are few
(shares of right severities), and independent of the order of the images. Every draw comes from a generator made of the
seed; the global random state is neither read nor changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

Interval = tuple[float, float]

CONFIDENCE = 0.95
RESAMPLES = 9_999
FLIPS = 9_999
_CELLS = 4_000_000
"""How many drawn counts are held in memory at once."""
_DECIMALS = 12
"""Values that agree to so many decimals are one value: a third computed in two ways is no two values."""

_UNKNOWN: Interval = (float("nan"), float("nan"))


def wilson(k: float, n: float, *, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's score interval of a share, ``k`` of ``n``.

    ``k`` may be a sum of shares in [0, 1], one an image: the interval is then conservative, since no such share varies
    more than a yes or no of the same mean.

    :param k: how many are right, from 0 to ``n``.
    :param n: how many were looked at; 0 gives NaN.
    :raises ValueError: where ``k`` is not between 0 and ``n``, or ``confidence`` not between 0 and 1.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212.
    """
    z = _quantile(confidence)
    if not (np.isfinite(k) and np.isfinite(n)) or n == 0:
        return _UNKNOWN
    if not 0 <= k <= n:
        raise ValueError(f"k={k} has to lie between 0 and n={n}")
    share, penalty = k / n, z * z / n
    centre = (share + penalty / 2) / (1 + penalty)
    half = z * np.sqrt(share * (1 - share) / n + penalty / (4 * n)) / (1 + penalty)
    # On paper the share lies inside, and at 0 and 1 on the border; floating point is off by a rounding error there.
    lower, upper = min(share, float(centre - half)), max(share, float(centre + half))
    return (0.0 if k == 0 else max(0.0, lower)), (1.0 if k == n else min(1.0, upper))


def newcombe(k1: float, n1: float, k2: float, n2: float, *, confidence: float = CONFIDENCE) -> Interval:
    """Return Newcombe's hybrid score interval of ``k1/n1 - k2/n2``, two independent groups.

    :param k1: how many of the ``n1`` of the first group; ``k2`` and ``n2`` likewise. An empty group gives NaN.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10.
    """
    (lower1, upper1), (lower2, upper2) = (
        wilson(k1, n1, confidence=confidence),
        wilson(k2, n2, confidence=confidence),
    )
    if not np.isfinite([lower1, lower2]).all():
        return _UNKNOWN
    share1, share2 = k1 / n1, k2 / n2
    difference = share1 - share2
    lower = difference - float(np.hypot(share1 - lower1, upper2 - share2))
    upper = difference + float(np.hypot(upper1 - share1, share2 - lower2))
    return lower, upper


def mcnemar(gained: int, lost: int) -> float:
    """Return the two-sided p of McNemar's exact test: of the images that changed, is a gain as likely as a loss?

    :param gained: images wrong before and right after; ``lost``: right before and wrong after. None of either gives 1.

    Source: Q. McNemar, Psychometrika 12 (1947) 153-157; exact form: the binomial test at 1/2.
    """
    changed = int(gained) + int(lost)
    return 1.0 if changed == 0 else float(stats.binomtest(int(gained), changed, 0.5).pvalue)


def fisher(k1: int, n1: int, k2: int, n2: int) -> float:
    """Return the two-sided p of Fisher's exact test: are the shares ``k1/n1`` and ``k2/n2`` of two groups alike?

    An empty group gives NaN.

    Source: R. A. Fisher, J. R. Stat. Soc. 85 (1922) 87-94.
    """
    if n1 == 0 or n2 == 0:
        return float("nan")
    return float(stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]]).pvalue)


def sign_test(differences: ArrayLike) -> float:
    """Return the two-sided p of the exact sign test: is a difference above 0 as likely as one below?

    :param differences: one an image, (n,); zeros say nothing and are dropped, as is NaN. Nothing known gives NaN.
    """
    known = _known(differences)
    return mcnemar(int((known > 0).sum()), int((known < 0).sum())) if known.size else float("nan")


def sign_flip_test(values: ArrayLike, seed: int, *, flips: int = FLIPS) -> float:
    """Return the two-sided p of the sign-flip permutation test: are the values symmetric about 0, so of mean 0?

    :param values: one an image, (n,), a paired difference; NaN is left out. Nothing known gives NaN.
    :param seed: not negative; the same seed, the same p, in whatever order the values come.
    :param flips: how many times all signs are drawn; p is ``(k + 1) / (flips + 1)`` for ``k`` sums as extreme.

    Source: R. A. Fisher, The Design of Experiments (1935) 21; the count of Phipson and Smyth, arXiv 1603.05766.
    """
    known = _known(values)
    if known.size == 0:
        return float("nan")
    sizes, counts = np.unique(np.round(np.abs(known), _DECIMALS), return_counts=True)
    sizes, counts = sizes[sizes > 0], counts[sizes > 0]
    # Equal sums reached by different additions differ in their last bits; they count as equally extreme.
    observed = abs(float(known.sum())) - 1e-9 * float(sizes @ counts)
    generator = np.random.default_rng(seed)
    extreme = 0
    for block in _blocks(flips, sizes.size):
        positive = generator.binomial(counts, 0.5, size=(block, sizes.size))
        extreme += int((np.abs((2 * positive - counts) @ sizes) >= observed).sum())
    return (extreme + 1) / (flips + 1)


def bootstrap_mean(
    values: ArrayLike, seed: int, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Interval:
    """Return the percentile bootstrap interval of the mean over images.

    :param values: one an image, (n,); NaN is left out. Nothing known gives NaN; values that are all alike give an
        interval without width, which is no evidence of certainty.
    :param seed: not negative.
    """
    return _percentiles(_resampled_means(_known(values), np.random.default_rng(seed), resamples), confidence)


def paired_bootstrap(
    differences: ArrayLike, seed: int, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Interval:
    """Return the percentile bootstrap interval of the mean paired difference, after minus before of each image.

    :param differences: one an image, (n,); an image that is NaN, unknown on either side, is left out.
    """
    return bootstrap_mean(differences, seed, confidence=confidence, resamples=resamples)


def bootstrap_difference(
    a: ArrayLike, b: ArrayLike, seed: int, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Interval:
    """Return the percentile bootstrap interval of ``mean(a) - mean(b)``, two independent groups of images.

    :param a: one an image, (n,); ``b``: one an image, (m,); NaN is left out. An empty group gives NaN.
    """
    generator = np.random.default_rng(seed)
    means_a = _resampled_means(_known(a), generator, resamples)
    means_b = _resampled_means(_known(b), generator, resamples)
    return _percentiles(means_a - means_b, confidence)


def kendall(
    first: Sequence[np.ndarray],
    second: np.ndarray,
    seed: int,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = 999,
) -> tuple[float, float, float]:
    """Return Kendall's tau-b between two rankings of things by their means, and its percentile bootstrap interval.

    :param first: by which things are ranked: of each its own images' values, (n_i,); NaN is left out.
    :param second: by which they are ranked again, (things, n): values of the same images, resampled together.
    :return: tau, lower, upper; NaN where one ranking is flat.

    Source: M. G. Kendall, Biometrika 33 (1945) 239-251.
    """
    generator = np.random.default_rng(seed)
    groups = [_known(values) for values in first]
    common = second[:, np.isfinite(second).all(axis=0)]
    taus = []
    for _ in range(resamples):
        means = [generator.choice(values, values.size).mean() if values.size else np.nan for values in groups]
        taus.append(_tau(means, common[:, generator.integers(0, common.shape[1], common.shape[1])].mean(axis=1)))
    tau = _tau([values.mean() if values.size else np.nan for values in groups], common.mean(axis=1))
    known = np.array([value for value in taus if np.isfinite(value)])
    lower, upper = _percentiles(known, confidence) if known.size and np.isfinite(tau) else _UNKNOWN
    return tau, lower, upper


def _tau(first: ArrayLike, second: ArrayLike) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(stats.kendalltau(first, second).statistic)


def share_of(share: float, n: int) -> int:
    """Return how many of ``n`` a share is: the nearest whole number, a half rounded up.

    A product such as 0.35 * 10 is a bit off its half.
    """
    return int(np.floor(share * n + 0.5 + 1e-9))


def holm(pvalues: ArrayLike) -> np.ndarray:
    """Return p values adjusted by Holm's step-down method, in their order; they hold under any dependence.

    :param pvalues: of one family, (m,). NaN, a test that was not made, stays NaN and does not count.

    Source: S. Holm, Scand. J. Statist. 6 (1979) 65-70.
    """
    raw = np.asarray(pvalues, np.float64)
    adjusted = np.full(raw.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(raw))
    order = tested[np.argsort(raw[tested], kind="stable")]
    steps = raw[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def _known(values: ArrayLike) -> np.ndarray:
    flat = np.asarray(values, np.float64).ravel()
    return flat[np.isfinite(flat)]


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} has to lie between 0 and 1")
    return float(stats.norm.ppf((1 + confidence) / 2))


def _blocks(rows: int, columns: int) -> Iterator[int]:
    """Yield how many rows to draw at a time, so that no more than ``_CELLS`` counts are in memory."""
    size = max(1, _CELLS // max(1, columns))
    for start in range(0, rows, size):
        yield min(size, rows - start)


def _resampled_means(known: np.ndarray, generator: np.random.Generator, resamples: int) -> np.ndarray:
    if known.size == 0:
        return np.full(resamples, np.nan)
    distinct, counts = np.unique(np.round(known, _DECIMALS), return_counts=True)
    shares = counts / known.size
    sums = [
        generator.multinomial(known.size, shares, size=block) @ distinct for block in _blocks(resamples, distinct.size)
    ]
    return np.asarray(np.concatenate(sums) / known.size)


def _percentiles(means: np.ndarray, confidence: float) -> Interval:
    _quantile(confidence)
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(means, [tail, 1 - tail])
    return float(lower), float(upper)
