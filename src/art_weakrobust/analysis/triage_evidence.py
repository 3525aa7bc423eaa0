"""What triage asks of every sample: what the network makes of it, and of the same image a little moved.

A network that was trained until it fits remembers the very pixels of its samples, and with them labels that are wrong:
there it is as sure of a planted label as of any. Of the image moved by a few pixels (:mod:`..kernels.shifts`) it
remembers nothing, and says what it would say of a new one. So features and confidence are those of the moved images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..errors import ModelError
from ..estimators.features import penultimate
from ..estimators.judge import exact_float32
from ..kernels import keyed
from ..kernels.losses import margin
from ..kernels.properties import PROPERTIES
from ..kernels.shifts import DIRECTIONS, shifted
from ..perturbations.attacks.masking import masking_evidence
from ..protocols import Estimator
from ..results import Samples, Table
from .outputs import Asked, check_labels, in_logits, is_decision
from .scorer import known

WIDEST = 256
"""Features beyond so many are projected at random onto so many: cosines then are off by about 0.06."""

_Ask = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True, eq=False)
class EvidenceRows:
    """The chunk function: one row a sample.

    The columns are ``index``, ``label``, ``prediction``, ``confidence``, ``margin``, ``masked``, the image's
    properties, and, as lists of numbers for the decisions on the whole set, ``features`` and ``shift_probabilities``:
    both of the moved images, on average.

    :param eps: length of the steps that look for masked gradients, Linf; those of a black box stay null.
    :param seed: of random directions and projections.
    :param batch_size: images a forward pass.
    :param means: the mean image of every class, float32 (K, c, h, w), whose differences are the directions of another
        model: that which takes the nearest mean. None goes without.
    """

    eps: float
    seed: int
    batch_size: int
    means: np.ndarray | None = None

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return the rows."""
        starts = range(0, len(samples), self.batch_size)
        with exact_float32():
            asked = Asked.of(estimator)
            if asked.fast is None:
                parts = [self._rows(asked, samples[at : at + self.batch_size], _outputs(asked)) for at in starts]
            else:
                with penultimate(asked.fast) as ask:
                    parts = [self._rows(asked, samples[at : at + self.batch_size], ask) for at in starts]
        return pa.concat_tables(parts)

    def _rows(self, asked: Asked, samples: Samples, ask: _Ask) -> Table:
        x, y = asked.tensor(samples.x), asked.tensor(samples.y)
        logits = in_logits(ask(x)[1])
        check_labels(logits, samples.y, samples.ids)
        if is_decision(logits).all():
            raise ModelError(
                "triage asks how sure the model is, and this one gives labels alone; leave out --triage, or use a "
                "model that gives scores"
            )
        views = [ask(shifted(x, direction)) for direction in DIRECTIONS]
        features = torch.stack([_projected(features, self.seed) for features, _ in views]).mean(0)
        probabilities = torch.stack([in_logits(outputs).softmax(1) for _, outputs in views]).mean(0)
        finite = (logits.isfinite().all(1) & probabilities.isfinite().all(1) & features.isfinite().all(1)).cpu().numpy()
        own = logits.softmax(1).gather(1, y.unsqueeze(1)).squeeze(1)
        prediction = logits.argmax(1)
        columns = {
            "index": samples.ids,
            "label": samples.y,
            "prediction": pa.array(prediction.cpu().numpy(), mask=~finite),
            "confidence": _known(own, finite),
            "margin": _known(margin(logits, y), finite),
            "masked": self._masked(asked, samples, logits, finite & (prediction == y).cpu().numpy()),
            **{name: known(measure(x).cpu().numpy(), pa.float32()) for name, measure in PROPERTIES.items()},
            "features": _lists(features, finite),
            "shift_probabilities": _lists(probabilities, finite),
        }
        return pa.table(columns)

    def _masked(self, asked: Asked, samples: Samples, logits: Tensor, right: np.ndarray) -> pa.Array:
        """Say where following the gradient proves nothing; null of a black box, and where the sample is wrong."""
        x, y = asked.tensor(samples.x), asked.tensor(samples.y)

        def gap(outputs: Tensor, labels: Tensor) -> Tensor:
            return -margin(outputs, labels)

        gradient = asked.logits_and_gradient(x, y, gap)[1]
        if gradient is None:
            return pa.nulls(len(samples), pa.bool_())
        evidence = masking_evidence(
            lambda images: gap(asked.logits(images), y),
            gradient,
            x,
            asked.tensor(samples.ids),
            norm=inf,
            eps=self.eps,
            seed=keyed.derive(self.seed, "triage", "masking"),
            transfer=None if self.means is None else self._towards(logits, y),
        )
        return pa.array(evidence.masked.cpu().numpy(), mask=~right)

    def _towards(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the way from the mean of each label to that of the class which comes next, shaped as the images."""
        means = torch.from_numpy(np.asarray(self.means)).to(logits.device)
        return means[logits.scatter(1, y.unsqueeze(1), -torch.inf).argmax(1)] - means[y]


def _outputs(asked: Asked) -> _Ask:
    """Return what gives a black box's outputs, which serve as features as well."""

    def ask(x: Tensor) -> tuple[Tensor, Tensor]:
        logits = asked.logits(x)
        return logits, logits

    return ask


def _projected(features: Tensor, seed: int) -> Tensor:
    if features.shape[1] <= WIDEST:
        return features
    lanes = torch.arange(features.shape[1])
    axes = keyed.normal(lanes, 0, (WIDEST,), keyed.derive(seed, "triage", "projection")).to(features)
    projected: Tensor = features @ axes / WIDEST**0.5
    return projected


def _known(values: Tensor, there: np.ndarray) -> pa.Array:
    return known(np.where(there, values.cpu().numpy(), np.nan), pa.float32())


def _lists(rows: Tensor, there: np.ndarray) -> pa.Array:
    """Return (n, d) as lists of float32, NaN where the model's outputs are not finite."""
    values = np.where(there[:, None], rows.cpu().numpy(), np.nan).astype(np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
