"""What sources of PNG and JPEG files share, wherever the bytes come from: size, colour, decoding in threads."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError
from . import images
from .base import ImageDataset, scaled
from .decoding import decoded, in_threads
from .fit import Fit

_PEEK = 100  # images whose headers say whether the set is grey or in colour


class EncodedImages(ImageDataset):
    """Images that are decoded when they are taken; only headers are looked at before.

    All images have to be of the size of the first, once they are resized and cropped. The set is grey where the first
    100 images all are (from class folders: 100 evenly spread), otherwise RGB, and every image is converted to that.

    :param name: how messages call the set.
    :param labels: int64 (n,), checked.
    :param nb_classes: as for :class:`~art_weakrobust.datasets.base.ImageDataset`.
    :param fit: what is done to every image.
    """

    encoded = True

    def __init__(
        self,
        name: str,
        labels: np.ndarray,
        nb_classes: int | None = None,
        class_names: Sequence[str] = (),
        fit: Fit = Fit(),  # noqa: B008 - frozen
    ) -> None:
        self.fit = fit
        count = min(_PEEK, len(labels))
        last = len(labels) - 1 if self.class_folders else count - 1
        peeked = np.linspace(0, last, count).astype(np.int64)
        first = [
            images.open_image(data, self._where(name, i)) for i, data in zip(peeked, self._encoded(peeked), strict=True)
        ]
        width, height = fit.size(*first[0].size)
        _one_size(
            name, {int(i): fit.size(*image.size) for i, image in zip(peeked, first, strict=True)}, (width, height)
        )
        channels = 1 if all(images.is_grey(image) for image in first) else 3
        super().__init__(name, labels, (channels, height, width), nb_classes, class_names)

    @abstractmethod
    def _encoded(self, ids: np.ndarray) -> Sequence[bytes | None]:
        """Return the bytes of the images of these ids."""

    def _where(self, name: str, index: int) -> str:
        return f"sample {index} of {name}"

    def _images(self, ids: np.ndarray) -> np.ndarray:
        pixels = np.zeros((len(ids), *self.input_shape), np.uint8)

        def decode(rows: range) -> dict[int, tuple[int, int]]:
            others = {}
            for row, data in zip(rows, self._encoded(ids[rows.start : rows.stop]), strict=True):
                where = self._where(self.name, ids[row])
                image = self.fit(decoded(data, self.input_shape[0] == 1, where), where)
                if image.shape == self.input_shape:
                    pixels[row] = image
                else:
                    others[int(ids[row])] = (image.shape[2], image.shape[1])
            return others

        others = {i: size for part in in_threads(decode, range(len(ids))) for i, size in part.items()}
        _one_size(self.name, others, (self.input_shape[2], self.input_shape[1]))
        return scaled(pixels)


def file_bytes(file: Path) -> bytes:
    """Return what a file holds.

    :raises DataError: where it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{str(file)!r} cannot be read: {error.strerror or error}") from error


def _one_size(where: str, sizes: dict[int, tuple[int, int]], size: tuple[int, int]) -> None:
    others = [f"sample {i} is {w}x{h}" for i, (w, h) in sizes.items() if (w, h) != size]
    if others:
        raise DataError(
            f"{where}: images of mixed size: {', '.join(others[:3])}, expected {size[0]}x{size[1]} as the first; "
            "resize and crop them with --resize N --crop N, or resize them in the data"
        )
