"""Attacks that draw from the global generators, held to a seed: saved, seeded, restored."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with the global generators of ``random``, numpy and torch (all devices) seeded; restore them after.

    ART's attacks take no seed and draw from the global state. Some make generators of their own without a seed
    (HopSkipJump, Boundary, Brendel-Bethge): those are beyond this, and not reproducible.

    :param seed: any integer; its lowest 32 bits are used, since numpy takes no more.
    """
    low = seed % 2**32
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        random.seed(low)
        np.random.seed(low)
        torch.manual_seed(low)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
