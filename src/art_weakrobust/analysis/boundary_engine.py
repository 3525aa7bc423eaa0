"""What an engine of adversarial distances is, and why none of them is believed: the judge has the last word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, prod
from typing import Protocol

import numpy as np

from ..errors import ModelError
from ..estimators.judge import judge_logits
from ..perturbations.attacks.judge import distance
from ..protocols import Estimator
from ..results import Samples

Certify = Callable[[Estimator, Samples, float], np.ndarray]
"""An estimator, samples that it gets right, and a norm -> radii within which it is proven right, (n,), NaN: unknown."""


@dataclass(frozen=True)
class Found:
    """What an engine claims.

    :param points: float32 (n, c, h, w), the closest adversarial of each sample; the sample itself where it
        found none and has no guess either.
    :param status: object (n,): ``ok``, or ``error: …`` where it broke.
    """

    points: np.ndarray
    status: np.ndarray


class Engine(Protocol):
    """Looks for the smallest perturbation of each sample; frozen, so that it can travel with a chunk function."""

    @property
    def name(self) -> str:
        """How rows name it."""
        ...

    @property
    def norm(self) -> float:
        """In which it measures."""
        ...

    def __call__(self, estimator: Estimator, samples: Samples, eps_max: float) -> Found:
        """Return what it found among samples that the estimator gets right, no farther away than ``eps_max``."""
        ...


_OUTWARD = (1.0, 1.0003, 1.003, 1.03, 1.1, 1.3, 2.0, 4.0, 16.0)
"""Factors by which a claim is stretched until the judge agrees: a search by a copy may stop a rounding error short,
which is a large share of the distance where logits all but tie."""
_INWARD, _HALVINGS = 0.95, 6
"""From which share of a claim that is right as it is, and how often, the judge halves the way to the boundary."""


def verified(
    estimator: Estimator, samples: Samples, points: np.ndarray, norm: float, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the claims that the judge confirms, pulled towards the sample as far as it does, and their distances.

    The judge asks the model itself, in float32 (:func:`~art_weakrobust.estimators.judge.judge_logits`).

    :param points: float32 (n, c, h, w); one that is not finite is no claim.
    :return: points in [0, 1], the sample itself where nothing was confirmed; and distances, float64 (n,), NaN there.
    """
    x, rows = samples.x, np.flatnonzero(np.isfinite(points).all(axis=(1, 2, 3)))
    move = np.zeros_like(x)
    move[rows] = np.clip(points[rows], 0, 1) - x[rows]

    def wrong(rows: np.ndarray, share: np.ndarray) -> np.ndarray:
        if not len(rows):
            return np.zeros(0, bool)
        logits = judge_logits(estimator, placed(rows, share), batch_size)
        return np.asarray(np.isfinite(logits).all(axis=1) & (logits.argmax(axis=1) != samples.y[rows]))

    def placed(rows: np.ndarray, share: np.ndarray) -> np.ndarray:
        moved = x[rows] + share[:, None, None, None].astype(np.float32) * move[rows]
        return np.asarray(np.clip(moved, 0, 1))

    share, short, open_ = np.full(len(x), np.nan), np.full(len(x), _INWARD), rows[move[rows].any(axis=(1, 2, 3))]
    for factor in _OUTWARD:
        agreed = wrong(open_, np.full(len(open_), factor))
        share[open_[agreed]] = factor
        open_ = open_[~agreed]
        short[open_] = factor
    confirmed, length, rows = x.copy(), np.full(len(x), np.nan), np.flatnonzero(np.isfinite(share))
    if not len(rows):
        return confirmed, length
    right, far = short[rows], share[rows]
    for _ in range(_HALVINGS):
        middle = (right + far) / 2
        there = wrong(rows, middle)
        right, far = np.where(there, right, middle), np.where(there, middle, far)
    confirmed[rows] = placed(rows, far)
    length[rows] = distance(confirmed[rows], x[rows], norm)
    return confirmed, length


def certified(
    certify: Certify | None, estimator: Estimator, samples: Samples, norm: float, lengths: np.ndarray
) -> np.ndarray:
    """Return proven radii, float64 (n,), NaN where nothing is proven.

    :param certify: None proves nothing.
    :param lengths: verified distances of adversarials, NaN where there is none.
    :raises ModelError: where it returns something else than a radius a sample, or one with an adversarial inside.
    """
    if certify is None or not len(samples):
        return np.full(len(samples), np.nan)
    radii = np.asarray(certify(estimator, samples, norm), np.float64)
    if radii.shape != (len(samples),) or (radii < 0).any():
        raise ModelError(
            f"certify returned radii of shape {radii.shape} for {len(samples)} samples: expected one number a sample, "
            "from 0, or NaN where nothing is proven"
        )
    refuted = radii > lengths * (1 + 1e-5)
    if refuted.any():
        at = int(np.flatnonzero(refuted)[0])
        raise ModelError(
            f"certify says that sample {samples.ids[at]} is right within {radii[at]:g}, and an adversarial at "
            f"{lengths[at]:g} was verified: the proof is of another model, norm or range of pixels"
        )
    radii[np.isinf(radii)] = np.nan
    return radii


def reach(norm: float, shape: tuple[int, ...]) -> float:
    """Return the largest distance between two images in [0, 1]."""
    return 1.0 if norm == inf else float(prod(shape) ** (1 / norm))
