"""From what users hand in (names, factories, classes, ready-made objects) to types with a name and a budget."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import inf
from typing import Any

from art.attacks import EvasionAttack

from ..errors import AttackError, UsageError
from ..plugins.manager import AttackFactory, Manager
from ..plugins.reference import Reference, split_argument, split_list, split_options
from ..protocols import Estimator, StoredCorruption
from ..results import PerturbationType
from ..threat import ThreatModel, norm_key, norm_suffix
from .attacks.binding import bind, describe
from .attacks.catalogue import name_of, row_of
from .attacks.crafting import Crafting, crafts
from .attacks.handed import completed, default_budget
from .attacks.settings import budget_of
from .types import AttackType, CorruptionType

Budgets = Mapping[str, Any]
"""What the run offers by norm: ``eps`` for Linf, ``eps_l2`` for L2; L1 has no default."""


def resolve_attacks(
    attacks: Iterable[Any] | Mapping[str, Any] | str | None,
    manager: Manager,
    *,
    estimator: Estimator,
    eps: float | str | None = 2 / 255,
    eps_l2: float | str | None = 0.5,
    seed: int = 0,
    batch_size: int = 256,
    craft: Any = None,
) -> list[AttackType]:
    """Return attacks with their names and budgets, each built once on ``estimator`` to see that it can be.

    An entry is a name (``pgd@2:max_iter=50:eps=0.5``), a factory ``estimator -> EvasionAttack`` (which gets the
    estimator alone), an attack class, a ready-made attack of the catalogue, or an :class:`AttackType`. The budget is
    what was written, otherwise ``eps`` or ``eps_l2`` by the norm. A class, or a partial of one, whose constructor takes
    an ``eps`` that nobody wrote gets that budget handed: a constructor's default is nobody's budget. A name that stands
    for several attacks (``reva``) gives them all.

    :param attacks: a sequence, a mapping label -> entry, a comma-separated text, or None for none.
    :param craft: training samples outside weak set, control and guard part, for attacks that make one perturbation for
        all; without them such an attack is an error once it is to run (:func:`check_craft` says so before).
    :raises UsageError: for two attacks of one name, or one without a budget.
    :raises AttackError: for an attack that cannot be built on the estimator.
    """
    offered = {"eps": eps, "eps_l2": eps_l2, "seed": seed, "batch_size": batch_size, "craft": craft}
    types = [
        attack_type(entry, estimator, label=label, manager=manager, offered=offered)
        for label, written in _labelled(attacks, "attacks")
        for label, entry in _each(label, written, manager)
    ]
    return _distinct(types, "attacks")


def check_craft(attacks: Iterable[AttackType]) -> None:
    """Refuse attacks that make one perturbation for all where the run has no samples to craft it on.

    :raises AttackError: naming the attack.
    """
    for kind in attacks:
        if isinstance(kind.factory, Crafting):
            kind.factory.refuse_without_samples(kind.name)


def attack_type(
    entry: Any,
    estimator: Estimator,
    *,
    label: str | None = None,
    manager: Manager | None = None,
    offered: Budgets | None = None,
) -> AttackType:
    """Return one attack with its name and budget; parameters and errors are those of :func:`resolve_attacks`.

    :param label: its name; otherwise the registered or catalogue's name and its norm, as in ``pgd-linf``.
    :param manager: needed for an entry that is a name.
    :param offered: ``eps``, ``eps_l2``, and for names ``seed``, ``batch_size``, ``craft``.
    """
    if isinstance(entry, AttackType):
        return entry if label is None else _renamed(entry, label)
    if isinstance(entry, str):
        if manager is None:
            raise UsageError(f"attack {entry!r} is a name, and no plugin host was given to look it up")
        entry = AttackFactory(manager, Reference.parse(entry), dict(offered or {}))
    if isinstance(entry, AttackFactory):
        return _named_attack(entry, estimator, label)
    if not isinstance(entry, EvasionAttack) and not callable(entry):
        raise UsageError(
            f"attacks: {entry!r} is a {type(entry).__name__}; expected a name, a factory estimator -> EvasionAttack, "
            f"an attack class or a ready-made attack"
        )
    return _handed_attack(entry, estimator, label, manager, offered or {})


def resolve_corruptions(
    corruptions: Iterable[Any] | Mapping[str, Any] | str | None, manager: Manager, **options: Any
) -> list[CorruptionType]:
    """Return corruptions with their names.

    An entry is a name, ``NAME:ARGUMENT[:key=value...]`` for a plugin that gives many (``cifar10-c:ROOT``), a corruption
    ``(x, ids, severity, seed) -> x``, a stored corruption, or a :class:`CorruptionType`.

    :param corruptions: a sequence, a mapping label -> entry, a comma-separated text, or None for none.
    :param options: what the run offers to a plugin that gives many.
    :raises UsageError: for two corruptions of one name, or one without any.
    """
    entries = _labelled(corruptions, "corruptions")
    types = [kind for label, entry in entries for kind in _corruption_types(label, entry, manager, options)]
    return _distinct(types, "corruptions")


def _each(label: str | None, entry: Any, manager: Manager) -> Iterator[tuple[str | None, Any]]:
    """Yield the attacks that a name stands for, with their labels; anything else as it is."""
    reference = Reference.parse(entry) if isinstance(entry, str) else None
    if reference is None or not manager.find("attack", reference.name).spec.many:
        yield label, entry
        return
    label = label or reference.label
    for name in manager.make("attack", reference.name, written=reference.options):
        yield None if label is None else f"{label}/{Reference.parse(name).name}", name


def _named_attack(factory: AttackFactory, estimator: Estimator, label: str | None) -> AttackType:
    reference = factory.reference
    threat = ThreatModel(factory.norm, factory.eps)
    built = bind(factory, estimator)
    norm, _ = budget_of(built)
    if norm is not None and norm != threat.norm:
        raise AttackError(
            f"attack {reference.name!r} was asked for L{norm_key(threat.norm)} and works in L{norm_key(norm)}: "
            f"write {reference.name}@{norm_key(norm)}"
        )
    name = label or reference.label or _in_norm(reference.name, threat.norm)
    return _made(name, factory, threat, built, factory.manager, reference.name, factory.offered)


def _handed_attack(
    entry: Any, estimator: Estimator, label: str | None, manager: Manager | None, offered: Budgets
) -> AttackType:
    factory = entry if isinstance(entry, EvasionAttack) else completed(entry, offered)
    built = bind(factory, estimator)
    norm, eps = budget_of(built)
    row = row_of(type(built))
    if norm is None:
        norm = row.norms[0] if row else inf
    name = label or _in_norm(name_of(type(built)), norm)
    threat = ThreatModel(norm, default_budget(norm, offered, name) if eps is None else eps)
    factory = functools.partial(bind, entry) if factory is entry else factory
    return _made(name, factory, threat, built, manager, None, offered)


def _in_norm(name: str, norm: float) -> str:
    """Return the name of a type: ``pgd-l2``; a name that says its norm is left alone, as ``cw-l2`` is."""
    suffix = f"-{norm_suffix(norm)}"
    return name if name.endswith(suffix) else f"{name}{suffix}"


def _made(
    name: str,
    factory: Any,
    threat: ThreatModel,
    built: EvasionAttack,
    manager: Manager | None,
    registered: str | None,
    offered: Budgets,
) -> AttackType:
    row = row_of(type(built))
    known = registered or (row.name if row else None)
    facts = manager.find("attack", known).spec.facts if manager is not None and known in manager.names("attack") else {}
    info = PerturbationType(
        type=name,
        family="attacks",
        group=str(facts.get("group", "")),
        norm=norm_key(threat.norm),
        eps=threat.eps,
        source=str(facts.get("source", "")),
    )
    if crafts(built):
        factory = Crafting(factory, offered.get("craft"), int(offered.get("seed") or 0))
    return AttackType(info, factory, threat, few_step=bool(row and row.few_step))


def _corruption_types(label: str | None, entry: Any, manager: Manager, options: Budgets) -> Iterator[CorruptionType]:
    if isinstance(entry, CorruptionType):
        yield entry if label is None else _renamed(entry, label)
        return
    if not isinstance(entry, str):
        yield _corruption_type(label or _own_name(entry), entry, {})
        return
    name, argument = split_argument(entry)
    spec = manager.find("corruption", name).spec
    if not spec.many:
        if argument:
            raise UsageError(f"corruption {entry!r}: {name!r} takes nothing after the colon; write {name}")
        yield _corruption_type(label or name, manager.make("corruption", name), spec.facts)
        return
    argument, written = split_options(argument)
    label = label or written.pop("label", None)
    for key, corruption in manager.make("corruption", name, argument, written=written, offered=options).items():
        of = key.rsplit("/", 1)[-1]
        known = manager.find("corruption", of).spec.facts if of in manager.names("corruption") else {}
        facts = {"group": known.get("group", ""), **spec.facts}
        yield _corruption_type(key if label is None else f"{label}/{of}", corruption, facts)


def _corruption_type(name: str, corruption: Any, facts: Mapping[str, Any]) -> CorruptionType:
    stored = isinstance(corruption, StoredCorruption)
    if not stored and not callable(corruption):
        raise UsageError(
            f"corruptions: {name!r} is a {type(corruption).__name__}; expected a name, a function "
            f"(x, ids, severity, seed) -> x or a stored corruption"
        )
    info = PerturbationType(
        type=name,
        family="corruptions",
        group=str(facts.get("group", "")),
        origin="stored" if stored else "generated",
        source=str(facts.get("source", "")),
    )
    return CorruptionType(info, corruption)


def _own_name(entry: Any) -> str:
    name = describe(entry)
    if not name.isidentifier():
        raise UsageError(f"corruptions: {entry!r} has no name: hand in a mapping label -> corruption")
    return name


def _renamed(kind: Any, label: str) -> Any:
    return replace(kind, info=replace(kind.info, type=label))


def _labelled(entries: Any, argument: str) -> list[tuple[str | None, Any]]:
    if entries is None:
        return []
    if isinstance(entries, str):
        entries = split_list(entries)
    if isinstance(entries, Mapping):
        for label in entries:
            if not isinstance(label, str) or not label.strip():
                raise UsageError(f"{argument}: label {label!r} has to be text that is not empty")
        return list(entries.items())
    if not isinstance(entries, Iterable):
        raise UsageError(f"{argument} {entries!r} has to be a sequence, or a mapping label -> thing: write [...]")
    return [(None, entry) for entry in entries]


def _distinct(types: list[Any], argument: str) -> list[Any]:
    names = [kind.name for kind in types]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"{argument}: two are named {twice[0]!r}; write label= behind one (name:label=other), "
            f"or hand in a mapping label -> thing"
        )
    return types
