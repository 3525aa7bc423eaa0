"""The built-in reporter, offered through the door that every plugin uses."""

from __future__ import annotations

from ..plugins import Spec, hookimpl


@hookimpl
def weakrobust_register_reporters() -> list[Spec]:
    """Offer the HTML report."""
    return [
        Spec(
            "html",
            "One self-contained report.html without network, and summary.json with the same numbers",
            "art_weakrobust.report.html:html_report",
        )
    ]
