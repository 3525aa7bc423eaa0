"""The estimator ``black-box``: any callable that maps a batch to scores or labels, and nothing else is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from art.estimators.classification import BlackBoxClassifierNeuralNetwork
from torch import nn

from ..errors import ModelError
from .modes import evaluating

if TYPE_CHECKING:
    from ..protocols import ModelInfo


@dataclass(frozen=True)
class Answers:
    """What a callable says, one row an image: its scores as they are, a label as a row with a one at its place.

    :param model: images float32 (n, c, h, w) in [0, 1] as an array -> scores (n, K), or labels (n,), whole numbers; an
        ``nn.Module`` is asked with tensors, in evaluation mode.
    :param nb_classes: K.
    :param name: for messages.
    """

    model: Callable[[Any], Any]
    nb_classes: int
    name: str

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return float32 (n, K).

        :raises ModelError: for an answer of another form, and for a label that is no class.
        """
        said = answer_of(self.model, x, self.name)
        if said.ndim == 2:
            if said.shape[1] != self.nb_classes:
                raise ModelError(f"model {self.name!r} gives {said.shape[1]} scores, expected {self.nb_classes}")
            return said.astype(np.float32)
        if len(said) and not (said.min() >= 0 and said.max() < self.nb_classes):
            odd = said[(said < 0) | (said >= self.nb_classes)][0]
            raise ModelError(
                f"model {self.name!r} gives the label {odd}, outside its {self.nb_classes} classes; give nb_classes"
            )
        rows: np.ndarray = np.eye(self.nb_classes, dtype=np.float32)[said]
        return rows


class BlackBoxEstimator(BlackBoxClassifierNeuralNetwork):
    """ART's black-box classifier around :class:`Answers`.

    :param answers: what is asked.
    :param input_shape: (c, h, w).
    :param decisions_only: whether it gives labels alone.
    :param clip_values: range of the pixels.
    :param batch_size: images that are handed over at once, at most.
    """

    def __init__(
        self,
        answers: Answers,
        input_shape: tuple[int, ...],
        *,
        decisions_only: bool,
        clip_values: tuple[float, float] = (0, 1),
        batch_size: int = 128,
    ) -> None:
        super().__init__(answers, input_shape, answers.nb_classes, clip_values=clip_values, preprocessing=None)
        self.decisions_only = decisions_only
        self.forwards = 0
        self._most = batch_size

    def predict(self, x: np.ndarray, batch_size: int = 128, **kwargs: Any) -> np.ndarray:
        """Return scores, or rows with a one at the label, float32 (n, K); ``forwards`` counts the images."""
        images = np.array(x, dtype=np.float32, order="C")  # a copy: a callable may write into what it is handed
        self.forwards += len(images)
        rows: np.ndarray = super().predict(images, batch_size=min(batch_size, self._most), **kwargs)
        return rows


def black_box(
    model: Callable[[Any], Any],
    info: ModelInfo,
    *,
    batch_size: int = 128,
    clip_values: tuple[float, float] = (0, 1),
    input_shape: tuple[int, ...] | None = None,
    nb_classes: int | None = None,
) -> BlackBoxEstimator:
    """Return an estimator around a callable; one grey image is asked to see whether it gives scores or labels.

    Neighborhoods, corruptions, and attacks that need scores or decisions work on it; what needs gradients is refused.

    :param model: see :class:`Answers`.
    :param info: what is known of it; ``input_shape`` and ``nb_classes`` come first.
    :param batch_size: images that are handed over at once, at most.
    :raises ModelError: where it is not callable, its shape or, with labels, its classes are not known, or it answers
        something else.
    """
    name = info.name or type(model).__name__
    if not callable(model):
        raise ModelError(f"model {name!r} is a {type(model).__name__}, expected a callable: images -> scores or labels")
    shape = tuple(input_shape or info.input_shape or ())
    if not shape:
        raise ModelError(f"input_shape of model {name!r} is not known; pass input_shape=(c, h, w)")
    said = answer_of(model, np.full((1, *shape), 0.5, np.float32), name)
    classes = said.shape[1] if said.ndim == 2 else nb_classes or info.nb_classes
    if classes is None:
        raise ModelError(f"model {name!r} gives labels, which do not tell how many classes it has; pass nb_classes")
    return BlackBoxEstimator(
        Answers(model, int(classes), name),
        shape,
        decisions_only=said.ndim == 1,
        clip_values=clip_values,
        batch_size=batch_size,
    )


def answer_of(model: Callable[[Any], Any], x: np.ndarray, name: str) -> np.ndarray:
    """Return what a model says of a batch: scores (n, K), or labels int64 (n,).

    :raises ModelError: where it fails, or says something else.
    """
    try:
        said = _module_answer(model, x) if isinstance(model, nn.Module) else model(x)
        array = said.detach().cpu().numpy() if isinstance(said, torch.Tensor) else np.asarray(said)
    except ModelError:
        raise
    except Exception as error:  # the user's own code: it may raise anything, and is told by its message
        cause = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelError(f"model {name!r} fails on images of shape {x.shape}: {cause}") from error
    whole = array.dtype.kind in "iu"
    if array.ndim == 2 and array.shape[1] == 1 and whole:
        array = array[:, 0]
    if array.shape == (len(x),) and whole:
        return array.astype(np.int64)
    if array.ndim == 2 and len(array) == len(x) and array.shape[1] >= 2 and array.dtype.kind in "iufb":
        return array
    raise ModelError(
        f"model {name!r} gives {array.dtype} of shape {array.shape} for {len(x)} images, expected scores "
        f"({len(x)}, classes), or labels ({len(x)},) as whole numbers"
    )


def _module_answer(module: nn.Module, x: np.ndarray) -> torch.Tensor:
    parameter = next(module.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    with evaluating(module), torch.no_grad():
        said: torch.Tensor = module(torch.from_numpy(x).to(device))
    return said
