"""What a perturbation type is, once it has a name and a budget: an attack, or a corruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..protocols import Corruption, Estimator, StoredCorruption
from ..results import PerturbationType
from ..threat import ThreatModel

if TYPE_CHECKING:
    from art.attacks import EvasionAttack


@dataclass(frozen=True)
class AttackType:
    """An attack that can be built on any estimator, with the budget it is judged against.

    :param info: its row in the table of types; ``info.type`` is its name, as in ``pgd-linf``.
    :param factory: called with the estimator that is to be attacked; see :func:`.attacks.binding.bind`.
    :param threat: norm, budget and pixel range that its results are held to.
    :param few_step: True for FGM, BIM and PGD, which training may run with two or three steps.
    """

    info: PerturbationType
    factory: Callable[[Estimator], EvasionAttack]
    threat: ThreatModel
    few_step: bool = False

    @property
    def name(self) -> str:
        """The name of the type."""
        return self.info.type


@dataclass(frozen=True)
class CorruptionType:
    """A corruption with a name, computed on the fly or stored on disk.

    :param info: its row in the table of types.
    :param corruption: ``(x, ids, severity, seed) -> x``, or a set on disk where ``info.origin`` is ``stored``.
    """

    info: PerturbationType
    corruption: Corruption | StoredCorruption

    @property
    def name(self) -> str:
        """The name of the type."""
        return self.info.type

    @property
    def stored(self) -> bool:
        """Whether it is a set on disk, which is for the test set alone."""
        return self.info.origin == "stored"
