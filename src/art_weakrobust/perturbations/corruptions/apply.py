"""A corruption applied to images in memory: what goes in and what comes out is checked, for all who apply one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...protocols import Corruption


def check_pixels(x: Tensor, ids: Tensor, where: str) -> None:
    """Refuse images that are no float (n, c, h, w) in [0, 1]; the first offending sample is named.

    :raises DataError: for another shape or type, and for a pixel that is not finite or out of range.
    """
    check_batch(x, ids, where)
    if not x.numel():
        return
    low, high = torch.aminmax(x)
    if low >= 0 and high <= 1:  # false for NaN as well
        return
    wrong = ~((x >= 0) & (x <= 1)).flatten(1)
    row = int(wrong.any(1).nonzero()[0])
    value = float(x.flatten(1)[row][wrong[row]][0])
    raise DataError(
        f"{where}: sample {int(ids[row])} holds the pixel {value:.4g}, expected [0, 1]; corrupt images before they are "
        "normalised, divide bytes by 255, and mend or remove what is not finite"
    )


def check_batch(x: Tensor, ids: Tensor, where: str) -> None:
    """Refuse what is no batch of images with their ids; pixels are not looked at.

    :raises DataError: for another shape, type or number of ids.
    """
    if x.ndim != 4 or not x.is_floating_point():
        raise DataError(f"{where}: images are {x.dtype} of shape {tuple(x.shape)}, expected floats (n, c, h, w)")
    if len(x) != len(ids):
        raise DataError(f"{where}: {len(ids)} ids for {len(x)} images; every image needs one")


def corrupted(
    corruption: Corruption,
    name: str,
    x: np.ndarray,
    ids: np.ndarray,
    severity: int,
    seed: int,
    *,
    batch_size: int = 256,
    device: Any = "cpu",
) -> np.ndarray:
    """Return images corrupted batch by batch, float32 (n, c, h, w) in [0, 1].

    :param corruption: see :class:`~art_weakrobust.protocols.Corruption`.
    :param name: how messages call it.
    :param x: float32 (n, c, h, w) in [0, 1].
    :param ids: int64 (n,).
    :param severity: 1 to 5.
    :param seed: any integer.
    :param device: where they are made.
    :raises DataError: for images that are none, or too small for the corruption.
    :raises ValueError: where the corruption gives another shape, or pixels that are not finite.
    """
    made = np.empty_like(x)
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        batch, keys = torch.tensor(x[rows], device=device), torch.tensor(ids[rows], device=device)
        check_pixels(batch, keys, name)
        with torch.no_grad():
            result = corruption(batch, keys, severity, seed)
        if result.shape != batch.shape or not torch.isfinite(result).all():
            raise ValueError(f"{name} gave {tuple(result.shape)}, expected finite pixels of {tuple(batch.shape)}")
        made[rows] = result.clamp(0.0, 1.0).cpu().numpy()
    return made
