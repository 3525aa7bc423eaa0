"""Fast classifiers in the place of the stock ones that some of ART's attacks build around our model.

Auto-PGD, ACG, ReACG (with a ``loss_type``) and Brendel-Bethge wrap ``estimator.model`` in a ``PyTorchClassifier`` with
a loss of their own, so that none of our methods is ever called. The clone here has that loss, counts its forward passes
and gradients where the estimator counts its own, and runs by its plan.
"""

from __future__ import annotations

from art.attacks import EvasionAttack
from art.estimators.classification import PyTorchClassifier

from ...errors import AttackError
from ...estimators.pytorch import FastPyTorchClassifier
from ...protocols import Estimator
from .catalogue import row_of

DLR = "difference_logits_ratio"


class Clone(FastPyTorchClassifier):
    """A classifier with the model and the counters of another one, and a loss of its own."""

    _original: FastPyTorchClassifier | None = None

    @property
    def forwards(self) -> int:
        """Images that went forwards through the model, the original's included."""
        return 0 if self._original is None else self._original.forwards

    @forwards.setter
    def forwards(self, value: int) -> None:
        if self._original is not None:
            self._original.forwards = value

    @property
    def gradients(self) -> int:
        """Images that went backwards through the model, the original's included."""
        return 0 if self._original is None else self._original.gradients

    @gradients.setter
    def gradients(self, value: int) -> None:
        if self._original is not None:
            self._original.gradients = value


def fast_clone(stock: PyTorchClassifier, original: FastPyTorchClassifier) -> Clone:
    """Return a fast classifier with the loss of ``stock``, which an attack built around the model of ``original``."""
    clone = Clone.sharing(stock)
    assert isinstance(clone, Clone)
    clone._reduce_labels, clone._int_labels = stock._reduce_labels, stock._int_labels
    clone._probability_labels = stock._probability_labels
    clone.plan, clone._original = original.plan, original
    return clone


def replace_clones(parts: list[EvasionAttack], estimator: Estimator) -> None:
    """Put fast clones into attacks that built stock ones around the model of ``estimator``; changes the attacks."""
    if not isinstance(estimator, FastPyTorchClassifier):
        return
    for part in parts:
        row, held = row_of(type(part)), part._estimator
        if row is not None and row.clones and type(held) is PyTorchClassifier and held.model is estimator.model:
            part._estimator = fast_clone(held, estimator)


def refuse_loss(parts: list[EvasionAttack], estimator: Estimator, name: str) -> None:
    """Refuse the difference of logits ratio on fewer classes than it is defined for.

    :raises AttackError: for two classes: its denominator is the gap from the best class to the third.
    """
    classes = int(estimator.nb_classes)
    if classes < 3 and any(getattr(part, "loss_type", None) == DLR for part in parts):
        raise AttackError(
            f"attack {name}: loss_type {DLR!r} needs three classes and the model has {classes}; "
            f"use loss_type='cross_entropy', or autoattack, which does without it there"
        )
