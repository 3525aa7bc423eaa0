"""What a plugin has to provide, and the one seam (:class:`Map`) through which all work runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from .results import Finetuning, Records, Samples, Scores, Table, Validation

if TYPE_CHECKING:
    import torch

Estimator: TypeAlias = Any
"""An ART-compatible estimator (``art.estimators.BaseEstimator``); named loosely, since this layer imports no ART."""

ChunkFunction: TypeAlias = Callable[[Estimator, Samples], Table]
"""Samples in, table out, one or more rows a sample; pure. What it needs beside the estimator is a frozen dataclass."""


@runtime_checkable
class Dataset(Protocol):
    """Samples of one split, read lazily; ids are positions in the official order.

    It may also have ``class_names: tuple[str, ...]``, ``fingerprint() -> str`` and ``labels() -> np.ndarray`` (without
    which labels are read with all the images, whenever they are asked for); a part of a split has its ``ids``.
    """

    def __len__(self) -> int:
        """Return the number of samples of the split."""
        ...

    def take(self, ids: np.ndarray) -> Samples:
        """Return the samples of these ids, in this order, as one batch in memory."""
        ...

    def chunks(self, size: int, ids: np.ndarray | None = None) -> Iterator[Samples]:
        """Yield the samples of ``ids`` (all by default) in order, ``size`` at a time."""
        ...


class Map(Protocol):
    """Cuts ids into fixed chunks, runs a function on each, stores each once, resumes, and shows progress."""

    def __call__(
        self, stage: str, function: ChunkFunction, estimator: Estimator, data: Dataset, ids: np.ndarray | None = None
    ) -> Table:
        """Return the rows of ``function`` over all chunks, in the order of the ids.

        :param stage: a name for this piece of work, unlike that of any other piece of the same stage of the pipeline.
        :param function: see :data:`ChunkFunction`.
        :param ids: int64 sample ids; None for all.
        """
        ...


@runtime_checkable
class Scorer(Protocol):
    """Scores the local robustness of every sample; sees the whole set, so that it can rank between rounds."""

    def __call__(self, estimator: Estimator, data: Dataset, over: Map) -> Scores:
        """Return one row a sample with at least ``index`` and ``score``; optionally ``found`` and more."""
        ...


@runtime_checkable
class Corruption(Protocol):
    """A common corruption of a batch of images."""

    def __call__(self, x: torch.Tensor, ids: torch.Tensor, severity: int, seed: int) -> torch.Tensor:
        """Return the corrupted images: float32 (n, c, h, w) in [0, 1], on the device of ``x``.

        :param ids: int64 (n,) sample ids: the randomness of a sample is a function of (seed, id, severity) alone.
        :param severity: 1 to 5.
        """
        ...


@runtime_checkable
class StoredCorruption(Protocol):
    """A corrupted set on disk: for the test set alone, never handed to training.

    It may also have ``severities: tuple[int, ...]``, where it lacks some; ``against(clean) -> StoredCorruption``, which
    gives the set as it stands to the clean test images, paired with them or not; and ``pairing: str``, which says how.
    Where it is not paired, its ids are to be negative: those of the test images are others.
    """

    paired: bool

    def dataset(self, severity: int) -> Dataset:
        """Return the corrupted images; where :attr:`paired`, ids are those of the clean test images."""
        ...


@runtime_checkable
class Validator(Protocol):
    """Validates an estimator on named sets of samples, per perturbation type."""

    def validate(self, estimator: Estimator, sets: Mapping[str, tuple[Dataset, np.ndarray]], over: Map) -> Validation:
        """Return one verdict a sample x perturbation.

        :param sets: name of the set -> data set and sample ids.
        """
        ...


@runtime_checkable
class Trainer(Protocol):
    """Fine-tunes a classifier, the way ART's trainers do."""

    finetuning: Finetuning

    def fit(
        self, x: Any, y: np.ndarray | None = None, nb_epochs: int = 3, batch_size: int = 128, **kwargs: Any
    ) -> None:
        """Fine-tune in place on ``x`` (an array with labels ``y``, or a :class:`Dataset`)."""
        ...

    def get_classifier(self) -> Any:
        """Return the fine-tuned classifier."""
        ...


class Reporter(Protocol):
    """Turns the records of a run into files."""

    def __call__(self, records: Records) -> Mapping[str, bytes]:
        """Return file name -> content."""
        ...


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model beside its weights.

    :param nb_classes: number of classes, or None where only a forward pass tells.
    :param input_shape: (c, h, w), or None where the data set says.
    :param name: how the model was asked for.
    :param class_names: in the order of the outputs, or empty.
    :param gradients: False for a black box.
    :param resize: pixels of the shorter side that its images are resized to, or None; the data set does it.
    :param crop: pixels of the square cut from their middle afterwards, or None.
    :param interpolation: of the resize: ``nearest``, ``bilinear`` or ``bicubic``; None leaves it to the data set.
    :param squash: whether the resize gives both sides that size, whatever their proportion.
    :param published: clean accuracy in [0, 1] that is published for it, or None.
    """

    nb_classes: int | None = None
    input_shape: tuple[int, int, int] | None = None
    name: str = ""
    class_names: tuple[str, ...] = ()
    gradients: bool = True
    resize: int | None = None
    crop: int | None = None
    interpolation: str | None = None
    squash: bool = False
    published: float | None = None
