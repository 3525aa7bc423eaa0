"""Memory that is freed stays with the process, unless its user wants it otherwise."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from art_weakrobust.estimators.malloc import FROM_THE_HEAP, KEPT, _kept_by

NOT_GLIBC = sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt")
USERS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")
CALL = """
from art_weakrobust.estimators.malloc import keep_freed_memory
keep_freed_memory()
"""
CLASSIFIER = """
from torch import nn
from art_weakrobust import FastPyTorchClassifier
net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
FastPyTorchClassifier(net, nn.CrossEntropyLoss(), input_shape=(1, 2, 2), nb_classes=2, device_type="cpu")
"""
TOUCH = """
import resource
import torch
def touch():
    torch.ones(40 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    touch()
before = touch()
print(touch() - before)
"""


def faults(first: str = CALL, **environment: str) -> int:
    """Return how many pages of 40 MiB the system has to provide once more, after they were freed twenty times."""
    kept = {name: value for name, value in os.environ.items() if name not in (*USERS, "ART_WEAKROBUST_MALLOC")}
    command = [sys.executable, "-c", first + TOUCH]
    done = subprocess.run(command, env={**kept, **environment}, check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(NOT_GLIBC, reason="another malloc than glibc's")
def test_a_classifier_on_the_cpu_keeps_what_is_freed() -> None:
    assert faults(CLASSIFIER) < 10


@pytest.mark.skipif(NOT_GLIBC, reason="another malloc than glibc's")
@pytest.mark.parametrize(
    "environment",
    [
        {"ART_WEAKROBUST_MALLOC": "system"},
        {"MALLOC_TRIM_THRESHOLD_": "65536"},
        {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=65536"},
    ],
)
def test_what_its_user_has_set_stays(environment: dict[str, str]) -> None:
    assert faults(**environment) > 10  # of 10,240; huge pages may leave twenty


@pytest.mark.skipif(NOT_GLIBC, reason="another malloc than glibc's")
def test_other_settings_of_malloc_are_no_objection() -> None:
    assert faults(MALLOC_ARENA_MAX="2", GLIBC_TUNABLES="glibc.malloc.arena_max=2") < 10


def test_an_older_glibc_gets_the_most_that_it_takes() -> None:
    asked = []

    def mallopt(parameter: int, value: int) -> int:
        asked.append((parameter, value))
        return int(parameter != -3 or value <= 32 << 20)

    assert _kept_by(mallopt)
    assert asked == [(-3, FROM_THE_HEAP), (-3, 32 << 20), (-1, KEPT)]


def test_a_malloc_that_takes_nothing_is_told() -> None:
    assert not _kept_by(lambda _parameter, _value: 0)
