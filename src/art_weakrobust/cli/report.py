"""``art-weakrobust report``: the page again, exports, or two runs side by side, from run directories alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import print_json, print_text
from .request import Request

if TYPE_CHECKING:
    from ..pipeline.reporting import Written

OWN: dict[str, tuple[Any, str]] = {
    "html": (Path, "File for the page, instead of the run directory, which then stays as it is."),
    "open": (bool, "Open the page in the browser."),
    "max_samples": (int, "Weakest samples shown as images, 0 to 100. Default: 100."),
    "compare": (Path, "Another run directory: show both side by side, in compare.html; better is what --out is."),
    "csv": (Path, "Folder for one CSV file a table."),
    "junit": (Path, "File for the verdicts as JUnit XML: what got significantly worse fails."),
    "markdown": (Path, "File for the report as Markdown, for the comment of a build."),
    "figures": (Path, "Folder for every chart as SVG and PNG, for a paper."),
}
"""Option of this command alone -> its type and help."""

_IN_FOLDERS = (".csv", ".svg", ".png")
_FILES = ("html", "max_samples", "csv", "junit", "markdown", "figures")


def report(request: Request) -> None:
    """Write the report from the run directory alone, without torch; exports beside it, or two runs side by side."""
    from ..pipeline.reporting import Wanted, compare
    from ..pipeline.reporting import report as write

    wanted = Wanted(**{name: value for name, value in request.own.items() if name in _FILES})
    other = request.own.get("compare")
    if other is None:
        outcome, written = write(
            request.out, request.given, wanted, plugins=request.plugins, third_party=request.third_party
        )
        _tell(request, outcome.summary, outcome.text, written)
    else:
        from ..report.compare_page import comparison_text

        summary, written = compare(request.out, other, wanted)
        _tell(request, lambda: summary, lambda: f"{comparison_text(summary)}\ncomparison: {written.page}", written)
    if request.own.get("open"):
        import webbrowser

        webbrowser.open(written.page.resolve().as_uri())


def _tell(
    request: Request, summary: Callable[[], Mapping[str, Any]], text: Callable[[], str], written: Written
) -> None:
    """Show what came out: JSON, text with where the exports are, or nothing."""
    if request.json:
        print_json(summary())
    elif not request.quiet:
        exports = dict.fromkeys(path.parent if path.suffix in _IN_FOLDERS else path for path in written.files)
        print_text("\n".join([text(), *(f"written: {path}" for path in exports)]), quiet=False)
