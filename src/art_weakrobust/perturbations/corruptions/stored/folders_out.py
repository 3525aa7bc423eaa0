"""Write the layout of ImageNet-C: ``CORRUPTION/SEVERITY/CLASS/NAME.JPEG``, JPEG of quality 85 as its authors' is.

An image is written to a hidden file beside it and renamed: one that is there is whole. Chunks of clean images are
decoded once for all corruptions.
"""

from __future__ import annotations

import io
import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ....datasets.base import ids_of, labels_of
from ....datasets.decoding import read_ahead
from ....errors import DataError
from ....protocols import Dataset
from ....store.atomic import cannot_write
from .folders import id_name, key_of
from .job import Job, finished
from .manifest import SetManifest

SUFFIX = ".JPEG"
QUALITY = 85


def folder_names(data: Dataset) -> tuple[tuple[str, ...], str]:
    """Return the folder of each label, and whether files are named by ``path``, as in class folders, or by ``id``.

    Without class folders, the number of the label names the folder, so that sorted folders are in the labels' order.

    :raises DataError: where a label has two folders, or two files one name.
    """
    paths, labels = _paths(data), labels_of(data)
    if paths is None:
        count = max(int(labels.max()) + 1, getattr(data, "nb_classes", None) or 0)
        return tuple(f"{label:04d}" for label in range(count)), "id"
    folders: dict[int, str] = {}
    seen: set[tuple[str, str]] = set()
    for label, path in zip(labels.tolist(), paths, strict=True):
        kind, stem = key_of(path)
        if folders.setdefault(label, kind) != kind:
            raise DataError(f"label {label} has the folders {folders[label]!r} and {kind!r}; a class needs one folder")
        if (kind, stem) in seen:
            raise DataError(f"two images are named {kind}/{stem}; rename one, since both would be {stem}{SUFFIX}")
        seen.add((kind, stem))
    return tuple(folders.get(label, f"{label:04d}") for label in range(max(folders) + 1)), "path"


def write_folders(job: Job) -> SetManifest:
    """Write every image of every corruption and severity that is not there.

    :raises RunError: where the disk is full or cannot be written.
    """
    wanted = [name for name in job.corruptions if name not in job.plan.corruptions]
    ids, paths = ids_of(job.data), _paths(job.data) if job.plan.named_by == "path" else None
    keys = _keys(job, ids, paths)
    pieces = [range(start, min(start + job.chunk, len(ids))) for start in range(0, len(ids), job.chunk)]
    work = _Work(job, wanted, ids, keys)
    if wanted:
        done = 0
        job.tell("images", done, len(ids))
        for count in read_ahead(work, pieces, job.workers):
            done += count
            job.tell("images", done, len(ids))
    for name in wanted:
        job = finished(job, name)
    return job.plan


class _Work:
    """Writes the corrupted images of some rows, and returns how many clean ones they were."""

    def __init__(self, job: Job, names: Sequence[str], ids: np.ndarray, keys: Sequence[tuple[str, str]]) -> None:
        self.job, self.names, self.ids, self.keys = job, names, ids, keys

    def __call__(self, rows: range) -> int:
        files = {
            (name, severity): missing
            for name in self.names
            for severity in self.job.plan.severities
            if (missing := self._missing(self.job.root / name / str(severity), rows))
        }
        if files:
            samples = self.job.data.take(self.ids[rows.start : rows.stop])
            for (name, severity), missing in files.items():
                chosen = np.array(sorted(missing), np.int64)
                levels = self.job.levels(name, samples[chosen], severity)
                for at, image in zip(chosen, levels, strict=True):
                    _save(missing[int(at)], image, self.job.plan.quality)
        return len(rows)

    def _missing(self, folder: Path, rows: range) -> dict[int, Path]:
        """Return position among ``rows`` -> file, of those that are not there."""
        by_class: dict[str, dict[int, str]] = defaultdict(dict)
        for at, row in enumerate(rows):
            kind, stem = self.keys[row]
            by_class[kind][at] = stem + SUFFIX
        missing = {}
        for kind, names in by_class.items():
            try:
                (folder / kind).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise cannot_write(folder / kind, error) from error
            for at, name in names.items():
                if not (folder / kind / name).is_file():
                    missing[at] = folder / kind / name
        return missing


def _save(path: Path, levels: np.ndarray, quality: int | None) -> None:
    buffer = io.BytesIO()
    image: Any = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    hidden = path.with_name(f".{path.name}.part")
    try:
        hidden.write_bytes(buffer.getbuffer())
        os.replace(hidden, path)
    except OSError as error:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def _keys(job: Job, ids: np.ndarray, paths: tuple[str, ...] | None) -> list[tuple[str, str]]:
    if paths is not None:
        return [key_of(path) for path in paths]
    labels = labels_of(job.data)
    return [(job.plan.classes[label], id_name(sample)) for label, sample in zip(labels, ids, strict=True)]


def _paths(data: Dataset) -> tuple[str, ...] | None:
    """Return the paths of data in class folders, None for anything else."""
    read = getattr(data, "paths", None)
    return read() if callable(read) and getattr(data, "class_folders", False) else None
