"""Attacks on ``FastPyTorchClassifier`` against the same on ART's ``PyTorchClassifier``, Foolbox, and a loop by hand.

    ART_WEAKROBUST_DATA=DIR python benchmarks/attacks.py                     # everything: about an hour on two cores
    ART_WEAKROBUST_DATA=DIR python benchmarks/attacks.py --only pgd --only stop --threads 1 --images 128 --pairs 1

Prints a table of ratios, medians of interleaved pairs, on both ResNet-20 checkpoints; beside each the robust accuracy
of both as the judge sees it, in float32. ART, Foolbox and pyautoattack work in processes of their own, new for every
pair, as their users have them: ours keeps freed memory for the whole process, which would make them faster. The loop by
hand is the limit, and works in ours. Needs the CIFAR-10 parquet files and the checkpoints in
``DIR/models``, and for Foolbox the extra ``bench``; AutoAttack's peer comes with robustbench.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from art.attacks.evasion import CarliniL2Method, DeepFool, ProjectedGradientDescent, SaliencyMapMethod
from art.estimators.classification import PyTorchClassifier
from ratios import Ratio, apart, interleaved, machine, serve
from shipped import resnet20
from torch import Tensor, nn

from art_weakrobust import early_stopping
from art_weakrobust.datasets.parquet import parquet
from art_weakrobust.estimators.folding import folded, pairs
from art_weakrobust.estimators.judge import judge_logits
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.models.cache import VARIABLE
from art_weakrobust.perturbations.attacks.autoattack.attack import AutoAttack
from art_weakrobust.results import Samples

STANDARD, ROBUST = "resnet20_cifar10", "resnet20_cifar10_robust"
EPS, STEP, STEPS = 2 / 255, 0.5 / 255, 10
ROWS = ("pgd", "hand", "foolbox", "stop", "stop-bfloat16", "deepfool", "cw", "jsma", "autoattack")

Attack = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """One row: what is compared, what it has to reach, and both sides, which return adversarial samples.

    :param peer: an attack in this process, or one of :meth:`Bench.peers`, in a process of its own.
    """

    name: str
    goal: str
    samples: Samples
    peer: Attack | str
    ours: Attack
    pairs: int


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=ROWS, help="rows to run, may be repeated; all by default")
    parser.add_argument("--checkpoint", action="append", choices=(STANDARD, ROBUST), help="both by default")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--pairs", type=int, default=5, help="AutoAttack runs three at most")
    parser.add_argument("--batch", type=int, default=512, help="images a batch of PGD, the same for every side")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--peers", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.peers:
        (checkpoint,) = arguments.checkpoint
        bench = Bench(checkpoint, arguments.images, arguments.pairs, arguments.device, arguments.batch)
        serve(bench.served(arguments.peers))
        return
    print(machine(arguments.device, "foolbox", "pyautoattack"))
    print("| checkpoint | what | ours against the peer | goal | peer, s | ours, s | robust accuracy, peer and ours |")
    print("|---|---|---|---|---|---|---|")
    for checkpoint in arguments.checkpoint or (STANDARD, ROBUST):
        bench = Bench(checkpoint, arguments.images, arguments.pairs, arguments.device, arguments.batch)
        for name in arguments.only or ROWS:
            for comparison in bench.rows(name):
                print(f"| {checkpoint} | {bench.measured(comparison)} |", flush=True)


class Bench:
    """One checkpoint, in a stock and in a fast classifier.

    :param images: of CIFAR-10's test set, the first ones.
    :param batch: images a batch of PGD.
    """

    def __init__(self, checkpoint: str, images: int, number: int, device: str, batch: int) -> None:
        data = parquet(str(Path(os.environ["ART_WEAKROBUST_DATA"]) / "cifar10"), split="test")
        self.checkpoint, self.samples, self.batch = checkpoint, data.take(np.arange(images)), batch
        self.pairs, self.device, self.robust = number, torch.device(device), checkpoint == ROBUST
        self.module = resnet20(checkpoint).to(self.device)

    @cached_property
    def stock(self) -> PyTorchClassifier:
        """ART's classifier."""
        return self._classifier(PyTorchClassifier)

    @cached_property
    def fast(self) -> FastPyTorchClassifier:
        """Ours; made when it is asked for, so that a peer's process has none."""
        return self._classifier(FastPyTorchClassifier)

    def _classifier(self, kind: type[PyTorchClassifier]) -> Any:
        return kind(
            model=copy.deepcopy(self.module),
            loss=nn.CrossEntropyLoss(),
            input_shape=(3, 32, 32),
            nb_classes=10,
            clip_values=(0, 1),
            device_type="cpu" if self.device.type == "cpu" else "gpu",
        )

    def _tuned(self) -> FastPyTorchClassifier:
        classifier: FastPyTorchClassifier = self._classifier(FastPyTorchClassifier)
        with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {VARIABLE: folder}):
            classifier.tune(self.samples.x[:256], precision="float32")
        return classifier

    def served(self, path: Path) -> dict[str, Callable[[], None]]:
        """Return what a peer's process does: attack, and write what came of it where ours finds it."""
        attacks, found = self.peers(), [np.empty(0)]
        works = {name: lambda attack=attack: found.__setitem__(0, attack()) for name, attack in attacks.items()}
        return {"ready": lambda: None, **works, "kept": lambda: np.save(path, found[0])}  # type: ignore[dict-item]

    def peers(self) -> dict[str, Attack]:
        """Return the peers' attacks by the names of their rows."""
        smallest = {name: self._smallest(name, self.stock) for name in _SMALLEST}
        others = {"foolbox": foolbox(self), "autoattack": autoattack(self, self._few(32))}
        return {"pgd": lambda: self._pgd(self.stock), **smallest, **others}

    def rows(self, name: str) -> Iterator[Comparison]:
        """Yield the comparisons of a row on this checkpoint."""
        if name == "pgd":
            yield self._row("PGD-10 in float32, every iteration", "1.8", "pgd", lambda: self._pgd(self.fast))
        elif name == "hand":
            goal = f"{1 / 1.15:.2f}"
            yield self._row("the same against a loop by hand", goal, by_hand(self), lambda: self._pgd(self.fast))
        elif name == "foolbox":
            yield self._row("the same against Foolbox", "", "foolbox", lambda: self._pgd(self.fast))
        elif name in ("stop", "stop-bfloat16"):
            precision = "bfloat16" if name == "stop-bfloat16" else "float32"
            goal = {"float32": ("5", "2.3"), "bfloat16": ("8", "4")}[precision][self.robust]
            what = f"PGD-10 with early stopping, searching in {precision}"
            yield self._row(what, goal, "pgd", lambda: self._pgd(self.fast, precision))
        elif name == "autoattack" and self.robust:
            few = self._few(32)
            what = f"AutoAttack standard after `tune()` in float32 against pyautoattack, {len(few)} images"
            attack = AutoAttack(self._tuned(), eps=EPS, batch_size=len(few))
            yield Comparison(what, "1.3", few, name, lambda: attack.generate(few.x, few.y), min(3, self.pairs))
        elif name in _SMALLEST:
            few = self._few(_SMALLEST[name][1])
            ours = self._smallest(name, self.fast)
            yield Comparison(f"{name}, {len(few)} images", "2", few, name, ours, self.pairs)

    def _row(self, what: str, goal: str, peer: Attack | str, ours: Attack) -> Comparison:
        return Comparison(f"{what}, {len(self.samples)} images", goal, self.samples, peer, ours, self.pairs)

    def _few(self, most: int) -> Samples:
        return self.samples[: min(most, len(self.samples))]

    def measured(self, row: Comparison) -> str:
        """Return a line of the table."""
        found: dict[str, np.ndarray] = {}

        def kept(side: str, attack: Attack) -> Callable[[], None]:
            return lambda: found.__setitem__(side, attack())

        ours = kept("ours", row.ours)
        if isinstance(row.peer, str):
            ratio = self._apart(row.peer, ours, row.pairs, found)
        else:
            ratio = interleaved(kept("peer", row.peer), ours, row.pairs)
        right = {side: judge_logits(self.fast, x).argmax(1) == row.samples.y for side, x in found.items()}
        differ = int((right["peer"] != right["ours"]).sum())
        accuracy = " and ".join(f"{right[side].mean():.2%}" for side in ("peer", "ours"))
        verdicts = f"{accuracy}, {differ} verdicts differ"
        return f"{row.name} | {ratio} | {row.goal} | {ratio.peer:.2f} | {ratio.ours:.2f} | {verdicts}"

    def _apart(self, name: str, ours: Callable[[], None], number: int, found: dict[str, np.ndarray]) -> Ratio:
        """Return the ratio to a peer in a process of its own; AutoAttack takes minutes, and needs no warming up."""
        values = {"checkpoint": self.checkpoint, "images": len(self.samples), "batch": self.batch}
        values |= {"device": self.device, "threads": torch.get_num_threads()}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "adversarial.npy"
            command = [__file__, f"--peers={path}", *(f"--{key}={value}" for key, value in values.items())]
            ratio = apart(command, name, ours, number, warm=name != "autoattack")
            found["peer"] = np.load(path)
        return ratio

    def _pgd(self, classifier: Any, precision: str | None = None) -> np.ndarray:
        options = {"eps": EPS, "eps_step": STEP, "max_iter": STEPS, "batch_size": self.batch, "verbose": False}
        attack = ProjectedGradientDescent(classifier, **options)
        if precision is None:
            return np.asarray(attack.generate(self.samples.x, self.samples.y))
        with early_stopping(attack, precision=precision):
            return np.asarray(attack.generate(self.samples.x, self.samples.y))

    def _smallest(self, name: str, classifier: PyTorchClassifier) -> Attack:
        build, most = _SMALLEST[name]
        few, attack = self._few(most), build(classifier)
        labels = (few.y + 1) % 10 if isinstance(attack, SaliencyMapMethod) else few.y
        y = np.eye(10, dtype=np.float32)[labels]
        return lambda: np.asarray(attack.generate(few.x, y), np.float32)


