"""One plugin at a time: import it, look at its hooks, collect its specs, and say what is wrong with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any

import pluggy

from ..errors import PluginError, nearest
from . import hookspecs
from .hookspecs import KINDS, PROJECT
from .spec import Spec

API = 1
"""The version of the hooks; a plugin may say ``ART_WEAKROBUST_API = 1``."""

PREFIX = "weakrobust_"
HOOKS = {f"{PREFIX}register_{kind}s": kind for kind in KINDS}
OURS = "art-weakrobust"


@dataclass(frozen=True)
class Source:
    """Where a plugin comes from: ``distribution:entry``, or the module or object that the user named.

    :param key: unique name of the plugin.
    :param owner: distribution, module or class.
    :param version: of the distribution; empty where there is none.
    :param target: the entry point, a module name, or the plugin itself.
    :param asked: the user named it (``--plugin``, ``plugins=[...]``).
    """

    key: str
    owner: str
    version: str
    target: Any
    asked: bool = False

    def __str__(self) -> str:
        return f"{self.owner} {self.version}".strip()


@dataclass(frozen=True)
class Broken:
    """A plugin that was left out, and why."""

    source: Source
    cause: str


def installed(third_party: bool) -> Iterator[Source]:
    """Yield the plugins that are installed, our own first; without third parties where they are not wanted."""
    entries = sorted(metadata.entry_points(group=PROJECT), key=lambda entry: (_owner(entry)[0] != OURS, _owner(entry)))
    if not any(_owner(entry)[0] == OURS for entry in entries):
        raise PluginError("the entry points of art-weakrobust are not installed: run `pip install .` in its checkout")
    blocked = not third_party or os.environ.get("ART_WEAKROBUST_NO_PLUGINS", "") not in ("", "0")
    seen: set[str] = set()
    for entry in entries:
        owner, version = _owner(entry)
        key = f"{owner}:{entry.name}"
        if key not in seen and (owner == OURS or not blocked):
            seen.add(key)  # a checkout and an installed copy can both be on the path; the first one counts
            yield Source(key, owner, version, entry)


def named(plugin: Any) -> Source:
    """Return the source of a plugin that the user named: a module's name, a module, or an object."""
    if isinstance(plugin, str):
        return Source(plugin, plugin, "", plugin, asked=True)
    name = getattr(plugin, "__name__", None) or f"{type(plugin).__module__}.{type(plugin).__qualname__}"
    return Source(f"{name}#{id(plugin):x}", name, "", plugin, asked=True)


def _owner(entry: metadata.EntryPoint) -> tuple[str, str]:
    distribution = entry.dist
    return ("unknown", "") if distribution is None else (distribution.name, distribution.version)


def load(source: Source, host: pluggy.PluginManager) -> list[tuple[str, Spec]]:
    """Import a plugin, register it with pluggy, and return (kind, spec) of everything that it offers.

    :raises PluginError: with the cause, whatever was wrong with it; pluggy then does not know the plugin.
    """
    plugin = _import(source)
    version = getattr(plugin, "ART_WEAKROBUST_API", API)
    if version != API:
        raise PluginError(f"was written for version {version!r} of the hooks; this is version {API}")
    _check_names(plugin)
    try:
        host.register(plugin, name=source.key)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise PluginError(_one_line(error)) from error
    try:
        return [pair for name in HOOKS for pair in _call(host, source.key, name)]
    except BaseException:
        host.unregister(name=source.key)
        raise


def new_host() -> pluggy.PluginManager:
    """Return a pluggy manager that knows the nine hooks and no plugin."""
    host = pluggy.PluginManager(PROJECT)
    host.add_hookspecs(hookspecs)
    return host


def import_attribute(target: str) -> Any:
    """Return what ``"package.module:attribute"`` names.

    :raises PluginError: where the import fails or the attribute is missing.
    """
    module_name, _, path = target.partition(":")
    value = _guarded_import(module_name)
    for part in path.split("."):
        if not hasattr(value, part):
            raise PluginError(f"{target!r}: {module_name} has no {part!r}{nearest(part, dir(value))}")
        value = getattr(value, part)
    return value


def _import(source: Source) -> Any:
    if isinstance(source.target, metadata.EntryPoint):
        if source.target.attr:
            return import_attribute(f"{source.target.module}:{source.target.attr}")
        return _guarded_import(source.target.module)
    if isinstance(source.target, str):
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        return _guarded_import(source.target)
    return source.target


def _guarded_import(name: str) -> Any:
    try:
        return import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything at import, SystemExit included; it is told, not hidden
        raise PluginError(f"import of {name!r} failed: {_one_line(error)}") from error


def _check_names(plugin: Any) -> None:
    marker = f"{PROJECT}_impl"
    for name in (name for name in dir(plugin) if name.startswith(PREFIX)):
        if name not in HOOKS:
            raise PluginError(f"has {name!r}, which is no hook{nearest(name, list(HOOKS), 1)}")
        if not hasattr(getattr(plugin, name), marker):
            raise PluginError(f"has {name!r} without @hookimpl (from art_weakrobust import hookimpl)")


def _call(host: pluggy.PluginManager, key: str, name: str) -> Iterator[tuple[str, Spec]]:
    for implementation in getattr(host.hook, name).get_hookimpls():
        if implementation.plugin_name != key:
            continue
        try:
            specs = implementation.function()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # told as the plugin's own failure by the manager
            raise PluginError(f"{name} failed: {_one_line(error)}") from error
        if not isinstance(specs, list | tuple):
            raise PluginError(f"{name} returned a {type(specs).__name__}, expected a list of Spec")
        if strays := [spec for spec in specs if not isinstance(spec, Spec)]:
            raise PluginError(f"{name} returned a list that holds {strays[0]!r}, expected a list of Spec")
        yield from ((HOOKS[name], spec) for spec in specs)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}".rstrip(": ")
