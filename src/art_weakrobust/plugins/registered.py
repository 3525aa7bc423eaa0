"""One registered thing: who registered it, its target, and what may be passed to that."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import PluginError, nearest
from .loading import OURS, Source, import_attribute
from .spec import Spec


@dataclass(frozen=True)
class Registered:
    """One thing, with who registered it."""

    kind: str
    spec: Spec
    source: Source

    @property
    def built_in(self) -> bool:
        """Whether it is ours."""
        return self.source.owner == OURS and not self.source.asked

    def load(self) -> Any:
        """Return the target, imported.

        :raises PluginError: naming the owner, where that fails.
        """
        if not isinstance(self.spec.target, str):
            return self.spec.target
        try:
            return import_attribute(self.spec.target)
        except PluginError as error:
            raise PluginError(f"{self.kind} {self.spec.name!r} of {self.source}: {error}") from error

    def options(self, target: Any, positional: int) -> tuple[tuple[str, ...], bool]:
        """Return the names that may be passed to the target, and whether it takes any other as well."""
        if self.spec.options is not None:
            return self.spec.options, False
        parameters = list(inspect.signature(target).parameters.values())
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        keyword_only = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
        taken = [name for name in names if name not in keyword_only][:positional]
        return tuple(name for name in names if name not in taken), any(p.kind is p.VAR_KEYWORD for p in parameters)

    def takes(self, target: Any, positional: int, written: Iterable[str]) -> tuple[str, ...]:
        """Return the names that may be passed to the target.

        :param written: names of the options that a user wrote.
        :raises PluginError: where the target does not know one of them.
        """
        names, any_name = self.options(target, positional)
        unknown = [key for key in written if key not in names and not any_name]
        if unknown:
            hint = nearest(unknown[0], names) or ";"
            raise PluginError(
                f"{self.kind} {self.spec.name!r} has no option {unknown[0]!r}{hint} "
                f"options: {', '.join(names) or 'none'}"
            )
        return names

    def refuse_incomplete(self, target: Any, positional: int, given: Iterable[str]) -> None:
        """Refuse to call a target without an option that it cannot do without.

        :raises PluginError: naming the first one that is missing.
        """
        try:
            parameters = list(inspect.signature(target).parameters.values())[positional:]
        except ValueError:  # some callables written in C tell nothing
            return
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        missing = [p.name for p in named if p.default is p.empty and p.name not in set(given)]
        if missing:
            name = self.spec.name
            raise PluginError(f"{self.kind} {name!r} needs the option {missing[0]!r}: write {name}:{missing[0]}=VALUE")
