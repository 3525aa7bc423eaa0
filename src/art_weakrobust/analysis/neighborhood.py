"""Per-input resilient analysis: what a model says in the neighborhood of each sample.

Source: Nuhu et al., "A Validation Strategy for Deep Learning Models: Evaluating and Enhancing Robustness",
arXiv 2509.19197, section III. Misclassified samples are left out, as in the paper; ``include_misclassified`` gives the
rule of its code.

All neighbors of all samples, unless ``screen`` asks for the weakest samples alone; see :mod:`.screening`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..estimators.plan import BATCH_SIZE
from ..plugins.manager import Manager
from ..threat import parse_eps, parse_norm
from .neighborhood_scores import NAME, Neighborhood, precision_facts
from .neighborhood_source import UNIFORM, source_named
from .scorer import ChunkScorer
from .screening import Aim, ScreeningScorer


def neighborhood(
    radius: float | str = 8 / 255,
    radius_norm: float | str = math.inf,
    neighbors: int = 50,
    quantise: bool = False,
    include_misclassified: bool = False,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    neighbor_source: Any = UNIFORM,
    precision: str | None = None,
    first_order: bool = True,
    screen: bool = False,
    max_missed: float = 0.02,
    fraction: float = 0.1,
    top_k: int | None = None,
    plugins: Manager | Iterable[Any] | None = None,
) -> ChunkScorer:
    """Return the scorer ``neighborhood``: the mean misprediction score over random neighbors; higher is weaker.

    :param radius: of the neighborhood, above 0, in the units of the pixels; ``"8/255"`` is understood.
    :param radius_norm: 2 or ``inf``.
    :param neighbors: how many a sample, at least 1.
    :param quantise: round neighbors to 8 bits.
    :param include_misclassified: score samples that are wrong when clean, too.
    :param seed: neighbors are a function of (seed, sample id, number).
    :param batch_size: images a forward pass, neighbors of several samples together: what memory is needed for.
    :param neighbor_source: ``"uniform"`` in the ball; ``"gaussian"``, the radius being the standard deviation of a
        pixel; or a corruption, by its name or itself, at random severities.
    :param precision: ``"float32"``; ``"bfloat16"``, the same scores from fewer float32 passes (see
        :mod:`.neighborhood_precision`); ``"auto"``: the second where the device computes it natively; None for that of
        the estimator's plan.
    :param first_order: measure ``first_order_distance`` as well, where there are gradients: a backward pass a sample,
        which costs about as much as one and a half of its neighbors.
    :param screen: score the weakest samples alone in full, and the others no further than it takes to leave them out;
        their status is ``screened``. See :mod:`.screening`.
    :param max_missed: of a screening, in [0, 1): which share of the weakest it may have left out at most, by an exact
        95 % bound.
    :param fraction: of a screening: the weakest are this share of the clean-correct samples.
    :param top_k: of a screening: the weakest are so many, in place of ``fraction``.
    :param plugins: modules or objects with hooks that know the corruption, or a manager.
    :raises UsageError: for a value outside its range.
    :raises ModelError: for a precision that is not known.
    """
    norm, reach = parse_norm(radius_norm), parse_eps(radius, "radius")
    function = Neighborhood(
        source=source_named(
            neighbor_source, radius=reach, radius_norm=norm, seed=seed, quantise=quantise, plugins=plugins
        ),
        norm=norm,
        neighbors=neighbors,
        include_misclassified=include_misclassified,
        batch_size=batch_size,
        precision=precision,
        first_order=first_order,
    )
    if screen:
        return ScreeningScorer.of(function, Aim(fraction=fraction, top_k=top_k, max_missed=max_missed), seed)
    return ChunkScorer(NAME, lambda _estimator: function, precision_facts)
