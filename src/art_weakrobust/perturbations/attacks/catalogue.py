"""What is known of ART's attacks, in one table, and our own names for the three that every run starts from.

To add an attack, add a row: its class name, the name under which it is registered (plugin.py says of that name what
group and source it has), which constructor arguments make a copy of it (``arguments``), and which of its
``attack_params`` are no constructor arguments and have to be set afterwards (``settings``).
``tests/perturbations/test_attacks_binding.py`` then holds a rebound object's output equal to that of a freshly built
one. Leave out an attack that cannot be copied that way: without a row, a ready-made object is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np
from art.attacks import EvasionAttack
from art.attacks.evasion import BasicIterativeMethod, FastGradientMethod, ProjectedGradientDescent

from ...errors import AttackError, UsageError
from ...protocols import Estimator
from ...threat import norm_key, parse_eps, parse_norm

STEPS, STEP = 20, 0.25
"""How BIM and PGD run unless told otherwise: 20 steps of eps / 4 (Madry et al. use the same ratio on CIFAR-10)."""


@dataclass(frozen=True)
class Row:
    """What is known of one class of ART's attacks.

    :param name: the registered name, before the norm.
    :param arguments: constructor arguments that are read off a ready-made object to build it on another estimator.
    :param settings: attributes that ``set_params`` takes and the constructor does not.
    :param estimator_argument: how the constructor calls the estimator.
    :param few_step: training may draw it, with two or three steps.
    :param step: ``eps_step`` as a share of eps, for a class that is handed in without a budget.
    """

    name: str
    arguments: tuple[str, ...]
    settings: tuple[str, ...] = ()
    estimator_argument: str = "estimator"
    few_step: bool = False
    step: float | None = None


_FGM = ("eps", "eps_step", "targeted", "batch_size", "norm", "num_random_init")
_BIM = ("eps", "eps_step", "targeted", "batch_size", "max_iter", "verbose")
_PGD = (*_BIM, "norm", "num_random_init", "decay")
_PGD_ROW = Row("pgd", _PGD, few_step=True, step=STEP)

CATALOGUE: Mapping[str, Row] = MappingProxyType(
    {
        "FastGradientMethod": Row("fgm", (*_FGM, "minimal"), few_step=True, step=STEP),
        # BIM is a PGD whose constructor knows neither norm, restarts nor momentum; set_params does.
        "BasicIterativeMethod": Row("bim", _BIM, ("norm", "num_random_init", "decay"), few_step=True, step=STEP),
        "ProjectedGradientDescent": _PGD_ROW,
        "ProjectedGradientDescentPyTorch": _PGD_ROW,
        "ProjectedGradientDescentNumpy": _PGD_ROW,
    }
)
"""Class name in ``art.attacks.evasion`` -> row."""


def row_of(kind: type) -> Row | None:
    """Return the row of a class of ART's own; None for any other: a subclass of one may do other things."""
    return CATALOGUE.get(kind.__name__) if kind.__module__.startswith("art.attacks.") else None


def name_of(kind: type) -> str:
    """Return the catalogue's name of a class, otherwise the class's own in snake case."""
    row = row_of(kind)
    return row.name if row else re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind.__name__).lower()


def used(attack: EvasionAttack) -> EvasionAttack:
    """Return the object whose values count: ART's dispatching attacks hold the one that runs in ``_attack``.

    ``attack.eps = v`` on PGD or BIM changes the outer object alone and does nothing; ``set_params`` reaches both.
    """
    inner = getattr(attack, "_attack", None)
    return inner if isinstance(inner, EvasionAttack) else attack


def budget_of(attack: EvasionAttack) -> tuple[float | None, float | None]:
    """Return norm and eps that an attack was set to, None for what it does not have.

    :raises UsageError: for a norm other than 1, 2 and inf.
    :raises AttackError: for an eps that is an array: a verdict needs one budget.
    """
    holder = used(attack)
    norm, eps = getattr(holder, "norm", None), getattr(holder, "eps", None)
    if isinstance(eps, np.ndarray) and eps.size != 1:
        raise AttackError(f"{type(attack).__name__}: eps is an array of {eps.shape}; a verdict needs one number")
    if isinstance(eps, np.ndarray):
        eps = eps.item()
    return None if norm is None else parse_norm(norm), None if eps is None else parse_eps(eps)


def settings_of(attack: EvasionAttack) -> dict[str, Any]:
    """Return what an attack was set to, as plain values: two of one class with the same settings do the same."""
    holder = used(attack)
    names = [name for name in attack.attack_params if name not in ("verbose", "summary_writer")]
    return {"class": type(attack).__name__, **{name: _told(getattr(holder, name, None)) for name in names}}


def _told(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value if value is None or isinstance(value, bool | int | float | str) else type(value).__name__


def fgm(
    estimator: Estimator, norm: float = inf, eps: float = 2 / 255, num_random_init: int = 0, batch_size: int = 256
) -> FastGradientMethod:
    """Build ART's Fast Gradient Method (https://arxiv.org/abs/1412.6572): one step of the whole budget."""
    return FastGradientMethod(
        estimator, norm=norm, eps=eps, eps_step=_step(eps), num_random_init=num_random_init, batch_size=batch_size
    )


def bim(
    estimator: Estimator,
    norm: float = inf,
    eps: float = 2 / 255,
    eps_step: float | None = None,
    max_iter: int = STEPS,
    batch_size: int = 256,
) -> BasicIterativeMethod:
    """Build ART's Basic Iterative Method (https://arxiv.org/abs/1607.02533): 20 steps of eps / 4 from the sample.

    :raises UsageError: for a norm other than inf, which ART's BIM does not know.
    """
    if parse_norm(norm) != inf:
        raise UsageError(f"attack 'bim@{norm_key(norm)}': BIM is Linf alone; write pgd@{norm_key(norm)}")
    return BasicIterativeMethod(
        estimator,
        eps=eps,
        eps_step=_step(eps, eps_step),
        max_iter=_steps(max_iter),
        batch_size=batch_size,
        verbose=False,
    )


def pgd(
    estimator: Estimator,
    norm: float = inf,
    eps: float = 2 / 255,
    eps_step: float | None = None,
    max_iter: int = STEPS,
    num_random_init: int = 1,
    decay: float | None = None,
    batch_size: int = 256,
) -> ProjectedGradientDescent:
    """Build ART's Projected Gradient Descent (https://arxiv.org/abs/1706.06083): 20 steps of eps / 4, random start."""
    return ProjectedGradientDescent(
        estimator,
        norm=norm,
        eps=eps,
        eps_step=_step(eps, eps_step),
        decay=decay,
        max_iter=_steps(max_iter),
        num_random_init=num_random_init,
        batch_size=batch_size,
        verbose=False,
    )


def _steps(max_iter: int) -> int:
    """Return a number of steps; ART takes a fraction, and fails once it attacks."""
    if isinstance(max_iter, bool) or not isinstance(max_iter, int | np.integer) or max_iter < 1:
        raise UsageError(f"max_iter={max_iter!r} of an attack has to be a whole number from 1")
    return int(max_iter)


def _step(eps: float, eps_step: float | None = None) -> float:
    """Return the size of a step; ART asks for one above zero, also where the budget is zero."""
    return float(eps_step) if eps_step is not None else max(eps * STEP, float(np.finfo(np.float32).tiny))
