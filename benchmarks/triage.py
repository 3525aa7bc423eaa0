"""Plant wrong labels in CIFAR-10, fine-tune the shipped ResNet-20 until it fits them, and see what triage finds.

    ART_WEAKROBUST_DATA=DIR python benchmarks/triage.py --samples 3000 --threads 2

Needs the CIFAR-10 parquet files and the checkpoints in DIR. Prints precision and recall of ``mislabelled`` beside the
peer that costs nothing, the network's own confidence at as many samples; the share of planted labels in the weak set
with and without triage; and how many samples of the untouched checkpoints are marked as ``masked``, falsely as their
gradients are plain.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from ratios import machine
from shipped import resnet20
from torch import nn
from torch.nn import functional

from art_weakrobust import triage
from art_weakrobust.analysis.complete import complete
from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.datasets.parquet import parquet
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.results import Scores, WeakSet
from art_weakrobust.selection import select

CHECKPOINTS = ("resnet20_cifar10", "resnet20_cifar10_robust")


def planted(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which a share is wrong, and which ones, bool (n,)."""
    draws = np.random.default_rng(seed)
    wrong = np.isin(np.arange(len(labels)), draws.choice(len(labels), round(share * len(labels)), replace=False))
    moved = labels.copy()
    moved[wrong] = (labels[wrong] + draws.integers(1, 10, int(wrong.sum()))) % 10
    return moved, wrong


def fit(module: nn.Module, x: torch.Tensor, y: torch.Tensor, wrong: np.ndarray, limit: float, seed: int) -> None:
    """Train in place until all but one in a thousand labels are fitted, or so many seconds are over."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    draws, started = torch.Generator().manual_seed(seed), time.perf_counter()
    module.to(memory_format=torch.channels_last)
    epochs, right = 0, np.zeros(len(y), bool)
    while right.mean() < 0.999 and time.perf_counter() - started < limit:
        module.train()
        epochs += 1
        for rows in torch.randperm(len(x), generator=draws).split(128):
            optimizer.zero_grad()
            images = x[rows].contiguous(memory_format=torch.channels_last)
            functional.cross_entropy(module(images), y[rows]).backward()
            optimizer.step()
        module.eval()
        with torch.no_grad():
            right = torch.cat([module(part).argmax(1) for part in x.split(500)]).eq(y).numpy()
    print(
        f"fine-tuned {epochs} epochs, {time.perf_counter() - started:.0f} s: fits {right.mean():.2%} of all labels, ",
        end="",
    )
    print(f"{right[wrong].mean():.1%} of the planted ones", flush=True)


def classifier(module: nn.Module) -> FastPyTorchClassifier:
    return FastPyTorchClassifier(module, nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1), device_type="cpu")


def scored(estimator: FastPyTorchClassifier, data: ArrayDataset, neighbors: int) -> Scores:
    scores = neighborhood(radius=8 / 255, neighbors=neighbors)(estimator, data, SerialMap())
    return complete(scores, estimator, data, SerialMap(), scorer="neighborhood")


def of_planted(marked: np.ndarray, wrong: np.ndarray) -> str:
    precision = wrong[marked].mean() if marked.any() else float("nan")
    return f"{int(marked.sum()):4d} marked, precision {precision:.2f}, recall {marked[wrong].mean():.2f}"


def share_of(weak_set: WeakSet, wrong: np.ndarray) -> str:
    chosen = np.concatenate([weak_set.tune, weak_set.held_out])
    return f"{wrong[chosen].mean():.1%} of {len(chosen)}" if len(chosen) else "nobody is weak"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--share", type=float, default=0.02, help="of the labels that are planted wrong")
    parser.add_argument("--seconds", type=float, default=150, help="of fine-tuning, at most")
    parser.add_argument("--neighbors", type=int, default=10)
    parser.add_argument("--unmasked", type=int, default=500, help="samples of each untouched checkpoint")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine("cpu", "scikit-learn"))

    train = parquet(str(Path(os.environ["ART_WEAKROBUST_DATA"]) / "cifar10"), split="train")
    samples = train.take(np.arange(options.samples))
    labels, wrong = planted(samples.y, options.share, options.seed)
    data, module = ArrayDataset(samples.x, labels), resnet20()
    print(f"{int(wrong.sum())} of {len(wrong)} labels planted wrong")
    fit(module, torch.from_numpy(samples.x), torch.from_numpy(labels), wrong, options.seconds, options.seed)

    estimator = classifier(module)
    scores = scored(estimator, data, options.neighbors)
    started = time.perf_counter()
    found = triage(estimator, data, scores, SerialMap(), seed=options.seed)
    print(f"triage of {len(found)} samples: {time.perf_counter() - started:.1f} s; {found.counts()}")
    marked = found["kind"] == "mislabelled"
    least = np.isin(np.arange(len(wrong)), np.argsort(found["confidence"], kind="stable")[: int(marked.sum())])
    print(f"mislabelled:                    {of_planted(marked, wrong)}")
    print(f"least confident, as many (peer): {of_planted(least, wrong)}")
    plain = select(scores, seed=options.seed)
    chosen = select(scores, triage=found, kinds=("fragile", "ambiguous", "atypical"), seed=options.seed)
    print(f"planted labels in the weak set: {share_of(plain, wrong)}; with triage, without mislabelled: ", end="")
    print(share_of(chosen, wrong), flush=True)

    if options.unmasked == 0:
        return
    few = ArrayDataset(samples.x[: options.unmasked], samples.y[: options.unmasked])
    for name in CHECKPOINTS:
        estimator = classifier(resnet20(name))
        masked = triage(estimator, few, scored(estimator, few, 1), SerialMap()).table.column("masked").drop_null()
        alarms = int(np.sum(masked.to_numpy(zero_copy_only=False)))
        print(f"{name}: {alarms} of {len(masked)} right samples marked as masked ({alarms / len(masked):.2%})")


if __name__ == "__main__":
    main()
