"""Batches in parts that stay in a core's cache."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

_VALUES = 1 << 20  # worked on at a time: they stay near a core's L2 cache, and still make work for two threads


def blocks(x: Tensor, dim: int = 0, copies: int = 4) -> Iterator[slice]:
    """Yield the parts of a dimension that are worth working on one after the other: on a CPU, small ones.

    No value depends on it: every corruption treats samples, and every blur planes, apart from one another.

    :param x: any tensor.
    :param dim: the dimension to cut.
    :param copies: how many tensors of a part's size the work on it holds.
    """
    count = x.shape[dim]
    each = max(x.numel() // max(count, 1), 1)
    size = max(1, _VALUES // (copies * each)) if x.device.type == "cpu" else max(1, count)
    for start in range(0, count, size):
        yield slice(start, start + size)
