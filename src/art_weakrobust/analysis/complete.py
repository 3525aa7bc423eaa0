"""What the pipeline adds to a scorer's table, whoever wrote the scorer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..errors import PluginError
from ..estimators.judge import judge_logits
from ..estimators.plan import BATCH_SIZE
from ..perturbations.attacks.judge import verdicts
from ..protocols import Dataset, Estimator, Map
from ..results import SCORES, Samples, Scores, Table, column, conform
from .scorer import MISCLASSIFIED, OK, score_table

_ADDED = ("label", "prediction", "correct", "status")


@dataclass(frozen=True, kw_only=True)
class Clean:
    """The chunk function: what the estimator says of the clean samples."""

    batch_size: int = BATCH_SIZE

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample: index, path, label, prediction, correct and status."""
        prediction, correct, status = verdicts(judge_logits(estimator, samples.x, self.batch_size), samples.y)
        status[correct == False] = MISCLASSIFIED  # noqa: E712 - three-valued
        table = score_table(
            samples,
            "",
            prediction=pa.array(prediction, mask=prediction < 0),
            correct=pa.array(correct, pa.bool_()),
            status=pa.array(status, pa.string()),
        )
        return table.select(["index", "path", *_ADDED])


def complete(
    scores: Scores,
    estimator: Estimator,
    data: Dataset,
    over: Map,
    *,
    scorer: str = "",
    batch_size: int = BATCH_SIZE,
) -> Scores:
    """Return the scores with every column of ``SCORES``: label, prediction, correct, status, path and scorer filled in.

    What the scorer knew is left as it was, with one exception: where it says nothing of the status, a misclassified
    sample has no score. Without a ``found`` column, every finite score is an error found.

    :param scores: what a scorer returned, with ``index`` and ``score`` at least.
    :param scorer: its name, where the rows do not say.
    :param batch_size: of the judge's forward passes.
    :raises PluginError: where a column is missing, an id is there twice, or a score is infinite.
    """
    table = _checked(scores, scorer)
    if not all(_has(table, name) for name in _ADDED):
        index = column(table, "index").astype(np.int64)
        order = np.argsort(index, kind="stable")
        clean = over("clean", Clean(batch_size=batch_size), estimator, data, index[order])
        back = pa.array(np.argsort(order, kind="stable"))
        table = _joined(table, clean.take(back))
    if not _has(table, "found"):
        table = _with(table, "found", pa.array(np.isfinite(column(table, "score"))))
    if not _has(table, "scorer"):
        table = _with(table, "scorer", pa.repeat(scorer, table.num_rows))
    return Scores(conform(table, SCORES), scores.facts)


def _joined(table: Table, clean: Table) -> Table:
    """Add the columns of ``clean``, row by row, that ``table`` does not have."""
    if not _has(table, "status"):
        unknown = column(clean, "status") != OK
        score = np.where(unknown, np.nan, column(table, "score").astype(np.float64))
        table = _with(table, "score", pa.array(score, pa.float64()))
    for name in ("path", *_ADDED):
        if not _has(table, name):
            table = _with(table, name, clean.column(name))
    return table


def _checked(scores: Scores, scorer: str) -> Table:
    table, who = scores.table, f"scorer {scorer!r}" if scorer else "the scorer"
    for name in ("index", "score"):
        if name not in table.column_names:
            raise PluginError(f"{who} returned no column {name!r}: it has to fill index and score, one row a sample")
    index, score = column(table, "index"), column(table, "score")
    if len(np.unique(index)) != len(index):
        raise PluginError(f"{who} returned a sample id twice: it has to return one row a sample")
    if np.isinf(score.astype(np.float64)).any():
        raise PluginError(f"{who} returned an infinite score: what is not known is NaN")
    return table


def _has(table: Table, name: str) -> bool:
    return name in table.column_names and (table.num_rows == 0 or table.column(name).null_count < table.num_rows)


def _with(table: Table, name: str, values: pa.Array) -> Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)
