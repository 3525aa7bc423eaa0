"""The door: hooks, what a plugin registers, and the manager that loads, isolates and calls."""

from __future__ import annotations

from .hookspecs import KINDS, PROJECT, hookimpl, hookspec
from .spec import Spec

__all__ = ["KINDS", "PROJECT", "Spec", "hookimpl", "hookspec"]
