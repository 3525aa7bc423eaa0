"""Early stopping for ART's gradient attacks, their own loops unmodified: a sample that is fooled costs nothing more.

The forward pass of a gradient already tells who is fooled at the point where the gradient is taken. Those samples stay
at that very point, and the gradient of the others alone is computed from then on. That is sound where a step depends on
the current point alone; an attack with memory runs unchanged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil, inf
from typing import Any

import numpy as np
import torch
from art.attacks import EvasionAttack
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentNumpy, ProjectedGradientDescentPyTorch
from art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_numpy import (
    ProjectedGradientDescentCommon,
)
from torch import Tensor

from ...errors import UsageError
from ...estimators.judge import exact_float32, judge_logits
from ...estimators.labels import is_index
from ...estimators.precision import precision_on
from ...estimators.pytorch import FastPyTorchClassifier, answers_as_its_module
from ...kernels.losses import margin
from ...kernels.norms import project
from .catalogue import row_of
from .labels import class_numbers
from .settings import used

logger = logging.getLogger(__name__)

DOUBT = 1e-4
"""The search may run on a folded copy of the model: a margin within this is the judge's to decide."""

_LOOPS = (FastGradientMethod, ProjectedGradientDescentNumpy, ProjectedGradientDescentPyTorch)


@contextmanager
def early_stopping(attack: EvasionAttack, *, precision: str | None = None) -> Iterator[EvasionAttack]:
    """Let ``attack.generate(x, y)`` spend nothing more on samples that are already fooled.

    ``y`` says what fooled means: another class than the label, or, for a targeted attack, the target. A fooled sample
    is returned as it was when it was found, so that perturbations are smaller than without early stopping, and a
    verdict is never milder. FGM, BIM and PGD without decay stop early, on a ``PyTorchClassifier`` of ART's or ours; any
    other attack runs unchanged, and a log line says why.

    :param attack: it is altered inside the block, and as before after it; one thread may use it meanwhile.
    :param precision: of the gradients: ``"float32"``, ``"bfloat16"``, or ``"auto"``, bfloat16 where the hardware has
        it; that of the classifier's plan by default. Whoever a search in bfloat16 holds for fooled is asked of the
        judge, in float32 and of the unfolded model, and attacked further where the judge disagrees.
    :raises ModelError: for another precision.
    :raises UsageError: for what is no attack that is ready to run: a class or a name, say.
    """
    if not isinstance(attack, EvasionAttack):
        raise UsageError(f"early_stopping: {attack!r} is no attack of ART, expected one that is built on an estimator")
    reason = why_not(attack)
    if reason is not None:
        logger.info("early stopping: %s runs unchanged: %s", type(attack).__name__, reason)
        yield attack
        return
    holder: Any = used(attack)
    replaced = _Stopping(holder, precision).replacements()
    before = {name: vars(holder)[name] for name in replaced if name in vars(holder)}
    vars(holder).update(replaced)
    try:
        yield attack
    finally:
        for name in replaced:
            del vars(holder)[name]
        vars(holder).update(before)


def why_not(attack: EvasionAttack) -> str | None:
    """Return why an attack cannot stop early, None where it can."""
    holder: Any = used(attack)
    row = row_of(type(attack))
    if row is None or not row.memoryless or type(holder) not in _LOOPS:
        return "not known to be memoryless"
    if getattr(holder, "decay", None) is not None:
        return f"decay={holder.decay} gives it a memory"
    if getattr(holder, "minimal", False):
        return "minimal=True stops by itself"
    if holder.summary_writer is not None:
        return "its summary writer wants to see every gradient"
    if not answers_as_its_module(holder.estimator):
        return f"a {type(holder.estimator).__name__} does not show the outputs of its gradient passes"
    return None


