"""One sample of a run, scored again: the same seed gives the same answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.subset import Subset
from ..errors import RunError
from ..execution.serial import SerialMap
from ..plugins.manager import Manager
from ..plugins.reference import Reference
from ..results import SCREENED, column
from ..store import Run
from .context import Context
from .held import refuse_other_work
from .resolve import recorded_plan, resolved
from .street import score

Row = dict[str, Any]


def again(
    out: Path, index: int, given: Mapping[str, Any], *, plugins: Sequence[Any] = (), third_party: bool = True
) -> tuple[Row, Row]:
    """Return a sample's row of scores as the run holds it, and as it comes out now; nothing is written.

    :param out: the run directory; model, data, seed and execution plan are its own.
    :param index: the sample's id.
    :raises RunError: where the run has not scored this sample, or its screening has left it out.
    """
    manager = Manager(plugins, third_party=third_party)
    manager.refuse_broken()
    options = resolved(out, given, resume=True, model=True)
    options = replace(options, screen=False)  # one sample is no ranking
    context = Context(options, manager, plan=recorded_plan(out, options))
    with Run.open(out) as run:
        refuse_other_work(run, context)
        scores = run.records().scores
    if scores is None:
        raise RunError(f"{out} has no scores yet: run `art-weakrobust score` first")
    at = np.flatnonzero(column(scores.table, "index") == index)
    if not at.size:
        raise RunError(f"--index {index} is not among the {len(scores)} samples that {out} has scored")
    if scores["status"][at[0]] == SCREENED:
        raise RunError(f"--index {index} was left out by --screen: the run has no score of it to hold against another")
    data = Subset(context.whole, np.array([index], np.int64))
    name = Reference.parse(options.scorer).name
    now = score(context.scorer, context.base, data, SerialMap(), name=name)
    stored = scores.table.slice(int(at[0]), 1)
    return stored.to_pylist()[0], now.table.to_pylist()[0]
