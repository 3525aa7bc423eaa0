"""A network compiled once for batches of every size."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

LEAST = 16
"""Images of the smallest batch that is asked as it is: convolutions on a CPU are compiled apart for fewer."""


class Compiled(nn.Module):
    """What ``torch.compile`` makes of a network, one program for all numbers of images.

    By itself it makes one for the first number that it meets, others for a single image, for a few and for many. What
    an image is answered could then hang, in its last bits, on what was asked before; and each takes seconds. So the
    number is left open, and fewer images than :data:`LEAST` are asked along with copies of themselves. There is still a
    program each for passes with and without a graph, and for each precision.

    :param network: images (n, ...) in, a list of tensors (n, ...) out.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        apart = (
            "isolate_recompiles"  # PyTorch makes so many programs of all networks together where it has no such word
        )
        options: Any = {apart: True} if apart in inspect.signature(torch.compile).parameters else {}
        self._network, self._compiled = network, torch.compile(network, **options)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return what the network does; compiled where it is first called."""
        count = len(x)
        if not count:
            return list(self._network(x))
        if count < LEAST:
            return [output[:count] for output in self(torch.cat([x] * -(-LEAST // count)))]
        torch._dynamo.maybe_mark_dynamic(x, 0)
        return list(self._compiled(x))
