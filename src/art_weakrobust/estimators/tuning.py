"""The fastest execution plan for a model on this machine: measured when somebody asks, kept, never measured twice.

Keys of the plan are settled one after the other, what gains most first, each with the best values of those before it. A
change has to gain :data:`LEAST_GAIN`, so that noise alone moves nothing away from the default.
"""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import ModelError, RunError, UsageError
from ..models.cache import VARIABLE, cache_folder
from ..store.atomic import atomic_write
from .malloc import keep_freed_memory
from .memory import halving, is_out_of_memory
from .modes import evaluating, generators_kept
from .plan import CHOICES, plan_for
from .precision import native_precision, precision_on
from .stopwatch import Plan, Stopwatch
from .turns import LEAST_GAIN, ROUNDS, compared, share_of

if TYPE_CHECKING:
    from .pytorch import FastPyTorchClassifier

_log = logging.getLogger(__name__)

_BATCH_SIZES = {"cpu": (32, 64), "cuda": (64, 256, 512, 1024, 2048)}
"""Tried beside the default. No larger ones on a CPU, where memory that runs out ends the process."""

_PREDICTING = 0.35
"""Share of the time in which ``streams`` are measured, by predictions alone: no gradient is computed in streams."""

_COMPILING = 0.2
"""Share of the time in which ``compile`` is measured, compilation apart, against all that was settled before."""

_VERSION = 9  # of what is measured, and how: raise it, and kept plans are measured anew

Cost = Callable[[Plan, float], float]
"""Seconds an image under a plan, given the seconds that measuring may take, and warming up as many again."""


