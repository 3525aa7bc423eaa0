"""How numbers and names are written: true minus, narrow no-break space before %, unknown is a dash and never 0."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from ..threat import format_eps

NARROW = "\u202f"
MINUS = "\u2212"
UNKNOWN = "\u2013"
_NORMS = {"linf": "L∞", "l2": "L2", "l1": "L1"}


def known(value: Any) -> bool:
    """Say whether a value is a number that is neither missing nor NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def decimal(value: Any, digits: int = 2) -> str:
    """Return a number with a true minus, or a dash."""
    if not known(value):
        return UNKNOWN
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def count(value: Any) -> str:
    """Return a count with thousands marked, or a dash."""
    return f"{int(value):,}" if known(value) else UNKNOWN


def rate(value: Any, digits: int = 1) -> str:
    """Return a share of one in per cent, without the sign: ``0.869`` is ``86.9``."""
    return decimal(100 * value, digits) if known(value) else UNKNOWN


def percent(value: Any, digits: int = 1) -> str:
    """Return a share of one with its sign: ``86.9 %``."""
    return f"{rate(value, digits)}{NARROW}%" if known(value) else UNKNOWN


def points(value: Any, digits: int = 1) -> str:
    """Return a difference of shares in points, signed: ``+38.8``, ``−1.3``, ``0.0``."""
    text = rate(value, digits)
    return f"+{text}" if known(value) and float(text.replace(MINUS, "-").replace(",", "")) > 0 else text


def span(lower: Any, upper: Any, digits: int = 1) -> str:
    """Return an interval of shares: ``84.7–88.9``; empty where there is none."""
    return f"{rate(lower, digits)}–{rate(upper, digits)}" if known(lower) and known(upper) else ""


def brackets(lower: Any, upper: Any, *, signed: bool = False, digits: int = 1) -> str:
    """Return an interval in brackets: ``[−2.4, −0.2]``; empty where there is none."""
    write = points if signed else rate
    return f"[{write(lower, digits)}, {write(upper, digits)}]" if known(lower) and known(upper) else ""


def change_span(row: Mapping[str, Any]) -> str:
    """Return the interval of a paired change, or in words that no image changed: never an interval of no width."""
    if not known(row.get("change")):
        return ""
    if row.get("gained") == 0 and row.get("lost") == 0:
        return "no image changed"
    if row.get("lower") == row.get("upper"):
        return ""
    return brackets(row.get("lower"), row.get("upper"), signed=True)


def p_value(value: Any) -> str:
    """Return a p: ``< 0.001``, ``0.029``, ``1``; a dash where nothing was tested."""
    if not known(value):
        return UNKNOWN
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.9995 else "1"


def p_sign(value: Any) -> str:
    """Return a p with its sign: ``< 0.001``, ``= 0.029``."""
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def setting(value: Any, name: str = "") -> str:
    """Return an option's value as people write it: budgets and radii in 255ths, sequences with commas, None a dash."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        steps = format_eps(value) if name in ("eps", "radius", "eps_step") else "."
        return f"{value:g}".replace("-", MINUS) if "." in steps else steps
    if isinstance(value, Mapping):
        return ", ".join(f"{shown(key)}={setting(item)}" for key, item in value.items()) or UNKNOWN
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value) or UNKNOWN
    return shown(value)


def duration(seconds: Any) -> str:
    """Return seconds as ``0:04``, ``6:11`` or ``1:02:05``."""
    if not known(seconds):
        return UNKNOWN
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def shown(value: Any) -> str:
    """Return text from data with control, direction and other invisible characters as visible escapes."""
    return "".join(
        f"\\u{{{ord(char):x}}}" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else char
        for char in str(value)
    )


def isolated(value: Any, limit: int = 60) -> str:
    """Return a name from data for use within a sentence: shortened, and isolated from the direction of the text."""
    text = shown(value)
    return f"\u2068{text if len(text) <= limit else text[: limit - 1] + '…'}\u2069"


def type_name(name: str) -> str:
    """Return a perturbation type as people write it: ``pgd-linf`` is ``PGD L∞``, ``shot_noise`` is ``shot noise``."""
    text = shown(name)
    match = re.fullmatch(r"([A-Za-z0-9_]+)-(linf|l2|l1)((?:-\w+)?)", text)
    if match:
        attack = match[1].upper() if len(match[1]) <= 4 else match[1].replace("_", " ")
        return f"{attack} {_NORMS[match[2]]}{match[3]}"
    return text.replace("_", " ")


def listing(names: list[str], limit: int = 3) -> str:
    """Return names as prose: ``a, b and c``, or ``a, b and 4 more``."""
    if len(names) > limit:
        return f"{', '.join(names[: limit - 1])} and {len(names) - limit + 1} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def capital(sentence: str) -> str:
    """Return a sentence with a capital first letter, the rest as it was."""
    return sentence[:1].upper() + sentence[1:]
