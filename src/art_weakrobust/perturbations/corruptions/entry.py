"""What every corruption asks of what enters it, checked once a batch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...errors import DataError

_BLOCK = 1 << 20  # values corrupted at a time: intermediate results stay in a core's cache, and memory stays small
_ROUNDING = 1e-6  # what arithmetic may have got wrong at 0 and 1
_Corruption = Callable[[Tensor, Tensor, int, int], Tensor]


def corruption(kernel: _Corruption) -> _Corruption:
    """Return a corruption that refuses batches which are none; severity and least size are the constants' to check.

    On a CPU it works through large batches in blocks: a sample's result knows nothing of its batch.

    :param kernel: ``(x, ids, severity, seed) -> x``; its name stands in the messages.
    :raises DataError: (the result) for anything but float32 (n, c, h, w), for pixels outside [0, 1] or not finite, and
        where there is not one id a sample.
    """

    @functools.wraps(kernel)
    def checked(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
        _check(kernel.__name__, x, ids)
        size = max(1, _BLOCK // max(1, x[:1].numel()))
        if len(x) <= size or x.device.type != "cpu":
            return kernel(x, ids, severity, seed)
        blocks = zip(torch.split(x, size), torch.split(ids, size), strict=True)
        return torch.cat([kernel(block, own, severity, seed) for block, own in blocks])

    return checked


def _check(name: str, x: Tensor, ids: Tensor) -> None:
    if x.dim() != 4 or x.dtype != torch.float32:
        raise DataError(f"{name} needs float32 images (n, c, h, w), got {x.dtype} of shape {tuple(x.shape)}")
    if ids.shape != x.shape[:1]:
        raise DataError(f"{name} needs one id a sample: got ids of shape {tuple(ids.shape)} for {len(x)} images")
    if not x.numel():
        return
    low, high = (float(end) for end in x.aminmax())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # also where they are NaN, which aminmax hands on
        seen = "NaN" if math.isnan(low) else f"pixels from {low:.4g} to {high:.4g}"
        raise DataError(f"{name} needs pixels in [0, 1], got {seen}: scale the images, without normalisation")
