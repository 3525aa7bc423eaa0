"""Memory that is freed stays with the process, unless its user wants it otherwise."""

from __future__ import annotations

import ctypes
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from art_weakrobust import FastPyTorchClassifier
from art_weakrobust.estimators.malloc import FROM_THE_HEAP, KEPT, _keep, _kept_by, keep_freed_memory

NOT_GLIBC = sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt")
OTHERS = (
    *("ART_WEAKROBUST_MALLOC", "LD_PRELOAD", "GLIBC_TUNABLES"),
    *("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TOP_PAD_"),
)
CALL = """
import torch
from art_weakrobust.estimators.malloc import keep_freed_memory
keep_freed_memory(torch.device("cpu"))
"""
CLASSIFIER = """
from torch import nn
from art_weakrobust import FastPyTorchClassifier
net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
FastPyTorchClassifier(net, nn.CrossEntropyLoss(), input_shape=(1, 2, 2), nb_classes=2, device_type="cpu")
"""
UNPICKLED = """
import pickle
import sys
pickle.loads(open(sys.argv[1], "rb").read())
"""
TOUCH = """
import resource
import torch
def touch():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [torch.ones(24 << 20, dtype=torch.uint8) for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(min([touch() for _ in range(30)][20:]))
"""


def faults(first: str = CALL, *arguments: str, **environment: str) -> int:
    """Return how many pages of 96 MiB the system has to provide once more, after they were freed twenty times."""
    kept = {name: value for name, value in os.environ.items() if name not in OTHERS}
    command = [sys.executable, "-c", first + TOUCH, *arguments]
    done = subprocess.run(command, env={**kept, **environment}, check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(NOT_GLIBC, reason="another malloc than glibc's")
def test_a_classifier_on_the_cpu_keeps_what_is_freed() -> None:
    assert faults(CLASSIFIER) < 10


@pytest.mark.skipif(NOT_GLIBC, reason="another malloc than glibc's")
def test_one_that_comes_from_a_pickle_does_so_too(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    classifier = FastPyTorchClassifier(net, nn.CrossEntropyLoss(), (1, 2, 2), 2, device_type="cpu")
    (tmp_path / "classifier").write_bytes(pickle.dumps(classifier))
    assert faults(UNPICKLED, str(tmp_path / "classifier")) < 10


def test_another_device_leaves_malloc_alone() -> None:
    assert not keep_freed_memory(torch.device("meta"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Return what asks whether malloc is told anything, as a fresh process would with the variables that are set."""
    for other in OTHERS:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(mallopt=lambda _parameter, _value: 1))
    return _keep.__wrapped__


def test_malloc_is_told_unless_its_user_wants_it_otherwise(
    asked: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked()
    monkeypatch.setenv("ART_WEAKROBUST_MALLOC", "system")
    assert not asked()


@pytest.mark.parametrize(
    "name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TOP_PAD_"]
)
def test_what_its_user_has_set_stays(name: str, asked: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "65536")
    assert not asked()


@pytest.mark.parametrize("name", ["trim_threshold", "mmap_threshold", "mmap_max", "top_pad", "hugetlb"])
def test_so_does_what_is_set_as_a_tunable(
    name: str, asked: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", f"glibc.malloc.check=0:glibc.malloc.{name}=1")
    assert not asked()


def test_no_mallopt_no_change(asked: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace())
    assert not asked()
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(mallopt=lambda _parameter, _value: 1))
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not asked()


@pytest.mark.skipif(NOT_GLIBC, reason="another malloc than glibc's")
def test_other_settings_of_malloc_are_no_objection() -> None:
    assert faults(MALLOC_ARENA_MAX="2", GLIBC_TUNABLES="glibc.malloc.arena_max=2") < 10


def test_a_malloc_that_takes_the_first_setting_gets_the_second() -> None:
    asked = []

    def mallopt(parameter: int, value: int) -> int:
        asked.append((parameter, value))
        return 1

    assert _kept_by(mallopt)
    assert asked == [(-3, FROM_THE_HEAP), (-1, KEPT)]


def test_one_that_refuses_the_first_is_left_to_adapt_by_itself() -> None:
    asked = []

    def mallopt(parameter: int, _value: int) -> int:
        asked.append(parameter)
        return 0

    assert not _kept_by(mallopt)
    assert asked == [-3]