_SMALLEST: dict[str, tuple[Callable[[Any], Any], int]] = {
    "deepfool": (lambda c: DeepFool(c, batch_size=32, verbose=False), 64),
    "cw": (lambda c: CarliniL2Method(c, batch_size=32, binary_search_steps=3, max_iter=10, verbose=False), 32),
    "jsma": (lambda c: SaliencyMapMethod(c, theta=0.2, gamma=0.01, batch_size=16, verbose=False), 16),
}
"""Attacks by way of ``class_gradient``, and how many images they are given at most."""


def by_hand(bench: Bench) -> Attack:
    """Return the limit: PGD on tensors, frozen parameters, folded and channels-last as ours is on a CPU."""
    x, y = (torch.from_numpy(part).to(bench.device) for part in (bench.samples.x, bench.samples.y))
    plan = bench.fast.plan
    layout = torch.channels_last if plan["memory_format"] == "channels_last" else torch.contiguous_format
    found = pairs(bench.module, x[:8]) if plan["folding"] == "conv-bn" else []
    module = folded(bench.module, found).to(memory_format=layout).requires_grad_(False)

    def attacked(images: Tensor, labels: Tensor) -> Tensor:
        x_adv = images.contiguous(memory_format=layout)
        for _ in range(STEPS):
            leaf = x_adv.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(module(leaf), labels, reduction="sum"), leaf)
            moved = (leaf.detach() + STEP * gradient.sign()).clamp_(0, 1)
            x_adv = (moved - images).clamp_(-EPS, EPS).add_(images)
        return x_adv

    def run() -> np.ndarray:
        batches = zip(x.split(bench.batch), y.split(bench.batch), strict=True)
        return torch.cat([attacked(*batch).contiguous() for batch in batches]).cpu().numpy()

    return run


