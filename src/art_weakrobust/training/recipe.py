"""The recipe of fine-tuning: what enters a batch, against which targets, at which rate.

Its parts: adversarial training (Madry et al., https://arxiv.org/abs/1706.06083) at few steps from a random start (Wong
et al., https://arxiv.org/abs/2001.03994), corruption augmentation, distillation from the frozen base model (Hinton et
al., https://arxiv.org/abs/1503.02531), and weights averaged along the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import UsageError

_MOVABLE = 16  # pixels


@dataclass(frozen=True)
class Recipe:
    """How a classifier is fine-tuned; the defaults were chosen on CIFAR-10 (``benchmarks/whole_loop.py``).

    :param adversarial: share of a batch that also enters as fresh adversarial views, 0 to 1.
    :param corrupted: share of a batch that also enters corrupted, 0 to 1.
    :param adversarial_weight: weight of the adversarial views' loss; that of the clean views is 1.
    :param corrupted_weight: weight of the corrupted views' loss.
    :param steps: gradient steps of an adversarial view.
    :param step_size: length of such a step, in units of the attack's budget.
    :param teacher_clean: share of the base model's soft labels in the target of clean views, 0 to 1.
    :param teacher_views: the same for adversarial and corrupted views.
    :param temperature: of the soft labels.
    :param learning_rate: peak rate of the optimizer that is made where the classifier has none.
    :param momentum: Nesterov momentum of that optimizer.
    :param weight_decay: of that optimizer, on weights alone: neither on biases nor on batch norm.
    :param warm_up: share of the steps in which the rate rises; a cosine takes it down to zero afterwards.
    :param ema: decay of the averaged weights at a step, at most; short runs average over their last fifth.
    :param clip_norm: norm to which the gradient of all weights is clipped.
    :param pad: border of a random crop, as a share of the image's size: 4 pixels of 32. Images below 16 pixels are not
        moved: on the digits of 8x8, one pixel cost a point of clean and eight of robust accuracy.
    :param flip: mirror half of the images. None decides by the channels: colour images are mirrored, grey ones are
        not, since handwriting and other grey symbols mean something else in a mirror.
    :param weak_odds: how many times as often a weak perturbation type is drawn.
    :param alphas: the points of the dial between the base (0) and the tuned weights (1), ascending.
    :raises UsageError: for a value outside its range.
    """

    adversarial: float = 0.5
    corrupted: float = 0.5
    adversarial_weight: float = 0.5
    corrupted_weight: float = 0.5
    steps: int = 2
    step_size: float = 1.0
    teacher_clean: float = 0.9
    teacher_views: float = 0.5
    temperature: float = 4.0
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warm_up: float = 0.1
    ema: float = 0.98
    clip_norm: float = 5.0
    pad: float = 1 / 8
    flip: bool | None = None
    weak_odds: float = 3.0
    alphas: tuple[float, ...] = (0.0, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0)

    def __post_init__(self) -> None:
        for name in ("adversarial", "corrupted", "teacher_clean", "teacher_views", "warm_up", "pad"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"recipe: {name} {getattr(self, name)} has to lie between 0 and 1")
        for name in ("steps", "step_size", "temperature", "learning_rate", "clip_norm", "weak_odds"):
            if not getattr(self, name) > 0:
                raise UsageError(f"recipe: {name} {getattr(self, name)} has to be above 0")
        if not 0 <= self.ema < 1:
            raise UsageError(f"recipe: ema {self.ema} has to be at least 0 and below 1")
        if self.alphas != tuple(sorted(set(self.alphas))) or self.alphas[:1] != (0.0,) or self.alphas[-1:] != (1.0,):
            raise UsageError(f"recipe: alphas {self.alphas} have to ascend from 0 to 1")

    def rate(self, step: int, total: int) -> float:
        """Return the learning rate of a step, as a share of the peak: linear warm-up, then a cosine.

        :param step: from 0 to ``total - 1``.
        """
        rising = max(1, round(self.warm_up * total))
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))

    def decay(self, total: int) -> float:
        """Return the decay of the averaged weights for a run of ``total`` steps.

        ``ema`` looks back about fifty steps. A run of thirty would still be mostly the base, so that the average never
        looks back further than a fifth of the run.
        """
        return min(self.ema, max(0.0, 1 - 5 / max(total, 1)))

    def border(self, shape: tuple[int, ...]) -> int:
        """Return the border of a random crop in pixels, for images of ``shape`` (c, h, w)."""
        size = min(shape[-2:])
        return round(self.pad * size) if size >= _MOVABLE else 0

    def mirrored(self, shape: tuple[int, ...]) -> bool:
        """Say whether images of ``shape`` (c, h, w) are mirrored."""
        return shape[0] == 3 if self.flip is None else self.flip
