"""The attack runner: builds an attack on the estimator, seeds it, lets it run, and has what it returns judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import UsageError, UserError
from ...estimators.judge import exact_float32, judge_logits
from ...kernels.keyed import derive
from ...protocols import Estimator
from ...results import Samples
from ..types import AttackType
from .binding import bind
from .judge import MISCLASSIFIED, OK, OVER_BUDGET, AttackResult, error_status, hold, verdicts
from .labels import one_hot
from .randomness import seeded
from .stopping import early_stopping


def attack_samples(
    attack_type: AttackType,
    estimator: Estimator,
    samples: Samples,
    *,
    seed: int = 0,
    batch_size: int = 256,
    early_stop: bool = False,
) -> AttackResult:
    """Attack those samples that are correct when clean, and judge what comes back.

    The attack gets the labels as ``y`` (one-hot, float32) and a copy of the pixels. Its randomness is a function of
    (seed, name of the type, first id of the chunk) for attacks that draw from the global generators. The samples are
    one chunk, and an attack that couples those of a batch gets the same ones whenever the chunk is the same.

    :param samples: one chunk.
    :param seed: of the run.
    :param batch_size: of the judge's forward passes.
    :param early_stop: let memoryless attacks leave a sample as soon as it is fooled, see :func:`early_stopping`: the
        same question at less cost. Points are then nearer to the boundary: norms and confidences are smaller.
    :raises AttackError: where the attack cannot be built on this estimator.
    """
    clean_logits = judge_logits(estimator, samples.x, batch_size)
    prediction, correct, status = verdicts(clean_logits, samples.y)
    status[correct == False] = MISCLASSIFIED  # noqa: E712 - three-valued
    result = AttackResult(
        x_adv=np.array(samples.x, np.float32),
        norm=np.where(prediction < 0, np.nan, 0.0),
        prediction=prediction,
        correct=correct,
        status=status,
        queries=np.zeros(len(samples)),
        broken_by=np.full(len(samples), None, object),
        logits=clean_logits.copy(),
        clean_logits=clean_logits,
    )
    rows = np.flatnonzero(correct == True)  # noqa: E712
    if len(rows):
        run = _Run(attack_type, estimator, derive(seed, attack_type.name, int(samples.ids[0])), early_stop)
        _fill(result, rows, samples[rows], run, batch_size)
    return result


def worst_case(results: Mapping[str, AttackResult]) -> AttackResult:
    """Return the per-sample worst case of several attacks on the same samples: who is right after all of them.

    A sample is broken by the first attack that breaks it, in the order of ``results``, and its point, norm and status
    are that attack's. One that none breaks is right only where every verdict is known: otherwise the first unknown one
    is its row. ``queries`` are the sum over all attacks.

    :param results: name of the attack -> what it gave; results that name the breaker themselves are believed.
    :raises UsageError: without a result.
    """
    if not results:
        raise UsageError("worst_case: results are empty, expected one attack or more")
    parts = list(results.values())
    correct = np.stack([part.correct for part in parts])
    ranks = np.where(correct == False, 0, np.where(correct == None, 1, 2))  # noqa: E711, E712 - elementwise
    chosen, rows = ranks.argmin(axis=0), np.arange(correct.shape[1])
    columns = {
        name: np.stack([getattr(part, name) for part in parts])[chosen, rows]
        for name in ("x_adv", "norm", "prediction", "correct", "status", "broken_by", "logits")
    }
    return replace(parts[0], **columns, queries=np.sum([part.queries for part in parts], axis=0))


@dataclass(frozen=True)
class _Run:
    """What is asked: which attack, of whom, with which randomness, and how."""

    attack: AttackType
    estimator: Estimator
    seed: int
    early_stop: bool

    def generate(self, samples: Samples) -> tuple[np.ndarray, np.ndarray] | str:
        """Return what the attack made, float32 as ``samples.x``, and the name of who made it, or why there is none."""
        labels = one_hot(samples.y, int(self.estimator.nb_classes))
        x = np.array(samples.x, np.float32, order="C")  # a copy: an attack may write into its input
        with seeded(self.seed):
            attack = bind(self.attack.factory, self.estimator)
            stopping = early_stopping(attack) if self.early_stop else nullcontext()
            try:
                with _silent(attack), stopping, exact_float32():
                    returned = attack.generate(x=x, y=labels)
            except UserError:
                raise
            except Exception as error:  # not swallowed: it is the verdict's status, and the verdict is unknown
                return error_status(error)
        if not isinstance(returned, np.ndarray) or returned.shape != samples.x.shape:
            shape = getattr(returned, "shape", type(returned).__name__)
            return f"error: the attack returned {shape}, expected an array of {samples.x.shape}"
        if returned.dtype.kind not in "fiu":
            return f"error: the attack returned an array of {returned.dtype}, expected numbers"
        with np.errstate(over="ignore"):
            return returned.astype(np.float32), self._makers(attack, len(samples))

    def _makers(self, attack: Any, n: int) -> np.ndarray:
        """Return the name of the attack that made each point: an ensemble says in ``broken_by`` which of its own."""
        parts = np.asarray(getattr(attack, "broken_by", None), object)
        named = parts if parts.shape == (n,) else np.full(n, None, object)
        return np.array([part or self.attack.name for part in named], object)


def _fill(result: AttackResult, rows: np.ndarray, samples: Samples, run: _Run, batch_size: int) -> None:
    """Attack ``samples`` and write their verdicts into ``rows`` of the result."""
    before = _queries(run.estimator)
    made = run.generate(samples)
    result.queries[rows] = (_queries(run.estimator) - before) / len(rows)
    if isinstance(made, str):
        _unknown(result, rows, made)
        return
    returned, makers = made
    finite = np.isfinite(returned).all(axis=(1, 2, 3))
    _unknown(result, rows[~finite], "error: the attack returned pixels that are not finite")
    rows, returned, makers, samples = rows[finite], returned[finite], makers[finite], samples[finite]
    if not len(rows):
        return
    x_adv, norm, over = hold(returned, samples.x, run.attack.threat)
    logits = judge_logits(run.estimator, x_adv, batch_size)
    prediction, correct, status = verdicts(logits, samples.y)
    status[over & (status == OK)] = OVER_BUDGET
    result.x_adv[rows], result.norm[rows], result.logits[rows] = x_adv, norm, logits
    result.prediction[rows], result.correct[rows], result.status[rows] = prediction, correct, status
    result.broken_by[rows] = np.where(correct == False, makers, None)  # noqa: E712 - three-valued


def _unknown(result: AttackResult, rows: np.ndarray, status: str) -> None:
    result.norm[rows] = np.nan
    result.prediction[rows] = -1
    result.correct[rows] = None
    result.status[rows] = status
    result.logits[rows] = np.nan


def _queries(estimator: Estimator) -> float:
    """Return how many images went forward through the estimator so far, NaN where it does not count."""
    return float(getattr(estimator, "forwards", np.nan))


@contextmanager
def _silent(attack: Any) -> Iterator[None]:
    """Switch off the progress bars of an attack that has them, and on again after: the object may be the user's."""
    shown = getattr(attack, "verbose", False)
    if "verbose" not in attack.attack_params or not shown:
        yield
        return
    attack.set_params(verbose=False)
    try:
        yield
    finally:
        attack.set_params(verbose=shown)
