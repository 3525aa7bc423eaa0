"""What each version of AutoAttack runs, as its authors set it. Imports nothing of theirs.

Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
https://arxiv.org/abs/2003.01690; for L1 "Mind the box", https://arxiv.org/abs/2103.01208.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ....errors import UsageError

PARTS = ("apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square")
"""The attacks that there are, by the original's names."""

STANDARD = ("apgd-ce", "apgd-t", "fab-t", "square")

VERSIONS = ("standard", "plus", "rand", "custom")

MAX_ITER, MAX_QUERIES = 100, 5000
"""Steps of APGD and FAB, queries of Square; the published figures are those of these numbers."""


@dataclass(frozen=True)
class Recipe:
    """What is run, and how hard.

    :param parts: in this order; each takes on those that are still right after the ones before it.
    :param restarts: of untargeted APGD and FAB.
    :param targets: classes that targeted APGD aims at, where there are as many.
    :param shrinking: APGD begins in a ball of three times the radius.
    :param draws: gradients that one step averages, for models that answer at random.
    """

    parts: tuple[str, ...]
    restarts: int = 5
    targets: int = 9
    shrinking: bool = False
    draws: int = 1

    def alone(self, part: str) -> Recipe:
        """Return one part of it."""
        return replace(self, parts=(part,))


def recipe_of(version: str, norm: float, parts: Sequence[str] | str | None = None) -> Recipe:
    """Return what a version runs in a norm.

    :param parts: of ``custom`` alone: names out of :data:`PARTS`, a sequence or joined by ``+``.
    :raises UsageError: for an unknown version or part, parts beside another version than custom, or custom without any.
    """
    if version not in VERSIONS:
        raise UsageError(f"autoattack: version {version!r} is not known; use one of {', '.join(VERSIONS)}")
    if version != "custom":
        if parts is not None:
            raise UsageError(f"autoattack: attacks_to_run={parts!r} is of version=custom alone, not of {version!r}")
        return _PUBLISHED[version] if norm != 1 or version != "standard" else _STANDARD_L1
    named = tuple(parts.split("+") if isinstance(parts, str) else parts or ())
    unknown = [name for name in named if name not in PARTS]
    if not named or unknown or len(set(named)) < len(named):
        raise UsageError(
            f"autoattack: attacks_to_run={parts!r} has to name one or more of {', '.join(PARTS)}, each once; "
            f"write attacks_to_run=apgd-ce+square"
        )
    return Recipe(named)


_STANDARD_L1 = Recipe(STANDARD, targets=5, shrinking=True)

_PUBLISHED = {
    "standard": Recipe(STANDARD, restarts=1),
    "plus": Recipe(("apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t")),
    "rand": Recipe(("apgd-ce", "apgd-dlr"), restarts=1, draws=20),
}
