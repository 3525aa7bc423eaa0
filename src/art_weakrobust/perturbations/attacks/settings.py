"""What an attack object was set to: its budget, and all that decides what it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from art.attacks import EvasionAttack

from ...errors import AttackError, UsageError
from ...threat import parse_eps, parse_norm


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


def whole(name: str, value: Any, of: str = "an attack") -> int:
    """Return a number of steps, queries or images; ART takes a fraction, and fails once it attacks.

    :param name: of the argument, and ``of`` what, in messages.
    :raises UsageError: for what is no whole number from 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise UsageError(f"{name}={value!r} of {of} has to be a whole number from 1")
    return int(value)


def refuse_mask(attack: EvasionAttack, arguments: Mapping[str, Any]) -> None:
    """Refuse the mask that some of ART's attacks take: one that is overlooked would be a silent wrong result.

    :param arguments: what ``generate`` was handed beside images and labels.
    :raises UsageError: where there is a mask.
    """
    if arguments.get("mask") is not None:
        raise UsageError(f"{type(attack).__name__}: mask is not possible, every pixel is perturbed; use pgd or fgm")


def settings_of(attack: EvasionAttack) -> dict[str, Any]:
    """Return what an attack was set to, as plain values: two of one class with the same settings do the same."""
    holder = used(attack)
    names = [name for name in attack.attack_params if name not in ("verbose", "summary_writer")]
    return {"class": type(attack).__name__, **{name: _told(getattr(holder, name, None)) for name in names}}


def _told(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value if value is None or isinstance(value, bool | int | float | str) else type(value).__name__
