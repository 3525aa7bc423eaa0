"""Local robustness by an evasion attack: any of ART's, asked the question of the neighborhood, sample by sample."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from art.attacks import EvasionAttack

from ..errors import UsageError
from ..estimators.plan import BATCH_SIZE
from ..kernels.losses import margin, misprediction_score
from ..perturbations.attacks.judge import OK, OVER_BUDGET, AttackResult, distance
from ..perturbations.attacks.runner import attack_samples
from ..perturbations.resolve import attack_type, check_craft
from ..perturbations.types import AttackType
from ..protocols import Dataset, Estimator
from ..results import Samples, Table
from ..threat import parse_norm
from .outputs import check_labels, in_logits, is_decision
from .scorer import MISCLASSIFIED, ChunkScorer, known, score_table


def attack(
    attack: Any,
    eps: float | str = 2 / 255,
    eps_l2: float | str = 0.5,
    norm: float | str | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    craft: Dataset | None = None,
    early_stop: bool = False,
) -> ChunkScorer:
    """Return the scorer ``attack``: the misprediction score of the verified adversarial, 0 where none was found.

    :param attack: a factory ``estimator -> EvasionAttack``, an attack class, a ready-made attack of the catalogue
        (rebound), or an ``AttackType``; a registered name is made into a factory by the plugin host.
    :param eps: budget of an attack in Linf that has none of its own.
    :param eps_l2: the same in L2.
    :param norm: 1, 2 or ``inf``, for an attack class alone; elsewhere the attack's own counts, as in ``pgd@2``.
    :param seed: of attacks that draw.
    :param batch_size: of the judge's forward passes.
    :param craft: samples that are not scored, for attacks that make one perturbation for all.
    :param early_stop: let memoryless attacks leave a sample once it is fooled: the same samples are found at less cost,
        but just across the boundary, where the confidences by which scores rank tell little.
    :raises UsageError: for a norm beside something that is no class, or a batch size below 1.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise UsageError(f"batch_size {batch_size!r} has to be a whole number from 1")
    offered = {"eps": eps, "eps_l2": eps_l2, "seed": seed, "batch_size": batch_size, "craft": craft}
    entry = attack if norm is None else _in_norm(attack, parse_norm(norm))
    return ChunkScorer("attack", functools.partial(_build, entry, offered, early_stop))


def _in_norm(entry: Any, norm: float) -> Any:
    target = entry.func if isinstance(entry, functools.partial) else entry
    if not (isinstance(target, type) and issubclass(target, EvasionAttack)):
        raise UsageError(
            f"norm {norm:g} cannot be given to attack {entry!r}: write it behind the name, as in pgd@2, or build the "
            f"attack with it"
        )
    return functools.partial(entry, norm=norm)


def _build(entry: Any, offered: Mapping[str, Any], early_stop: bool, estimator: Estimator) -> Attacked:
    kind = attack_type(entry, estimator, offered=offered)
    check_craft([kind])
    seed, batch_size = int(offered["seed"]), int(offered["batch_size"])
    return Attacked(attack=kind, seed=seed, batch_size=batch_size, early_stop=early_stop)


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """The chunk function.

    :param attack: with the budget that it is judged against.
    """

    attack: AttackType
    seed: int
    batch_size: int
    early_stop: bool = False

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample."""
        result = attack_samples(
            self.attack, estimator, samples, seed=self.seed, batch_size=self.batch_size, early_stop=self.early_stop
        )
        clean = in_logits(torch.from_numpy(result.clean_logits))
        check_labels(clean, samples.y, samples.ids)
        label = torch.from_numpy(samples.y)
        adversarial = in_logits(torch.from_numpy(result.logits))
        bare = (is_decision(clean) & is_decision(adversarial)).numpy()
        clean_margin = np.where(bare, np.nan, margin(clean, label).numpy())
        near_margin = np.where(bare, np.nan, margin(adversarial, label).numpy())

        attacked = _attacked(result)
        fooled = attacked & (result.correct == False)  # noqa: E712 - three-valued
        confidence = misprediction_score(adversarial, label).numpy().astype(np.float64)
        score = np.where(attacked, np.where(fooled, confidence, 0.0), np.nan)
        norm = distance(result.x_adv, samples.x, self.attack.threat.norm)
        seen = np.isfinite(result.clean_logits).all(1)
        prediction = result.clean_logits.argmax(1)
        # A point outside the budget was projected, and that point was judged: the verdict is as good as any other.
        status = np.where(result.status == OVER_BUDGET, OK, result.status)
        return score_table(
            samples,
            "attack",
            prediction=pa.array(prediction, mask=~seen),
            correct=pa.array(prediction == samples.y, mask=~seen),
            status=pa.array(status, pa.string()),
            score=score,
            misprediction_score=known(score, pa.float64()),
            margin=known(clean_margin, pa.float32()),
            neighbor_margin=known(np.where(attacked, near_margin, np.nan), pa.float32()),
            fooled=pa.array(fooled, mask=~attacked),
            found=pa.array(fooled, mask=~attacked),
            perturbation_norm=known(np.where(attacked, result.norm, np.nan), pa.float32()),
            adversarial_distance=known(np.where(fooled, norm, np.nan), pa.float32()),
        )


def _attacked(result: AttackResult) -> np.ndarray:
    """Say of every sample whether it was attacked and the verdict is known."""
    return np.asarray((result.status != MISCLASSIFIED) & (result.correct != None))  # noqa: E711 - elementwise
