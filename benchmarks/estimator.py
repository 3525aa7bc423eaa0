"""``FastPyTorchClassifier`` against ART's ``PyTorchClassifier`` on CIFAR-10 and the shipped ResNet-20.

    ART_WEAKROBUST_DATA=DIR python benchmarks/estimator.py                  # 10,000 images, five pairs
    ART_WEAKROBUST_DATA=DIR python benchmarks/estimator.py --device cuda --checkpoint resnet20_cifar10_robust

Prints a table of ratios, ours against stock: medians of interleaved pairs in one process, peak memory from processes of
their own. Needs the CIFAR-10 parquet files and the checkpoints in ``DIR/models``. Plans are kept in a temporary folder,
so that ``tune()`` is measured as on first use.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from ratios import interleaved, machine
from shipped import resnet20
from torch import nn

from art_weakrobust.datasets.parquet import parquet
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.models.cache import VARIABLE

GRADIENT_IMAGES, CLASS_IMAGES = 512, 128
SHAPE = (3, 32, 32)
Work = Callable[[], Any]


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--checkpoint", default="resnet20_cifar10")
    parser.add_argument("--peak", choices=("stock", "fast"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(peak(arguments))
        return
    print(machine(arguments.device))
    with tempfile.TemporaryDirectory() as folder:
        os.environ[VARIABLE] = folder
        measure(arguments)


def classifier(kind: type[PyTorchClassifier], arguments: argparse.Namespace) -> Any:
    return kind(
        model=resnet20(arguments.checkpoint),
        loss=nn.CrossEntropyLoss(),
        input_shape=SHAPE,
        nb_classes=10,
        clip_values=(0, 1),
        device_type="cpu" if arguments.device == "cpu" else "gpu",
    )


def measure(arguments: argparse.Namespace) -> None:
    """Print the table."""
    data = parquet(str(Path(os.environ["ART_WEAKROBUST_DATA"]) / "cifar10"), split="test")
    samples = data.take(np.arange(arguments.images))
    stock, tuned, exact = (
        classifier(kind, arguments) for kind in (PyTorchClassifier, FastPyTorchClassifier, FastPyTorchClassifier)
    )
    first, second = elapsed(lambda: tuned.tune(samples.x[:256])), elapsed(lambda: tuned.tune(samples.x[:256]))
    exact.tune(samples.x[:256], precision="float32")
    print(f"tune(): {first:.1f} s (goal: under 20 on 2 cores), the second call {1000 * second:.1f} ms")
    print(f"plan {tuned.plan}\nplan in float32 {exact.plan}\n")
    tuned.set_plan(precision="bfloat16")  # also where it did not win
    print("| what | ours against stock | goal | stock, s | ours, s |\n|---|---|---|---|---|")
    for name, goal, peer, ours in comparisons(stock, tuned, exact, samples.x, samples.y):
        ratio = interleaved(peer, ours, arguments.pairs)
        print(f"| {name} | {ratio} | {goal} | {ratio.peer:.2f} | {ratio.ours:.2f} |", flush=True)
    theirs, mine = (run_peak(name, arguments) for name in ("stock", "fast"))
    print(f"| `predict`, peak memory beyond the images | {mine / theirs:.2f} | below 1 | {theirs} MB | {mine} MB |")
    before, after = stock.predict(samples.x), tuned.predict(samples.x)
    print(f"\npredict: largest difference of a logit {np.abs(before - after).max():.1e}")
    same = (search_logits(tuned, samples.x).argmax(1) == before.argmax(1)).mean()
    print(f"search path in bfloat16: {same:.2%} of the labels the same")


def comparisons(
    stock: PyTorchClassifier, tuned: FastPyTorchClassifier, exact: FastPyTorchClassifier, x: np.ndarray, y: np.ndarray
) -> Iterator[tuple[str, str, Work, Work]]:
    """Yield name, goal, the peer's work and ours.

    :param tuned: searches in bfloat16.
    :param exact: searches in float32.
    """
    n, few, fewer = f"{len(x):,} images", x[:GRADIENT_IMAGES], x[:CLASS_IMAGES]
    labels, own = np.eye(10, dtype=np.float32)[y[:GRADIENT_IMAGES]], y[:CLASS_IMAGES]

    def gradients(of: PyTorchClassifier) -> Work:
        parts = [slice(start, start + 128) for start in range(0, len(few), 128)]
        return lambda: [of.loss_gradient(few[part], labels[part]) for part in parts]

    yield f"`predict` after `tune()`, {n}", "at least 1.5", lambda: stock.predict(x), lambda: tuned.predict(x)
    name = f"search path in bfloat16 against `predict`, {n}"
    yield name, "at least 3", lambda: stock.predict(x), lambda: search_logits(tuned, x)
    yield f"`loss_gradient` in float32, {len(few)} images by 128", "", gradients(stock), gradients(exact)
    name = f"search gradients in bfloat16 against `loss_gradient`, {len(few)} images"
    yield name, "", gradients(stock), lambda: search_gradients(tuned, few, labels)
    name = f"`class_gradient` of each image's own label, {len(fewer)} images"
    yield name, "", lambda: stock.class_gradient(fewer, own), lambda: exact.class_gradient(fewer, own)
    name = f"`class_gradient` of all classes, {len(fewer)} images"
    yield name, "", lambda: stock.class_gradient(fewer), lambda: exact.class_gradient(fewer)


def search_logits(search: FastPyTorchClassifier, x: np.ndarray) -> np.ndarray:
    """Return logits in the precision of the search, a batch of its plan at a time, as scoring asks for them."""
    images, precision = torch.from_numpy(x), search.plan["precision"]
    search.refresh()
    parts = search.each(lambda part: search.predict_tensor(images[part], precision), len(x), search.plan["batch_size"])
    return torch.cat(parts).cpu().numpy()


def search_gradients(search: FastPyTorchClassifier, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return gradients in the precision of the search, a batch of its plan at a time."""
    size = search.plan["batch_size"]
    images, labels = torch.from_numpy(x).split(size), torch.from_numpy(y).split(size)
    with search.searching():
        gradients = [search.input_gradient(part, label) for part, label in zip(images, labels, strict=True)]
        return torch.cat(gradients).cpu().numpy()


