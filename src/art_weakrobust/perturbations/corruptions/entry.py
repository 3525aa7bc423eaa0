"""What every corruption of the package asks of what enters it."""

from __future__ import annotations

import functools
from collections.abc import Callable

from torch import Tensor

from .apply import check_pixels

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
