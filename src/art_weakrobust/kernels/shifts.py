"""The same image, a little moved: right for whoever sees what it shows, new to whoever remembers its pixels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))
_SHARE = 16
"""An image moves by a sixteenth of its shorter side, and by a pixel at least: 2 px of 32."""


def shifted(x: Tensor, direction: tuple[int, int]) -> Tensor:
    """Return images moved by a sixteenth of their shorter side; what comes in repeats the border.

    :param x: (n, c, h, w).
    :param direction: down and right, each -1, 0 or 1; see :data:`DIRECTIONS`.
    """
    height, width = x.shape[-2:]
    step = max(1, min(height, width) // _SHARE)
    top, left = (step * (1 - way) for way in direction)
    padded = functional.pad(x, (step,) * 4, mode="replicate")
    return padded[..., top : top + height, left : left + width].contiguous()