def tune(
    estimator: FastPyTorchClassifier,
    x: np.ndarray | None = None,
    *,
    seconds: float = 16.0,
    precision: str = "auto",
    compile: bool = False,
    again: bool = False,
    cost: Cost | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Plan:
    """Find the fastest execution plan for this model on this machine, follow it from now on, and return it.

    What is measured is a prediction and an input gradient of the search path; for ``streams``, parts of a batch side by
    side, predictions alone, by ``predict`` and in the precision of the search; for ``compile``, which takes the place
    of streams, all three. ``predict`` stays in float32 whatever the plan says, and with the model itself unless there
    are streams, which ask the folded copy; precision and compilation are the search path's alone. The plan is kept in
    the package's cache folder by architecture, device, versions and what was asked, so that a second call measures
    nothing. Neither weights, training flags, counters nor PyTorch's generators are changed.

    :param x: images (n, ...) to measure with, repeated to fill a batch; constant noise of the input shape by default.
    :param seconds: about how long to measure, compilation apart; what cannot be tried in time stays at its default.
    :param precision: of the search path: ``"float32"``, ``"bfloat16"``, or the faster of the two with ``"auto"``.
    :param compile: whether to try ``torch.compile`` as well: half a minute on two cores, and some seconds whenever a
        process first asks what was compiled.
    :param again: measure even where a plan is kept.
    :param cost: what is to be small, in place of measured seconds an image.
    :param clock: seconds, from any zero.
    :raises ModelError: for a precision that is not known.
    :raises UsageError: for seconds that are not above zero.
    """
    device = torch.device(estimator.device)
    if not seconds > 0:
        raise UsageError(f"seconds {seconds!r} has to be above zero")
    precisions = ("float32", native_precision(device)) if precision == "auto" else (precision_on(device, precision),)
    asked = {"precision": precisions, "compile": compile}
    file = _file(estimator, asked)
    if file is not None and not again and _follow_kept(estimator, file):
        return dict(estimator.plan)
    before = dict(estimator.plan)
    start = plan_for(device, estimator.model, precision=precisions[0])  # what was tuned before must not matter
    with _unnoticed(estimator):
        try:
            plan = _settled(estimator, start, precisions, x, compile=compile, seconds=seconds, cost=cost, clock=clock)
        except BaseException:
            estimator.plan = before
            raise
    estimator.plan = plan  # which leaves out what the model does not allow
    if file is not None:
        _keep(file, estimator.plan)
    return dict(estimator.plan)


def _settled(
    estimator: FastPyTorchClassifier,
    plan: Plan,
    precisions: tuple[str, ...],
    x: np.ndarray | None,
    *,
    compile: bool,
    seconds: float,
    cost: Cost | None,
    clock: Callable[[], float],
) -> Plan:
    """Return the fastest plan: what holds for every pass first, then streams, then compilation in their place."""
    threads = torch.get_num_threads()
    streams = seconds * _PREDICTING if threads > 1 and estimator._may_stream else 0.0
    compiling = seconds * _COMPILING if compile else 0.0
    both = cost or Stopwatch(estimator, x, clock=clock)
    plan = _fastest(plan, _choices(estimator, precisions), both, seconds - streams - compiling, clock)
    if streams:
        predicting = cost or Stopwatch(estimator, x, gradients=False, searches=True, clock=clock)
        plan = _fastest(plan, {"streams": (threads,)}, predicting, streams, clock)
    if compiling:
        everything = cost or Stopwatch(estimator, x, searches=True, clock=clock)
        plan = _fastest(plan, {"compile": (True,)}, everything, compiling, clock, rounds=1)
    return {**plan, "streams": 1} if plan["compile"] else plan


def _choices(estimator: FastPyTorchClassifier, precisions: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    """Return what may be tried for each key of the plan, in the order in which they are settled."""
    device = torch.device(estimator.device).type
    return {
        "precision": precisions,
        "memory_format": CHOICES["memory_format"] if len(estimator.input_shape) == 3 else ("contiguous",),
        "folding": CHOICES["folding"],
        "batch_size": _BATCH_SIZES.get(device, _BATCH_SIZES["cuda"]),
    }


def _fastest(
    plan: Plan,
    choices: Mapping[str, tuple[Any, ...]],
    cost: Cost,
    seconds: float,
    clock: Callable[[], float],
    rounds: int = ROUNDS,
) -> Plan:
    """Return the plan of least cost, one key after the other; a batch is halved until memory does for it.

    The values of a key take turns with the settled one, and it is the median of how they compare that counts: the
    machine may be slow for a while. Where a model is too slow for that, each value has one turn.
    """
    others = [sum(value != plan[key] for value in values) for key, values in choices.items()]
    share, end = share_of(seconds, others, rounds), clock() + seconds
    cost_now, batch_size = halving(lambda size: cost({**plan, "batch_size": size}, share), plan["batch_size"])
    plan = {**plan, "batch_size": batch_size}
    if cost_now * batch_size > 2 * share:
        rounds, share = 1, share_of(seconds, others, 1)
    measure = partial(_cost_of, cost=cost, share=share)
    first: float | None = cost_now
    for key, values in choices.items():
        tried = [value for value in values if value != plan[key]]
        if not tried:
            continue
        ratios = compared(plan, key, tried, measure, rounds, lambda: clock() >= end, first)
        first = None
        medians = {value: median(known) for value, known in ratios.items() if known}
        best = min(medians, key=medians.__getitem__, default=None)
        if best is not None and medians[best] < 1 - LEAST_GAIN:
            plan = {**plan, key: best}
        if len(medians) < len(tried):
            left = next(value for value in tried if value not in medians)
            over = clock() >= end
            why = "more seconds try it" if over else "the plan so far could not be measured again"
            _log.warning("tuning of %.0f s stops: %s=%s is not tried; %s", seconds, key, left, why)
            break
    return plan


def _cost_of(candidate: Plan, cost: Cost, share: float) -> float:
    """Return the cost of a plan; infinite where memory does not do, or the model cannot be run in this way."""
    try:
        return cost(candidate, share)
    except (RuntimeError, MemoryError, ModelError) as error:
        reason = "memory runs out" if is_out_of_memory(error) else " ".join(str(error).split())[:200]
    _log.warning("plan %s is left out: %s", candidate, reason)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return float("inf")


@contextmanager
def _unnoticed(estimator: FastPyTorchClassifier) -> Iterator[None]:
    """Leave training flags and counters as they were: what measuring costs is no part of anybody's work."""
    counted = estimator.forwards, estimator.gradients
    try:
        with evaluating(estimator._model), generators_kept(torch.device(estimator.device)):
            yield
    finally:
        estimator.forwards, estimator.gradients = counted


def _file(estimator: FastPyTorchClassifier, asked: Mapping[str, Any]) -> Path | None:
    """Return where the plan for this architecture, device and these versions is kept; None where nothing can be."""
    module, device = estimator.model, torch.device(estimator.device)
    state = [(name, tuple(value.shape), str(value.dtype)) for name, value in module.state_dict().items()]
    known = {
        "measured": _VERSION,
        "asked": dict(asked),
        "architecture": [f"{type(module).__module__}.{type(module).__qualname__}", str(module), state],
        "input_shape": list(estimator.input_shape),
        "operations": [type(part).__name__ for part in estimator.preprocessing_operations],
        "loss": type(estimator.loss).__name__,
        "device": _machine(device),
        "versions": [version("art-weakrobust"), torch.__version__, np.__version__],
    }
    key = blake2b(json.dumps(known).encode(), digest_size=16).hexdigest()
    try:
        return cache_folder() / f"plan-{key}.json"
    except RuntimeError as error:
        _log.warning("the execution plan is not kept: %s; set %s", error, VARIABLE)
        return None


def _machine(device: torch.device) -> list[Any]:
    if device.type == "cuda":
        return ["cuda", torch.cuda.get_device_name(device), torch.cuda.get_device_properties(device).total_memory]
    capability, kept = torch.backends.cpu.get_cpu_capability(), keep_freed_memory(device)
    return [device.type, platform.machine(), platform.processor(), capability, torch.get_num_threads(), kept]


def _follow_kept(estimator: FastPyTorchClassifier, file: Path) -> bool:
    """Let the estimator follow the plan that is kept, and say whether there is one that it can follow."""
    try:
        plan = json.loads(file.read_bytes())
        if not isinstance(plan, dict):
            raise ModelError(f"a plan is a table, not {plan!r}")
        estimator.plan = plan
    except FileNotFoundError:
        return False
    except (OSError, ValueError, ModelError) as error:
        _log.warning("the execution plan in %s is measured again: %s", file, error)
        return False
    return True


def _keep(file: Path, plan: Plan) -> None:
    try:
        atomic_write(file, json.dumps(plan).encode())
    except RunError as error:
        _log.warning("the execution plan will be measured again next time: %s; or set %s", error, VARIABLE)
