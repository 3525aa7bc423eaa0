"""Freed memory kept for the next batch: on Linux, glibc's ``malloc`` would give most of it back to the system.

The layers of a network ask for blocks of megabytes and free them, batch after batch. A block above M_MMAP_THRESHOLD
(128 KiB, until larger ones have been freed; 32 MiB at most) is mapped anew each time, and what is free at the top of
the heap beyond M_TRIM_THRESHOLD goes back at once. The kernel then zeroes each page once more when it is next touched,
which can take as long as the network's arithmetic (``benchmarks/estimator.py``). See ``mallopt(3)``.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache

FROM_THE_HEAP, KEPT = 256 << 20, 1 << 30
"""Bytes of the largest block that is not mapped, and of free memory at the top of the heap that is not given back.

glibc before 2.38 does not find a freed block again for an aligned one of the same size, up to seven times over, so that
larger blocks from the heap cost memory: the peak of networks at 224 px, in batches of 64, rose by up to 48 % at a GiB
and by up to 27 % at this.
"""

VARIABLE = "ART_WEAKROBUST_MALLOC"
"""Set to ``system``, it leaves ``malloc`` as it is."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as malloc.h has them
_MOST_BEFORE = 32 << 20  # what older versions of glibc take at most as M_MMAP_THRESHOLD
_USERS = ("trim_threshold", "mmap_threshold", "mmap_max", "top_pad")  # glibc's own settings of the same


@cache
def keep_freed_memory() -> bool:
    """Have ``malloc`` keep what is freed, for the whole process and until it ends; return whether it does.

    The process then holds up to a GiB that it has no use for at the moment. Nothing is done where there is no
    ``mallopt`` (macOS, musl), where :data:`VARIABLE` says so, and where somebody has set these thresholds by glibc's
    own environment variables.
    """
    if sys.platform != "linux" or os.environ.get(VARIABLE) == "system" or _set_by_user():
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and _kept_by(mallopt)


def _set_by_user() -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return any(f"MALLOC_{name.upper()}_" in os.environ or f"glibc.malloc.{name}" in tunables for name in _USERS)


def _kept_by(mallopt: Callable[[int, int], int]) -> bool:
    mapped = any(mallopt(_MMAP_THRESHOLD, size) for size in (FROM_THE_HEAP, _MOST_BEFORE))
    return bool(mallopt(_TRIM_THRESHOLD, KEPT)) and mapped
