"""JPEG compression (Hendrycks and Dietterich, arXiv 1903.12261)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import io

from .constants import constants
from .entry import corruption
from .levels import to_levels

_SHARE = 1 << 17  # pixels that are worth a thread


@corruption
def jpeg_compression(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images written as JPEG and read again, chroma halved (4:2:0), as libjpeg does it for Pillow too.

    The codec runs on the CPU, in as many threads as torch uses. Three channels are colour; any other number of channels
    are that many grey images.

    :param x: float32 (n, c, h, w) in [0, 1]; read at 8-bit levels.
    :param ids: int64 (n,) sample ids; nothing here is random.
    :param severity: 1 to 5.
    :param seed: any integer.
    :raises DataError: for images below the least size.
    :raises UsageError: for another severity.
    """
    quality = round(constants("jpeg_compression", x.shape, severity)[0])
    images = x if x.shape[1] == 3 else x.flatten(0, 1).unsqueeze(1)
    images = to_levels(images, torch.uint8).to("cpu").permute(0, 2, 3, 1).contiguous()
    threads = max(1, min(torch.get_num_threads(), images.numel() // _SHARE))
    if threads == 1:
        coded = _coded(images, quality)
    else:
        with ThreadPoolExecutor(threads) as pool:
            coded = torch.cat(list(pool.map(lambda part: _coded(part, quality), images.chunk(threads))))
    return (
        coded.to(x.device)
        .permute(0, 3, 1, 2)
        .to(x.dtype, memory_format=torch.contiguous_format)
        .view(x.shape)
        .div_(255)
    )


def _coded(images: Tensor, quality: int) -> Tensor:
    """Return uint8 (n, h, w, 1 or 3) through the codec, image by image: a file is no batch."""
    codec = by_torchvision if hasattr(io, "decode_jpeg") else by_pillow
    coded = torch.empty_like(images)
    for image, out in zip(images, coded, strict=True):
        out.copy_(codec(image, quality))
    return coded


def by_torchvision(image: Tensor, quality: int) -> Tensor:
    """Return uint8 (h, w, 1 or 3) through torchvision's codec, in whose memory channels come last too."""
    decoded: Tensor = io.decode_jpeg(io.encode_jpeg(image.permute(2, 0, 1), quality=quality))
    return decoded.permute(1, 2, 0)


def by_pillow(image: Tensor, quality: int) -> Tensor:
    """Return the same, at two or three times the cost: for torchvision without a codec, as 0.29 announced."""
    file = BytesIO()
    Image.fromarray(image.squeeze(2).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).view(image.shape)
