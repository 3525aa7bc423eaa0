"""JPEG compression (Hendrycks and Dietterich, arXiv 1903.12261)."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import io

from .constants import constants
from .entry import in_threads_corruption
from .in_threads import eight_bits, in_threads


@in_threads_corruption
def jpeg_compression(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images written as JPEG and read again, chroma halved (4:2:0), as libjpeg does it for Pillow too.

    The codec runs on the CPU, in as many threads as torch uses. Three channels are colour; any other number of channels
    are that many grey images.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    quality = round(constants("jpeg_compression", x.shape, severity)[0])
    images = x if x.shape[1] == 3 else x.flatten(0, 1).unsqueeze(1)
    codec = by_torchvision if hasattr(io, "decode_jpeg") else by_pillow

    def coded(images: np.ndarray, out: np.ndarray) -> None:
        levels = np.ascontiguousarray(eight_bits(images).transpose(0, 2, 3, 1))
        for image in levels:
            image[...] = codec(image, quality)
        np.divide(levels.transpose(0, 3, 1, 2), np.float32(255), out=out)

    return in_threads(images, coded).view(x.shape)


def by_torchvision(image: np.ndarray, quality: int) -> np.ndarray:
    """Return uint8 (h, w, 1 or 3) through torchvision's codec, in whose memory channels come last too."""
    written = io.encode_jpeg(torch.from_numpy(image).permute(2, 0, 1), quality=quality)
    decoded: np.ndarray = io.decode_jpeg(written).permute(1, 2, 0).numpy()
    return decoded


def by_pillow(image: np.ndarray, quality: int) -> np.ndarray:
    """Return the same, at two or three times the cost: for torchvision without a codec, as 0.29 announced."""
    file = BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)
