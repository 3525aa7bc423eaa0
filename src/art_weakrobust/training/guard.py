"""The guard part: samples kept for training's own choices, and what is measured on them; none of it is reported."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.arrays import as_dataset
from ..datasets.base import ids_of
from ..errors import UsageError
from ..estimators.judge import exact_float32
from ..estimators.plan import BATCH_SIZE
from ..kernels.gradients import random_start, step
from ..kernels.keyed import derive
from ..perturbations.types import AttackType, CorruptionType
from ..protocols import Dataset
from ..statistics import wilson
from ..threat import ThreatModel
from .network import Forward
from .recipe import Recipe
from .views import adversarial, corrupted

_LOG = logging.getLogger(__name__)

CLEAN, ROBUST, QUICK = 2000, 400, 256
"""How many guard samples clean accuracy, PGD-20 and the quick validation of the types look at, at most."""

_SHARE = 20  # without a guard part, every twentieth training sample
_STEPS = 20


@dataclass(frozen=True)
class Guard:
    """Samples that neither the base model nor fine-tuning has trained on (or, for want of them, training samples).

    :param data: where they are.
    :param ids: int64 ids in ``data``.
    :param split: ``given``, or ``train`` where they were taken from the training set.
    :param seed: of the order in which they are looked at.
    :param batch_size: images a pass, attacked ones among them: what memory is needed for.
    """

    data: Dataset
    ids: np.ndarray
    split: str
    seed: int = 0
    batch_size: int = BATCH_SIZE

    def take(self, count: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield ids, pixels and labels of the first ``count`` samples of a seeded order, a batch at a time."""
        order = np.random.default_rng(derive(self.seed, "guard order")).permutation(self.ids)[:count]
        for samples in self.data.chunks(self.batch_size, order):
            yield tuple(torch.from_numpy(part).to(device) for part in (samples.ids, samples.x, samples.y))  # type: ignore[misc]


def guard_of(guard: Any, data: Dataset, candidates: np.ndarray, seed: int, unseen: np.ndarray | None = None) -> Guard:
    """Return the guard part that was handed in, or a twentieth of the training samples, stratified, with a warning.

    :param guard: ``(x, y)``, ``(Dataset, ids)``, a ``Dataset``, or None.
    :param data: the training set.
    :param candidates: int64 ids of it, outside weak set and control.
    :param unseen: int64 ids of it that no choice may rest on either: held-out half and control group.
    :raises UsageError: for a guard part that is something else, empty, or holds one of ``unseen``.
    """
    if guard is not None:
        part = _handed_in(guard, data, seed)
        stray = np.intersect1d(part.ids, () if unseen is None or part.split != "train" else unseen)
        if len(stray):
            raise UsageError(
                f"guard: sample {int(stray[0])} and {len(stray) - 1} more are in the held-out half or the control "
                "group, which nothing may rest on; pass ids outside the weak set"
            )
        return part
    rng = np.random.default_rng(derive(seed, "guard"))
    order = rng.permutation(candidates)
    labels = getattr(data, "labels", None)
    if labels is not None:  # every twentieth of a list sorted by class is stratified
        order = order[np.argsort(labels()[np.searchsorted(ids_of(data), order)], kind="stable")]
    ids = np.sort(order[rng.integers(min(_SHARE, max(1, len(order)))) :: _SHARE])
    if not len(ids):
        raise UsageError(
            "guard: there is no training sample outside weak set and control to take it from; pass guard=(x, y)"
        )
    message = (
        f"guard is None: {len(ids)} training samples serve as the guard part. The base model has probably memorised "
        "them, so that a clean_budget measured there is kept far too well; pass guard=(x, y), images it has never seen"
    )
    warnings.warn(message, UserWarning, stacklevel=4)
    _LOG.warning(message)
    return Guard(data, ids, "train", seed)


def _handed_in(guard: Any, data: Dataset, seed: int) -> Guard:
    parts = guard if isinstance(guard, tuple | list) else (guard, None)
    if len(parts) != 2:
        raise UsageError(f"guard: {len(parts)} parts were given, expected (x, y), or (data set, ids)")
    if isinstance(parts[0], Dataset):
        held, ids = parts[0], parts[1]
        ids = ids_of(held) if ids is None else np.asarray(ids, np.int64)
    else:
        held = as_dataset(*parts, name="guard")
        ids = np.arange(len(held))
    if not len(ids):
        raise UsageError("guard: it is empty; pass (x, y) with some samples, or None")
    return Guard(held, np.sort(ids.astype(np.int64)), "train" if held is data else "given", seed)


