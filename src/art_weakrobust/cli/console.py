"""What a person sees: progress, tables, one-line errors."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from ..pipeline.progress import Progress

_UNBROKEN = 400
"""Columns where nobody watches: what another program reads, or a file keeps, is broken over no lines."""

_WORTH_A_BAR = 2.0
"""Seconds of work below which a bar goes away when it is full: a validation has dozens of them."""


@contextmanager
def told(*, debug: bool) -> Iterator[None]:
    """Turn an error into one line on standard error and an exit status; the traceback only with ``--debug``."""
    try:
        yield
    except KeyboardInterrupt:
        fail("interrupted; the same command goes on where it stopped", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except UserError as error:
        if debug:
            traceback.print_exc()
        fail(" ".join(str(error).split()), error.exit_code)
    except Exception as error:  # the last line of defence: told with its type, whole with --debug
        if debug:
            traceback.print_exc()
        text = " ".join(str(error).split())
        fail(f"{type(error).__name__}: {text}"[:2000] + ("" if debug else " (--debug shows where)"), 1)


def fail(message: str, status: int) -> NoReturn:
    """Print one line that begins with ``error:`` to standard error, and leave."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Progress | None]:
    """Yield a callback that draws bars with rate and remaining time on standard error; None when quiet."""
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    class Rate(TextColumn):
        """Samples a second."""

        def render(self, task: Any) -> Any:
            from rich.text import Text

            return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(""), TimeElapsedColumn())
    bars = Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True))
    tasks: dict[str, Any] = {}

    def show(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            bars.start()  # not before: a command that fails at once draws none
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)
        if done >= total and (bars.tasks[bars.task_ids.index(tasks[stage])].elapsed or 0) < _WORTH_A_BAR:
            bars.remove_task(tasks.pop(stage))

    try:
        yield show
    finally:
        if bars.live.is_started:
            bars.stop()


def print_json(value: Mapping[str, Any]) -> None:
    """Print a mapping as JSON to standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, whole: Sequence[str] = ()) -> None:
    """Print a table to standard output.

    :param whole: headers of the columns that are never broken over lines.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in headers:
        table.add_column(header, no_wrap=header in whole, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console().print(table)


def console() -> Console:
    """Return what tables are printed with, as wide as the terminal, or as wide as they want where there is none."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _UNBROKEN)


def print_text(text: str, *, quiet: bool) -> None:
    """Print text to standard output, unless quiet."""
    if not quiet:
        print(text)
