"""What flows down the street: numpy and arrow, frozen, mergeable, never torch."""

from __future__ import annotations

from .records import (
    Finetuning,
    PerturbationType,
    Records,
    Samples,
    Scores,
    Triage,
    Validation,
    WeakSet,
)
from .schemas import (
    DISTANCES,
    FLIPS,
    KINDS,
    LABEL_CHECKS,
    SAMPLES,
    SCORES,
    SCREENED,
    TRIAGE,
    TYPES,
    VALIDATION,
    WEAK_SET,
    Table,
    column,
    conform,
    merge,
)

__all__ = [
    "DISTANCES",
    "FLIPS",
    "KINDS",
    "LABEL_CHECKS",
    "SAMPLES",
    "SCORES",
    "SCREENED",
    "TRIAGE",
    "TYPES",
    "VALIDATION",
    "WEAK_SET",
    "Finetuning",
    "PerturbationType",
    "Records",
    "Samples",
    "Scores",
    "Table",
    "Triage",
    "Validation",
    "WeakSet",
    "column",
    "conform",
    "merge",
]
