"""What every corruption of the package asks of what enters it, and makes of what leaves it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from .apply import check_batch, check_pixels
from .blocks import blocks
from .constants import check_severity
from .in_threads import OutOfRangeError
from .levels import truncated

_Kernel = Callable[[Tensor, Tensor, int, int], Tensor]


class Checked(Protocol):
    """A corruption of the package: a :class:`~art_weakrobust.protocols.Corruption` that can leave 8 bits out."""

    def __call__(self, x: Tensor, ids: Tensor, severity: int, seed: int, *, quantised: bool = True) -> Tensor:
        """Return corrupted images, of the type and on the device of ``x``.

        :param x: floats (n, c, h, w) in [0, 1], no smaller than :func:`.constants.min_size` says.
        :param ids: int64 (n,) sample ids, on any device.
        :param severity: 1 to 5.
        :param seed: any integer; what is drawn, where anything is, is a function of (seed, id, severity) alone.
        :param quantised: False leaves pixels between the 8-bit levels, as in ``partial(fog, quantised=False)``.
        :raises DataError: for images that are none (:func:`.apply.check_pixels`), and for smaller ones.
        :raises UsageError: for another severity.
        """


def corruption(kernel: _Kernel) -> Checked:
    """Return a corruption that refuses batches which are none, and cuts what it makes down to 8-bit levels.

    Images are worked on in float32, whatever their type, so that none is corrupted in another way for it; a corruption
    has no useful gradient, and none is recorded.

    :param kernel: ``(x, ids, severity, seed) -> x``, a tensor of its own in any range, float32, or float64 where a hair
        decides on a level; its name stands in the messages.
    """

    @functools.wraps(kernel)
    @torch.no_grad()
    def checked(x: Tensor, ids: Tensor, severity: int, seed: int, *, quantised: bool = True) -> Tensor:
        severity, ids = _asked(kernel, x, ids, severity)
        check_pixels(x, ids, kernel.__name__)
        made = kernel(x.float(), ids, severity, seed)
        for block in blocks(made):
            truncated(made[block]) if quantised else made[block].clamp_(0, 1)
        return made.float().to(x.dtype)

    return checked


def in_threads_corruption(kernel: _Kernel) -> Checked:
    """Return the same of a kernel that looks at the pixels itself, as :func:`.in_threads.in_threads` does.

    A pass of torch's before it would leave torch's threads waiting on the cores that the kernel's own threads want.
    Codecs and Pillow's filters know nothing but 8-bit levels: ``quantised`` changes nothing.
    """

    @functools.wraps(kernel)
    @torch.no_grad()
    def checked(x: Tensor, ids: Tensor, severity: int, seed: int, *, quantised: bool = True) -> Tensor:  # noqa: ARG001
        severity, ids = _asked(kernel, x, ids, severity)
        check_batch(x, ids, kernel.__name__)
        try:
            return kernel(x.float(), ids, severity, seed).to(x.dtype)
        except OutOfRangeError:
            check_pixels(x, ids, kernel.__name__)
            raise

    return checked


def _asked(kernel: _Kernel, x: Tensor, ids: Tensor, severity: int) -> tuple[int, Tensor]:
    return check_severity(severity, kernel.__name__), torch.as_tensor(ids, dtype=torch.int64, device=x.device)