def foolbox(bench: Bench) -> Attack:
    """Return Foolbox's PGD with the same steps, on the plain module."""
    from foolbox import PyTorchModel
    from foolbox.attacks import LinfProjectedGradientDescentAttack

    x, y = (torch.from_numpy(part).to(bench.device) for part in (bench.samples.x, bench.samples.y))
    model = PyTorchModel(bench.module, bounds=(0, 1), device=bench.device)
    attack = LinfProjectedGradientDescentAttack(abs_stepsize=STEP, steps=STEPS, random_start=False)

    def run() -> np.ndarray:
        batches = zip(x.split(bench.batch), y.split(bench.batch), strict=True)
        return torch.cat([attack(model, *batch, epsilons=EPS)[1] for batch in batches]).cpu().numpy()

    return run


def autoattack(bench: Bench, few: Samples) -> Attack:
    """Return pyautoattack itself on the plain module."""
    from pyautoattack import AutoAttack as Original

    x, y = (torch.from_numpy(part).to(bench.device) for part in (few.x, few.y))
    original = Original(bench.module, norm="Linf", eps=EPS, seed=0, version="standard", device=bench.device)
    return lambda: np.asarray(original.run_standard_evaluation(x, y, batch_size=len(few))[0].cpu().numpy())


if __name__ == "__main__":
    main()
