"""Universal perturbations are crafted on samples of their own, never on the images that they are judged on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from art.attacks import EvasionAttack

from ...datasets.base import ids_of
from ...errors import AttackError
from ...kernels.keyed import derive
from ...protocols import Dataset, Estimator
from .binding import bind
from .catalogue import row_of
from .fingerprint import weights_digest
from .labels import one_hot
from .randomness import seeded
from .repaired import silenced
from .settings import refuse_mask

CRAFT_SIZE = 500
"""Samples that a universal perturbation is crafted on, at most: Moosavi-Dezfooli et al. find 500 enough on ImageNet
(https://arxiv.org/abs/1610.08401, figure 6)."""


class CraftedAttack(EvasionAttack):
    """A universal attack whose perturbation stands, whatever images it is handed.

    :param attack: that made the perturbation; its parameters are this one's.
    :param noise: float32 (1, c, h, w).
    """

    _estimator_requirements = ()

    def __init__(self, attack: EvasionAttack, noise: np.ndarray) -> None:
        super().__init__(estimator=attack.estimator)
        self._attack, self.noise = attack, noise
        self.attack_params = attack.attack_params

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:  # noqa: ARG002
        """Return ``x`` with the perturbation, inside the range of the pixels.

        :raises UsageError: for a ``mask``.
        """
        refuse_mask(self, kwargs)
        moved = x + self.noise
        return np.asarray(moved if self.estimator.clip_values is None else np.clip(moved, *self.estimator.clip_values))

    def set_params(self, **kwargs: Any) -> None:
        """Set parameters of the attack that made the perturbation, which stays as it is."""
        self._attack.set_params(**kwargs)

    @property
    def verbose(self) -> bool:
        """Whether the attack that made the perturbation shows its progress."""
        return bool(getattr(self._attack, "verbose", False))


@dataclass(frozen=True)
class Crafting:
    """A factory of universal attacks: crafts once for each state of a model, and not again for every chunk.

    :param factory: of the attack that crafts.
    :param craft: training samples outside weak set, control and guard part; None where the run offers none.
    :param seed: of the choice among them, and of the attack.
    """

    factory: Any
    craft: Dataset | None
    seed: int
    _made: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, estimator: Estimator) -> EvasionAttack:
        """Return the attack on ``estimator``, its perturbation crafted.

        :raises AttackError: where there are no samples to craft on.
        """
        attack = bind(self.factory, estimator)
        state = weights_digest(estimator)
        noise = self._made.get(state) if state else None
        if noise is None:
            noise = self._crafted(attack)
            self._made.clear()  # of the model as it was before
            if state:
                self._made[state] = noise
        return CraftedAttack(attack, noise)

    def refuse_without_samples(self, name: str) -> None:
        """Refuse a run that offers nothing to craft on.

        :raises AttackError: naming the attack.
        """
        if self.craft is None or not len(self.craft):
            raise AttackError(
                f"attack {name!r} makes one perturbation for all, on training samples that are judged nowhere, and "
                f"there are none: hand in craft=(x, y), leave some beyond --limit, or choose another attack"
            )

    def _crafted(self, attack: EvasionAttack) -> np.ndarray:
        self.refuse_without_samples(str(getattr(self.factory, "__name__", type(attack).__name__)))
        assert self.craft is not None
        seed = derive(self.seed, "craft")
        ids = np.random.default_rng(seed).permutation(ids_of(self.craft))[:CRAFT_SIZE]
        samples = self.craft.take(np.sort(ids))
        labels = one_hot(samples.y, int(attack.estimator.nb_classes))
        with seeded(seed), _uncounted(attack.estimator):
            silenced(attack).generate(x=np.array(samples.x, np.float32), y=labels)
        return np.asarray(attack.noise, np.float32)  # type: ignore[attr-defined]


def crafts(attack: EvasionAttack) -> bool:
    """Return whether an attack makes one perturbation for all; a subclass of one that does is taken to do so as well.

    :raises AttackError: for an ensemble with such an attack in it, which would craft on the images it is judged on.
    """
    inside = [type(part).__name__ for part in getattr(attack, "attacks", None) or () if crafts(part)]
    if inside:
        raise AttackError(
            f"attack {type(attack).__name__} holds {inside[0]}, which makes one perturbation for all, and would craft "
            f"it on the very images that it is judged on: hand {inside[0]} in by itself"
        )
    rows = (row_of(kind) for kind in type(attack).__mro__)
    return any(row is not None and row.crafts for row in rows)


def crafter(factory: Any) -> Any:
    """Return the factory of the attack that does the work: what :class:`Crafting` holds, anything else as it is."""
    return factory.factory if isinstance(factory, Crafting) else factory


@contextmanager
def _uncounted(estimator: Any) -> Iterator[None]:
    """Leave an estimator's counters as they are: queries are those about a sample, whichever chunk came first."""
    counted = {name: getattr(estimator, name) for name in ("forwards", "gradients") if hasattr(estimator, name)}
    try:
        yield
    finally:
        for name, value in counted.items():
            setattr(estimator, name, value)
