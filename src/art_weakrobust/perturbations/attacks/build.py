"""Builds the attacks of the catalogue, set as we need them: untargeted, quiet, in the run's batches and budget.

:data:`BUILDERS` has one target for each row; what it takes, its signature says: the arguments of ART's constructor,
whose defaults stand unless the row has others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from math import floor
from types import SimpleNamespace
from typing import Any

import numpy as np
from art.attacks import EvasionAttack, evasion

from ...errors import AttackError, UsageError
from ...protocols import Estimator
from ...threat import norm_key, parse_norm
from .catalogue import ROWS
from .repaired import REPAIRED, silenced
from .reva import AdamUniversal, RandomisedFGSM
from .rows.row import Row
from .settings import whole

EPS, BATCH_SIZE = 2 / 255, 256
"""What a builder takes where neither the user nor the run says: a small Linf budget, and images a forward pass."""

_SET = ("targeted", "verbose", "summary_writer", "estimator_orig", "random_eps")
"""Arguments that are no options: ``y`` are labels, the run shows the progress, and a verdict needs one budget."""

_OWN = (RandomisedFGSM, AdamUniversal)


def kind_of(row: Row) -> type[EvasionAttack]:
    """Return the class of a row, or the subclass that we build in its place.

    ART exports Brendel-Bethge where numba is installed alone; without it the row stands for a class that is refused.
    """
    own: dict[str, type[EvasionAttack]] = {f"{kind.__module__}:{kind.__qualname__}": kind for kind in _OWN}
    kind = own.get(row.kind, getattr(evasion, row.kind, EvasionAttack))
    return REPAIRED.get(kind, kind)


class Builder:
    """Builds the attacks of one row; the target of its :class:`~art_weakrobust.Spec`.

    :param row: of the catalogue.
    """

    def __init__(self, row: Row) -> None:
        self.row, self.__name__, self.kind = row, row.name, kind_of(row)
        self._build: Callable[..., EvasionAttack] = self.kind
        taken = list(inspect.signature(self.kind).parameters.values())[1:]
        self._taken = tuple(parameter.name for parameter in taken)
        budget = {"norm": row.norms[0], "eps": row.eps or EPS, "batch_size": BATCH_SIZE}
        defaults = {p.name: p.default for p in taken if p.name not in (*_SET, row.eps_as[0])}
        defaults |= {**row.defaults, **budget}
        if row.step is not None:
            defaults["eps_step"] = None  # a share of eps
        options = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=v) for n, v in defaults.items()]
        estimator = inspect.Parameter("estimator", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.__signature__ = inspect.Signature([estimator, *options])

    def __call__(self, estimator: Estimator, **options: Any) -> EvasionAttack:
        """Build the attack.

        :param options: as the signature has them; ``norm`` and ``eps`` are the budget that it will be judged against.
        :raises UsageError: for a norm in which the attack does not work, or a number of steps that is none.
        :raises AttackError: where a package that ART needs for it is not installed.
        """
        _refuse_without(self.row)
        bound = self.__signature__.bind(estimator, **options)
        bound.apply_defaults()
        chosen = {name: value for name, value in bound.arguments.items() if name != "estimator"}
        norm = _norm(self.row, chosen["norm"])
        chosen |= {name: value for name, value in self.row.by_norm.get(norm, {}).items() if name not in options}
        eps_as = self.row.eps_as
        chosen |= {"norm": norm, eps_as[0]: _units(chosen["eps"], eps_as[1]), **ours(self.kind)}
        if self.row.step is not None and chosen["eps_step"] is None:
            chosen["eps_step"] = step(chosen["eps"], self.row.step)
        if "max_iter" in chosen:
            chosen["max_iter"] = whole("max_iter", chosen["max_iter"])
        attack: EvasionAttack = self._build(
            estimator, **{name: value for name, value in chosen.items() if name in self._taken}
        )
        for part in getattr(attack, "attacks", ()):
            silenced(part)
        return attack

    def __repr__(self) -> str:
        return f"Builder({self.row.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.row.attribute,)  # pickled by name, as functions are


def ours(kind: type[EvasionAttack]) -> Mapping[str, bool]:
    """Return what every attack of a class is set to here: untargeted, since ``y`` are labels, and quiet."""
    return {name: False for name in ("targeted", "verbose") if name in inspect.signature(kind).parameters}


def step(eps: float, share: float) -> float:
    """Return the size of a step; ART asks for one above zero, also where the budget is zero."""
    return max(eps * share, float(np.finfo(np.float32).tiny))


def _refuse_without(row: Row) -> None:
    if not row.package:
        return
    try:
        __import__(row.package)
    except ImportError as error:
        raise AttackError(f"attack {row.name!r} needs the package {row.package}: pip install {row.package}") from error


def _norm(row: Row, norm: float | str) -> float:
    norm = parse_norm(norm)
    if norm in row.norms:
        return norm
    key = norm_key(norm)
    alike = [f"{other.name}@{key}" for other in ROWS if norm in other.norms and other.group == row.group]
    own = " and ".join(f"L{norm_key(known)}" for known in row.norms)
    raise UsageError(
        f"attack '{row.name}@{key}': {row.name} is {own} alone; in L{key} work {', '.join(alike) or 'others'}"
    )


def _units(eps: float, units: int) -> float | int:
    return float(eps) if units == 1 else max(1, floor(eps * units + 1e-6))


def _named(attribute: str) -> Builder:
    builder: Builder = getattr(BUILDERS, attribute)
    return builder


BUILDERS = SimpleNamespace(**{row.attribute: Builder(row) for row in ROWS if row.target is None})
"""Name of a row, as an identifier -> what builds its attack."""
