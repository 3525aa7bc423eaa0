"""One small run of the whole street, made once, and children that can be killed."""

from __future__ import annotations

import multiprocessing
import runpy
from pathlib import Path

import pytest

STREET = ("score", "select", "before", "finetune", "after", "report")
SMALL = {
    "radius": 0.3,
    "eps": 0.1,
    "neighbors": 6,
    "limit": 400,
    "test_limit": 60,
    "nb_epochs": 2,
    "attacks": "pgd:max_iter=3",
    "corruptions": "contrast",
    "severities": "1,5",
}
"""Options of a run on the digits that takes a few seconds."""


@pytest.fixture(scope="session")
def children(own_cache):
    """Return a function that runs the street in a child process and returns its exit code (-9 when it was killed)."""
    context = multiprocessing.get_context("forkserver")
    heavy = ["art_weakrobust.pipeline.run", "art_weakrobust.validator", "art_weakrobust.trainer"]
    context.set_forkserver_preload(heavy)
    script = str(Path(__file__).with_name("street_child.py"))  # by path: a child cannot import from tests

    def run(out, given=SMALL, stages=STREET, kill_in=None, failpoint=None):
        wanted = {"OUT": out, "GIVEN": given, "STAGES": stages, "KILL_IN": kill_in, "FAILPOINT": failpoint}
        child = context.Process(target=runpy.run_path, args=(script, wanted))
        child.start()
        child.join(timeout=240)
        assert child.exitcode is not None, "the child hangs"
        return child.exitcode

    return run


@pytest.fixture(scope="session")
def small_run(children, tmp_path_factory):
    """A run directory in which every stage has ended, in one go; made by a child, with as many threads as others."""
    out = tmp_path_factory.mktemp("street") / "run"
    assert children(out) == 0
    return out


@pytest.fixture(scope="session")
def small_options():
    """The options of :func:`small_run`."""
    return dict(SMALL)
