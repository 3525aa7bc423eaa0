"""What to do when memory runs out: the same work in smaller batches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_ALLOCATION_FAILED = (
    "can't allocate memory",  # the CPU's allocator raises a bare RuntimeError
    "not enough memory",  # the same on Windows
    "out of memory",  # backends without an OutOfMemoryError of their own
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether ``error`` means that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _ALLOCATION_FAILED)


def halving(work: Callable[[int], _T], batch_size: int) -> tuple[_T, int]:
    """Return what ``work(batch_size)`` returns, asked with half the batch for as long as memory runs out.

    A loop over slices goes on with the size that it is given back::

        while start < len(x):
            part, batch_size = halving(lambda size: forward(x[start : start + size]), batch_size)
            start += len(part)

    :param work: called with a number of images; what a failed call has done so far has to be done again.
    :param batch_size: images to begin with.
    :return: the result, and the batch size that fitted.
    :raises Exception: what ``work`` raised: any other error, or memory that does not do for a single image.
    """
    while True:
        try:
            return work(batch_size), batch_size
        except (RuntimeError, MemoryError) as error:
            if batch_size <= 1 or not is_out_of_memory(error):
                raise
        # Beyond the handler, as the error's traceback keeps the tensors of the failed call alive.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        batch_size //= 2
        _log.warning("out of memory: going on with batches of %d", batch_size)
