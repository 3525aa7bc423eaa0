"""A network compiled once for batches of every size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Compiled(nn.Module):
    """What ``torch.compile`` makes of a network, one program for all numbers of images.

    By itself it makes one for the first number that it meets, another for a single image, and a third for all others.
    What an image is answered could then hang, in its last bits, on what was asked before; and each takes seconds.

    :param network: images (n, ...) in, a list of tensors (n, ...) out.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network: Any = torch.compile(network)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return what the network does; compiled where it is first called, with or without a graph."""
        if len(x) == 1:  # twice the same image: PyTorch has 1 for a constant
            return [output[:1] for output in self(torch.cat([x, x]))]
        torch._dynamo.maybe_mark_dynamic(x, 0)  # type: ignore[no-untyped-call]
        return list(self._network(x))
