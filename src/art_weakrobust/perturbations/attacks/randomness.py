"""Attacks that draw, held to a seed: the global generators are saved, seeded and restored, unseeded ones are seeded."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

_RandomState = np.random.RandomState


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with the generators of ``random``, numpy and torch (all devices) seeded; restore them after.

    ART's attacks take no seed. Most draw from the global generators; HopSkipJump, Boundary and Brendel-Bethge make a
    ``numpy.random.RandomState()`` of their own, which here gets its seed from the global one, and so from ``seed``.

    :param seed: any integer; its lowest 32 bits are used, since numpy takes no more.
    """
    low = seed % 2**32
    python_state, numpy_state, numpy_class = random.getstate(), np.random.get_state(), np.random.RandomState
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        random.seed(low)
        np.random.seed(low)
        torch.manual_seed(low)
        np.random.RandomState = SeededState  # type: ignore[misc]  # while the block runs
        try:
            yield
        finally:
            np.random.RandomState = numpy_class  # type: ignore[misc]
            random.setstate(python_state)
            np.random.set_state(numpy_state)


class _AnyState(type):
    """Whatever is a ``RandomState`` passes for a :class:`SeededState`, numpy's own global one among them."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _RandomState)


class SeededState(_RandomState, metaclass=_AnyState):
    """numpy's ``RandomState``; without a seed it draws one from the global generator, not from the system's entropy."""

    def __init__(self, seed: Any = None) -> None:
        super().__init__(np.random.randint(2**32, dtype=np.uint32) if seed is None else seed)
