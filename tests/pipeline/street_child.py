"""Runs the street in a child, and dies on demand: by ``kill -9`` once a stage reports progress, or at a write."""

from __future__ import annotations

import os
import signal
import traceback

import torch

from art_weakrobust.pipeline.run import execute

torch.set_num_threads(1)  # the networks are tiny: more threads would mostly wait for one another

asked = globals()
OUT, GIVEN, STAGES, KILL_IN, FAILPOINT = (asked[k] for k in ("OUT", "GIVEN", "STAGES", "KILL_IN", "FAILPOINT"))


def progress(stage, done, total):
    if KILL_IN and stage.startswith(KILL_IN) and done > 0:
        os.kill(os.getpid(), signal.SIGKILL)


if FAILPOINT:
    os.environ["ART_WEAKROBUST_FAILPOINT"] = FAILPOINT
try:
    execute(OUT, STAGES, GIVEN, resume=False, third_party=False, progress=progress)
except BaseException:
    traceback.print_exc()
    os._exit(1)
os._exit(0)
