"""Write the layout of CIFAR-C: ``CORRUPTION.npy``, rows in the order of severity and id, and ``labels.npy``.

A file is written row after row to ``CORRUPTION.npy.part`` and renamed once it is whole: its length says how far it got,
and writing, unlike a memory map, turns a full disk into an error and not into the end of the process.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from ....datasets.base import ids_of, labels_of
from ....datasets.decoding import read_ahead
from ....store.atomic import atomic_write, cannot_write
from .job import Job, finished
from .manifest import SetManifest

PART = ".part"
Piece = tuple[int, np.ndarray]
"""Severity and ids."""


def write_arrays(job: Job) -> SetManifest:
    """Write the labels and every corruption that is not there.

    :raises RunError: where the disk is full or cannot be written.
    """
    blocks = max(job.plan.severities)
    labels = labels_of(job.data)
    kind = np.uint8 if labels.max(initial=0) < 256 else np.int64  # as in the official ones, where it will do
    buffer = io.BytesIO()
    np.save(buffer, np.tile(labels.astype(kind), blocks))
    atomic_write(job.root / "labels.npy", buffer.getbuffer())
    for name in job.corruptions:
        if name in job.plan.corruptions and (job.root / f"{name}.npy").is_file():
            continue
        _write(job, name, blocks)
        job = finished(job, name)
    return job.plan


def _write(job: Job, name: str, blocks: int) -> None:
    final = job.root / f"{name}.npy"
    part = final.with_name(final.name + PART)
    channels, height, width = job.plan.shape
    row, total = channels * height * width, blocks * job.plan.samples
    header = _header((total, height, width, channels))
    try:
        if not final.is_file():
            with _opened(part) as file:
                done = _resumed(file, header, row, total)
                job.tell(name, done, total)
                for levels, count in read_ahead(lambda piece: _rows(job, name, piece), _rest(job, done), job.workers):
                    file.write(levels) if levels is not None else file.seek(count * row, os.SEEK_CUR)
                    done += count
                    job.tell(name, done, total)
                file.truncate(len(header) + total * row)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, final)
    except OSError as error:
        raise cannot_write(part, error) from error


def _rows(job: Job, name: str, piece: Piece) -> tuple[memoryview | None, int]:
    severity, ids = piece
    if severity not in job.plan.severities:  # a hole, which takes no room on most file systems
        return None, len(ids)
    return job.levels(name, job.data.take(ids), severity).data.cast("B"), len(ids)


def _rest(job: Job, done: int) -> Iterator[Piece]:
    """Yield the pieces of rows that are still to be written, in their order."""
    ids, n = ids_of(job.data), job.plan.samples
    for severity in range(1, max(job.plan.severities) + 1):
        first = min(n, max(0, done - (severity - 1) * n))
        for start in range(first, n, job.chunk):
            yield severity, ids[start : start + job.chunk]


def _opened(part: Path) -> BinaryIO:
    part.touch()
    return part.open("r+b")


def _resumed(file: BinaryIO, header: bytes, row: int, total: int) -> int:
    """Leave the file behind its last whole row, and return how many there are; a strange one begins anew."""
    there = file.read(len(header))
    size = os.fstat(file.fileno()).st_size
    done = min(total, (size - len(header)) // row) if there == header else 0
    file.seek(0)
    if not done:
        file.write(header)
    file.truncate(len(header) + done * row)
    file.seek(len(header) + done * row)
    return done


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    npy.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()
