"""Puts the commands together."""

from __future__ import annotations

import sys
from typing import Any

import typer
import typer.core

from ..errors import UserError
from . import (
    attacks,
    benchmark,
    corrupt,
    demo,
    doctor,
    finetune,
    models,
    plugins,
    report,
    run,
    sample,
    score,
    select,
    triage,
    validate,
)
from .console import fail
from .request import command

_ALL = ("model", "data", "score", "triage", "select", "budget", "validate", "finetune", "report")


def build() -> typer.Typer:
    """Return the application."""
    app = typer.Typer(
        name="art-weakrobust",
        help="Find where a classifier is weak, validate it there, mend it, and prove on untouched data what changed.",
        cls=Commands,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_start)
    command(app, "demo", demo.demo, _ALL, out="demo")
    command(app, "run", run.run, _ALL)
    command(app, "benchmark", benchmark.benchmark, _ALL[:-2], out="zoo", own=benchmark.OWN)
    command(app, "doctor", doctor.doctor, ("model", "data", "budget", "validate"))
    command(app, "score", score.score, ("model", "data", "score", "budget"))
    command(app, "triage", triage.triage, ("model", "data", "budget", "triage"))
    command(app, "select", select.select, ("select",))
    command(app, "validate", validate.validate, ("model", "data", "budget", "validate"))
    command(app, "finetune", finetune.finetune, ("model", "data", "budget", "validate", "finetune"))
    command(app, "report", report.report, ("report",), own=report.OWN)
    app.command("attacks")(attacks.attacks)
    app.command("corrupt")(corrupt.corrupt)
    app.command("models")(models.models)
    app.command("plugins")(plugins.plugins)
    app.command("sample")(sample.sample)
    return app


class Commands(typer.core.TyperGroup):
    """The commands; an option that cannot be read is told in one line, as every other error is."""

    def main(
        self, args: Any = None, prog_name: Any = None, *more: Any, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run a command line and leave with its status; ``standalone_mode=False`` returns, or raises what it raised."""
        extra["standalone_mode"] = False
        if not standalone_mode:
            return super().main(args, prog_name, *more, **extra)
        try:
            status = super().main(args, prog_name, *more, **extra)
        except _Unreadable as error:
            command = f"{error.ctx.command_path} --help" if error.ctx else "--help"
            message = error.format_message().rstrip(".")
            fail(f"{message}{'' if message.endswith('?') else ';'} see {command}", 2)
        except UserError as error:
            fail(str(error), error.exit_code)
        except typer.Abort:
            fail("aborted", 1)
        sys.exit(status or 0)


_Unreadable: Any = typer.BadParameter.__bases__[0]
"""UsageError of the click that typer brings along: its own, or the one that is installed."""


def _start(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Show the version and exit.")
) -> None:
    if version:
        from .. import __version__

        typer.echo(f"art-weakrobust {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
