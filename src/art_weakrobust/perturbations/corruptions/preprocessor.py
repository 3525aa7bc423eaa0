"""A corruption as a preprocessing defence of ART: what an ART script hands to an estimator, corrupted on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from torch import Tensor

from ...errors import UsageError
from ...kernels.keyed import derive
from ...plugins.manager import Manager
from ..resolve import resolve_corruptions
from .apply import check_pixels
from .constants import check_severity

_AT_ONCE = 256


class _AsIdentity(torch.autograd.Function):
    """Gives what it is told, and passes the gradient on as if it were the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, made: Tensor) -> Tensor:  # noqa: ARG004 - torch's own signature
        return made.view_as(made)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return gradient, None


class CorruptionPreprocessor(PreprocessorPyTorch):
    """Corrupts every image that an ART estimator is handed.

    >>> fog = CorruptionPreprocessor("fog", severity=3)
    >>> classifier = PyTorchClassifier(model, loss, shape, 10, preprocessing_defences=fog, clip_values=(0, 1))

    Images are numbered by their places in one call: the same array is corrupted in the same way every time. The
    corruption has no useful gradient; attacks get that of the identity (BPDA, https://arxiv.org/abs/1802.00420).

    :param corruption: a name, or a function ``(x, ids, severity, seed) -> x``.
    :param severity: 1 to 5.
    :param seed: of every draw.
    :param apply_fit: corrupt while fitting; ``apply_predict`` likewise while predicting.
    :param device_type: ``cpu`` or ``gpu``.
    :param plugins: modules or objects with hooks, or a manager.
    :raises UsageError: for another severity, and for a set on disk.
    """

    params = ["corruption", "severity", "seed"]  # noqa: RUF012 - ART's own way to name them

    def __init__(
        self,
        corruption: str | Callable[..., Tensor],
        severity: int = 1,
        seed: int = 0,
        apply_fit: bool = True,
        apply_predict: bool = True,
        device_type: str = "gpu",
        plugins: Manager | Iterable[Any] = (),
    ) -> None:
        super().__init__(device_type=device_type, is_fitted=True, apply_fit=apply_fit, apply_predict=apply_predict)
        self.corruption, self.severity, self.seed = corruption, severity, seed
        self._manager = Manager.of(plugins)
        self._check_params()

    def forward(self, x: Tensor, y: Any | None = None) -> tuple[Tensor, Any | None]:
        """Return corrupted images, through which the gradient passes as through the identity, and labels as they are.

        :param x: floats (n, c, h, w) in [0, 1].
        :raises DataError: for images that are none, or too small for the corruption.
        """
        ids = torch.arange(len(x), device=x.device)
        check_pixels(x, ids, self._type.name)
        corruption: Any = self._type.corruption
        seed, made = derive(self.seed, self._type.name), torch.empty_like(x)
        with torch.no_grad():
            for start in range(0, len(x), _AT_ONCE):
                rows = slice(start, start + _AT_ONCE)
                made[rows] = corruption(x[rows].float(), ids[rows], self.severity, seed)
        straight: Any = _AsIdentity.apply
        return straight(x, made), y

    def _check_params(self) -> None:
        check_severity(self.severity, f"corruption {self.corruption!r}")
        found = resolve_corruptions([self.corruption], self._manager)
        if len(found) != 1 or found[0].stored:
            raise UsageError(f"corruption {self.corruption!r} lies on disk; name one that is computed")
        self._type = found[0]
