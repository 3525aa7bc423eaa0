"""ART's own classifier, to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from art.estimators.classification import PyTorchClassifier
from torch import nn

from .plan import device_for
from .shapes import shape_and_classes

if TYPE_CHECKING:
    from ..protocols import ModelInfo


def stock(
    model: nn.Module,
    info: ModelInfo,
    *,
    device: str | None = None,
    clip_values: tuple[float, float] = (0, 1),
    input_shape: tuple[int, ...] | None = None,
    nb_classes: int | None = None,
) -> PyTorchClassifier:
    """Return ART's ``PyTorchClassifier`` around a module, with cross-entropy loss and ART's defaults.

    :param device: as for ``FastPyTorchClassifier``; of several GPUs ART itself knows the current one alone.
    :raises ModelError: where shape or device are not known.
    """
    shape, classes = shape_and_classes(model, info, input_shape, nb_classes)
    return PyTorchClassifier(
        model=model,
        loss=nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=classes,
        clip_values=clip_values,
        device_type="cpu" if device_for(device or "gpu").type == "cpu" else "gpu",
    )
