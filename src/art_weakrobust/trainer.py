"""Fine-tuning where a classifier is weak, as a trainer of ART's: adversarial views, corrupted views, and a dial."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from art.defences.trainer import Trainer
from art.estimators.classification import PyTorchClassifier
from torch import nn
from torch.optim import Optimizer

from .datasets import checks
from .datasets.arrays import as_dataset
from .datasets.base import ids_of
from .errors import DataError, ModelError, TrainingError, UsageError
from .estimators.precision import native_precision
from .estimators.shapes import check_clip_values
from .perturbations.resolve import resolve_attacks, resolve_corruptions
from .perturbations.types import AttackType, CorruptionType
from .plugins.manager import Manager
from .protocols import Dataset
from .results import Finetuning, WeakSet
from .threat import ThreatModel, norm_key, parse_eps
from .training.checkpoint import Checkpoint, digest_of
from .training.guard import guard_of
from .training.interpolation import Dial, State, choose
from .training.job import Job, Progress
from .training.loop import FineTuning
from .training.network import deterministic, forward_of, restore, snapshot
from .training.optimizer import describe, lent, optimizer_of
from .training.recipe import Recipe
from .training.sampling import sample_weights

_LOG = logging.getLogger(__name__)

Kind = TypeVar("Kind", AttackType, CorruptionType)


class WeakRobustTrainer(Trainer):
    """Fine-tunes a classifier in place, on everything but what has to stay unseen, with an eye on where it is weak.

    >>> trainer = WeakRobustTrainer(classifier, eps=2 / 255, corruptions=["gaussian_noise", "contrast", "pixelate"])
    >>> trainer.fit(x_train, y_train, nb_epochs=3, weak_set=before.weak_set, weak_types=before.weak_types,
    ...             guard=(x_val, y_val))
    >>> trainer.get_classifier().predict(x_test), trainer.finetuning.drawn, trainer.finetuning.curve
    >>> trainer.undo()

    :param classifier: an ART ``PyTorchClassifier`` (ours is one) with clip values (0, 1). Its optimizer trains it, with
        its rate as the peak rate; without one, SGD as the recipe says does. Settings and state of the optimizer are put
        back afterwards.
    :param eps: budget of Linf attacks without one of their own, in the units of the pixels; ``"2/255"`` is understood.
    :param attacks: names, factories, ready-made attacks, or a mapping label -> attack. FGM, BIM and PGD are drawn, with
        two steps from a random start, in their own norm and budget; others are for validation and passed over. None is
        PGD in Linf at ``eps``.
    :param corruptions: names, functions ``(x, ids, severity, seed) -> x``, or a mapping label -> corruption. Sets that
        are stored on disk are passed over. None draws none.
    :param weak_weight: how many times as often the tune half of a weak set is drawn; 1 is the control arm.
    :param seed: of all draws.
    :param clean_budget: points of clean accuracy on the guard part that may be lost: the most robust point of the dial
        within is taken. None takes the tuned network.
    :param checkpoint_dir: where base, last and averaged weights, optimizer, record and dial are kept. A training that
        was interrupted there goes on from its last whole epoch, one that had ended is loaded.
    :param plugins: plugins, or a manager, to look names up in.
    :param eps_l2: budget of L2 attacks without one of their own.
    :param recipe: everything else.
    :param progress: told (stage, done, total) at every step.
    :raises UsageError: for clip values other than (0, 1), and options out of range.
    :raises ModelError: for a classifier that is no ``PyTorchClassifier``.
    """

    def __init__(
        self,
        classifier: PyTorchClassifier,
        eps: float | str = 2 / 255,
        attacks: Iterable[Any] | None = None,
        corruptions: Iterable[Any] | None = None,
        weak_weight: float = 2.0,
        seed: int = 0,
        clean_budget: float | None = None,
        checkpoint_dir: str | Path | None = None,
        plugins: Manager | Iterable[Any] = (),
        *,
        eps_l2: float | str = 0.5,
        recipe: Recipe | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(classifier)
        self._module, self._device = _module_of(classifier), torch.device(classifier.device)
        if not weak_weight > 0:
            raise UsageError(f"weak_weight {weak_weight} has to be above 0; 1 draws weak samples as often as others")
        if clean_budget is not None and not clean_budget >= 0:
            raise UsageError(f"clean_budget {clean_budget} has to be 0 or more points, or None")
        self.eps, self.weak_weight, self.seed = parse_eps(eps), float(weak_weight), int(seed)
        self.clean_budget, self.checkpoint_dir = clean_budget, checkpoint_dir
        self.recipe, self.progress = recipe or Recipe(), progress or _silent
        manager = Manager.of(plugins)
        wanted = ["pgd"] if attacks is None else attacks
        found = resolve_attacks(wanted, manager, estimator=classifier, eps=self.eps, eps_l2=eps_l2, seed=self.seed)
        self.attacks = _drawn(
            found, lambda kind: kind.few_step and kind.threat.norm in (2.0, inf), "is no FGM, BIM or PGD in L2 or Linf"
        )
        spoilt = resolve_corruptions(corruptions, manager)
        self.corruptions = _drawn(spoilt, lambda kind: not kind.stored, "is stored on disk")
        self.finetuning = Finetuning()
        self._base: State | None = None

    def fit(  # type: ignore[override]  # keywords by name, where ART has **kwargs
        self,
        x: np.ndarray | Dataset,
        y: np.ndarray | None = None,
        nb_epochs: int = 3,
        batch_size: int = 128,
        *,
        weak_set: WeakSet | None = None,
        weak_types: Iterable[str] | None = None,
        ids: np.ndarray | None = None,
        guard: Any = None,
    ) -> None:
        """Fine-tune the classifier in place; on any error it keeps the weights that it came with.

        :param x: float32 (n, c, h, w) in [0, 1], or a ``Dataset``; ids are positions in it.
        :param y: class indices or one-hot; None with a ``Dataset``.
        :param weak_set: its held-out half and control group are never drawn, its tune half more often. None: no
            weighting.
        :param weak_types: names of types drawn three times as often, until the odds are corrected on the guard part.
            None or none: all as often. Names that this trainer was not handed are passed over.
        :param ids: int64 ids that may be drawn, of which held-out half, control group and guard part are taken out.
        :param guard: ``(x, y)`` or ``(Dataset, ids)`` that the model has never seen, for training's own choices. None
            takes a twentieth of the training samples, with a warning.
        :raises DataError: for arrays that are no images or labels.
        :raises TrainingError: where nothing is left to train on, at a loss that is not finite, or where
            ``checkpoint_dir`` holds another training.
        """
        for name, value in (("nb_epochs", nb_epochs), ("batch_size", batch_size)):
            if value < 1:
                raise UsageError(f"{name} {value} has to be 1 or more")
        data = as_dataset(x, y, name="x")
        _check_fit(data, self._classifier)
        job = self._job(data, (nb_epochs, batch_size), weak_set, weak_types, ids, guard)
        module = self._module
        base = snapshot(module)
        try:
            dial, record = self._trained(module, base, job)
            alpha = choose(dial.curve, self.clean_budget)
            restore(module, dial.state(alpha))
        except BaseException:
            restore(module, base)
            raise
        finally:
            module.eval()
        self._base = base
        self.finetuning = replace(record, alpha=alpha, options={**record.options, "clean_budget": self.clean_budget})

    def undo(self) -> None:
        """Give the classifier the weights back that it had before :meth:`fit`.

        :raises TrainingError: where nothing was trained, here or in ``checkpoint_dir``.
        """
        if self._base is None and self.checkpoint_dir is None:
            raise TrainingError("there is nothing to undo: fit was not called, and no checkpoint_dir was given")
        base = Checkpoint(Path(str(self.checkpoint_dir))).base() if self._base is None else self._base
        restore(self._module, base)
        self._module.eval()
        self.finetuning = Finetuning()

    def _job(
        self,
        data: Dataset,
        lengths: tuple[int, int],
        weak_set: WeakSet | None,
        weak_types: Iterable[str] | None,
        ids: np.ndarray | None,
        guard: Any,
    ) -> Job:
        unseen = np.empty(0, np.int64) if weak_set is None else np.concatenate([weak_set.held_out, weak_set.control])
        every = ids_of(data)
        wanted = every if ids is None else checks.sample_ids(ids, int(every.max(initial=-1)) + 1, "x")
        allowed = np.setdiff1d(wanted, unseen)
        ordinary = allowed if weak_set is None else np.setdiff1d(allowed, weak_set.tune)
        part = replace(guard_of(guard, data, ordinary, self.seed, unseen), batch_size=lengths[1])
        trained = np.setdiff1d(allowed, part.ids) if part.split == "train" else allowed
        linf = [kind.threat for kind in self.attacks if kind.threat.norm == inf]
        return Job(
            data=data,
            ids=trained,
            weights=sample_weights(trained, weak_set, self.weak_weight),
            guard=part,
            attacks=self.attacks,
            corruptions=self.corruptions,
            weak=self._weak(weak_types),
            threat=linf[0] if linf else ThreatModel(inf, self.eps),
            recipe=self.recipe,
            seed=self.seed,
            epochs=int(lengths[0]),
            batch_size=int(lengths[1]),
        )

    def _trained(self, module: nn.Module, base: State, job: Job) -> tuple[Dial, Finetuning]:
        """Train, or go on, or load what had ended; the module's weights are then any, not yet the chosen ones."""
        optimizer = optimizer_of(self._classifier, module, self.recipe)
        options = self._options(job, optimizer)
        checkpoint = Checkpoint(None if self.checkpoint_dir is None else Path(self.checkpoint_dir))
        stamp = {**options, **job.fingerprints(), "base": digest_of(base)} if checkpoint.directory else {}
        precision = native_precision(self._device)
        stored = checkpoint.begin(stamp, base, precision)
        finished = checkpoint.finished() if stored else None
        if finished is not None:
            return finished
        precision = stored["precision"] if stored else precision
        forward = forward_of(self._classifier, self._device, precision)
        with lent(optimizer) as peaks, deterministic(self._device):
            training = FineTuning(module, forward, optimizer, peaks, job, checkpoint, self.progress)
            if stored:
                training.resume(stored)
            reached = training.run()
            dial = training.dial(base)
        record = Finetuning(
            drawn=dict(reached.drawn),
            norms=tuple(sorted({norm_key(kind.threat.norm) for kind in job.attacks if kind.name in reached.drawn})),
            history=tuple(reached.history),
            guard_ids=job.guard.ids,
            guard_split=job.guard.split,
            trained_ids=job.ids,
            curve=dial.curve,
            alpha=choose(dial.curve, self.clean_budget),
            options={**options, "precision": precision, "clean_budget": self.clean_budget},
        )
        checkpoint.finish(dial, record)
        return dial, record

    def _weak(self, names: Iterable[str] | None) -> tuple[str, ...]:
        wanted = tuple(dict.fromkeys(names or ()))
        handed = {kind.name for kind in self.attacks} | {kind.name for kind in self.corruptions}
        unknown = [name for name in wanted if name not in handed]
        if unknown:
            _LOG.info("weak_types %s are not drawn: this trainer draws %s", unknown, sorted(handed))
        return tuple(name for name in wanted if name in handed)

    def _options(self, job: Job, optimizer: Optimizer) -> dict[str, Any]:
        """Return everything that decides what training does, in plain values."""
        options = {
            "eps": self.eps,
            "attacks": {k.name: {"norm": norm_key(k.threat.norm), "eps": k.threat.eps} for k in self.attacks},
            "corruptions": [kind.name for kind in self.corruptions],
            "weak_weight": self.weak_weight,
            "weak_types": job.weak,
            "seed": self.seed,
            "nb_epochs": job.epochs,
            "batch_size": job.batch_size,
            "judged_on_guard": f"PGD-20 {job.threat}",
            "optimizer": describe(optimizer),
            "recipe": asdict(self.recipe),
        }
        plain: dict[str, Any] = json.loads(json.dumps(options))
        return plain


