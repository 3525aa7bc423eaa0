"""``art-weakrobust benchmark``: many models on one data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .console import fail, print_json, print_text, progress_bars
from .request import Request

if TYPE_CHECKING:
    from ..zoo.ran import Ran

OWN = {
    "models": (str, "Models, as --model takes them: A,B,C."),
    "models_file": (str, "TOML with one [[model]] table a model: model, and optionally weights, mean, std, name."),
}
"""Option of this command alone -> its type and help."""

_OF_ONE = ("model", "weights", "mean", "std")


def benchmark(request: Request) -> None:
    """Score, select and validate many models, one resumable run each, and set them side by side in one table.

    A model that fails is a row with its reason, and the others go on; exits with 1 where none of them ran.
    """
    from ..pipeline.options import Options
    from ..zoo.benchmark import publish, run_all
    from ..zoo.entries import entries

    for name in _OF_ONE:
        if name in request.given:
            raise UsageError(f"--{name} is for one model: use --models A,B, or [[model]] tables in --models-file")
    names, file = request.own.get("models", ""), request.own.get("models_file")
    folder = None if names or file else request.given.get("model_dir")
    found = entries(names, Path(file) if file else None, Path(folder) if folder else None)
    options = Options().with_(request.given)
    with progress_bars(quiet=request.quiet) as progress:
        ran = run_all(
            found,
            request.out,
            request.given,
            force=request.force,
            plugins=request.plugins,
            third_party=request.third_party,
            progress=lambda entry: (
                progress and (lambda stage, *counts: progress(f"{entry.folder[:24]} {stage}", *counts))
            ),
        )
    request.out.mkdir(parents=True, exist_ok=True)
    title = f"{len(found)} models on {options.data_title()}"
    summary = publish(ran, request.out, title=title, command=_command(request))
    if request.json:
        print_json(summary)
    else:
        print_text(_told(ran, summary, request.out), quiet=request.quiet)
    if all(one.records is None for one in ran):
        fail(f"none of the {len(ran)} models ran; the first: {ran[0].reason}", 1)


def _command(request: Request) -> str:
    from shlex import quote

    from ..pipeline.options import written

    words = written({**request.own, **request.given})
    return " ".join(["art-weakrobust benchmark", *words, f"--out {quote(str(request.out))}"])


def _told(ran: list[Ran], summary: dict[str, Any], out: Path) -> str:
    from ..report.benchmark import markdown

    failed = sum(one.records is None for one in ran)
    lines = [markdown(summary).rstrip()]
    lines += [f"{failed} of {len(ran)} models failed"] if failed else []
    return "\n".join([*lines, f"page: {out / 'benchmark.html'}"])
