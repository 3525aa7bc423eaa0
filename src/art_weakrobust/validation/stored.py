"""Corrupted sets on disk: held against the test images, the only ones that they exist for, and judged there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..datasets.base import ids_of
from ..errors import UsageError
from ..perturbations.types import CorruptionType
from ..protocols import Dataset, Estimator, Map, StoredCorruption
from ..results import Table
from .comparison import TEST
from .questions import Plain

_log = logging.getLogger(__name__)


def held_against(kinds: Sequence[CorruptionType], clean: Dataset, severities: Sequence[int]) -> list[CorruptionType]:
    """Return stored corruptions as they stand to the test images, and any other ones as they are.

    Whether a set is paired with them, and how, is told in its type's ``source``.

    :param clean: the test images.
    :param severities: that will be asked for.
    :raises UsageError: for a severity that a set lacks.
    :raises DataError: for a set of other images than a model of the test images takes.
    """
    return [_held_against(kind, clean, severities) for kind in kinds]


def _held_against(kind: CorruptionType, clean: Dataset, severities: Sequence[int]) -> CorruptionType:
    stored = kind.corruption
    if not isinstance(stored, StoredCorruption):
        return kind
    there = getattr(stored, "severities", severities)
    if missing := [severity for severity in severities if severity not in there]:
        raise UsageError(
            f"corruption {kind.name!r} has no severity {missing[0]}, it has {', '.join(map(str, there))}: "
            "choose among them with --severities"
        )
    against = getattr(stored, "against", None)
    if against is None:
        return kind
    stored = against(clean)
    source = "; ".join(text for text in (kind.info.source, getattr(stored, "pairing", "")) if text)
    return replace(kind, info=replace(kind.info, source=source), corruption=stored)


def judge_stored(
    kinds: Sequence[CorruptionType],
    estimator: Estimator,
    ids: np.ndarray,
    over: Map,
    severities: Sequence[int],
    batch_size: int,
) -> list[Table]:
    """Judge sets on disk: the images of the test set's ids where they are paired with them, otherwise all they have.

    What is not paired is told in the log.

    :param kinds: corruptions; those that are computed are passed over.
    :param ids: int64, of the test set.
    """
    parts = []
    _tell_unpaired(kinds)
    on_disk = [(kind.name, kind.corruption) for kind in kinds if isinstance(kind.corruption, StoredCorruption)]
    for name, stored in on_disk:
        for severity in severities:
            data = stored.dataset(severity)
            wanted = np.intersect1d(ids, ids_of(data)) if stored.paired else ids_of(data)
            question = Plain(type=name, set=TEST, severity=severity, batch_size=batch_size)
            parts.append(over(f"{name}/{TEST}/{severity}", question, estimator, data, wanted))
    return parts


def _tell_unpaired(kinds: Sequence[CorruptionType]) -> None:
    """Say which sets are not of the test images, in one line a reason."""
    reasons: dict[str, list[str]] = {}
    for kind in kinds:
        if isinstance(kind.corruption, StoredCorruption) and not kind.corruption.paired:
            reasons.setdefault(getattr(kind.corruption, "pairing", "unpaired"), []).append(kind.name)
    for reason, names in reasons.items():
        _log.warning("%s: %s; these figures are of other images than the rest", ", ".join(names), reason)
