"""The budget of an evasion attack: a norm, a radius and the range of the pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from .errors import UsageError

_NORM_NAMES: dict[str, float] = {"1": 1.0, "l1": 1.0, "2": 2.0, "l2": 2.0, "inf": math.inf, "linf": math.inf}


def parse_norm(value: float | int | str, name: str = "norm") -> float:
    """Return 1.0, 2.0 or ``inf`` for ``1``, ``"2"``, ``"inf"``, ``"Linf"``, ``np.inf`` and their like.

    :raises UsageError: for any other norm.
    """
    word = value.strip().lower() if isinstance(value, str) else f"{float(value):g}"
    if word not in _NORM_NAMES:
        raise UsageError(f"{name} {value!r} is not known; use 1, 2 or inf")
    return _NORM_NAMES[word]


def norm_key(norm: float | int | str) -> str:
    """Return ``"1"``, ``"2"`` or ``"inf"``: how a norm is written in tables and options."""
    return f"{parse_norm(norm):g}"


def norm_suffix(norm: float | int | str) -> str:
    """Return ``"l1"``, ``"l2"`` or ``"linf"``: how a norm is written in the name of a perturbation type."""
    return f"l{norm_key(norm)}"


def parse_eps(value: float | int | str, name: str = "eps") -> float:
    """Return a budget as a float; ``"8/255"`` is understood.

    :raises UsageError: where the value is no finite number above or equal to zero.
    """
    try:
        number = float(Fraction(value.replace(" ", ""))) if isinstance(value, str) else float(value)
    except (ValueError, ZeroDivisionError, TypeError, OverflowError):
        raise UsageError(f"{name} {value!r} is not a number; write 0.03 or 8/255") from None
    if not math.isfinite(number) or number < 0:
        raise UsageError(f"{name} {value!r} has to be a finite number that is not negative")
    return number


def format_eps(eps: float, norm: float = math.inf) -> str:
    """Return a budget as people write it: in 255ths for Linf where it is close to one, otherwise in digits."""
    steps = eps * 255
    if norm == math.inf and steps > 0 and abs(steps * 4 - round(steps * 4)) < 1e-6:
        return f"{steps:g}/255"
    return f"{eps:g}"


@dataclass(frozen=True)
class ThreatModel:
    """What an attack may do: ``||x_adv - x||_norm <= eps`` with every pixel inside ``clip_values``.

    :param norm: 1, 2 or ``inf``.
    :param eps: radius of the ball, in the units of the pixels.
    :param clip_values: lowest and highest value of a pixel.
    """

    norm: float
    eps: float
    clip_values: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", parse_norm(self.norm))
        object.__setattr__(self, "eps", parse_eps(self.eps))

    def __str__(self) -> str:
        return f"L{norm_key(self.norm)} {format_eps(self.eps, self.norm)}"
