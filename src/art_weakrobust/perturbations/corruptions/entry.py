"""What every corruption of the package asks of what enters it."""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import Tensor

from .apply import check_batch, check_pixels
from .in_threads import OutOfRangeError

_Corruption = Callable[[Tensor, Tensor, int, int], Tensor]


def corruption(kernel: _Corruption) -> _Corruption:
    """Return a corruption that refuses batches which are none: pixels once a batch, sizes and severities by constants.

    :param kernel: ``(x, ids, severity, seed) -> x``; its name stands in the messages.
    :raises DataError: (the result) as :func:`.apply.check_pixels` does.
    """

    @functools.wraps(kernel)
    def checked(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
        check_pixels(x, ids, kernel.__name__)
        return kernel(x, ids, severity, seed)

    return checked


def in_threads_corruption(kernel: _Corruption) -> _Corruption:
    """Return the same of a kernel that looks at the pixels itself, as :func:`.in_threads.in_threads` does.

    A pass of torch's before it would leave torch's threads waiting on the cores that the kernel's own threads want.
    """

    @functools.wraps(kernel)
    def checked(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
        check_batch(x, ids, kernel.__name__)
        try:
            return kernel(x, ids, severity, seed)
        except OutOfRangeError:
            check_pixels(x, ids, kernel.__name__)
            raise

    return checked
