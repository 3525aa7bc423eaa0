"""Parts of a batch side by side on a CPU, one thread each: a small network does not keep several threads busy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

Part = TypeVar("Part")
Result = TypeVar("Result")


class _Stream(threading.local):
    """Whether the thread that asks does the work of a stream."""

    alone = False


_STREAM = _Stream()

LEAST_PART = 8
"""Images for which a thread of their own is worth its while."""


def cut(n: int, batch_size: int, streams: int) -> tuple[list[slice], int]:
    """Return parts of ``n`` images, each for one stream, and how many streams there are work and room for.

    :param batch_size: images in all streams together, at most.
    :param streams: at most.
    """
    some = min(n, batch_size)
    count = max(1, min(streams, batch_size // LEAST_PART, -(-some // LEAST_PART)))
    parts = slices(n, batch_size // count if n >= batch_size else max(1, -(-n // count)))
    return parts, min(count, max(1, len(parts)))


def slices(n: int, size: int) -> list[slice]:
    """Return ``n`` images in parts of ``size``, the last one of what is left."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def in_a_stream() -> bool:
    """Return whether this is called from the work of a stream, which is not cut into streams again."""
    return _STREAM.alone


def side_by_side(work: Callable[[Part], Result], parts: Iterable[Part], streams: int) -> list[Result]:
    """Return what ``work`` returns for each part, in their order, ``streams`` of them in work at once.

    No graph is recorded inside. Other switches that PyTorch keeps for each thread, such as autocast and
    ``inference_mode``, are at their defaults.

    :param work: of one part; called in several threads at once.
    :raises Exception: what ``work`` raised first; parts that were not begun are left.
    """

    def without_a_graph(part: Part) -> Result:
        with torch.no_grad():
            return work(part)

    if streams == 1:  # all threads for one part, which is not cut again
        with _the_stream():
            return [without_a_graph(part) for part in parts]
    with ThreadPoolExecutor(streams, initializer=_compute_alone) as pool:
        return list(pool.map(without_a_graph, parts))


@contextmanager
def _the_stream() -> Iterator[None]:
    before, _STREAM.alone = _STREAM.alone, True
    try:
        yield
    finally:
        _STREAM.alone = before


def _compute_alone() -> None:
    """Let the thread that calls this compute by itself, and leave all others as they are."""
    _STREAM.alone = True
    torch.get_num_threads()  # sets the thread up, which would undo what follows
    _openmp().limit(limits=1)  # OpenMP's number of threads is each thread's own


@cache
def _openmp() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="openmp")