def elapsed(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run_peak(name: str, arguments: argparse.Namespace) -> int:
    """Return the megabytes that a process of its own needed for ``predict``; the least of three."""
    options = [f"--{key}={getattr(arguments, key)}" for key in ("images", "device", "checkpoint")]
    command = [sys.executable, __file__, "--peak", name, *options]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(3)]
    return min(int(run.stdout) for run in runs)


def peak(arguments: argparse.Namespace) -> int:
    """Return the megabytes that ``predict`` needs beyond what is there before it, after a first image."""
    estimator = classifier(PyTorchClassifier if arguments.peak == "stock" else FastPyTorchClassifier, arguments)
    x = np.random.default_rng(0).random((arguments.images, *SHAPE), dtype=np.float32)
    if arguments.peak == "fast":
        estimator.tune(x[:256])
    estimator.predict(x[:1])
    if torch.device(arguments.device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        estimator.predict(x)
        return torch.cuda.max_memory_allocated() >> 20
    begin = resident("VmRSS")
    estimator.predict(x)
    return max(1, (resident("VmHWM") - begin) >> 20)


def resident(key: str) -> int:
    """Return the bytes that are resident, or were at most since this was asked; by ``/proc`` where there is one.

    A child's ``ru_maxrss`` is no use: it begins with that of its parent.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(f"{key}:")]
    Path("/proc/self/clear_refs").write_text("5")  # the most begins anew
    return int(line.split()[1]) << 10


if __name__ == "__main__":
    main()
