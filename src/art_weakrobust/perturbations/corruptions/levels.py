"""The 8-bit levels of pixels, which the originals of all corruptions read and write."""

from __future__ import annotations

import torch
from torch import Tensor

# More than rounding gets wrong at 255, less than an original could mean.
_SLACK = {torch.float32: 2.0**-13, torch.float64: 2.0**-33}


def to_levels(x: Tensor, dtype: torch.dtype = torch.int32) -> Tensor:
    """Return the nearest level 0 to 255 of every pixel.

    :param x: float32 in [0, 1].
    :param dtype: of the levels.
    """
    return (x * 255).round_().clamp_(0, 255).to(dtype)


def truncated(x: Tensor) -> Tensor:
    """Return pixels clipped to [0, 1] and cut down to 8-bit levels, in place, as ``np.uint8`` does in the originals.

    A sliver of a level is added first: a value that is a level but for rounding stays that level, on every device.

    :param x: float32 or float64.
    """
    return x.clamp_(0, 1).mul_(255).add_(_SLACK[x.dtype]).floor_().div_(255)


def luma(x: Tensor) -> Tensor:
    """Return how bright images (n, c, h, w) look, (n, 1, h, w): BT.601 of three channels, the mean of any others."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    red, green, blue = (x[:, channel : channel + 1] for channel in range(3))
    return (red * 0.299).add_(green, alpha=0.587).add_(blue, alpha=0.114)