def judge(
    module: nn.Module, forward: Forward, guard: Guard, threat: ThreatModel, clean: int = CLEAN, robust: int = ROBUST
) -> dict[str, Any]:
    """Return clean and PGD-20 accuracy on the guard part, with their numbers of samples and Wilson intervals.

    :param module: left in evaluation mode.
    :param threat: norm (2 or ``inf``) and budget of PGD: 20 steps of a quarter of it, from a random start.
    :param clean: how many samples are predicted, at most.
    :param robust: how many are attacked, at most.
    """
    module.eval()
    exact, seed = forward.exact(), derive(guard.seed, "guard pgd")
    with exact_float32():
        right = _count(_predicted(module, exact, x, y) for _, x, y in guard.take(clean, exact.device))
        held = _count(
            survives(module, exact, x, y, ids, threat, seed) for ids, x, y in guard.take(robust, exact.device)
        )
    return {**_interval("clean", *right), "n": right[1], **_interval("robust", *held), "n_robust": held[1]}


def _interval(name: str, right: int, n: int) -> dict[str, float]:
    low, high = wilson(right, n)
    return {name: right / n, f"{name}_low": low, f"{name}_high": high}


def _count(verdicts: Iterator[Tensor]) -> tuple[int, int]:
    found = torch.cat([verdict.cpu() for verdict in verdicts])
    return int(found.sum()), len(found)


@torch.no_grad()
def _predicted(module: nn.Module, forward: Forward, x: Tensor, y: Tensor) -> Tensor:
    return forward(module, x).argmax(1) == y


def survives(
    module: nn.Module, forward: Forward, x: Tensor, y: Tensor, ids: Tensor, threat: ThreatModel, seed: int
) -> Tensor:
    """Return which samples PGD-20 does not break, bool (n,); a sample that is broken is attacked no further.

    :param module: in evaluation mode.
    :param x: float32 (n, c, h, w).
    :param y: int64 (n,).
    :param ids: int64 (n,), keys of the random starts.
    """
    robust = _predicted(module, forward, x, y)
    alive = robust.nonzero()[:, 0]
    found = random_start(x, ids, threat.norm, threat.eps, seed, threat.clip_values)[alive]
    for _ in range(_STEPS):
        if not len(alive):
            break
        logits, gradient = forward.gradient(module, found, y[alive])
        held = logits.argmax(1) == y[alive]
        found = step(found, gradient, x[alive], threat.norm, threat.eps, threat.eps / 4, threat.clip_values)
        robust[alive[~held]] = False
        alive, found = alive[held], found[held]
    if len(alive):
        robust[alive] = _predicted(module, forward, found, y[alive])
    return robust


def type_errors(
    module: nn.Module,
    forward: Forward,
    guard: Guard,
    attacks: Sequence[AttackType],
    corruptions: Sequence[CorruptionType],
    recipe: Recipe,
) -> dict[str, dict[str, np.ndarray]]:
    """Return, per family, type -> whether each guard sample was predicted wrongly, bool (n,): the quick validation.

    It sees the types as training draws them: few-step attacks, and every severity in turn.

    :param module: left in evaluation mode.
    """
    module.eval()
    seed, exact = derive(guard.seed, "quick validation"), forward.exact()
    errors: dict[str, dict[str, list[Tensor]]] = {"attacks": {}, "corruptions": {}}
    with exact_float32():
        for ids, x, y in guard.take(QUICK, forward.device):
            for kind in attacks:
                view = adversarial(exact, module, x, y, ids, kind.threat, recipe, derive(seed, kind.name))
                errors["attacks"].setdefault(kind.name, []).append(~_predicted(module, exact, view, y))
            for corruption in corruptions:
                view = corrupted(x, ids, [corruption] * 5, [1, 2, 3, 4, 5], seed)
                errors["corruptions"].setdefault(corruption.name, []).append(~_predicted(module, exact, view, y))
    return {
        family: {name: torch.cat(parts).cpu().numpy() for name, parts in kinds.items()}
        for family, kinds in errors.items()
    }


def means(errors: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Return type -> mean error, of all families."""
    return {name: float(wrong.mean()) for kinds in errors.values() for name, wrong in kinds.items()}
