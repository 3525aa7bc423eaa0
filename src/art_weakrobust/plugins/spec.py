"""What a plugin registers: the name of a thing and where it is to be found."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import PluginError

NEEDS = ("gradients", "scores", "decisions", "labels")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*\Z")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")


@dataclass(frozen=True)
class Spec:
    """One thing that a plugin offers; cheap to make, importing nothing heavy.

    :param name: how users choose it: lower case, digits, ``_``, ``-`` and ``.``.
    :param summary: one line for the listing.
    :param target: the thing itself, or ``"package.module:attribute"``, imported when it is used.
    :param needs: what it asks of the estimator (``gradients``, ``scores``, ``decisions``), of the data (``labels``),
        or the name of an extra that has to be installed.
    :param options: names of the keyword arguments that may be passed; left out, the target's own signature says.
    :param facts: what ``plugins NAME`` shows beside it, for instance a corruption's group and source.
    :param many: a corruption target that is called and returns a mapping type -> corruption; an attack target that is
        called with its options alone and returns the attacks that its name stands for, as users write them.
    :raises PluginError: where a field does not have the form above.
    """

    name: str
    summary: str
    target: Callable[..., Any] | str
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    many: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise PluginError(f"Spec name {self.name!r} has to be lower case letters, digits, '_', '-' and '.'")
        if not isinstance(self.summary, str) or not self.summary.strip():
            raise PluginError(f"Spec {self.name!r} needs a summary of one line")
        if isinstance(self.target, str) and not _TARGET.match(self.target):
            raise PluginError(f"Spec {self.name!r}: target {self.target!r} has to read 'package.module:attribute'")
        if not isinstance(self.target, str) and not callable(self.target):
            raise PluginError(f"Spec {self.name!r}: target is neither callable nor a string 'package.module:attribute'")
        object.__setattr__(self, "needs", (self.needs,) if isinstance(self.needs, str) else tuple(self.needs))
        if self.options is not None:
            object.__setattr__(self, "options", tuple(self.options))
