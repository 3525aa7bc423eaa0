"""Initial weights of a network: drawn from a seed, with torch's own generator left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def own_generator(seed: int = 0) -> Iterator[None]:
    """Let torch's CPU generator begin at ``seed`` for the while."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
