"""Leaves the interpreter when it is imported."""

raise SystemExit("a plugin must not decide this")
