"""Does the label fit? Two witnesses that have not learnt it by heart: the nearest neighbors, and the moved image.

Both are distributions over classes: the labels of the nearest other samples in feature space, which leave out the
sample itself, and what the network says of the image a little moved. Their mean is held, class by class, against how
much of it the samples of that class have themselves: the thresholds of confident learning (Northcutt et al.,
https://arxiv.org/abs/1911.00068), by which a class that the network is never sure of is not taken for mislabelled.
Of a class with hardly another sample the neighbors cannot know, so that the moved image alone is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..errors import UsageError

NEIGHBORS = 15
"""Nearest samples that are asked for their labels."""

FEWEST = 5
"""Other samples of its class from which a sample's neighbors are asked: with fewer they could never agree with it."""

_BLOCK = 1 << 24  # similarities held in memory at once: 64 MB
_LEAST = 1e-12


@dataclass(frozen=True)
class LabelCheck:
    """What speaks for each label, (n,) each.

    :param agreement: share of the nearest samples that have the same label.
    :param distance: mean cosine distance to them.
    :param support: mean of ``agreement`` and the moved image's confidence, over the class's own mean; of a class of
        :data:`FEWEST` samples and fewer the confidence, over the mean of all classes.
    :param suggested: the other class that is supported most, int64.
    :param doubt: how much of the support goes to that class, of it and the label's own, in [0, 1].
    :param evidence: the mean distribution itself, (n, K).
    """

    agreement: np.ndarray
    distance: np.ndarray
    support: np.ndarray
    suggested: np.ndarray
    doubt: np.ndarray
    evidence: np.ndarray


def check_labels_of(features: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> LabelCheck:
    """Return what speaks for each label.

    :param features: float32 (n, d), finite, of samples in the order of their ids.
    :param probabilities: float32 (n, K), of the moved images.
    :param labels: int64 (n,).
    :raises UsageError: for fewer than two samples: there is nobody to ask.
    """
    if len(labels) < 2:
        raise UsageError(f"triage of {len(labels)} samples has no neighbors to ask; give it at least 2")
    rows, classes = np.arange(len(labels)), probabilities.shape[1]
    near, distance = nearest(features, min(NEIGHBORS, len(labels) - 1))
    votes = np.zeros((len(labels), classes))
    np.add.at(votes, (np.repeat(rows, near.shape[1]), labels[near].ravel()), 1 / near.shape[1])
    sizes = np.bincount(labels, minlength=classes)
    small = sizes <= FEWEST
    heard = np.where(small[labels, None], probabilities, votes)
    evidence = (heard + probabilities) / 2
    own = evidence[rows, labels]
    usual = np.where(small, own.mean(), np.bincount(labels, own, minlength=classes) / np.maximum(sizes, 1))
    relative = evidence / np.where(sizes > 0, np.maximum(usual, _LEAST), 1.0)
    support = relative[rows, labels].copy()
    relative[rows, labels] = -1.0
    suggested = relative.argmax(1)
    best = relative[rows, suggested]
    doubt = best / np.maximum(best + support, _LEAST)
    return LabelCheck(votes[rows, labels], distance, support, suggested, doubt, evidence)


def nearest(features: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``k`` nearest other samples by cosine, int64 (n, k), and the mean distance to them, (n,).

    In blocks: memory holds the features and 64 MB of similarities. n² d multiplications: seconds for 50,000 x 64.
    """
    unit = torch.nn.functional.normalize(torch.from_numpy(np.ascontiguousarray(features, np.float32)), dim=1)
    size = max(1, _BLOCK // len(unit))
    found, distances = [], []
    for start in range(0, len(unit), size):
        rows = torch.arange(start, min(start + size, len(unit)))
        likeness = unit[rows] @ unit.T
        likeness[torch.arange(len(rows)), rows] = -torch.inf
        values, near = likeness.topk(k, dim=1)
        found.append(near.numpy())
        distances.append((1 - values.clamp_max(1).double()).mean(1).numpy())
    return np.concatenate(found), np.concatenate(distances)