class _Stopping:
    """Who of the batch at hand is fooled, and where; stands between ART's loop and its estimator.

    :param attack: the object that runs the loop.
    """

    def __init__(self, attack: Any, precision: str | None) -> None:
        self.attack, self.estimator = attack, attack.estimator
        self.iterates = isinstance(attack, ProjectedGradientDescentCommon)
        self.search = FastPyTorchClassifier.sharing(self.estimator)
        self.precision = precision_on(self.search.device, precision or self.search.precision)
        self.fooled = torch.empty(0, dtype=torch.bool)
        self.points = self.last = torch.empty(0)
        self.batch: int | None = None
        self.row = 0
        self.steps_left = inf
        self.deferring = False
        self.hits: list[np.ndarray] = []

    def replacements(self) -> dict[str, Any]:
        """Return what takes the place of the attack's own attributes: attribute -> value."""
        view: Any = object.__new__(type(self.estimator))
        vars(view).update(vars(self.estimator), loss_gradient=self._gradient, predict=self._predict)
        replaced = {"_estimator": view, "generate": self._generate(self.attack.generate)}
        if isinstance(self.attack, ProjectedGradientDescentPyTorch):
            step, projection = self.attack._compute_pytorch, self.attack._projection
            return {**replaced, "_compute_pytorch": self._step(step), "_projection": _projection(projection)}
        return {**replaced, "_compute": self._step(self.attack._compute)}

    def _generate(self, original: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        def searched(x: np.ndarray, y: np.ndarray | None, precision: str, **kwargs: Any) -> np.ndarray:
            self.batch, self.steps_left, self.hits = None, inf, []
            quiet = not logging.getLogger(type(self.attack).__module__).isEnabledFor(logging.INFO)
            if quiet and self.iterates and self.attack.num_random_init <= 1:
                self.steps_left = ceil(len(x) / self.attack.batch_size) * self.attack.max_iter
            try:
                with exact_float32(), self.search.searching(precision):
                    return original(x=x, y=y, **kwargs)
            finally:
                self.steps_left = inf  # whoever asks the attack's estimator from here on wants to know

        def generate(x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
            self.deferring = self._may_defer(y, kwargs)
            found = searched(x, y, self.precision, **kwargs)
            if self.deferring and y is not None and self.hits:
                self.deferring = False
                rejected = self._rejected(found, y, np.unique(np.concatenate(self.hits)))
                if len(rejected):
                    found[rejected] = searched(x[rejected], np.asarray(y)[rejected], "float32", **kwargs)
            return found

        return generate

    def _may_defer(self, y: np.ndarray | None, options: Mapping[str, Any]) -> bool:
        """Say whether the judge is asked once, at the end, and whom it rejects is attacked once more in float32.

        It is faster than asking it of a few at every step. Not where samples cannot be attacked apart from the others.
        """
        attack = self.attack
        apart = not np.ndim(attack.eps) and not np.ndim(attack.eps_step) and options.get("mask") is None
        return self.precision != "float32" and y is not None and apart and attack.num_random_init <= 1

    def _rejected(self, found: np.ndarray, y: np.ndarray, hits: np.ndarray) -> np.ndarray:
        """Return which samples the judge does not hold for fooled, though the search did."""
        right = judge_logits(self.estimator, found[hits]).argmax(1) == class_numbers(np.asarray(y)[hits])
        rejected: np.ndarray = hits[right != bool(self.attack.targeted)]
        return rejected

    def _step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return ART's step of a batch that leaves those who are fooled at the point where they were found."""

        def step(x: Any, x_init: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
            if self.attack._i_max_iter == 0:
                self._open(x, y)
            self.row = 0
            moved = original(x, x_init, y, *args, **kwargs)
            self.steps_left -= 1
            fooled, found = self.fooled, self.points[self.fooled]
            if isinstance(moved, Tensor):
                moved[fooled] = found
            else:
                moved[fooled.cpu().numpy()] = found.cpu().numpy()
            self.last = moved
            return moved

        return step

    def _open(self, x: Any, y: Any) -> None:
        """Begin a batch; at another random start of the same batch those fooled before stay so."""
        if self.iterates and self.attack._batch_id == self.batch:
            standing = (~self.fooled).nonzero().squeeze(1)
            if len(standing):  # nobody has looked at where their last step has led them
                images = self._tensor(self.last)[standing]
                self._keep(standing, self.search.predict_tensor(images), self._tensor(y)[standing], images)
            return
        self.batch = self.attack._batch_id
        self.points = torch.empty(x.shape, dtype=torch.float32, device=self.search.device)
        self.fooled = torch.zeros(len(x), dtype=torch.bool, device=self.search.device)

    def _gradient(self, x: Any, y: Any, **_kwargs: Any) -> Any:
        """Return the loss gradient as ART's estimator does, zero and not computed where a sample is fooled."""
        images, labels = self._tensor(x), self._tensor(y)
        start, self.row = self.row, self.row + len(images)
        gradient = torch.zeros_like(images)
        standing = (~self.fooled[start : self.row]).nonzero().squeeze(1)
        if len(standing):
            images, labels = images[standing], labels[standing]
            logits, part = self.search.logits_and_gradient(images, labels)
            part[self._keep(start + standing, logits, labels, images)] = 0.0
            gradient[standing] = part
        return gradient if isinstance(x, Tensor) else gradient.cpu().numpy()

    def _tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32, device=self.search.device)

    def _keep(self, rows: Tensor, logits: Tensor, y: Tensor, images: Tensor) -> Tensor:
        """Note who of these rows of the batch is fooled, and where; return bool (n,)."""
        fooled = self._judged(logits, y, images)
        if self.deferring and bool(fooled.any()):
            offset = self.attack._batch_id * self.attack.batch_size if self.iterates else 0
            self.hits.append(offset + rows[fooled].cpu().numpy())
        self.points[rows[fooled]] = images[fooled]
        self.fooled[rows[fooled]] = True
        return fooled

    def _judged(self, logits: Tensor, y: Tensor, images: Tensor) -> Tensor:
        """Return who is fooled, bool (n,): by the search where it is sure, otherwise by the judge."""
        if logits.shape[1] < 2:
            return torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
        label = y.reshape(-1).long() if is_index(y) else y.argmax(1)
        targeted = bool(self.attack.targeted)
        distance = margin(logits, label).abs()
        fooled = ((logits.argmax(1) == label) == targeted) & distance.isfinite()
        sure = DOUBT if self.precision == "float32" or self.deferring else inf
        unsure = fooled & (distance <= sure)
        if unsure.any():
            judged = torch.from_numpy(judge_logits(self.estimator, images[unsure].cpu().numpy())).to(logits)
            fooled[unsure] = (judged.argmax(1) == label[unsure]) == targeted
        return fooled

    def _predict(self, x: np.ndarray, batch_size: int = 128, **kwargs: Any) -> np.ndarray:
        """Return the estimator's predictions, but for those that only a log line which nobody reads is made of."""
        if self.steps_left <= 0:
            return np.zeros((len(x), self.estimator.nb_classes), dtype=np.float32)
        return np.asarray(self.estimator.predict(x, batch_size=batch_size, **kwargs))


def _projection(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return ART's projection of PGD's tensors without its float64 copies of eps, where that gives the same."""

    def projection(values: Tensor, eps: Any, norm_p: Any, **kwargs: Any) -> Tensor:
        norm = inf if norm_p == "inf" else float(norm_p)
        if norm in (2.0, inf) and isinstance(eps, int | float):
            return project(values, norm, eps)
        return original(values, eps, norm_p, **kwargs)

    return projection
