"""Peak memory of neighborhood scoring, of many samples and of few.

    python benchmarks/neighborhood_memory.py                    # 50,000 x 50 against 5,000 x 50: at most 1.15 times
    python benchmarks/neighborhood_memory.py --wide             # also 500 x 5,000 against 500 x 50
    python benchmarks/neighborhood_memory.py --screen           # the same of the screening scorer

Every figure is the median of three processes of their own, started with ``MALLOC_ARENA_MAX=2``, since glibc's arenas
alone wobble by hundreds of megabytes. Scores a linear model on noise of CIFAR-10's shape that is made when it is asked
for, with parts written to a temporary folder as in a run. Leaves with 1 where the limit is broken.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from ratios import machine
from torch import nn

from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.kernels import keyed
from art_weakrobust.results import SCORES, Samples
from art_weakrobust.store import Parts
from art_weakrobust.testing.networks import linear

SHAPE = (3, 32, 32)
LIMIT, RUNS = 1.15, 3


class Noise:
    """A :class:`~art_weakrobust.protocols.Dataset` that holds nothing."""

    def __init__(self, n: int) -> None:
        self.ids = np.arange(n)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, ids: np.ndarray) -> Samples:
        """Return noise, the same for the same ids."""
        return Samples(ids, keyed.uniform(torch.from_numpy(ids), 0, SHAPE, 0).numpy(), ids % 10)

    def chunks(self, size: int, ids: np.ndarray | None = None) -> Iterator[Samples]:
        """Yield noise, ``size`` samples at a time."""
        ids = self.ids if ids is None else ids
        for start in range(0, len(ids), size):
            yield self.take(ids[start : start + size])


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs=2, default=(5_000, 50_000), metavar=("FEW", "MANY"))
    parser.add_argument("--neighbors", type=int, default=50)
    parser.add_argument("--wide", action="store_true", help="also a hundred times the neighbors of a tenth of FEW")
    parser.add_argument("--screen", action="store_true", help="screen candidates")
    parser.add_argument("--peak", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(peak(*arguments.peak, screen=arguments.screen))
        return 0
    print(machine("cpu"))
    (few, many), m = arguments.samples, arguments.neighbors
    pairs = [((few, m), (many, m))]
    if arguments.wide:
        pairs.append(((few // 10, m), (few // 10, 100 * m)))
    print("| scored | against | peak | against | ratio | limit |\n|---|---|---|---|---|---|")
    broken = False
    for less, more in pairs:
        small, large = (statistics.median(run(*size, arguments.screen) for _ in range(RUNS)) for size in (less, more))
        broken |= large > LIMIT * small
        sizes = " | ".join(f"{n:,} x {count:,}" for n, count in (more, less))
        print(f"| {sizes} | {large:.0f} MB | {small:.0f} MB | {large / small:.3f} | {LIMIT} |", flush=True)
    return int(broken)


def run(samples: int, neighbors: int, screen: bool) -> int:
    """Return the peak of a process of its own."""
    command = [sys.executable, __file__, "--peak", str(samples), str(neighbors), *["--screen"] * screen]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    return int(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def peak(samples: int, neighbors: int, *, screen: bool) -> int:
    """Return the megabytes that were resident at most while this process scored."""
    estimator = FastPyTorchClassifier(
        model=linear(SHAPE), loss=nn.CrossEntropyLoss(), input_shape=SHAPE, nb_classes=10, device_type="cpu"
    )
    scorer = neighborhood(neighbors=neighbors, include_misclassified=True, screen=screen)
    with tempfile.TemporaryDirectory() as folder:
        scores = scorer(estimator, Noise(samples), SerialMap(Parts(Path(folder), "score", SCORES)))
    if len(scores) != samples or scores.table.column("neighbors").null_count:
        raise SystemExit(f"{len(scores)} of {samples} samples were scored")
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) >> 10


if __name__ == "__main__":
    sys.exit(main())
