"""Attack classes that are handed in: what their users left to the run is filled in, and nothing else."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from art.attacks import EvasionAttack

from ...errors import UsageError
from ...plugins.budget import offered_eps
from ...protocols import Estimator
from ...threat import norm_key, parse_norm
from .binding import describe
from .build import ours, step
from .catalogue import row_of


@dataclass(frozen=True)
class Completed:
    """An attack class, or a partial of one, with what its user left to the run: budget, batch size, silence."""

    target: Callable[..., EvasionAttack]
    given: Mapping[str, Any]

    def __call__(self, estimator: Estimator) -> EvasionAttack:
        """Build the attack on ``estimator``."""
        return self.target(estimator, **self.given)

    @property
    def __name__(self) -> str:
        return describe(self.target)


def completed(entry: Callable[..., EvasionAttack], offered: Mapping[str, Any]) -> Callable[..., EvasionAttack]:
    """Return a factory with what the run offers where its user wrote nothing; what is no class of attacks as it is.

    :param entry: an attack class, a partial of one, or any other factory.
    :param offered: ``eps``, ``eps_l2``, ``batch_size``.
    :raises UsageError: where the run has no budget in the norm of a class that takes one.
    """
    target, written = (entry.func, entry.keywords) if isinstance(entry, functools.partial) else (entry, {})
    if not (isinstance(target, type) and issubclass(target, EvasionAttack)):
        return entry
    parameters, row = inspect.signature(target).parameters, row_of(target)
    given: dict[str, Any] = {} if row is None else dict(ours(target))
    if row is not None and row.batch_size is not None and offered.get("batch_size"):
        given["batch_size"] = int(offered["batch_size"])
    if "eps" in parameters and "eps" not in written:
        norm = parse_norm(written.get("norm", parameters["norm"].default if "norm" in parameters else inf))
        given["eps"] = eps = default_budget(norm, offered, describe(target))
        if row is not None and row.step is not None:
            given["eps_step"] = step(eps, row.step)
    given = {name: value for name, value in given.items() if name not in written}
    return Completed(entry, given) if given else entry


def default_budget(norm: float, offered: Mapping[str, Any], name: str) -> float:
    """Return the run's budget in a norm.

    :raises UsageError: where it has none.
    """
    eps = offered_eps(norm, offered)
    if eps is None:
        raise UsageError(f"attack {name!r} has no budget in L{norm_key(norm)}: write its eps")
    return eps
