"""Puts the commands together."""

from __future__ import annotations

import typer

from . import demo, finetune, plugins, report, run, score, select, validate
from .request import command

_ALL = ("model", "data", "score", "select", "validate", "finetune", "report")


def build() -> typer.Typer:
    """Return the application."""
    app = typer.Typer(
        name="art-weakrobust",
        help="Find where a classifier is weak, validate it there, mend it, and prove on untouched data what changed.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_version)
    command(app, "demo", demo.demo, _ALL, out="demo")
    command(app, "run", run.run, _ALL)
    command(app, "score", score.score, ("model", "data", "score"))
    command(app, "select", select.select, ("model", "data", "select"))
    command(app, "validate", validate.validate, ("model", "data", "validate"))
    command(app, "finetune", finetune.finetune, ("model", "data", "finetune"))
    command(app, "report", report.report, ("report",))
    app.command("plugins")(plugins.plugins)
    return app


def _version(version: bool = typer.Option(False, "--version", help="Show the version and exit.")) -> None:
    if version:
        from .. import __version__

        typer.echo(f"art-weakrobust {__version__}")
        raise typer.Exit
