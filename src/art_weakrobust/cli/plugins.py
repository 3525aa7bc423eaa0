"""``art-weakrobust plugins``: what is registered, by whom, and what is broken."""

from __future__ import annotations

import typer

from ..errors import PluginError, nearest
from ..plugins.loading import Source
from ..plugins.manager import POSITIONAL, Manager
from ..plugins.registered import Registered
from .console import console, print_json, print_table, told


def plugins(
    name: str | None = typer.Argument(None, help="Show one thing with its options and facts."),
    check: bool = typer.Option(False, "--check", help="Import every target as well."),
    plugin: list[str] = typer.Option([], "--plugin", help="Module with hooks; repeatable."),
    no_plugins: bool = typer.Option(False, "--no-plugins", help="Load no installed plugins but our own."),
    json: bool = typer.Option(False, "--json", help="Print the listing as JSON."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """List kind, name, owner, needs and summary of everything registered, and the broken plugins with their cause."""
    with told(debug=debug):
        manager = Manager(plugin, third_party=not no_plugins)
        things = [thing for thing in manager.things() if name in (None, thing.spec.name)]
        if name is not None and not things:
            known = sorted({thing.spec.name for thing in manager.things()})
            raise PluginError(f"nothing is registered as {name!r}{nearest(name, known)}")
        failures = manager.check() if check else []
        if json:
            print_json(_listing(things, manager, failures))
        else:
            _show(things, manager, failures, facts=name is not None)
        if failures or (check and manager.broken):
            raise PluginError(f"{len(failures)} targets and {len(manager.broken)} plugins are broken")


def _row(thing: Registered) -> dict[str, object]:
    spec = thing.spec
    return {
        "kind": thing.kind,
        "name": spec.name,
        "owner": thing.source.owner,
        "version": thing.source.version,
        "needs": list(spec.needs),
        "summary": spec.summary,
        "facts": dict(spec.facts),
    }


def _broken(source: Source, cause: str) -> dict[str, object]:
    return {"plugin": source.key, "owner": source.owner, "version": source.version, "cause": cause}


def _listing(things: list[Registered], manager: Manager, failures: list[tuple[Registered, str]]) -> dict[str, object]:
    return {
        "things": [_row(thing) for thing in things],
        "broken": [_broken(b.source, b.cause) for b in manager.broken]
        + [{**_broken(thing.source, cause), "kind": thing.kind, "name": thing.spec.name} for thing, cause in failures],
    }


def _show(things: list[Registered], manager: Manager, failures: list[tuple[Registered, str]], *, facts: bool) -> None:
    rows = [
        (thing.kind, thing.spec.name, str(thing.source), ", ".join(thing.spec.needs) or "–", thing.spec.summary)
        for thing in things
    ]
    print_table(("kind", "name", "owner", "needs", "summary"), rows, whole=("kind", "name"))
    out = console()
    if facts:
        for thing in things:
            for key, value in thing.spec.facts.items():
                out.print(f"{thing.kind} {thing.spec.name}: {key} = {value}", markup=False, highlight=False)
            if thing.kind != "corruption" or thing.spec.many:  # a corruption is itself called, with four arguments
                options = ", ".join(thing.options(thing.load(), POSITIONAL[thing.kind])[0])
                out.print(f"{thing.kind} {thing.spec.name}: options = {options or 'none'}", markup=False)
    for broken in manager.broken:
        out.print(f"broken: {broken.source} ({broken.source.key}): {broken.cause}", markup=False, style="red")
    for thing, cause in failures:
        out.print(f"broken target: {thing.kind} {thing.spec.name} of {thing.source}: {cause}", markup=False)
