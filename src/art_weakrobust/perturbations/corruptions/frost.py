"""Frost: a photograph of ice laid over the image (Hendrycks and Dietterich, arXiv 1903.12261).

The photographs are those of the package ``torch-uncertainty-assets`` (Apache-2.0): Hendrycks' numbers 1, 2, 4, 5 and 6,
the first two encoded anew. The originals drew from their first five: number 3 is not there, number 6 was never drawn.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...kernels import keyed
from .constants import constants
from .entry import corruption
from .levels import luma
from .resample import linear

_PHOTOGRAPHS = 5
_ROOM = 1.1  # a photograph too small for the image is enlarged to this multiple of it
_BITS = 24


@corruption
def frost(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return a weighted sum of the images and of pieces of ice, at 8-bit levels.

    Which photograph and which piece of it is drawn for every sample. Ice in colour falls on images of three channels;
    on any others falls its luma.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    kept, added, scale = constants("frost", x.shape, severity)
    height, width = x.shape[-2:]
    photographs, free = _photographs(height, width, scale, x.shape[1] == 3, x.device)
    drawn = keyed.bits(ids, severity, (3,), keyed.derive(seed, "frost")).long().bitwise_and_((1 << _BITS) - 1)
    which = drawn[:, 0] * _PHOTOGRAPHS >> _BITS
    top, left = (drawn[:, 1:] * free[which] >> _BITS).unbind(1)
    pieces = photographs.unfold(2, height, 1).unfold(3, width, 1)  # a view: every piece that could be cut
    ice = pieces[which, :, top, left].to(x.dtype)
    return ice.mul_(added / 255).add(x, alpha=kept)


@lru_cache(maxsize=8)
def _photographs(height: int, width: int, scale: float, colour: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the photographs, uint8 (5, 3 or 1, H, W), and how many corners a piece can have, int64 (5, 2).

    A photograph smaller than H x W fills the upper left part, and pieces are cut from there alone.
    """
    scaled = []
    for ice in _originals():
        levels = ice if colour else luma(ice.unsqueeze(0))[0]
        at_least = _ROOM * max(height / ice.shape[-2], width / ice.shape[-1])
        scaled.append(_resized(levels, max(scale, at_least)))
    sizes = torch.tensor([levels.shape[-2:] for levels in scaled])
    stack = torch.zeros((len(scaled), scaled[0].shape[0], *sizes.amax(0).tolist()), dtype=torch.uint8)
    for space, levels in zip(stack, scaled, strict=True):
        space[:, : levels.shape[-2], : levels.shape[-1]] = levels
    with torch.inference_mode(False):
        return stack.to(device), (sizes - torch.tensor([height, width])).to(device)


def _resized(levels: Tensor, scale: float) -> Tensor:
    """Return float32 (c, h, w) levels resized without a filter, as OpenCV does it: centres of pixels on centres."""
    for dim in (-2, -1):
        positions = (np.arange(round(levels.shape[dim] * scale)) + 0.5) / scale - 0.5
        levels = linear(levels, dim, positions)
    return levels.round_().to(torch.uint8)


@lru_cache(maxsize=1)
def _originals() -> list[Tensor]:
    """Return the five photographs as float32 (3, h, w) levels."""
    folder = files("torch_uncertainty_assets") / "frost"
    originals = []
    for number in range(1, _PHOTOGRAPHS + 1):
        with (folder / f"frost{number}.jpg").open("rb") as file:
            levels = np.asarray(Image.open(file).convert("RGB"), dtype=np.float32)
        originals.append(torch.from_numpy(levels).permute(2, 0, 1))
    return originals
