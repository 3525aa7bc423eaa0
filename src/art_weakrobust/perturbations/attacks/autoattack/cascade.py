"""The cascade: one part after another takes on the samples that are still right; each piece of it is done once.

A piece is one part on one chunk. All that decides it is in its key: the model, the budget, the part and how hard it
tries, the seed, the images and their labels. Pieces of other work are therefore never taken for this one's, any number
of runs may share a folder, and a run that was killed ends with the same result.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ....datasets.base import digest
from ....errors import RunError
from ....estimators.judge import judge_logits
from ....estimators.pytorch import FastPyTorchClassifier
from ....kernels.keyed import derive
from ....store.atomic import atomic_write
from ....store.tensors import read_safetensors, to_safetensors
from ..fingerprint import weights_digest
from ..randomness import seeded
from .parts import CHECKED, Setting, look_at, look_back, perturb

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cascade:
    """Who is attacked, by what, and where pieces are kept.

    :param estimator: its model is searched on the copy that searches; who is broken, the judge says.
    :param setting: its eps counts in the pixels of the estimator.
    :param seed: of the whole; every piece has one of its own, by the part and the samples.
    :param batch_size: samples a chunk.
    :param state: folder of finished pieces; None keeps none.
    """

    estimator: FastPyTorchClassifier
    clip_values: tuple[float, float]
    setting: Setting
    seed: int
    batch_size: int
    state: Path | None = None

    def run(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return adversarial samples, clean where none was found, and the name of the part that made each, or "".

        :param x: float32 (n, c, h, w), in the range of the pixels.
        :param y: int64 (n,). A sample that is wrong already is not attacked.
        :return: float32 as ``x``, and object (n,).
        """
        x_adv, broken_by = x.copy(), np.full(len(x), "", object)
        if not len(x):
            return x_adv, broken_by
        right = np.zeros(len(x), bool)
        identity = _identity(self.estimator) if self.state is not None else ""
        with self.estimator.searching():
            self._look_at(x, y)
            for start in range(0, len(x), self.batch_size):
                rows = np.arange(start, min(start + self.batch_size, len(x)))
                right[rows] = self._right(x[rows], y[rows])
                rows = rows[right[rows]]
                for name, broken, points in self._pieces(x[rows], y[rows], identity):
                    x_adv[rows[broken]], broken_by[rows[broken]] = points, name
        self._look_back(right, broken_by)
        return x_adv, broken_by

    def _look_at(self, x: np.ndarray, y: np.ndarray) -> None:
        unit, images, labels = self._asked(x[:CHECKED], y[:CHECKED])
        with seeded(self.seed):
            look_at(unit, images, labels, self.setting.recipe)

    def _look_back(self, right: np.ndarray, broken_by: np.ndarray) -> None:
        robust = {"clean": float(right.mean())}
        for name in self.setting.recipe.parts:
            right = right & (broken_by != name)
            robust[name] = float(right.mean())
        look_back(robust)

    def _pieces(self, x: np.ndarray, y: np.ndarray, identity: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield for each part whom of a chunk it broke, positions and points."""
        left = np.arange(len(x))
        for name in self.setting.recipe.parts:
            if not len(left):
                return
            broken, points = self._piece(name, x[left], y[left], identity)
            logger.info("%s broke %d of %d", name, len(broken), len(left))
            yield name, left[broken], points
            left = np.delete(left, broken)

    def _piece(self, name: str, x: np.ndarray, y: np.ndarray, identity: str) -> tuple[np.ndarray, np.ndarray]:
        """Return whom one part broke, positions and points: read where it was done before."""
        samples = digest(x, y)
        seed = piece_seed(self.seed, name, samples)
        if self.state is None:
            return self._attack(name, x, y, seed)
        file = (
            self.state / f"{name}-{digest(identity, repr((self.setting, self.clip_values, seed)), samples)}.safetensors"
        )
        kept = self._kept(file, y)
        if kept is None:
            kept = self._attack(name, x, y, seed)
            atomic_write(file, to_safetensors({"broken": kept[0], "points": kept[1]}))
        return kept

    def _kept(self, file: Path, y: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return a piece that was done before; None where there is none that can be read, and that still holds.

        The judge looks at its points again: what nobody can see of a model may have changed.
        """
        if not file.exists():
            return None
        try:
            arrays, _ = read_safetensors(file)
            broken, points = arrays["broken"], arrays["points"]
        except (RunError, KeyError) as error:
            logger.warning("a piece of AutoAttack is made anew: %s", error)
            return None
        if len(broken) and self._right(points, y[broken]).any():
            logger.warning("a piece of AutoAttack is made anew: the model is right on what broke it, %s", file)
            return None
        return broken, points

    def _attack(self, name: str, x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        unit, images, labels = self._asked(x, y)
        setting = replace(self.setting, eps=self.setting.eps / unit.width)
        with seeded(seed):
            found = perturb(name, setting, unit, images, labels, int(self.estimator.nb_classes), seed)
        points = unit.stretched(found).cpu().numpy()
        finite = np.isfinite(points).all(axis=(1, 2, 3))
        points[~finite] = x[~finite]
        broken = np.flatnonzero(~self._right(points, y))
        return broken, points[broken]

    def _asked(self, x: np.ndarray, y: np.ndarray) -> tuple[_Unit, Tensor, Tensor]:
        """Return the network, images in [0, 1] and labels, on the device."""
        low, high = self.clip_values
        unit = _Unit(self.estimator, low, high - low)
        images, labels = (torch.from_numpy(part.copy()).to(self.estimator.device) for part in (x, y))
        return unit, unit.shrunk(images), labels

    def _right(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whom the judge sees classified correctly, bool (n,)."""
        return np.asarray(judge_logits(self.estimator, x, self.batch_size).argmax(axis=1) == y)


def piece_seed(seed: int, name: str, samples: str) -> int:
    """Return the seed of one part on one chunk.

    :param samples: digest of images and labels.
    """
    return derive(seed, name, samples)


def _identity(estimator: FastPyTorchClassifier) -> str:
    """Return a digest of what is attacked: weights, layers, and what is done to the images before them."""
    before = [
        (type(operation).__name__, *(str(getattr(operation, name, None)) for name in operation.params))
        for operation in estimator.preprocessing_operations
    ]
    return digest(weights_digest(estimator), repr(before))


@dataclass(frozen=True)
class _Unit:
    """The network as the original wants it: pixels in [0, 1]."""

    estimator: FastPyTorchClassifier
    low: float
    width: float

    def __call__(self, x: Tensor) -> Tensor:
        images = self.stretched(x)
        if not (torch.is_grad_enabled() and x.requires_grad):
            return self.estimator.predict_tensor(images)
        self.estimator.gradients += len(x)
        return self.estimator.logits(images)

    def shrunk(self, x: Tensor) -> Tensor:
        return x if (self.low, self.width) == (0, 1) else (x - self.low) / self.width

    def stretched(self, x: Tensor) -> Tensor:
        return x if (self.low, self.width) == (0, 1) else self.low + self.width * x
