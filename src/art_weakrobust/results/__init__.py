"""What flows down the street: numpy and arrow, frozen, mergeable, never torch."""

from __future__ import annotations

from .records import (
    Finetuning,
    PerturbationType,
    Records,
    Samples,
    Scores,
    Validation,
    WeakSet,
)
from .schemas import SAMPLES, SCORES, SCREENED, TYPES, VALIDATION, WEAK_SET, Table, column, conform, merge

__all__ = [
    "SAMPLES",
    "SCORES",
    "SCREENED",
    "TYPES",
    "VALIDATION",
    "WEAK_SET",
    "Finetuning",
    "PerturbationType",
    "Records",
    "Samples",
    "Scores",
    "Table",
    "Validation",
    "WeakSet",
    "column",
    "conform",
    "merge",
]
