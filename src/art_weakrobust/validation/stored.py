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
from .questions import Plain

_log = logging.getLogger(__name__)

TEST = "test"
"""The one set on which stored corruptions are validated."""


def held_against(kind: CorruptionType, clean: Dataset, severities: Sequence[int]) -> CorruptionType:
    """Return a stored corruption as it stands to the test images, and any other one as it is.

    Whether it is paired with them, and how, is told in the log and in the type's ``source``.

    :param clean: the test images.
    :param severities: that will be asked for.
    :raises UsageError: for a severity that the set lacks.
    :raises DataError: for a set of other images than a model of the test images takes.
    """
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
    if not stored.paired:
        _log.warning("corruption %s is %s; its figures are of other images than the rest", kind.name, stored.pairing)
    source = "; ".join(text for text in (kind.info.source, stored.pairing) if text)
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

    :param kinds: corruptions; those that are computed are passed over.
    :param ids: int64, of the test set.
    """
    parts = []
    on_disk = [(kind.name, kind.corruption) for kind in kinds if isinstance(kind.corruption, StoredCorruption)]
    for name, stored in on_disk:
        for severity in severities:
            data = stored.dataset(severity)
            wanted = np.intersect1d(ids, ids_of(data)) if stored.paired else ids_of(data)
            question = Plain(type=name, set=TEST, severity=severity, batch_size=batch_size)
            parts.append(over(f"{name}/{TEST}/{severity}", question, estimator, data, wanted))
    return parts
