"""The contract of an attack, as checks that a plugin's author can run: ``check_attack(spec)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from art.estimators.classification.blackbox import BlackBoxClassifierNeuralNetwork

from ..datasets.arrays import as_dataset
from ..errors import UserError
from ..estimators.pytorch import FastPyTorchClassifier
from ..perturbations.attacks.binding import bind
from ..perturbations.attacks.judge import hold
from ..perturbations.attacks.randomness import seeded
from ..perturbations.resolve import attack_type
from ..perturbations.types import AttackType
from ..plugins import Spec
from ..plugins.manager import AttackFactory, Manager
from ..plugins.reference import Reference
from .contract import (
    CHECKED,
    CLASSES,
    SHAPE,
    check_picklable,
    claim,
    generators,
    host,
    images,
    same_state,
    state_of,
    untouched_generators,
)
from .networks import small_cnn

TOLERANCE = 1e-5
"""By how much a pixel may move where a batch is cut in another way: batches of another size add up otherwise."""


_SMALL = 16
"""By how much the second budget is smaller than the first."""


def check_attack(
    spec: Spec,
    *,
    options: Mapping[str, Any] | None = None,
    norm: float | None = None,
    eps: float = 0.3,
    eps_l2: float = 1.5,
) -> None:
    """Hold an attack to its contract, on a small network of random weights and four images.

    It gives images of the right shape, finite and in [0, 1]; keeps its budget, whichever it is, unless
    ``facts["budget"]`` is ``"smallest"``; leaves images, labels, model and global random state alone; is a function of
    the seed; gives a sample the same result in any batch, of the run's and of its own, unless ``facts`` say that it
    ``draws`` (who comes first in a batch gets the first draws) or ``couples`` the samples of a batch: such attacks are
    run in fixed chunks; does with what ``needs`` declares; and its spec can be pickled.

    :param options: what a user may write behind its name; fewer steps, where it takes long.
    :param norm: as in ``NAME@2``; the first that it works in by default.
    :param eps: budget in Linf.
    :param eps_l2: budget in L2; one in L1 belongs into ``options``.
    :raises AssertionError: with a sentence, for the first part that does not hold.
    """
    check_picklable(spec, "attack")
    subject = _Subject(spec, host("attack", spec), Reference(CHECKED, norm, dict(options or {})), (eps, eps_l2))
    kind = subject.built()
    x = images(4)
    whole = subject.run(kind, x)
    _check_points(subject, kind, x, whole)
    claim(np.array_equal(whole, subject.run(kind, x)), f"{subject.who} gives another result with the same seed")
    _check_seed(subject, kind, x)
    by_itself = not (spec.facts.get("draws") or spec.facts.get("couples"))
    if by_itself:
        _check_split(subject, kind, x, whole)
    _check_small(subject, x, by_itself)


@dataclass
class _Subject:
    """An attack under examination, and the poorest estimator that gives what it declares to need."""

    spec: Spec
    manager: Manager
    reference: Reference
    budgets: tuple[float, float]
    batch_size: int = 4
    module: torch.nn.Module = field(default_factory=lambda: small_cnn(SHAPE, CLASSES).eval())

    def __post_init__(self) -> None:
        self.who = f"attack {self.spec.name!r}"
        self.given = next((need for need in ("gradients", "scores") if need in self.spec.needs), "decisions")
        self.estimator: Any = _estimator(self.module, self.given)
        eps, eps_l2 = self.budgets
        craft = images(12, seed=1)
        self.offered: dict[str, Any] = {"eps": eps, "eps_l2": eps_l2, "seed": 0, "batch_size": self.batch_size}
        self.offered["craft"] = as_dataset(craft, self.labels(craft), name="craft")

    def labels(self, x: np.ndarray) -> np.ndarray:
        """Return the model's own predictions: as labels, everything is right when clean."""
        with torch.no_grad():
            return np.asarray(self.module(torch.from_numpy(x)).argmax(1).numpy())

    def built(self) -> AttackType:
        """Return the attack with its budget, built once."""
        factory = AttackFactory(self.manager, self.reference, self.offered)
        with untouched_generators(f"building {self.who}"):
            try:
                return attack_type(factory, self.estimator, manager=self.manager, offered=self.offered)
            except UserError as error:
                raise AssertionError(f"{self.who}, which declares {self._declared}, is not built: {error}") from error

    @property
    def _declared(self) -> str:
        return f"needs={self.spec.needs!r}"

    def run(self, kind: AttackType, x: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return what the attack makes of some images, and hold it to leave alone what is not its own."""
        y = np.eye(CLASSES, dtype=np.float32)[self.labels(x)]
        given, labels, before = x.copy(), y.copy(), state_of(self.module)
        with untouched_generators(self.who), seeded(seed):
            try:
                x_adv = bind(kind.factory, self.estimator).generate(x=given, y=labels)
            except Exception as error:
                raise AssertionError(
                    f"{self.who} fails on an estimator that gives {self.given}, which is what {self._declared} "
                    f"declares: {type(error).__name__}: {error}"
                ) from error
        claim(
            isinstance(x_adv, np.ndarray),
            f"{self.who} returns a {type(x_adv).__name__}, expected an array: ART's attacks take and give NumPy",
        )
        claim(np.array_equal(given, x), f"{self.who} writes into the images that it is handed: copy them first")
        claim(np.array_equal(labels, y), f"{self.who} writes into the labels that it is handed: copy them first")
        changed = same_state(before, state_of(self.module))
        claim(changed is None, f"{self.who} changes the model: {changed}")
        points: np.ndarray = x_adv
        return points


def _estimator(module: torch.nn.Module, given: str) -> Any:
    """Return an estimator that gives ``gradients``, ``scores`` (logits) or ``decisions`` (one-hot), and no more."""
    options: dict[str, Any] = {"input_shape": SHAPE, "nb_classes": CLASSES, "clip_values": (0, 1)}
    if given == "gradients":
        return FastPyTorchClassifier(module, loss=torch.nn.CrossEntropyLoss(), device_type="cpu", **options)

    def answer(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits = module(torch.from_numpy(np.asarray(x, np.float32))).numpy()
        return np.asarray(logits if given == "scores" else np.eye(CLASSES, dtype=np.float32)[logits.argmax(1)])

    return BlackBoxClassifierNeuralNetwork(answer, **options)


def _check_points(subject: _Subject, kind: AttackType, x: np.ndarray, x_adv: np.ndarray) -> None:
    who = subject.who
    claim(x_adv.shape == x.shape, f"{who} returns {x_adv.shape} for images of {x.shape}")
    claim(x_adv.dtype.kind == "f", f"{who} returns {x_adv.dtype}, expected floating-point pixels")
    claim(bool(np.isfinite(x_adv).all()), f"{who} returns pixels that are not finite")
    inside = bool((x_adv >= -1e-6).all() and (x_adv <= 1 + 1e-6).all())
    claim(inside, f"{who} leaves the range of the pixels: {x_adv.min():g} to {x_adv.max():g}, expected [0, 1]")
    if subject.spec.facts.get("budget", "eps") == "eps":
        _, norm, over = hold(x_adv.astype(np.float32), x, kind.threat)
        claim(
            not over.any(),
            f"{who} returns perturbations up to {norm.max():.6g} where {kind.threat.eps:.6g} is its budget: project "
            f"them, or declare facts['budget']='smallest' if it seeks the smallest one",
        )


def _check_seed(subject: _Subject, kind: AttackType, x: np.ndarray) -> None:
    """An attack that seeds a global generator itself draws the same whatever the run's seed is."""
    states: list[dict[str, bytes]] = []
    y = np.eye(CLASSES, dtype=np.float32)[subject.labels(x)]
    for seed in (1, 2):
        with seeded(seed):
            bind(kind.factory, subject.estimator).generate(x=x.copy(), y=y)
            states.append(generators())
    for name, state in states[0].items():
        claim(
            state != states[1][name],
            f"{subject.who} seeds {name} itself, so that the run's seed is without effect: draw, and do not seed",
        )


def _check_small(subject: _Subject, x: np.ndarray, by_itself: bool) -> None:
    """A budget that nobody has as a default is kept as well, in more batches than one, which change nothing."""
    small = (subject.budgets[0] / _SMALL, subject.budgets[1] / _SMALL)
    found = []
    for size in (2, len(x)) if by_itself else (2,):
        subject = replace(subject, budgets=small, batch_size=size)
        try:
            kind = subject.built()
        except AssertionError:
            return  # no budget of its: whole grey levels, say
        found.append(subject.run(kind, x))
        _check_points(subject, kind, x, found[-1])
    moved = float(np.abs(found[0] - found[-1]).max())
    claim(
        moved <= TOLERANCE,
        f"{subject.who} gives another result with batch_size=2 than with {len(x)} (pixels move by {moved:.2g}): attack "
        f"every batch alike, or declare facts['couples']=True",
    )


def _check_split(subject: _Subject, kind: AttackType, x: np.ndarray, whole: np.ndarray) -> None:
    """A sample's result is its own, whoever is in the batch with it."""
    for rows in (slice(0, 2), slice(2, 4)):
        moved = float(np.abs(subject.run(kind, x[rows]) - whole[rows]).max())
        claim(
            moved <= TOLERANCE,
            f"{subject.who} gives samples another result in a smaller batch (pixels move by {moved:.2g}): treat each "
            f"by itself, or declare facts['couples']=True, or facts['draws']=True if chance alone makes the difference",
        )
