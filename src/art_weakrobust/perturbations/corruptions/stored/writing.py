"""Write a corrupted copy of any data set in one of the official layouts, resumable, in threads.

The layout follows from the data: class folders, and images above 64 pixels, become folders of JPEG files as ImageNet-C
is; anything else becomes ``.npy`` files as CIFAR-C is. A corruption draws from (seed, sample id, severity) as it does
in a validation with the same seed, so that what is written is what a validation makes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ....datasets.base import ids_of, labels_of
from ....errors import DataError, RunError, UsageError
from ....protocols import Corruption, Dataset
from ....store.atomic import cannot_write, is_leftover, remove_leftovers
from ....store.lock import LOCK, OWNER, RunLock
from ..constants import SEVERITIES, check_severity
from . import manifest as manifests
from .arrays_out import write_arrays
from .folders_out import QUALITY, folder_names, write_folders
from .job import Job, Progress, held
from .manifest import ARRAYS, FOLDERS, SetManifest

LARGE = 64
"""Pixels of the shorter side up to which images of no class folder are written as arrays."""


def layout_of(data: Dataset) -> str:
    """Return ``folders`` for data in class folders and for images above 64 pixels, otherwise ``arrays``."""
    return FOLDERS if getattr(data, "class_folders", False) or min(shape_of(data)[1:]) > LARGE else ARRAYS


def write_set(
    data: Dataset,
    out: str | Path,
    corruptions: Mapping[str, Corruption],
    *,
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    layout: str | None = None,
    dataset: str = "data",
    split: str = "",
    workers: int | None = None,
    device: Any = "cpu",
    versions: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> SetManifest:
    """Write a corrupted copy of a data set; what is there already is kept, and a part that was begun is finished.

    A set may grow by corruptions. Where the disk is full or the process dies, what is there is valid, and the same call
    goes on after it.

    :param data: float images in [0, 1].
    :param out: the folder of the set; new, empty, or one that this function wrote.
    :param corruptions: name -> corruption.
    :param severities: some of 1 to 5; others' rows in the arrays stay zero, so that severity s is where readers look.
    :param seed: of every draw.
    :param layout: ``arrays`` or ``folders``; None follows :func:`layout_of`.
    :param dataset: for the manifest, as ``split`` and ``versions`` are.
    :param workers: threads; None for as many as there are processors, at most 8.
    :param device: where corruptions are computed.
    :return: the manifest, as it was written.
    :raises UsageError: for severities or a layout that are none.
    :raises DataError: for images that are none, or too small for a corruption; and, in arrays, for a part of a set.
    :raises RunError: for a folder that holds something else or another set, is in use, or cannot be written.
    """
    root = Path(out)
    wanted = tuple(sorted({check_severity(severity, "the set") for severity in severities}))
    layout = layout or layout_of(data)
    if layout not in (ARRAYS, FOLDERS) or not wanted:
        raise UsageError(
            f"layout {layout!r}, severities {list(severities)}: expected arrays or folders, some of 1 to 5"
        )
    if layout == ARRAYS:
        _check_rows(data, dataset)
    plan = SetManifest(layout, dataset, split, _fingerprint(data), len(ids_of(data)), shape_of(data), wanted, int(seed))
    if layout == FOLDERS:
        classes, named_by = folder_names(data)
        plan = replace(plan, quality=QUALITY, classes=classes, named_by=named_by)
    workers = workers or min(8, os.cpu_count() or 1)
    job = Job(data, root, dict(corruptions), plan, workers, device, versions, progress)
    _check_one_image(job)
    with _locked(root):
        there = manifests.read(root)
        if there is not None:
            there.refuse_other(plan, root)
            job = replace(job, plan=there)
        else:
            plan.save(root)
        return write_folders(job) if layout == FOLDERS else write_arrays(held(job))


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Make the folder of a set, and hold it while writing; somebody else's is refused."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        others = [file.name for file in root.iterdir() if file.name not in (LOCK, OWNER) and not is_leftover(file)]
    except OSError as error:
        raise cannot_write(root, error) from error
    if others and not (root / manifests.FILE).is_file():
        raise RunError(f"{root} is not empty and holds no set of ours (no {manifests.FILE}); choose another --out")
    lock = RunLock(root)
    try:
        remove_leftovers([root])
        yield
    finally:
        lock.release()


def _check_rows(data: Dataset, dataset: str) -> None:
    """Refuse a part of a set as arrays, whose rows are found by id.

    :raises DataError: where the ids are not 0, 1, 2 and on.
    """
    if not np.array_equal(ids_of(data), np.arange(len(data))):
        raise DataError(
            f"{dataset}: its ids are not 0 to {len(data) - 1}, and rows of arrays are found by id: write the whole "
            "set (--split all, where one split is halved), of which a run judges its own test images"
        )


def _check_one_image(job: Job) -> None:
    """Corrupt one image in every way, so that one that is too small is told before an hour of writing.

    :raises DataError: for images too small for a corruption.
    """
    samples = job.data.take(ids_of(job.data)[:1])
    for name in job.corruptions:
        for severity in job.plan.severities:
            job.levels(name, samples, severity)


def shape_of(data: Dataset) -> tuple[int, int, int]:
    """Return (c, h, w) of the images of a data set that can be written.

    :raises DataError: for channels that no layout holds.
    """
    shape = getattr(data, "input_shape", None)
    shape = shape if shape is not None else data.take(ids_of(data)[:1]).x.shape[1:]
    channels, height, width = (int(side) for side in shape)
    if channels not in (1, 3):
        raise DataError(f"images of {channels} channels cannot be written: the layouts hold grey and RGB")
    return channels, height, width


def _fingerprint(data: Dataset) -> str:
    fingerprint = getattr(data, "fingerprint", None)
    return str(fingerprint()) if callable(fingerprint) else f"{len(data)} labels: {labels_of(data).sum()}"
