"""What two runs have in common: which types ask the same question of both models, and which settings differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugins.reference import Reference, split_list
from ..results import PerturbationType, Records
from ..threat import format_eps
from .typography import known, setting

Row = dict[str, Any]
_NORMS = {"linf": float("inf"), "l2": 2.0, "l1": 1.0}
_NO_SETTING = ("out", "device", "download", "model_dir", "tune", "compile")
"""Options that change no figure."""


def comparable_types(first: Records, second: Records) -> tuple[list[str], list[Row]]:
    """Return the types that both runs validated under alike, and rows type and why of the others.

    Alike: of the same family, origin, norm and budget, and with the same settings as far as they were written down.
    """
    known_types = [_types(records) for records in (first, second)]
    shared, left_out = [], []
    for name in dict.fromkeys([*known_types[0], *known_types[1]]):
        kinds = (known_types[0].get(name), known_types[1].get(name))
        why = _difference(*kinds, first, second)
        if why is None:
            shared.append(name)
        else:
            left_out.append({"type": name, "why": why})
    return shared, left_out


def different_settings(first: Records, second: Records) -> list[Row]:
    """Return rows name, other and this of the options, seeds and versions that differ, as people write them."""
    rows: dict[str, Row] = {}
    for group in ("arguments", "seeds", "versions"):
        one, two = (dict(records.provenance.get(group, {})) for records in (first, second))
        for name in dict.fromkeys([*one, *two]):
            if name not in _NO_SETTING and one.get(name) != two.get(name):
                sides = {"other": setting(one.get(name), name), "this": setting(two.get(name), name)}
                rows.setdefault(name, {"name": name, **sides})
    return list(rows.values())


def _types(records: Records) -> dict[str, PerturbationType]:
    validation = records.after or records.before
    return {} if validation is None else {kind.type: kind for kind in validation.types}


def _difference(
    one: PerturbationType | None, two: PerturbationType | None, first: Records, second: Records
) -> str | None:
    """Return why a type is not the same in both runs; None where it is."""
    if one is None or two is None:
        return "the other run alone has it" if two is None else "this run alone has it"
    if (one.eps, one.norm) != (two.eps, two.norm):
        return f"other budgets: {_budget(one)} there, {_budget(two)} here"
    if (one.family, one.origin, one.source) != (two.family, two.origin, two.source):
        return "two things of one name"
    settings = [_settings(records, one) for records in (first, second)]
    if settings[0] == settings[1]:
        return None
    if None in settings:
        return "the settings of one run are not recorded"
    there, here = (dict(own or {}) for own in settings)
    names = [key for key in dict.fromkeys([*there, *here]) if there.get(key) != here.get(key)]
    told = ", ".join(f"{key} {_value(there, key)} there, {_value(here, key)} here" for key in names)
    return f"other settings: {told}"


def _budget(kind: PerturbationType) -> str:
    return format_eps(kind.eps) if kind.eps is not None and known(kind.eps) else "none"


def _value(settings: Mapping[str, Any], key: str) -> str:
    return str(settings[key]) if key in settings else "default"


def _settings(records: Records, kind: PerturbationType) -> Mapping[str, Any] | None:
    """Return what a type ran with, as recorded or as written on the command line; severities are compared apart."""
    recorded = records.provenance.get("perturbations")
    if recorded is not None:
        own = dict(recorded.get(kind.type, {}))
        return {key: value for key, value in own.items() if key != "severities"}
    if kind.family != "attacks":
        return {}
    arguments = records.provenance.get("arguments", {})
    if "attacks" not in arguments:
        return None
    written = map(Reference.parse, split_list(str(arguments["attacks"])))
    mine = sorted((one for one in written if _names(one, kind.type)), key=lambda one: one.norm is None)
    return mine[0].options if mine else {"attacks": arguments["attacks"]}


def _names(reference: Reference, kind: str) -> bool:
    """Say whether this is what a type was written as: ``pgd@2:max_iter=3`` is ``pgd-l2``."""
    if reference.label is not None:
        return reference.label == kind
    name, _, norm = kind.rpartition("-")
    if kind == reference.name:
        return True
    return name == reference.name and norm in _NORMS and reference.norm in (None, _NORMS[norm])
