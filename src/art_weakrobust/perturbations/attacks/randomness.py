"""Attacks that draw, held to a seed: the global generators are saved, seeded and restored, unseeded ones are seeded."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

_RandomState = np.random.RandomState
_default_rng = np.random.default_rng


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with the generators of ``random``, numpy and torch (all devices) seeded; restore them after.

    ART's attacks take no seed. Most draw from the global generators; HopSkipJump, Boundary and Brendel-Bethge make a
    ``numpy.random.RandomState()`` of their own, which here gets its seed from the global one, and so from ``seed``; as
    does a ``numpy.random.default_rng()``. Whoever asks the system for entropy (``random.Random()``, ``torch.seed()``)
    gets it.

    :param seed: any integer; its lowest 32 bits are used, since numpy takes no more.
    """
    low = seed % 2**32
    python_state, numpy_state = random.getstate(), np.random.get_state()
    numpy_class, numpy_rng = np.random.RandomState, np.random.default_rng
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        random.seed(low)
        np.random.seed(low)
        torch.manual_seed(low)
        np.random.RandomState = SeededState  # type: ignore[misc]  # while the block runs
        np.random.default_rng = _seeded_rng
        try:
            yield
        finally:
            np.random.RandomState = numpy_class  # type: ignore[misc]
            np.random.default_rng = numpy_rng
            random.setstate(python_state)
            np.random.set_state(numpy_state)


class _AnyState(type):
    """Whatever is a ``RandomState`` passes for a :class:`SeededState`, numpy's own global one among them."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _RandomState)


class SeededState(_RandomState, metaclass=_AnyState):
    """numpy's ``RandomState``; without a seed it draws one from the global generator, not from the system's entropy."""

    def __init__(self, seed: Any = None) -> None:
        super().__init__(_drawn() if seed is None else seed)


def _seeded_rng(seed: Any = None) -> np.random.Generator:
    return _default_rng(_drawn() if seed is None else seed)


def _drawn() -> Any:
    return np.random.randint(2**32, dtype=np.uint32)
