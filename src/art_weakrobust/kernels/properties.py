"""What a person sees of an image before its content: how bright, contrasty, sharp and colourful it is."""

from __future__ import annotations

import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, by which JPEG and most libraries turn colours to grey


def luminance(x: Tensor) -> Tensor:
    """Return the grey image, (n, h, w): the channels' mean unless there are three of them, red, green and blue.

    :param x: float (n, c, h, w).
    """
    if x.shape[1] != 3:
        return x.mean(1)
    grey: Tensor = (x * x.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1)
    return grey


def brightness(x: Tensor) -> Tensor:
    """Return the mean luminance, (n,), in the units of the pixels."""
    return luminance(x).flatten(1).mean(1)


def contrast(x: Tensor) -> Tensor:
    """Return the standard deviation of the luminance (root mean square contrast), (n,), in the units of the pixels."""
    return luminance(x).flatten(1).std(1, correction=0)


def sharpness(x: Tensor) -> Tensor:
    """Return the mean absolute Laplacian of the luminance over its contrast, (n,): 0 for one without any contrast.

    Relative to the contrast, so that a faint image is not taken for a blurred one. An image below 3 px a side is 0.
    """
    grey = luminance(x)
    if min(grey.shape[1:]) < 3:
        return grey.new_zeros(len(grey))
    inside = grey[:, 1:-1, 1:-1]
    laplacian = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:] - 4 * inside
    spread = contrast(x)
    return torch.where(spread > 1e-6, laplacian.abs().flatten(1).mean(1) / spread.clamp_min(1e-6), 0.0)


def colourfulness(x: Tensor) -> Tensor:
    """Return the colourfulness of Hasler and Süsstrunk, (n,), for pixels in [0, 1]; 0 unless there are three channels.

    Source: D. Hasler and S. Süsstrunk, Proc. SPIE 5007 (2003) 87-95, https://doi.org/10.1117/12.477378.
    """
    if x.shape[1] != 3:
        return x.new_zeros(len(x))
    red, green, blue = x.flatten(2).unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue])
    spread, mean = opponents.std(2, correction=0), opponents.mean(2)
    colourful: Tensor = torch.linalg.vector_norm(spread, dim=0) + 0.3 * torch.linalg.vector_norm(mean, dim=0)
    return colourful


PROPERTIES = {
    "brightness": brightness,
    "contrast": contrast,
    "sharpness": sharpness,
    "colourfulness": colourfulness,
}
"""Name -> batched function of images (n, c, h, w), one number an image."""
