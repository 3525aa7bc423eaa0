"""Knows every registered thing by kind and name, and calls their targets in one way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from ..errors import PluginError, UsageError, nearest
from ..threat import norm_key, parse_eps
from .budget import offered_eps
from .hookspecs import KINDS
from .loading import OURS, Broken, Source, installed, load, named, new_host
from .reference import Reference
from .registered import Registered
from .spec import NEEDS, Spec

POSITIONAL = dict.fromkeys(KINDS, 1) | {"estimator": 2, "scorer": 0, "reporter": 0}
"""Arguments that a target of a kind is given by position (a corruption that is many: one); the others are options."""

_MADE_FIRST = {"attack": "attack", "source": "corruption"}
"""Options whose value names another kind of thing, and that kind."""


@dataclass(frozen=True)
class AttackFactory:
    """An attack by name, to be built on whatever estimator is at hand.

    :param reference: what the user wrote; comes first.
    :param offered: what the run offers (``eps``, ``eps_l2``, ``seed``, ``batch_size``, …).
    """

    manager: Manager
    reference: Reference
    offered: Mapping[str, Any] = field(default_factory=dict)

    @property
    def norm(self) -> float:
        """The norm that was written, otherwise that of the spec's facts, otherwise Linf."""
        if self.reference.norm is not None:
            return self.reference.norm
        fact = self.manager.find("attack", self.reference.name).spec.facts.get("norm")
        return float("inf") if fact is None else float(fact)

    @property
    def eps(self) -> float:
        """The budget: what was written, otherwise the spec's own (``facts["eps"]``), otherwise the run's by the norm.

        :raises UsageError: for L1 without ``:eps=``, or where the run offers no such budget.
        """
        if "eps" in self.reference.options:
            return parse_eps(self.reference.options["eps"], f"attack {self.reference.name!r}: eps")
        fact = self.manager.find("attack", self.reference.name).spec.facts.get("eps")
        if fact is not None:
            return parse_eps(fact, f"attack {self.reference.name!r}: eps")
        eps = offered_eps(self.norm, self.offered)
        if eps is None:
            written = f"{self.reference.name}@{norm_key(self.norm)}"
            raise UsageError(f"attack {written!r} has no budget: write {written}:eps=NUMBER")
        return eps

    def __call__(self, estimator: Any) -> Any:
        """Build the attack on ``estimator``."""
        offered = {**self.offered, "norm": self.norm, "eps": self.eps, "eps_l2": None}  # eps is the one of its norm
        written = {key: value for key, value in self.reference.options.items() if key != "eps"}
        return self.manager.make("attack", self.reference.name, estimator, written=written, offered=offered)


