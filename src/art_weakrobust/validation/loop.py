"""The loop: every perturbation type on every set, through the one seam, one verdict a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from ..errors import UsageError
from ..perturbations.corruptions.constants import SEVERITIES
from ..perturbations.types import AttackType, CorruptionType
from ..protocols import Dataset, Estimator, Map
from ..results import VALIDATION, PerturbationType, Validation, merge
from ..threat import norm_key
from .comparison import TEST
from .questions import Attacked, Corrupted, Noisy, Plain, Question
from .stored import held_against, judge_stored

CLEAN = PerturbationType("clean", "clean")


def validate(
    estimator: Estimator,
    sets: Mapping[str, tuple[Dataset, np.ndarray]],
    over: Map,
    *,
    attacks: Sequence[AttackType] = (),
    corruptions: Sequence[CorruptionType] = (),
    severities: Sequence[int] = SEVERITIES,
    radius: float = 8 / 255,
    radius_norm: float = inf,
    seed: int = 0,
    batch_size: int = 256,
    early_stop: bool = True,
) -> Validation:
    """Judge an estimator on every set: clean, under uniform noise, attacked, and corrupted at every severity.

    Same seed, same samples, same perturbations: noise and corruptions are functions of (seed, id, severity), so that
    before and after are compared on the same pixels; attacks are built on ``estimator``, whichever it is.

    :param sets: name of the set -> data set and int64 sample ids; empty ones are passed over.
    :param over: runs the chunks, and stamps the phase.
    :param attacks: see :func:`~art_weakrobust.perturbations.resolve.resolve_attacks`.
    :param corruptions: computed ones run on every set, stored ones on the set ``test`` alone.
    :param severities: of the corruptions, 1 to 5.
    :param radius: of the uniform noise: one neighbor of each sample, and none of those that the analysis draws.
    :param radius_norm: 2 or ``inf``.
    :param batch_size: of the judge's forward passes.
    :param early_stop: let memoryless attacks leave a sample as soon as it is fooled: no verdict is milder, and
        perturbation norms are smaller.
    :return: one row a sample x perturbation; ``severity`` is null but for corruptions.
    :raises UsageError: for two types of one name.
    :raises AttackError: for an attack that cannot be built on the estimator.
    """
    noise = PerturbationType("uniform_noise", "noise", "noise", norm=norm_key(radius_norm), eps=radius)
    present = {name: (data, np.asarray(ids, np.int64)) for name, (data, ids) in sets.items() if len(ids)}
    if TEST in present:
        corruptions = held_against(corruptions, present[TEST][0], severities)
    types = (CLEAN, noise, *(kind.info for kind in attacks), *(kind.info for kind in corruptions))
    _refuse_namesakes([kind.type for kind in types])
    computed = [kind for kind in corruptions if not kind.stored]
    questions: list[Question] = [
        Plain(type=CLEAN.type, batch_size=batch_size),
        Noisy(type=noise.type, radius=radius, norm=radius_norm, seed=seed, batch_size=batch_size),
        *(
            Attacked(type=kind.name, attack=kind, seed=seed, batch_size=batch_size, early_stop=early_stop)
            for kind in attacks
        ),
        *(
            Corrupted(type=kind.name, corruption=kind, severities=tuple(severities), seed=seed, batch_size=batch_size)
            for kind in computed
        ),
    ]
    parts = [
        over(f"{question.type}/{name}", replace(question, set=name), estimator, data, ids)
        for question in questions
        for name, (data, ids) in present.items()
    ]
    if TEST in present:
        parts += judge_stored(corruptions, estimator, present[TEST][1], over, severities, batch_size)
    return Validation(merge(parts) if parts else VALIDATION.empty_table(), types)


def _refuse_namesakes(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two perturbation types are named {twice[0]!r}: give one of them another label")
