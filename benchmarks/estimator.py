"""``FastPyTorchClassifier`` against ART's ``PyTorchClassifier`` on CIFAR-10 and the shipped ResNet-20.

    ART_WEAKROBUST_DATA=DIR python benchmarks/estimator.py                  # 10,000 images, five pairs
    ART_WEAKROBUST_DATA=DIR python benchmarks/estimator.py --device cuda --checkpoint resnet20_cifar10_robust

Prints a table of ratios, ours against stock: medians of pairs, each side in a new process for every pair, since how
often stock asks the system for memory hangs on where its first blocks came to lie, and moves its speed by a fifth.
Needs the CIFAR-10 parquet files and the checkpoints in ``DIR/models``. Plans are kept in a temporary folder, so that
``tune()`` is measured as on first use.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from ratios import Ratio, Side, machine, pair, serve
from shipped import resnet20
from torch import nn

from art_weakrobust.datasets.parquet import parquet
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.models.cache import VARIABLE
from art_weakrobust.results import Samples

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
    parser.add_argument("--compile", action="store_true", help="tune() tries torch.compile as well")
    parser.add_argument("--peak", choices=("stock", "fast"), help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=("stock", "fast"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(peak(arguments))
        return
    if arguments.side:
        serve((stock if arguments.side == "stock" else fast)(arguments))
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
    options = [f"--{key}={getattr(arguments, key)}" for key in ("images", "device", "checkpoint")]
    options += ["--compile"] * arguments.compile
    table = rows(arguments.images)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in table}
    for number in range(arguments.pairs):
        peer, ours = (Side(__file__, f"--side={name}", *options) for name in ("stock", "fast"))
        peer("ready"), ours("ready")
        first = elapsed(partial(ours, "tune"))  # measured in the first pair, kept from then on
        plans = ours("plans")
        if not number:
            print(f"tune(): {first:.1f} s (goal: under 20 on 2 cores), the second call ", end="")
            print(f"{1000 * elapsed(partial(ours, 'tune')):.1f} ms\n{plans}\n", flush=True)
        for name, (theirs, _) in table.items():
            peer(theirs), ours(name)
            times[name].append(pair(partial(peer, theirs), partial(ours, name), number))
        if number == arguments.pairs - 1:
            paths = peer("logits"), ours("logits"), ours("search logits")
            before, after, searched = map(np.load, paths)
        peer.close(), ours.close()
    print("| what | ours against stock | goal | stock, s | ours, s |\n|---|---|---|---|---|")
    for name, (_, goal) in table.items():
        ratio = Ratio.of(times[name])
        print(f"| {name} | {ratio} | {goal} | {ratio.peer:.2f} | {ratio.ours:.2f} |", flush=True)
    theirs, mine = (run_peak(name, options) for name in ("stock", "fast"))
    print(f"| `predict`, peak memory beyond the images | {mine / theirs:.2f} | below 1 | {theirs} MB | {mine} MB |")
    print(f"\npredict: largest difference of a logit {np.abs(before - after).max():.1e}")
    same = (searched.argmax(1) == before.argmax(1)).mean()
    print(f"search path in bfloat16: {same:.2%} of the labels the same")


PREDICT, SEARCH = "`predict` after `tune()`, {} images", "search path in bfloat16 against `predict`, {} images"
GRADIENT = f"`loss_gradient` in float32, {GRADIENT_IMAGES} images by 128"
SEARCH_GRADIENT = f"search gradients in bfloat16 against `loss_gradient`, {GRADIENT_IMAGES} images"
OWN_CLASS = f"`class_gradient` of each image's own label, {CLASS_IMAGES} images"
ALL_CLASSES = f"`class_gradient` of all classes, {CLASS_IMAGES} images"


def rows(images: int) -> dict[str, tuple[str, str]]:
    """Return what is measured of ours -> what of the peer, and the goal."""
    predict, search = (name.format(f"{images:,}") for name in (PREDICT, SEARCH))
    return {
        predict: (predict, "at least 1.5"),
        search: (predict, "at least 3"),
        GRADIENT: (GRADIENT, ""),
        SEARCH_GRADIENT: (GRADIENT, ""),
        OWN_CLASS: (OWN_CLASS, ""),
        ALL_CLASSES: (ALL_CLASSES, ""),
    }


def stock(arguments: argparse.Namespace) -> dict[str, Work]:
    """Return what the peer's process does."""
    estimator, samples = classifier(PyTorchClassifier, arguments), images(arguments)
    return of_both(estimator, estimator, samples)


def fast(arguments: argparse.Namespace) -> dict[str, Work]:
    """Return what our process does; ``exact`` searches in float32."""
    tuned, exact = (classifier(FastPyTorchClassifier, arguments) for _ in range(2))
    samples = images(arguments)
    few, labels = samples.x[:256], one_hot(samples)

    def tune() -> None:
        tuned.tune(few, compile=arguments.compile)

    def plans() -> str:
        exact.tune(few, precision="float32", compile=arguments.compile)
        told = f"plan {tuned.plan}; in float32 {exact.plan}"
        tuned.set_plan(precision="bfloat16")  # also where it did not win
        return told

    return {
        **of_both(tuned, exact, samples),
        "tune": tune,
        "plans": plans,
        "search logits": lambda: saved("search", search_logits(tuned, samples.x)),
        SEARCH.format(f"{len(samples):,}"): lambda: search_logits(tuned, samples.x),
        SEARCH_GRADIENT: lambda: search_gradients(tuned, samples.x[:GRADIENT_IMAGES], labels),
    }


def of_both(predicting: PyTorchClassifier, exact: PyTorchClassifier, samples: Samples) -> dict[str, Work]:
    """Return what both sides do."""
    x, few = samples.x, samples.x[:CLASS_IMAGES]
    labels, own = one_hot(samples), samples.y[:CLASS_IMAGES]
    parts = [slice(start, start + 128) for start in range(0, GRADIENT_IMAGES, 128)]
    return {
        "ready": lambda: None,
        "logits": lambda: saved(type(predicting).__name__, predicting.predict(x)),
        PREDICT.format(f"{len(x):,}"): lambda: predicting.predict(x),
        GRADIENT: lambda: [exact.loss_gradient(x[part], labels[part]) for part in parts],
        OWN_CLASS: lambda: exact.class_gradient(few, own),
        ALL_CLASSES: lambda: exact.class_gradient(few),
    }


def images(arguments: argparse.Namespace) -> Samples:
    data = parquet(str(Path(os.environ["ART_WEAKROBUST_DATA"]) / "cifar10"), split="test")
    return data.take(np.arange(arguments.images))


def one_hot(samples: Samples) -> np.ndarray:
    return np.eye(10, dtype=np.float32)[samples.y[:GRADIENT_IMAGES]]


def saved(name: str, logits: np.ndarray) -> str:
    """Write logits where the process that compares finds them, and return the path."""
    path = Path(os.environ[VARIABLE]) / f"{name}.npy"
    np.save(path, logits)
    return str(path)


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


def run_peak(name: str, options: list[str]) -> int:
    """Return the megabytes that a process of its own needed for ``predict``; the least of three."""
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
