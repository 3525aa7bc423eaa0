"""Adversarial distance: the smallest verified perturbation that changes a correct prediction, sample by sample.

It is an upper bound on the distance to the decision boundary: the smallest perturbation that was found. Every one is
judged again by the model itself, in float32, before it counts; one that lies beyond ``eps_max`` is censored, which is
no distance. A lower bound is known where something proves one (``certify``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from ..estimators.plan import BATCH_SIZE
from ..protocols import Dataset, Estimator
from ..threat import parse_eps, parse_norm
from .boundary_attack import AttackEngine
from .boundary_engine import Certify, Engine
from .boundary_measure import NAME, BoundaryRows, Measure
from .boundary_search import MinimumNormSearch
from .scorer import ChunkScorer

SCORING, REFINING = 60, 1000
"""Gradients a sample at most: to rank a training set, and for the samples that matter."""


def boundary(
    distance_norm: float | str = "inf",
    eps_max: float | str | None = None,
    budget: int = SCORING,
    attack: Any = None,
    certify: Certify | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    craft: Dataset | None = None,
) -> ChunkScorer:
    """Return the scorer ``boundary``: minus the adversarial distance, so that higher is weaker.

    A sample without a verified adversarial within ``eps_max`` ranks as if one lay there: its score is ``-eps_max``,
    ``found`` is False, and it has no distance.

    :param distance_norm: 2 or ``inf``; an attack measures in its own.
    :param eps_max: how far to look, above 0; None for as far as pixels go.
    :param budget: gradients a sample at most, of the built-in search; it takes fewer where a sample is done.
    :param attack: an attack of ART's that looks in place of the built-in search: a name, a factory, a class or a
        ready-made object; a minimum-norm attack as it is, any other by bisection of its budget.
    :param certify: ``(estimator, samples, norm) -> radii`` within which each sample is proven right, NaN where nothing
        is proven: fills ``certified_radius``.
    :param seed: of what an attack draws; the built-in search draws nothing.
    :param batch_size: images a pass.
    :param craft: samples that are not scored, for attacks that make one perturbation for all.
    :raises UsageError: for a value outside its range.
    """
    norm, limit = parse_norm(distance_norm, "distance_norm"), _limit(eps_max)
    if attack is not None:
        offered = {"seed": seed, "batch_size": batch_size, "craft": craft}
        engine: Callable[[Estimator], Engine] = functools.partial(AttackEngine.of, attack, offered)
    else:
        engine = MinimumNormSearch(norm=norm, budget=budget, batch_size=batch_size).on
    return ChunkScorer(NAME, functools.partial(_build, engine, limit, certify, batch_size))


def refined(
    estimator: Estimator, norm: float | str, *, budget: int = REFINING, batch_size: int = BATCH_SIZE
) -> Measure:
    """Return how distances are measured where they matter: the built-in search with a budget that leaves little.

    Parameters are those of :func:`boundary`.

    :raises ModelError: for an estimator without gradients that PyTorch gives.
    """
    search = MinimumNormSearch(norm=parse_norm(norm), budget=budget, batch_size=batch_size)
    return Measure(search.on(estimator), None, None, batch_size)


def _build(
    engine: Callable[[Estimator], Engine],
    limit: float | None,
    certify: Certify | None,
    batch_size: int,
    estimator: Estimator,
) -> BoundaryRows:
    return BoundaryRows(Measure(engine(estimator), limit, certify, batch_size))


def _limit(eps_max: float | str | None) -> float | None:
    limit = None if eps_max is None else parse_eps(eps_max, "eps_max")
    if limit == 0:
        raise UsageError("eps_max 0 leaves nothing to look for: it has to be above 0")
    return limit
