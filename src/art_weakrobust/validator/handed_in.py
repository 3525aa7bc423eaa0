"""What a user hands to the validator, as the validator works with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from art.estimators.classification import PyTorchClassifier

from ..estimators.pytorch import FastPyTorchClassifier, answers_as_its_module
from ..estimators.shapes import check_clip_values
from ..plugins.reference import split_list
from ..protocols import Estimator


def kept(entries: Iterable[Any] | Mapping[str, Any] | None) -> list[Any] | dict[str, Any]:
    """Return what was handed in so that every evaluation can read it again."""
    if isinstance(entries, Mapping):
        return dict(entries)
    return split_list(entries) if isinstance(entries, str) else list(entries or ())


def checked(classifier: Estimator) -> Estimator:
    """Return the classifier with its module in a fast estimator where it has one.

    :raises UsageError: for clip values other than (0, 1).
    """
    check_clip_values(classifier)
    if isinstance(classifier, PyTorchClassifier) and answers_as_its_module(classifier):
        return FastPyTorchClassifier.sharing(classifier)
    return classifier
