"""``art-weakrobust attacks``: every evasion attack that has a name, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from ..plugins.manager import Manager
from ..plugins.registered import Registered
from .console import print_json, print_table, told

_HEADERS = ("name", "norms", "budget", "cost", "needs", "y", "remarks", "summary")
_REMARKS = {
    "draws": "draws",
    "couples": "couples the batch",
    "crafts": "crafts on other samples",
    "few_step": "trains",
    "memoryless": "stops early",
}
"""Fact that is true or false -> how the table says it."""


def attacks(
    plugin: list[str] = typer.Option([], "--plugin", help="Module with hooks; repeatable."),
    no_plugins: bool = typer.Option(False, "--no-plugins", help="Load no installed plugins but our own."),
    json: bool = typer.Option(False, "--json", help="Print the listing as JSON."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """List the attacks with norms, budget, cost, needs and remarks; NAME@2 asks for another norm than the first.

    Budget: "eps" is kept to by the attack, "smallest" is what it seeks, which is held against --eps or --eps-l2.
    Cost, in gradients or queries a sample: cheap up to about 100, medium 1,000, expensive 10,000, otherwise beyond.
    Remarks: "draws" is random, held to the seed; "trains" can be drawn by fine-tuning; "stops early" leaves a sample
    once it is fooled.
    """
    with told(debug=debug):
        manager = Manager(plugin, third_party=not no_plugins)
        things = [thing for thing in manager.things() if thing.kind == "attack"]
        if json:
            print_json({"attacks": [_entry(thing) for thing in things]})
        else:
            print_table(_HEADERS, map(_row, things), whole=("name", "norms", "budget"))


def _entry(thing: Registered) -> dict[str, Any]:
    spec = thing.spec
    return {
        "name": spec.name,
        "owner": thing.source.owner,
        "needs": list(spec.needs),
        "summary": spec.summary,
        **dict(spec.facts),
    }


def _row(thing: Registered) -> tuple[str, ...]:
    facts: Mapping[str, Any] = thing.spec.facts
    norms = facts.get("norms", [facts["norm"]] if facts.get("norm") else [])
    remarks = [text for fact, text in _REMARKS.items() if facts.get(fact)]
    return (
        thing.spec.name,
        " ".join(map(str, norms)) or "–",
        str(facts.get("budget", "–")),
        str(facts.get("cost", "–")),
        ", ".join([*thing.spec.needs, *filter(None, [facts.get("package")])]) or "–",
        str(facts.get("y", "–")),
        ", ".join(remarks) or "–",
        thing.spec.summary,
    )
