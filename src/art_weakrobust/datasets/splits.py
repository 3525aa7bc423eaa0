"""Which split of a data set a name means, and the halves of one that is all there is.

Sets of two splits and more give the one that is asked for; ``test`` is ``validation`` where there is no ``test``, since
many sets keep their test labels to themselves. Where one split is all there is, whatever it is called, a seeded,
stratified half of it is the test set and the other half the training set, both under the ids of the whole.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from ..protocols import Dataset
from . import checks
from .base import ImageDataset, digest, ids_of, stratified
from .subset import Subset

_log = logging.getLogger(__name__)

ALL = "all"
"""The name of every image there is."""

WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "validation", "valid", "val"),
    "validation": ("validation", "valid", "val"),
}
"""Split -> what data sets call it, the first that is there; of a single split: what its halves are called."""


class Half(Subset):
    """Half of a split, under the ids of the whole; unlike a limited part, it is a data set of its own.

    :param data: the whole split.
    :param ids: int64 (n,) of the samples of this half, sorted.
    """

    data: ImageDataset
    is_half = True

    def fingerprint(self) -> str:
        """Hash the fingerprint of the whole, and which of its samples are of this half."""
        return digest(self.data.fingerprint(), self.ids)


def named(split: str, there: Sequence[str], where: str, *, all_of: bool = False) -> str:
    """Return which of the splits that a data set has is meant; of a single one, each of its parts means it.

    :param split: one of :data:`WORDS`, or as the data set calls it; of a single one, a half or :data:`ALL`.
    :param there: what the data set calls its splits.
    :param where: how messages call the set.
    :param all_of: whether several splits are to be had together, as :data:`ALL`: the message then offers it.
    :raises DataError: where none is meant; the message names those that are there.
    """
    if len(there) == 1:
        if split not in (*WORDS, ALL):
            has = "cannot give" if split.lower() == there[0].lower() else "has no split"
            raise DataError(
                f"{where} {has} {split!r}: one split is all there is; its halves are 'train' and 'test', "
                "and 'all' is the whole"
            )
        return there[0]
    by_word = {name.lower(): name for name in there}
    word = next((word for word in WORDS.get(split, (split,)) if word in by_word), None)
    return by_word[word] if word else checks.split(split, (*there, ALL) if all_of else there, where)


def half_seed(test: Dataset | None) -> int | None:
    """Return the seed by which a test set was drawn as half of the one split there was; None for any other."""
    seed: int | None = getattr(test, "halved_by", None) if getattr(test, "is_half", False) else None
    return seed


def part_of_one(data: ImageDataset, split: str, seed: int) -> Dataset:
    """Return what is asked for of the one split that is all there is; a half is told in the log.

    The whole keeps the seed as its ``halved_by``, which its halves and their parts read.

    :param data: the whole split.
    :param split: ``train``, the one half; ``test`` or ``validation``, the other one; :data:`ALL`, the whole.
    :param seed: the halves are a function of it and of the labels alone, whatever else is asked for.
    :raises DataError: for fewer than two images.
    """
    data.halved_by = seed
    if split == ALL:
        return data
    if len(data) < 2:
        raise DataError(f"{data.name}: {len(data)} image is too few to halve; use --split all")
    every = ids_of(data)
    test = stratified(every, data.labels(), len(every) // 2, seed)
    _log.warning(
        "%s is one split: a half of it drawn with seed %d is the test set; --split all takes the whole",
        data.name,
        seed,
    )
    return Half(data, np.setdiff1d(every, test) if split == "train" else test)
