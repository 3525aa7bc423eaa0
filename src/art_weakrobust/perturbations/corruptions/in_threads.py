"""Batches through a library that is not torch, codecs and Pillow's filters, in as many threads as torch uses."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from .blocks import blocks


class OutOfRangeError(ValueError):
    """A pixel is not finite, or outside [0, 1]."""


def in_threads(x: Tensor, work: Callable[[np.ndarray, np.ndarray], None]) -> Tensor:
    """Return a batch made by ``work(images, out)`` on parts of it.

    The work is numpy's, and not torch's: torch would have every one of these threads start threads of its own.

    :param x: float32 (n, c, h, w), on any device; the work is done on the CPU.
    :param work: reads ``images`` and fills ``out``, both float32 (k, c, h, w); must let the interpreter go.
    :raises OutOfRangeError: for pixels that are not finite or outside [0, 1].
    """
    pixels = x.detach().to("cpu").contiguous()
    parts, images = list(blocks(pixels, copies=2)), pixels.numpy()
    out = np.empty_like(images)

    def done(part: slice) -> None:
        if not (images[part].min() >= 0 and images[part].max() <= 1):  # false for NaN as well
            raise OutOfRangeError
        work(images[part], out[part])

    threads = min(torch.get_num_threads(), len(parts))
    if threads < 2:
        for part in parts:
            done(part)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(done, parts))
    return torch.from_numpy(out).to(x.device)


def eight_bits(images: np.ndarray) -> np.ndarray:
    """Return the nearest levels, uint8, of pixels in [0, 1]."""
    scaled = images * np.float32(255)
    return np.rint(scaled, out=scaled).astype(np.uint8)
