"""Parts of a batch side by side on a CPU, one thread each: a small network does not keep several threads busy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


class _Stream(threading.local):
    """Whether the thread that asks is one of those that compute alone."""

    alone = False


_STREAM = _Stream()

LEAST_PART = 8
"""Images for which a thread of their own is worth its while."""


def part_size(n: int, batch_size: int, streams: int) -> int:
    """Return how many of ``n`` images one stream takes at a time: of a batch for all streams its part."""
    return min(batch_size, max(LEAST_PART, -(-min(n, batch_size) // streams)))


def in_a_stream() -> bool:
    """Return whether this is called from the work of a stream, which is not cut into streams again."""
    return _STREAM.alone


def side_by_side(work: Callable[[_Part], _Result], parts: Iterable[_Part], streams: int) -> list[_Result]:
    """Return what ``work`` returns for each part, in their order, ``streams`` of them in work at once.

    Switches that PyTorch keeps for each thread, such as ``no_grad`` and autocast, are at their defaults inside.

    :param work: of one part; called in several threads at once.
    :raises Exception: what ``work`` raised first; parts that were not begun are left.
    """
    with ThreadPoolExecutor(streams, initializer=_compute_alone) as pool:
        return list(pool.map(work, parts))


def _compute_alone() -> None:
    """Let the thread that calls this compute by itself, and leave all others as they are."""
    _STREAM.alone = True
    torch.get_num_threads()  # sets the thread up, which would undo what follows
    _openmp().limit(limits=1)  # OpenMP's number of threads is each thread's own


@cache
def _openmp() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="openmp")
