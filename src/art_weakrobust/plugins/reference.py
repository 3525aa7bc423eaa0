"""How users write the name of a thing: ``pgd@2:max_iter=50:eps=0.5``, ``attack:attack=pgd``, ``parquet:PATH``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ..errors import UsageError
from ..threat import parse_norm

_WORDS: dict[str, Any] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Reference:
    """A name with what was written behind it.

    :param name: the registered name.
    :param norm: 1, 2 or ``inf`` where ``@norm`` was written, otherwise None.
    :param options: the ``key=value`` pairs, values as numbers, booleans or text; ``label`` is taken out of them.
    :param label: another name for the same thing, so that it can be there twice.
    """

    name: str
    norm: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read ``NAME[@1|2|inf][:key=value...]``.

        :raises UsageError: where a part is neither.
        """
        head, *pairs = text.strip().split(":")
        name, at, norm = head.partition("@")
        options: dict[str, Any] = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            if not equals or not key.strip().isidentifier():
                raise UsageError(f"{text!r}: {pair!r} has to read key=value; write NAME[@1|2|inf][:key=value...]")
            options[key.strip()] = _value(value.strip())
        if not name.strip():
            raise UsageError(f"{text!r} names nothing; write NAME[@1|2|inf][:key=value...]")
        label = options.pop("label", None)
        return cls(
            name.strip(),
            parse_norm(norm, f"{text!r}: norm") if at else None,
            options,
            None if label is None else str(label),
        )


def split_argument(text: str) -> tuple[str, str]:
    """Return the name before and the argument after the first colon of ``NAME[:ARGUMENT]``."""
    name, _, argument = text.strip().partition(":")
    return name, argument


def split_options(text: str) -> tuple[str, dict[str, Any]]:
    """Return argument and options of ``ARGUMENT[:key=value...]``; a colon within the argument, as in a path, is none.

    >>> split_options("C:/sets/CIFAR-10-C:md5=true")
    ('C:/sets/CIFAR-10-C', {'md5': True})
    """
    options: dict[str, Any] = {}
    while True:
        argument, colon, pair = text.rpartition(":")
        key, equals, value = pair.partition("=")
        if not colon or not equals or not key.strip().isidentifier():
            return text.strip(), options
        text, options = argument, {key.strip(): _value(value.strip()), **options}


def split_list(text: str) -> list[str]:
    """Return the parts of a comma-separated list, stripped, empty ones left out."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for read in (int, float, lambda fraction: float(Fraction(fraction))):
        try:
            return read(text)
        except (ValueError, ZeroDivisionError):
            continue
    return text
