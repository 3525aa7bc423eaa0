"""What became of one model of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..results import Records
from .entries import Entry


@dataclass(frozen=True)
class Ran:
    """What became of one model.

    :param entry: the model.
    :param out: its run directory.
    :param records: what its run holds; None where it failed.
    :param reason: why it failed, in one line.
    """

    entry: Entry
    out: Path
    records: Records | None
    reason: str = ""