class Manager:
    """The plugin host: an ordinary object; building one imports the light ``plugin`` modules and nothing else.

    :param plugins: modules, names of modules, or objects with ``@hookimpl`` functions, besides what is installed.
    :param third_party: False leaves out other people's installed plugins, as does ``ART_WEAKROBUST_NO_PLUGINS=1``.
    :raises PluginError: where one of our own parts is broken; anybody else's is kept in :attr:`broken`.
    """

    def __init__(self, plugins: Iterable[Any] = (), *, third_party: bool = True) -> None:
        self.broken: list[Broken] = []
        self._host = new_host()
        self._things: dict[tuple[str, str], list[Registered]] = {}
        for source in [*installed(third_party), *map(named, plugins)]:
            if any(source.target is plugin for _, plugin in self._host.list_name_plugin()):
                continue  # the same object was handed in twice
            try:
                self._add(source, load(source, self._host))
            except PluginError as error:
                if source.owner == OURS:
                    raise PluginError(f"built-in {source.key} is broken: {error}") from error
                self.broken.append(Broken(source, str(error)))

    @classmethod
    def of(cls, plugins: Manager | Iterable[Any] | None) -> Manager:
        """Return ``plugins`` if it is a manager, otherwise a new one with these plugins; a broken one is an error."""
        manager = plugins if isinstance(plugins, cls) else cls(plugins or ())  # type: ignore[arg-type]
        manager.refuse_broken()
        return manager

    def _add(self, source: Source, offered: list[tuple[str, Spec]]) -> None:
        things = [Registered(kind, spec, source) for kind, spec in offered]
        keys = [(thing.kind, thing.spec.name) for thing in things]
        for kind, name in keys:
            cause = "registers it twice" if keys.count((kind, name)) > 1 else "a built-in has that name"
            if keys.count((kind, name)) > 1 or any(t.built_in for t in self._things.get((kind, name), [])):
                self._host.unregister(name=source.key)
                raise PluginError(f"{kind} {name!r}: {cause}")
        for key, thing in zip(keys, things, strict=True):
            self._things.setdefault(key, []).append(thing)

    def refuse_broken(self) -> None:
        """Raise for the first broken plugin that the user named; installed ones that are broken harm nobody.

        :raises PluginError: with its cause.
        """
        for broken in self.broken:
            if broken.source.asked:
                raise PluginError(f"plugin {broken.source.owner!r} is broken: {broken.cause}")

    def things(self) -> list[Registered]:
        """Return everything registered, by kind and name."""
        ordered = sorted(self._things.items(), key=lambda item: (KINDS.index(item[0][0]), item[0][1]))
        return [thing for _, things in ordered for thing in things]

    def names(self, kind: str) -> list[str]:
        """Return the sorted names of a kind."""
        return sorted(name for known, name in self._things if known == kind)

    def find(self, kind: str, name: str) -> Registered:
        """Return the thing of that name.

        :raises PluginError: for a name that nobody registered, or that two plugins claim.
        """
        things = self._things.get((kind, name), [])
        if len(things) > 1:
            owners = " and ".join(str(thing.source) for thing in things)
            raise PluginError(f"{kind} {name!r} is claimed by {owners}: uninstall one, or use --no-plugins")
        if not things:
            known = self.names(kind)
            hint = nearest(name, known) or ";"
            raise PluginError(f"unknown {kind} {name!r}{hint} known: {', '.join(known) or 'none'}{self._broken()}")
        return things[0]

    def _broken(self) -> str:
        """Return what to add where a name is unknown: it may be that of a plugin that was left out."""
        if len(self.broken) > 2:
            return f"; {len(self.broken)} plugins are broken: `art-weakrobust plugins` says why"
        return "".join(f"; plugin {b.source} is broken: {b.cause}" for b in self.broken)

    def check_written(self, kind: str, reference: Reference) -> tuple[str, ...]:
        """Find a thing, and hold what was written behind its name against the options it knows; nothing is called.

        :return: the names of its options.
        :raises PluginError: for an unknown name or option, or a target that cannot be imported.
        """
        thing = self.find(kind, reference.name)
        return thing.takes(thing.load(), POSITIONAL[kind], reference.options)

    def make(
        self,
        kind: str,
        name: str,
        /,
        *args: Any,
        written: Mapping[str, Any] | None = None,
        offered: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Call a target the way its kind is called, and return what it gives.

        :param args: the positional arguments of the kind: ``argument``, ``model, info``, ``estimator``, ``classifier``.
        :param written: options that a user wrote; one that the target does not know is an error.
        :param offered: what the run offers: the target gets what its options name; None is not offered.
        :param options: more that is written: ``make("attack", "pgd", estimator, norm=2, eps=0.5)``.
        :raises PluginError: for an unknown name or option, or a target that cannot be imported.
        """
        written = {**(written or {}), **options}
        thing = self.find(kind, name)
        target = thing.load()
        if kind == "corruption" and not thing.spec.many:
            return target
        args = () if kind == "attack" and thing.spec.many else args  # a suite names attacks, and builds none
        names = thing.takes(target, len(args), written)
        offer = {key: value for key, value in (offered or {}).items() if key in names and value is not None}
        budget = {**(offered or {}), **written}  # `attack:attack=pgd:eps=0.1`: what was written reaches pgd
        chosen = {key: self._made_first(key, value, budget) for key, value in written.items()}
        thing.refuse_incomplete(target, len(args), {**offer, **chosen})
        return target(*args, **{**offer, **chosen})

    def _made_first(self, key: str, value: Any, offered: Mapping[str, Any]) -> Any:
        if key not in _MADE_FIRST or not isinstance(value, str):
            return value
        if _MADE_FIRST[key] == "attack":
            return AttackFactory(self, Reference.parse(value), offered)
        return self.make("corruption", value)

    def require(self, thing: Registered, capabilities: Iterable[str]) -> None:
        """Refuse, in one sentence and before the run, a thing that asks for what is not there.

        :param capabilities: which of ``gradients``, ``scores``, ``decisions``, ``labels`` are there.
        :raises PluginError: naming what is missing.
        """
        for need in thing.spec.needs:
            if need in NEEDS and need not in set(capabilities):
                raise PluginError(f"{thing.kind} {thing.spec.name!r} needs {need}, which the estimator does not give")
            if need not in NEEDS and (missing := _missing_extra(thing.source, need)):
                raise PluginError(
                    f"{thing.kind} {thing.spec.name!r} needs the extra {need!r} ({missing} is not installed): "
                    f"pip install '{thing.source.owner}[{need}]'"
                )

    def check(self) -> list[tuple[Registered, str]]:
        """Import every target and return those that fail, with the cause."""
        failures: list[tuple[Registered, str]] = []
        for thing in self.things():
            try:
                thing.load()
            except PluginError as error:
                failures.append((thing, str(error)))
        return failures


def _missing_extra(source: Source, extra: str) -> str | None:
    """Return the first requirement of an extra that is not installed; the extra's own name where nobody declares it."""
    from packaging.requirements import Requirement

    try:
        declared = metadata.requires(source.owner) or []
    except metadata.PackageNotFoundError:
        declared = []
    wanted = [r for r in map(Requirement, declared) if r.marker is not None and r.marker.evaluate({"extra": extra})]
    wanted = [r for r in wanted if not (r.marker is not None and r.marker.evaluate({"extra": ""}))]
    for name in [requirement.name for requirement in wanted] or [extra]:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            return name
    return None
