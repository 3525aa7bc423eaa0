"""A street in small, run by the tests in a process of its own so that it can be killed: ``small_job.py RUN [STOP]``.

With STOP, the chunk of that number says so on stdout and then waits for a line that never comes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from art_weakrobust.errors import UserError
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.results import Samples
from art_weakrobust.store import Run

CHUNK = 4


class Pixels:
    """Ten samples whose only pixel is a tenth of their id."""

    def __len__(self):
        return 10

    def take(self, ids):
        ids = np.asarray(ids, np.int64)
        return Samples(ids, (ids / 10).astype(np.float32).reshape(-1, 1, 1, 1), ids % 3)

    def chunks(self, size, ids=None):
        ids = np.arange(len(self)) if ids is None else ids
        for start in range(0, len(ids), size):
            yield self.take(ids[start : start + size])


class Scorer:
    """Scores are pixels times the estimator, which is a number."""

    def __init__(self, stop=None):
        self.stop, self.chunks = stop, 0

    def __call__(self, estimator, samples):
        if self.chunks == self.stop:
            print("waiting", flush=True)
            sys.stdin.readline()
        self.chunks += 1
        return pa.table({"index": samples.ids, "label": samples.y, "score": samples.x.reshape(-1) * estimator})


class Verdicts:
    """Every sample is right but those of one class."""

    def __call__(self, estimator, samples):
        count = len(samples)
        columns = {"index": samples.ids, "set": ["test"] * count, "type": ["clean"] * count, "correct": samples.y != 1}
        return pa.table(columns)


def job(out, stop=None):
    """Score, select, validate, train, report: a stage that ended is not run again."""
    with Run.open(out, create=True) as run:
        run.update(class_names=["a", "b", "c"])
        if not run.begin("score", {"factor": 2.0}):
            scores = SerialMap(run.parts("scores"), chunk_size=CHUNK)("pixels", Scorer(stop), 2.0, Pixels())
            # A column of the pipeline's: the parts are not the table then, which becomes one file.
            run.write_table("scores", scores.append_column("status", pa.array(["ok"] * len(scores))))
            run.finish("score", samples=len(scores))
        if not run.begin("select", {"top_k": 2}):
            index = run.records().scores["index"][-2:]
            run.write_table("weak_set", pa.table({"index": index, "role": ["tune", "held_out"]}))
            run.finish("select")
        if not run.begin("before", {"types": ["clean"]}):
            over = SerialMap(run.parts("validation"), chunk_size=CHUNK, stamp={"phase": "before"})
            run.write_table("types", pa.table({"type": ["clean"], "family": ["clean"]}))
            run.write_table("validation", over("test/clean", Verdicts(), None, Pixels()))
            run.finish("before")
        if not run.begin("finetune", {}):
            run.write_tensors("model.safetensors", {"w": np.float32([1, 2])})
            run.write_json("training/finetuning.json", {"drawn": {"fgm-linf": 3}})
            run.finish("finetune")
        if not run.begin("report", {}):
            run.write_bytes("extra.csv", b"a,b\n")
            run.finish("report")


if __name__ == "__main__":
    try:
        job(Path(sys.argv[1]), *map(int, sys.argv[2:]))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
