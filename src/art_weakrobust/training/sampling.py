"""Which samples and which perturbation types training draws, and how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..kernels.keyed import derive
from ..results import WeakSet
from ..statistics import holm, sign_flip_test

_LEVEL = 0.05


def sample_weights(ids: np.ndarray, weak_set: WeakSet | None, weak_weight: float) -> np.ndarray:
    """Return how likely each sample is relative to an ordinary one, float64 (n,).

    :param ids: int64 (n,), the samples that training may draw.
    :param weak_set: its tune half is drawn ``weak_weight`` times its row's weight as often; None weights nothing.
    :param weak_weight: 1 is the control arm.
    """
    weights = np.ones(len(ids), np.float64)
    if weak_set is not None:
        known = weak_set.weights()
        for row in np.flatnonzero(np.isin(ids, weak_set.tune)):
            weights[row] = weak_weight * known[int(ids[row])]
    return weights


def draw_epoch(ids: np.ndarray, weights: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return the samples of one epoch, as many as there are ids, in random order.

    Systematic sampling: a sample expected c times comes ``floor(c)`` or ``ceil(c)`` times. Equal weights thus give a
    plain permutation (drawing with replacement cost 1.5 points of robust accuracy), and weighting is a change of that
    permutation as small as the weights allow.

    :param ids: int64 (n,).
    :param weights: (n,), above zero.
    """
    rng = np.random.default_rng(derive(seed, "samples", epoch))
    order = rng.permutation(len(ids))
    expected = weights[order] / weights.mean()
    # the marks lie strictly between the integers that equal weights add up to
    marks = np.arange(len(ids)) + rng.uniform(0.25, 0.75)
    rows = np.minimum(np.searchsorted(np.cumsum(expected), marks), len(ids) - 1)
    return np.asarray(rng.permutation(ids[order[rows]]), np.int64)


def batches(drawn: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut an epoch into batches of nearly one size, ``batch_size`` at most: batch norm refuses a last batch of one."""
    return np.array_split(drawn, max(1, -(-len(drawn) // batch_size)))


def odds_of(names: Sequence[str], weak: Sequence[str], factor: float) -> dict[str, float]:
    """Return the odds of each type: ``factor`` for the weak ones, 1 for the others."""
    return {name: factor if name in weak else 1.0 for name in names}


def draw_types(odds: Mapping[str, float], count: int, rng: np.random.Generator) -> list[str]:
    """Return ``count`` names drawn by their odds."""
    names = list(odds)
    shares = np.cumsum([odds[name] for name in names])
    return [names[row] for row in np.searchsorted(shares, rng.random(count) * shares[-1], side="right")]


def weak_by_error(errors: Mapping[str, np.ndarray], seed: int) -> list[str]:
    """Return the types of one family whose error is above the family's mean: paired sign-flip test over images, Holm.

    :param errors: type -> whether each image was predicted wrongly, all on the same images. Of fewer than three types
        none is weak: two lie on either side of their mean whatever happens.
    """
    if len(errors) < 3:
        return []
    table = np.stack([np.asarray(values, np.float64) for values in errors.values()])
    excess = table - table.mean(0)
    levels = holm(np.array([sign_flip_test(row, derive(seed, "odds")) for row in excess]))
    return [name for name, row, p in zip(errors, excess, levels, strict=True) if p < _LEVEL and row.mean() > 0]
