"""What a user asked for, and how a command's options are made of :class:`~art_weakrobust.pipeline.options.Options`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Optional

import typer

from ..errors import UsageError
from ..pipeline.config_file import from_toml
from ..pipeline.options import WRITTEN_AS_TEXT, Options, flag, shown
from .console import told

_PANELS = {
    "model": "Model",
    "data": "Data",
    "score": "Scoring",
    "budget": "Budgets",
    "triage": "Triage",
    "select": "Selection",
    "validate": "Validation",
    "finetune": "Fine-tuning",
    "report": "Report",
}
_COLUMN = 40
"""Characters of a help text that an 80 column terminal surely has room for."""

Own = Mapping[str, tuple[Any, str]]
"""Options that one command has for itself: name -> type and help."""

_TYPES: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool}
_NUMBERS: dict[Any, str] = {int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class Request:
    """One call of a command.

    :param given: the options that were written, on the command line or in the config file; flags win.
    :param out: the run directory.
    :param force: redo what stands there with other options.
    :param plugins: modules named with ``--plugin``.
    :param third_party: whether installed plugins of others are loaded.
    :param quiet: no progress, no table.
    :param json: print JSON to standard output.
    :param debug: show the traceback of an error.
    :param own: options of the command alone.
    """

    given: dict[str, Any]
    out: Path
    force: bool = False
    plugins: tuple[str, ...] = ()
    third_party: bool = True
    quiet: bool = False
    json: bool = False
    debug: bool = False
    own: Mapping[str, Any] = field(default_factory=dict)


def command(
    app: typer.Typer,
    name: str,
    run: Callable[[Request], None],
    stages: tuple[str, ...],
    *,
    out: str = "run",
    own: Own = MappingProxyType({}),
) -> None:
    """Add a command that takes the options of ``stages`` and the common ones, and hands ``run`` a :class:`Request`.

    :param own: options of this command alone, name -> type and help; their values come in ``request.own``.
    """

    def callback(**values: Any) -> None:
        debug = bool(values.get("debug"))
        with told(debug=debug):
            request = _request(values, stages, out, own)
        with told(debug=request.debug):
            run(request)

    parameters = [*_own_parameters(own), *_stage_parameters(stages), *_common_parameters(out)]
    callback.__name__ = name
    callback.__doc__ = inspect.getdoc(run)
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app.command(name)(callback)


def _request(values: dict[str, Any], stages: tuple[str, ...], out: str, own: Own) -> Request:
    config = values.pop("config", None)
    written = {name: value for name, value in values.items() if value is not None}
    table = from_toml(config) if config is not None else {}
    known = {f.name for f in fields(Options) if f.metadata["stage"] in stages}
    given = {name: value for name, value in {**table, **written}.items() if name in known}
    common = {name: value for name, value in {**table, **written}.items() if name not in known}
    plugin = common.get("plugin") or ()
    return Request(
        given,
        Path(common.get("out", out)),
        bool(common.get("force", False)),
        (plugin,) if isinstance(plugin, str) else tuple(plugin),
        not common.get("no_plugins", False),
        bool(common.get("quiet", False)),
        bool(common.get("json", False)),
        bool(common.get("debug", False)),
        {name: common[name] for name in own if name in common},
    )


def _own_parameters(own: Own) -> list[inspect.Parameter]:
    parameters = []
    for name, (kind, text) in own.items():
        parser = _reader(flag(name), kind) if kind in _NUMBERS else None
        option = typer.Option(None, f"--{flag(name)}", help=text, show_default=False, parser=parser)
        parameters.append(_parameter(name, option, kind))
    return parameters


def _stage_parameters(stages: tuple[str, ...]) -> list[inspect.Parameter]:
    default = Options()
    parameters = []
    for f in (f for f in fields(Options) if f.metadata["stage"] in stages):
        base = str(f.type).split(" | ")[0]
        kind = str if f.name in WRITTEN_AS_TEXT else _TYPES[base]
        parser = _reader(flag(f.name), kind) if kind in _NUMBERS else None
        written = "8/255" if f.name == "radius" else "2/255" if f.name == "eps" else shown(getattr(default, f.name))
        if len(written) > _COLUMN:
            written = written.replace(",", ", ")  # a list that is broken over lines, not its names
        names = f"--{flag(f.name)}/--no-{flag(f.name)}" if kind is bool else f"--{flag(f.name)}"
        option = typer.Option(
            None,
            names,
            help=f"{f.metadata['help']} Default: {written}.",
            show_default=False,
            parser=parser,
            rich_help_panel=_PANELS[f.metadata["stage"]],
        )
        parameters.append(_parameter(f.name, option, kind))
    return parameters


def _reader(name: str, kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise UsageError(f"--{name} {text!r} has to be {_NUMBERS[kind]}") from None

    read.__name__ = kind.__name__  # as --help shows it
    return read


def _common_parameters(out: str) -> list[inspect.Parameter]:
    rows: list[tuple[str, Any, str, str]] = [
        ("out", Path, "--out", f"Run directory. Default: {out}."),
        ("config", Path, "--config", "TOML file with any of these options by long name; flags win."),
        ("force", bool, "--force", "Redo stages whose options differ from the run directory's."),
        ("plugin", list[str], "--plugin", "Module with hooks, from the path or the current directory; repeatable."),
        ("no_plugins", bool, "--no-plugins", "Load no installed plugins but our own."),
        ("quiet", bool, "--quiet", "Print nothing but errors."),
        ("json", bool, "--json", "Print the result as JSON."),
        ("debug", bool, "--debug", "Show the traceback of an error."),
    ]
    return [_parameter(n, typer.Option(None, f, help=h, show_default=False), kind) for n, kind, f, h in rows]


def _parameter(name: str, option: Any, kind: Any) -> inspect.Parameter:
    # typer evaluates the annotation at run time and wants Optional, not `kind | None`, for generics
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=Optional[kind])  # noqa: UP045
