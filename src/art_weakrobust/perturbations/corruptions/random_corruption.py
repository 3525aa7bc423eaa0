"""A random corruption of every training image, as a module: keyed, so that an image's view is the same in any batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ...kernels import keyed
from ...plugins.manager import Manager
from ..resolve import resolve_corruptions
from ..types import CorruptionType
from .apply import check_pixels
from .constants import SEVERITIES, check_severity

_SET_APART = "extra"
"""The group that the paper keeps for validation: not trained on unless somebody asks for it."""


class RandomCorruption(nn.Module):
    """Corrupts images at random while training; in evaluation mode it gives them back, as dropout does.

    Which corruption an image gets, at which severity, and what that draws, are functions of (seed, id, draw) alone.

    >>> augment = RandomCorruption(["gaussian_noise", "fog"], severities=(1, 2, 3), p=0.5)
    >>> x = augment(x)  # float32 (n, c, h, w) in [0, 1], before it is normalised
    >>> x = augment(x, ids=ids, draw=epoch)  # the same view of a sample in any batch, on any worker

    :param corruptions: names, functions ``(x, ids, severity, seed) -> x``, or a mapping label -> one of these; None for
        the paper's 15.
    :param severities: some of 1 to 5, drawn alike, or one.
    :param p: share of the images that are corrupted, 0 to 1.
    :param per_image: draw for every image; False draws one corruption and severity for a whole batch, which is faster.
    :param seed: of every draw.
    :param plugins: modules or objects with hooks, or a manager.
    :raises UsageError: for values out of range, and for a set on disk, which is for the test images alone.
    """

    drawn: Tensor

    def __init__(
        self,
        corruptions: Iterable[Any] | Mapping[str, Any] | str | None = None,
        severities: Sequence[int] | int = SEVERITIES,
        p: float = 1.0,
        *,
        per_image: bool = True,
        seed: int = 0,
        plugins: Manager | Iterable[Any] = (),
    ) -> None:
        super().__init__()
        manager = Manager.of(plugins)
        self.types = resolve_corruptions(_of_the_paper(manager) if corruptions is None else corruptions, manager)
        _refuse_stored(self.types)
        severities = (severities,) if isinstance(severities, int) else severities
        self.severities = tuple(check_severity(severity, "severities") for severity in severities)
        if not self.types or not self.severities:
            raise UsageError("corruptions and severities have to name at least one each")
        if not 0 <= p <= 1:
            raise UsageError(f"p {p!r} has to be a share from 0 to 1: how many of the images are corrupted")
        self.p, self.per_image, self.seed = float(p), per_image, int(seed)
        self.register_buffer("drawn", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor, ids: Tensor | None = None, draw: int = 0) -> Tensor:
        """Return corrupted images of the type and on the device of ``x``; outside training, ``x`` itself.

        :param x: floats (n, c, h, w) in [0, 1].
        :param ids: int64 (n,) sample ids, on any device; without them, images are numbered as they come, and never
            repeat a draw.
        :param draw: which view of a sample; the number of the epoch, say.
        :raises DataError: for images that are none, or too small for a corruption.
        """
        if not self.training:
            return x
        if ids is None:
            ids = torch.arange(len(x), device=x.device) + self.drawn.to(x.device)
            self.drawn += len(x)
        return self.corrupt(x, ids, draw)

    @torch.no_grad()
    def corrupt(self, x: Tensor, ids: Tensor, draw: int = 0) -> Tensor:
        """Return corrupted images, whatever the mode; see :meth:`forward`."""
        ids = torch.as_tensor(ids, dtype=torch.int64, device=x.device)
        check_pixels(x, ids, "RandomCorruption")
        if not len(x):
            return x
        keys = ids if self.per_image else ids[:1].expand(len(ids))
        u = keyed.uniform(keys.cpu(), draw, (3,), keyed.derive(self.seed, "random corruption")).double()
        which = (u[:, 0] * len(self.types)).long() * len(self.severities) + (u[:, 1] * len(self.severities)).long()
        which = torch.where(u[:, 2] < self.p, which, -1).to(x.device)
        done = x.clone()
        for number in sorted({*which.tolist()} - {-1}):
            rows = (which == number).nonzero().squeeze(1)
            kind, severity = self.types[number // len(self.severities)], number % len(self.severities)
            done[rows] = self._of(kind, x[rows].float(), ids[rows], self.severities[severity], draw).to(x.dtype)
        return done

    def extra_repr(self) -> str:
        """Return what it draws from."""
        names = ", ".join(kind.name for kind in self.types)
        return f"{names}; severities={self.severities}, p={self.p:g}, seed={self.seed}"

    def _of(self, kind: CorruptionType, x: Tensor, ids: Tensor, severity: int, draw: int) -> Tensor:
        corruption: Any = kind.corruption
        made: Tensor = corruption(x, ids, severity, keyed.derive(self.seed, kind.name, draw))
        return made


def _of_the_paper(manager: Manager) -> list[str]:
    specs = [thing.spec for thing in manager.things() if thing.kind == "corruption" and thing.built_in]
    return [spec.name for spec in specs if not spec.many and spec.facts["group"] != _SET_APART]


def _refuse_stored(types: Sequence[CorruptionType]) -> None:
    for kind in types:
        if kind.stored:
            raise UsageError(f"corruption {kind.name!r} lies on disk and is for the test images alone; name another")
