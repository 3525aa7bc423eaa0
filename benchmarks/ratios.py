"""How the benchmarks compare: peer and ours in turn, and the median of the ratios.

In one process, or each in a process of its own: glibc's malloc, for one, gives memory back to the system the less the
larger the blocks were that anybody freed before, so that what one side did speeds up the other.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import torch


@dataclass(frozen=True)
class Ratio:
    """How many times faster ours is than its peer.

    :param pairs: peer's seconds over ours, one a pair.
    :param peer: median seconds of the peer.
    :param ours: median seconds of ours.
    """

    pairs: tuple[float, ...]
    peer: float
    ours: float

    @property
    def median(self) -> float:
        """The middle one of the pairs' ratios."""
        return statistics.median(self.pairs)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({min(self.pairs):.2f} to {max(self.pairs):.2f})"

    @classmethod
    def of(cls, times: Sequence[tuple[float, float]]) -> Ratio:
        """Return what the seconds of peer and ours, a pair each, come to."""
        peer, ours = zip(*times, strict=True)
        return cls(tuple(p / o for p, o in times), statistics.median(peer), statistics.median(ours))


def interleaved(peer: Callable[[], Any], ours: Callable[[], Any], pairs: int = 5) -> Ratio:
    """Time both in turn, the first one changing from pair to pair, after one call of each that does not count."""
    peer(), ours()
    return Ratio.of([pair(peer, ours, number) for number in range(pairs)])


def pair(peer: Callable[[], Any], ours: Callable[[], Any], number: int) -> tuple[float, float]:
    """Return the seconds of peer and ours, measured in another order for odd numbers."""
    if number % 2:
        mine = seconds(ours)
        return seconds(peer), mine
    return seconds(peer), seconds(ours)


class Side:
    """One side of comparisons, in a process of its own that does nothing but what it is asked for.

    :param command: of a Python script that calls :func:`serve`.
    """

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, name: str) -> str:
        """Have some work done, and return what comes of it, in a line."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        print(name, file=asked, flush=True)
        line = answers.readline()
        if not line:
            raise SystemExit(f"the process that was to do {name!r} has ended")
        return line.rstrip("\n")

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def apart(command: Sequence[str], name: str, ours: Callable[[], Any], pairs: int, *, warm: bool = True) -> Ratio:
    """Compare with a peer in a process of its own, a new one for every pair.

    :param command: of a :class:`Side`, which does ``name``, and writes down what came of it when ``"kept"`` is asked.
    :param warm: whether both are called once before a pair, which does not count.
    """
    times = []
    for number in range(pairs):
        peer = Side(*command)
        peer("ready")
        if warm:
            peer(name), ours()
        times.append(pair(partial(peer, name), ours, number))
        peer("kept")
        peer.close()
    return Ratio.of(times)


def serve(works: Mapping[str, Callable[[], Any]]) -> None:
    """Do what the lines of the standard input name, and answer each with a line."""
    for line in sys.stdin:
        result = works[line.strip()]()
        synchronise()
        print(result if isinstance(result, str) else "done", flush=True)


def seconds(work: Callable[[], Any]) -> float:
    """Return how long a call takes, the device's work included."""
    gc.collect()
    synchronise()
    start = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - start


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def machine(device: str, *packages: str) -> str:
    """Return versions, the machine, and what it makes of bfloat16, on which every figure in bfloat16 depends."""
    versions = [f"{name} {version(name)}" for name in ("art-weakrobust", "adversarial-robustness-toolbox", *packages)]
    where = f"{platform.machine()}, {torch.get_num_threads()} threads on {os.cpu_count()} cores"
    if torch.device(device).type == "cuda":
        where = f"{torch.cuda.get_device_name()}, {where}"
        abilities = [f"bfloat16 on the GPU: {'yes' if torch.cuda.is_bf16_supported() else 'no'}"]
    else:
        abilities = [f"{name}: {'yes' if able() else 'no'}" for name, able in cpu_abilities().items()]
    lines = [", ".join([*versions, f"torch {torch.__version__}", f"Python {platform.python_version()}"])]
    return "\n".join([*lines, f"{where}; {torch.backends.cpu.get_cpu_capability()}; {', '.join(abilities)}"])


def cpu_abilities() -> dict[str, Callable[[], bool]]:
    """Return the instructions for bfloat16 -> whether this CPU has them."""
    cpu: Any = torch.cpu  # underscored there, and the only place that knows
    asked = {"avx512_bf16": "_is_avx512_bf16_supported", "amx": "_is_amx_tile_supported"}
    return {name: getattr(cpu, function, lambda: False) for name, function in asked.items()}
