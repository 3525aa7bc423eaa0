"""Freed memory kept for the next batch: on Linux, glibc's ``malloc`` would give most of it back to the system.

The layers of a network ask for blocks of megabytes and free them, batch after batch. A block above M_MMAP_THRESHOLD
(128 KiB, until larger ones have been freed; 32 MiB at most) is mapped anew each time, and what is free at the top of
the heap beyond M_TRIM_THRESHOLD goes back at once. The kernel then zeroes each page once more when it is next touched,
which can take as long as the network's arithmetic (``benchmarks/README.md``). See ``mallopt(3)``.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache

import torch

FROM_THE_HEAP = 32 << 20
"""Bytes of the largest block that is not mapped: what glibc comes to by itself, and older versions take at most.

Larger blocks would gain, too, but glibc before 2.38 may not find a freed block again for an aligned one of the same
size, so that the heap grows. With its own settings that happens below this size alone, and no more is asked for here.
"""

KEPT = 1 << 30
"""Bytes of free memory at the top of the heap that are not given back: more than a batch of a small network takes."""

VARIABLE = "ART_WEAKROBUST_MALLOC"
"""Set to ``system`` before the first classifier is made, it leaves ``malloc`` as it is."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as malloc.h has them
_USERS = ("trim_threshold", "mmap_threshold", "mmap_max", "top_pad", "hugetlb")  # glibc's own settings of the same


def keep_freed_memory(device: torch.device) -> bool:
    """Have ``malloc`` keep what is freed, for the whole process and until it ends; return whether it took that.

    The process then holds up to a GiB at the top of its heap that it has no use for at the moment; so does each process
    that is forked from it. The heaps of threads, 64 MiB each, stay as they are but for the size of a block. Nothing is
    done for another device than the CPU, where there is no ``mallopt`` (macOS, musl), where :data:`VARIABLE` says so,
    and where somebody has set these thresholds by glibc's own environment variables.
    """
    return device.type == "cpu" and _keep()


@cache
def _keep() -> bool:
    if sys.platform != "linux" or os.environ.get(VARIABLE) == "system" or _set_by_user():
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and _kept_by(mallopt)


def _set_by_user() -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return any(f"MALLOC_{name.upper()}_" in os.environ or f"glibc.malloc.{name}" in tunables for name in _USERS)


def _kept_by(mallopt: Callable[[int, int], int]) -> bool:
    # either setting ends glibc's own adapting, so that the second must not stand alone
    return bool(mallopt(_MMAP_THRESHOLD, FROM_THE_HEAP)) and bool(mallopt(_TRIM_THRESHOLD, KEPT))
