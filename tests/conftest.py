"""Fixtures that every box's tests may use; keep it small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # before torch is imported: workers share the processors
    threads = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, threads)))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """Keep what the package caches (the digits network) out of the user's cache; it is made once a session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ART_WEAKROBUST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets and checkpoints; the test is skipped where there is none."""
    root = os.environ.get("ART_WEAKROBUST_DATA")
    if not root:
        pytest.skip("ART_WEAKROBUST_DATA is not set: no real data sets and checkpoints on this machine")
    path = Path(root)
    if not path.is_dir():
        pytest.fail(f"ART_WEAKROBUST_DATA={root} is not a folder")
    return path
