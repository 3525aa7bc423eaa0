"""Which radius tells samples apart: too small, and no neighbor is wrong; too large, and all are.

REVa's 0.22 in Linf leaves most CIFAR-10 images of a standard network wrong on every neighbor, 8/255 leaves five in six
wrong on none of fifty: the score is of use between. :func:`suggest_radius` measures the share of samples with at least
one error nearby, radius by radius, with the same noise scaled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets.arrays import as_dataset
from ..datasets.base import ids_of
from ..errors import DataError, UsageError
from ..estimators.plan import BATCH_SIZE
from ..kernels import keyed
from ..plugins.manager import Manager
from ..protocols import Dataset, Estimator
from ..results import Samples, column
from ..statistics import wilson
from ..threat import parse_norm
from .neighborhood_clean import CleanRows
from .neighborhood_draws import NeighborRows
from .neighborhood_source import GAUSSIAN, UNIFORM, source_named
from .scorer import OK

SAMPLES, SHARE = 256, 0.2
"""Samples that are asked about, and the share of them that is wanted: twice the tenth that is usually selected."""

_FIRST = 8 / 255
_DOUBLINGS = (-8, 5)
"""Radii that are tried first are ``8/255 * 2^k`` in Linf for k in this range: 0.03 levels of 255 to all of [0, 1]."""

_HALVINGS = 6
_DIGITS = 3


@dataclass(frozen=True)
class SuggestedRadius:
    """A radius, and what it was chosen from.

    :param radius: in the units of the pixels; the standard deviation for normal noise.
    :param share: of the samples that have an error nearby at this radius.
    :param wanted: the share that was asked for.
    :param n: how many samples were asked about, all of them right when clean.
    :param curve: one mapping a radius that was tried, the smallest first: ``radius, share, n, lower, upper``, a 95 %
        interval.
    """

    radius: float
    share: float
    wanted: float
    n: int
    curve: tuple[dict[str, float], ...]


def suggest_radius(
    classifier: Estimator,
    x: np.ndarray | Dataset,
    y: np.ndarray | None = None,
    *,
    share: float = SHARE,
    samples: int = SAMPLES,
    radius_norm: float | str = math.inf,
    neighbors: int = 50,
    neighbor_source: Any = UNIFORM,
    quantise: bool = False,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    precision: str | None = None,
    plugins: Manager | Iterable[Any] | None = None,
) -> SuggestedRadius:
    """Return the radius at which a wanted share of the samples has an error among its neighbors.

    Radii are doubled or halved until one has too few and the next has enough, and the gap is then halved; every radius
    draws the same noise, scaled. What is returned is the smallest radius tried that has enough.

    :param classifier: any ART classifier of images in [0, 1].
    :param x: float32 (n, c, h, w) in [0, 1], or a ``Dataset``; ``samples`` of them are drawn.
    :param y: labels, indices (n,) or one-hot; None with a ``Dataset``.
    :param share: of the clean-correct samples, above 0 and below 1, that is to have an error nearby.
    :param samples: how many are drawn, at least 1; those that are wrong when clean then leave.
    :param radius_norm: 2 or ``inf``.
    :param neighbors: of each sample; the more, the sooner one of them is wrong.
    :param neighbor_source: ``"uniform"`` or ``"gaussian"``.

    The other parameters are those of :func:`~.neighborhood.neighborhood`.

    :raises UsageError: for a value out of range, a corruption as a source, and where no radius has the share that is
        wanted: samples never err, or always do.
    :raises DataError: where no sample is right when clean.
    """
    if not 0 < share < 1:
        raise UsageError(f"share={share!r} has to be above 0 and below 1: of samples with an error nearby, such as 0.2")
    if samples < 1:
        raise UsageError(f"samples={samples!r} has to be a whole number from 1")
    if not (isinstance(neighbor_source, str) and neighbor_source in (UNIFORM, GAUSSIAN)):
        raise UsageError(f"neighbor_source {neighbor_source!r} has severities and no radius: there is none to suggest")
    norm = parse_norm(radius_norm, "radius_norm")
    asked = _correct(classifier, _drawn(as_dataset(x, y), samples, seed), batch_size)

    def flipping(radius: float) -> np.ndarray:
        source = source_named(
            neighbor_source, radius=radius, radius_norm=norm, seed=seed, quantise=quantise, plugins=plugins
        )
        rows = NeighborRows(
            source=source, last=neighbors, batch_size=batch_size, precision=precision, exact_margin=False
        )
        said = rows(classifier, asked)
        known = np.isfinite(column(said, "score_sum"))
        return np.asarray(column(said, "flips")[known] > 0)

    return _searched(flipping, share, _FIRST * _unit(neighbor_source, norm, asked.x[0].size))


def _searched(flipping: Callable[[float], np.ndarray], wanted: float, first: float) -> SuggestedRadius:
    """Search between powers of two of ``first``.

    :param flipping: radius -> of each sample, whether it has an error nearby.
    """
    seen: dict[float, np.ndarray] = {}

    def enough(radius: float) -> bool:
        if radius not in seen:
            seen[radius] = flipping(radius)
        return bool(seen[radius].mean() >= wanted)

    radii = [_rounded(first * 2.0**power) for power in range(_DOUBLINGS[0], _DOUBLINGS[1] + 1)]
    at = -_DOUBLINGS[0]
    step = -1 if enough(radii[at]) else 1
    while 0 <= at + step < len(radii) and enough(radii[at + step]) == (step < 0):
        at += step
    if not 0 <= at + step < len(radii):
        raise UsageError(_nowhere(radii[at], seen[radii[at]], wanted, always=step < 0))
    low, high = sorted((radii[at], radii[at + step]))
    for _ in range(_HALVINGS):
        middle = _rounded(math.sqrt(low * high))
        if not low < middle < high:
            break
        low, high = (low, middle) if enough(middle) else (middle, high)
    curve = tuple(_point(radius, seen[radius]) for radius in sorted(seen))
    return SuggestedRadius(high, float(seen[high].mean()), wanted, len(seen[high]), curve)


def _point(radius: float, flips: np.ndarray) -> dict[str, float]:
    lower, upper = wilson(int(flips.sum()), len(flips))
    return {"radius": radius, "share": float(flips.mean()), "n": len(flips), "lower": lower, "upper": upper}


def _nowhere(radius: float, flips: np.ndarray, wanted: float, *, always: bool) -> str:
    seen = f"{int(flips.sum())} of {len(flips)} samples have an error nearby at radius {radius:g}"
    if always:
        return f"{seen}, at least the {wanted:.0%} wanted, and none smaller is tried: they err whatever the radius"
    return f"{seen}, fewer than the {wanted:.0%} wanted: no radius is large enough; ask for a smaller share"


def _unit(source: str, norm: float, pixels: int) -> float:
    """Return how large noise of this kind is that moves a pixel as far, on average of squares, as Linf noise of 1."""
    if source == GAUSSIAN:
        return 1 / math.sqrt(3)
    return 1.0 if norm == math.inf else math.sqrt(pixels / 3)


def _rounded(radius: float) -> float:
    return float(f"{radius:.{_DIGITS}g}")  # short enough to be written


def _drawn(data: Dataset, count: int, seed: int) -> Samples:
    return data.take(keyed.some(ids_of(data), count, 0, keyed.derive(seed, "suggest_radius")))


def _correct(classifier: Estimator, samples: Samples, batch_size: int) -> Samples:
    clean = CleanRows(batch_size=batch_size, first_order=False)(classifier, samples)
    right = samples[np.flatnonzero(column(clean, "status") == OK)]
    if not len(right):
        raise DataError(f"none of the {len(samples)} samples is classified correctly: no neighborhood tells them apart")
    return right
