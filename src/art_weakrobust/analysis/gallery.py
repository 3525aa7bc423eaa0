"""The weakest samples as a person sees them: pixels of the original and of what went wrong beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ..estimators.judge import exact_float32
from ..estimators.plan import BATCH_SIZE
from ..perturbations.attacks.runner import attack_samples
from ..perturbations.types import AttackType
from ..protocols import Dataset, Estimator
from ..results import SAMPLES, Samples, Scores, Table, WeakSet, column, conform
from .neighborhood_source import NeighborSource
from .outputs import Asked


def weakest_samples(
    scores: Scores,
    weak_set: WeakSet,
    estimator_before: Estimator,
    estimator_after: Estimator | None,
    data: Dataset,
    n: int = 200,
    *,
    source: NeighborSource | None = None,
    seed: int = 0,
    attack: AttackType | None = None,
    batch_size: int = BATCH_SIZE,
) -> Table:
    """Return the first ``n`` of the weak set in its order, the weakest first: rows of ``SAMPLES``.

    The most damaging neighbor is made again from its number. All probabilities are those of the stored 8-bit pixels,
    before and after alike; ``p_neighbor`` belongs to the neighbor, or to the adversarial where there is no neighbor.

    :param scores: completed scores; those of ``attack`` know no neighbors.
    :param estimator_after: the fine-tuned one, or None: see :func:`with_after`.
    :param source: of the neighbors, that of the analysis; without it none is shown.
    :param seed: of the attack.
    :param attack: makes the adversarial of each on ``estimator_before``; null where none was found, or without.
    :param batch_size: images a forward pass.
    """
    rows = weak_set.table.to_pandas()
    rows = rows[rows["role"].isin(["tune", "held_out"])].head(n)
    if not len(rows):
        return SAMPLES.empty_table()
    samples = data.take(rows["index"].to_numpy(np.int64))
    number = _numbers(scores, samples.ids)
    near = samples.x if source is None else _neighbors(source, samples, np.maximum(number, 0))
    adversarial, fooled = _adversarials(attack, estimator_before, samples, seed, batch_size)
    every = np.full(len(samples), True)
    columns: dict[str, Any] = {
        "index": samples.ids,
        "rank": np.arange(1, len(samples) + 1),
        "shape": [list(samples.x.shape[1:])] * len(samples),
        "original": pixel_bytes(samples.x),
        "neighbor": pixel_bytes(near, (number >= 0) & (source is not None)),
        "adversarial": pixel_bytes(adversarial, fooled),
    }
    table = _judged(conform(pa.table(columns), SAMPLES), estimator_before, "before", every, batch_size)
    return table if estimator_after is None else with_after(table, estimator_after, weak_set, batch_size=batch_size)


def with_after(samples: Table, estimator: Estimator, weak_set: WeakSet, *, batch_size: int = BATCH_SIZE) -> Table:
    """Return the rows with the probabilities of the fine-tuned estimator; null in the tune half, which it has seen.

    :param samples: what :func:`weakest_samples` returned.
    :param batch_size: images a forward pass.
    """
    held_out = np.isin(column(samples, "index").astype(np.int64), weak_set.held_out)
    return _judged(conform(samples, SAMPLES), estimator, "after", held_out, batch_size)


def pixel_bytes(x: np.ndarray, there: np.ndarray | None = None) -> pa.Array:
    """Return images as the report's tables keep them: uint8 bytes in (c, h, w) order.

    :param x: floats (n, c, h, w) in [0, 1].
    :param there: bool (n,), False for null; None for all.
    """
    levels = np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)
    known = np.full(len(levels), True) if there is None else there
    return pa.array([image.tobytes() if one else None for image, one in zip(levels, known, strict=True)], pa.binary())


def _judged(samples: Table, estimator: Estimator, phase: str, there: np.ndarray, batch_size: int) -> Table:
    """Fill the probabilities of a phase in, where ``there``, of whatever pixels a row has."""
    rows = samples.to_pylist()
    for name, kinds in (("original", ("original",)), ("neighbor", ("neighbor", "adversarial"))):
        pixels = [next((row[kind] for kind in kinds if row[kind] is not None), None) for row in rows]
        places = [place for place, image in enumerate(pixels) if image is not None and there[place]]
        levels = [np.frombuffer(pixels[place] or b"", np.uint8).reshape(rows[place]["shape"]) for place in places]
        values: list[list[float] | None] = [None] * len(rows)
        if levels:
            x = np.stack(levels).astype(np.float32) / np.float32(255)
            for place, row in zip(places, _probabilities(estimator, x, batch_size), strict=True):
                values[place] = row
        at = samples.column_names.index(f"p_{name}_{phase}")
        samples = samples.set_column(at, SAMPLES.field(at), pa.array(values, pa.list_(pa.float32())))
    return samples


def _probabilities(estimator: Estimator, x: np.ndarray, batch_size: int) -> list[list[float]]:
    asked = Asked.of(estimator)
    with exact_float32(), torch.no_grad():
        return [
            row
            for start in range(0, len(x), batch_size)
            for row in asked.logits(asked.tensor(x[start : start + batch_size])).softmax(1).cpu().tolist()
        ]


def _neighbors(source: NeighborSource, samples: Samples, number: np.ndarray) -> np.ndarray:
    x, ids, index = (torch.from_numpy(np.ascontiguousarray(part)) for part in (samples.x, samples.ids, number))
    return source(x, ids, index).numpy()


def _numbers(scores: Scores, ids: np.ndarray) -> np.ndarray:
    """Return the number of each sample's most damaging neighbor, -1 where it has none."""
    table = scores.table
    if "worst_neighbor" not in table.column_names:
        return np.full(len(ids), -1)
    number = np.nan_to_num(column(table, "worst_neighbor").astype(np.float64), nan=-1).astype(np.int64)
    by_id = dict(zip(column(table, "index").astype(np.int64).tolist(), number.tolist(), strict=True))
    return np.array([by_id.get(i, -1) for i in ids.tolist()], np.int64)


def _adversarials(
    attack: AttackType | None, estimator: Estimator, samples: Samples, seed: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return adversarials shaped as the samples, and whether each is one."""
    if attack is None:
        return samples.x, np.full(len(samples), False)
    result = attack_samples(attack, estimator, samples, seed=seed, batch_size=batch_size)
    clean_correct = result.clean_logits.argmax(1) == samples.y
    return result.x_adv, clean_correct & np.asarray(result.correct == False)  # noqa: E712 - three-valued
