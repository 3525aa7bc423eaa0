"""Fine-tune the shipped CIFAR-10 ResNet-20 and print what that changed on the first test images.

    ART_WEAKROBUST_DATA=DIR python benchmarks/finetune_cifar10.py --limit 10000 --epochs 3 --threads 2

Needs the CIFAR-10 parquet files and ``models/resnet20_cifar10.safetensors`` in DIR. The guard part is drawn from the
test images behind those that are reported.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from shipped import resnet20
from torch import nn

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.datasets.parquet import parquet
from art_weakrobust.estimators.precision import native_precision
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.resolve import resolve_corruptions
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.threat import ThreatModel
from art_weakrobust.trainer import WeakRobustTrainer
from art_weakrobust.training.guard import survives
from art_weakrobust.training.network import Forward

SIX = ("gaussian_noise", "shot_noise", "brightness", "contrast", "defocus_blur", "pixelate")
EPS = 2 / 255


def classifier() -> FastPyTorchClassifier:
    return FastPyTorchClassifier(
        model=resnet20(), loss=nn.CrossEntropyLoss(), input_shape=(3, 32, 32), nb_classes=10, clip_values=(0, 1)
    )


def figures(module: nn.Module, test: ArrayDataset, seed: int = 0) -> dict[str, float]:
    """Clean, PGD-20 and corruption accuracy in per cent, severities 1 to 5 pooled."""
    module.eval()
    forward, threat = Forward(torch.device("cpu")), ThreatModel(float("inf"), EPS)
    right: dict[str, list[float]] = {}
    for samples in test.chunks(200):
        x, y, ids = (torch.from_numpy(part) for part in (samples.x, samples.y, samples.ids))
        right.setdefault("pgd20", []).append(float(survives(module, forward, x, y, ids, threat, seed).float().mean()))
        with torch.no_grad():
            right.setdefault("clean", []).append(float((forward(module, x).argmax(1) == y).float().mean()))
            for kind in resolve_corruptions(SIX, Manager(third_party=False)):
                for severity in range(1, 6):
                    view = kind.corruption(x, ids, severity, seed)
                    right.setdefault(kind.name, []).append(float((forward(module, view).argmax(1) == y).float().mean()))
    result = {name: 100 * float(np.mean(values)) for name, values in right.items()}
    return result | {"six": float(np.mean([result[name] for name in SIX]))}


def show(name: str, found: dict[str, float], base: dict[str, float] | None = None) -> None:
    order = ("clean", "pgd20", "six", *SIX)
    print(f"{name:12}" + "".join(f"{found[key]:10.1f}" for key in order))
    if base:
        print(f"{'  change':12}" + "".join(f"{found[key] - base[key]:+10.1f}" for key in order), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--test-limit", type=int, default=1_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clean-budget", type=float)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    root = Path(os.environ["ART_WEAKROBUST_DATA"])
    print(
        f"torch {torch.__version__}, {options.threads} threads, {platform.machine()} "
        f"{torch.backends.cpu.get_cpu_capability()}, {native_precision(torch.device('cpu'))}"
    )

    train, held = parquet(str(root / "cifar10"), split="train"), parquet(str(root / "cifar10"), split="test")
    first = held.take(np.arange(options.test_limit))
    test = ArrayDataset(first.x, first.y)
    guard = (held, np.arange(options.test_limit, options.test_limit + 2_000))
    subject = classifier()
    print(f"{'':12}" + "".join(f"{name[:9]:>10}" for name in ("clean", "pgd20", "six", *SIX)))
    base = figures(subject.model, test)
    show("base", base)

    ticks: dict[str, float] = {}
    trainer = WeakRobustTrainer(
        subject,
        eps=EPS,
        corruptions=SIX,
        seed=options.seed,
        clean_budget=options.clean_budget,
        progress=lambda stage, *_: ticks.update({stage: time.perf_counter()}),
    )
    started = time.perf_counter()
    trainer.fit(
        train,
        nb_epochs=options.epochs,
        ids=np.arange(min(options.limit, len(train))),
        weak_types=["gaussian_noise", "shot_noise"],
        guard=guard,
    )
    show(f"alpha {trainer.finetuning.alpha:g}", figures(subject.model, test), base)
    print(f"training {ticks['training'] - started:.0f} s, dial {ticks['dial'] - ticks['training']:.0f} s")
    print("drawn", dict(trainer.finetuning.drawn))
    for line in trainer.finetuning.history:
        print({key: round(value, 3) if isinstance(value, float) else value for key, value in line.items()})
    for point in trainer.finetuning.curve:
        print({key: round(value, 3) for key, value in point.items()})


if __name__ == "__main__":
    main()
