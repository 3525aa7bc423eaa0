"""Corruptions as a transform of torchvision's v2: PIL images, tensors and image tensors in, the same out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ...errors import DataError
from ...plugins.manager import Manager
from .constants import SEVERITIES
from .random_corruption import RandomCorruption


def _is_plain(value: Any) -> bool:
    """Say whether a value is a tensor that is nothing in particular: an image, and no box and no mask."""
    return isinstance(value, Tensor) and not isinstance(value, tv_tensors.TVTensor)


class CorruptionTransform(v2.Transform):  # type: ignore[misc]
    """Corrupts images at random, as a step of ``torchvision.transforms.v2.Compose``, before they are normalised.

    A transform is told no sample id, so an image is known by its pixels: the same image is corrupted in the same way in
    any order and in any worker of a loader, until :meth:`set_epoch` asks for other draws.

    >>> v2.Compose([CorruptionTransform("fog", severities=[3]), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])

    :param corruptions: as for :class:`~.random_corruption.RandomCorruption`, as are ``severities``, ``p``, ``seed`` and
        ``plugins``.
    """

    _transformed_types = (_is_plain, Image.Image, tv_tensors.Image)

    def __init__(
        self,
        corruptions: Iterable[Any] | Mapping[str, Any] | str | None = None,
        severities: Sequence[int] | int = SEVERITIES,
        p: float = 1.0,
        *,
        seed: int = 0,
        plugins: Manager | Iterable[Any] = (),
    ) -> None:
        super().__init__()
        self.random = RandomCorruption(corruptions, severities, p, seed=seed, plugins=plugins)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw anew from here on: another epoch, other corruptions; as a distributed sampler is told."""
        self.epoch = int(epoch)

    def transform(self, inpt: Any, params: Mapping[str, Any]) -> Any:  # noqa: ARG002 - torchvision's own signature
        """Return one image corrupted, or a batch of them.

        :param inpt: a PIL image (grey or RGB), uint8 or floats in [0, 1], (c, h, w) or (n, c, h, w).
        :raises DataError: for anything else.
        """
        if isinstance(inpt, Image.Image):
            if inpt.mode not in ("L", "RGB"):
                raise DataError(f"an image of mode {inpt.mode!r} cannot be corrupted; convert it to 'RGB' or 'L'")
            return functional.to_pil_image(self._corrupted(functional.pil_to_tensor(inpt)))
        made = self._corrupted(inpt)
        return tv_tensors.wrap(made, like=inpt) if isinstance(inpt, tv_tensors.Image) else made

    _transform = transform  # its name before torchvision 0.21

    def _corrupted(self, image: Tensor) -> Tensor:
        if image.ndim not in (3, 4):
            raise DataError(f"an image of shape {tuple(image.shape)} cannot be corrupted, expected (c, h, w)")
        levels = image.as_subclass(Tensor)
        batch = levels if image.ndim == 4 else levels[None]
        x = batch.float() / 255 if batch.dtype == torch.uint8 else batch
        made = self.random.corrupt(x, _keys(x), self.epoch)
        if batch.dtype == torch.uint8:
            made = (made * 255).round().to(torch.uint8)
        return made if image.ndim == 4 else made[0]


def _keys(images: Tensor) -> Tensor:
    """Return a number of each image that is a function of its pixels at 8 bits, int64 (n,), not negative."""
    levels = (images * 255).round().clamp(0, 255).to(torch.uint8).cpu()
    rows = [image.contiguous().numpy().tobytes() for image in levels]
    numbers = [int.from_bytes(hashlib.blake2b(row, digest_size=8).digest(), "little") >> 1 for row in rows]
    return torch.tensor(numbers, dtype=torch.int64, device=images.device)
