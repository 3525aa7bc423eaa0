"""A corrupted set that is being written: what is worked on at once, and what is told and recorded on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ....datasets.base import ids_of
from ....kernels.keyed import derive
from ....protocols import Corruption, Dataset
from ....results import Samples
from ..apply import corrupted
from .manifest import SetManifest

_AT_ONCE = 1 << 21
"""Pixel values that all threads together work on at once: bounds the memory."""

_HELD = 1 << 27
"""Pixel values (512 MB) up to which a split is kept in memory, and not decoded for every corruption again."""

Progress = Callable[[str, int, int], None]
"""Told ``(corruption, images written, images in all)``."""


@dataclass(frozen=True)
class Job:
    """A set to be written.

    :param data: the clean images; ids are positions.
    :param root: the folder.
    :param corruptions: name -> corruption, in the order to write them.
    :param plan: what the manifest will hold.
    :param workers: threads.
    :param device: where corruptions are computed.
    :param versions: of packages, for the manifest.
    :param progress: see :data:`Progress`.
    """

    data: Dataset
    root: Path
    corruptions: Mapping[str, Corruption]
    plan: SetManifest
    workers: int = 1
    device: Any = "cpu"
    versions: Mapping[str, str] | None = None
    progress: Progress | None = None

    @property
    def chunk(self) -> int:
        """Images that a thread works on at once."""
        return min(512, max(1, _AT_ONCE // (self.workers * math.prod(self.plan.shape))))

    def levels(self, name: str, samples: Samples, severity: int) -> np.ndarray:
        """Return corrupted images as bytes, uint8 (n, h, w, c)."""
        corruption, seed = self.corruptions[name], derive(self.plan.seed, name)
        x = corrupted(corruption, name, samples.x, samples.ids, severity, seed, device=self.device)
        return np.ascontiguousarray(np.rint(x * 255).astype(np.uint8).transpose(0, 2, 3, 1))

    def tell(self, name: str, done: int, total: int) -> None:
        """Report progress."""
        if self.progress is not None:
            self.progress(name, done, total)


def finished(job: Job, name: str) -> Job:
    """Return the job with a corruption marked as whole, in the manifest as well."""
    facts = {"versions": dict(job.versions or {})}
    plan = replace(job.plan, corruptions={**job.plan.corruptions, name: facts})
    plan.save(job.root)
    return replace(job, plan=plan)


def held(job: Job) -> Job:
    """Return the job with its images in memory where they are few enough to be kept there."""
    ids = ids_of(job.data)
    if len(ids) * math.prod(job.plan.shape) > _HELD:
        return job
    x, y, start = np.empty((len(ids), *job.plan.shape), np.float32), np.empty(len(ids), np.int64), 0
    for part in job.data.chunks(512, ids):
        rows = slice(start, start + len(part))
        x[rows], y[rows], start = part.x, part.y, rows.stop
    return replace(job, data=_InMemory(Samples(ids, x, y)))


class _InMemory:
    """A data set that is one batch; ids ascend."""

    def __init__(self, samples: Samples) -> None:
        self.samples, self.ids = samples, samples.ids

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, ids: np.ndarray) -> Samples:
        return self.samples[np.searchsorted(self.ids, ids)]

    def labels(self) -> np.ndarray:
        return self.samples.y

    def chunks(self, size: int, ids: np.ndarray | None = None) -> Iterator[Samples]:
        wanted = self.ids if ids is None else ids
        return (self.take(wanted[start : start + size]) for start in range(0, len(wanted), size))
