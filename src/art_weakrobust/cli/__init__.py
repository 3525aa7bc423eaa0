"""The command line: one thin module per command. Importing it loads neither torch, ART nor numpy."""

from __future__ import annotations


def main() -> None:
    """Run ``art-weakrobust``; the exit status is 0, 2 for usage and plugin errors, 1 for the rest."""
    from .app import build

    build()()