def _module_of(classifier: Any) -> nn.Module:
    """Return the network of a classifier that can be trained here, or say why it cannot."""
    if not isinstance(classifier, PyTorchClassifier):
        raise ModelError(
            f"classifier is a {type(classifier).__name__}; training moves weights: pass a PyTorchClassifier or "
            "FastPyTorchClassifier"
        )
    check_clip_values(classifier)
    module: nn.Module = classifier.model
    return module


def _check_fit(data: Dataset, classifier: Any) -> None:
    """Say so where the classifier was not made for samples such as these."""
    shape, labels = getattr(data, "input_shape", None), getattr(data, "labels", None)
    if shape is not None and tuple(shape) != tuple(classifier.input_shape):
        raise DataError(f"x holds images of shape {tuple(shape)}, the classifier takes {tuple(classifier.input_shape)}")
    if labels is not None and labels().max() >= classifier.nb_classes:
        raise DataError(
            f"y holds the label {labels().max()}, expected 0 to {classifier.nb_classes - 1} for a classifier of "
            f"{classifier.nb_classes} classes"
        )


def _drawn(kinds: Iterable[Kind], usable: Callable[[Kind], bool], reason: str) -> tuple[Kind, ...]:
    found = list(kinds)
    for kind in found:
        if not usable(kind):
            _LOG.info("%s is validated, not trained on: it %s", kind.name, reason)
    return tuple(kind for kind in found if usable(kind))


def _silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
