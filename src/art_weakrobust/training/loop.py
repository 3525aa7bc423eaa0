"""The loop of fine-tuning: epochs of steps, each of which draws its views, takes one gradient and moves the average.

Every draw is a function of (seed, epoch, position): a training that was killed and goes on from its last whole epoch
ends with the same weights, bit for bit, as one that was not.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..errors import TrainingError
from ..kernels.keyed import derive
from ..perturbations.attacks.randomness import seeded
from .checkpoint import Checkpoint
from .guard import judge, means, type_errors
from .interpolation import Dial, State, trace
from .job import Job, Odds, Progress
from .losses import batch_loss, targets
from .network import Forward, follow, restore, snapshot
from .optimizer import load_state, set_rate, state_tensors
from .sampling import batches, draw_epoch, draw_types, weak_by_error
from .views import adversarial, corrupted

_LOG = logging.getLogger(__name__)

_RUNS = 8  # a batch's corrupted views share this many draws of (type, severity): corruptions work on batches
_QUICK = (1000, 128)  # guard samples that an epoch's line of the history looks at, clean and attacked


@dataclass
class Reached:
    """How far training is: what an interrupted one goes on from, beside its weights."""

    odds: Odds
    epoch: int = 0
    drawn: Counter[str] = field(default_factory=Counter)
    history: list[dict[str, Any]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return everything but the epoch as plain values."""
        return {"odds": self.odds, "drawn": dict(self.drawn), "history": self.history}


class FineTuning:
    """One training: the student in place, its frozen base as teacher, and their average.

    :param student: the network that is trained, in place; it holds the base weights.
    :param forward: how it is called.
    :param optimizer: of the student's weights.
    :param peaks: the highest rate of each of the optimizer's groups.
    """

    def __init__(
        self,
        student: nn.Module,
        forward: Forward,
        optimizer: Optimizer,
        peaks: list[float],
        job: Job,
        checkpoint: Checkpoint,
        progress: Progress,
    ) -> None:
        self.student, self.forward, self.optimizer, self.peaks = student, forward, optimizer, peaks
        self.job, self.checkpoint, self.progress = job, checkpoint, progress
        self.teacher = copy.deepcopy(student).eval().requires_grad_(False)
        self.average = copy.deepcopy(student).eval().requires_grad_(False)
        self.reached = Reached(job.odds())
        self._parameters = [weight for weight in student.parameters() if weight.requires_grad]
        self._attacks = {kind.name: kind for kind in job.attacks}
        self._corruptions = {kind.name: kind for kind in job.corruptions}

    def resume(self, stored: Mapping[str, Any]) -> None:
        """Go on from the last whole epoch of a checkpoint."""
        epoch = int(stored["epoch"])
        if not epoch:
            return
        tensors = self.checkpoint.load_epoch(epoch)
        restore(self.student, tensors["last"])
        restore(self.average, tensors["ema"])
        load_state(self.optimizer, tensors.get("optimizer", {}))
        self.reached = Reached(stored["odds"], epoch, Counter(stored["drawn"]), list(stored["history"]))
        _LOG.info("training goes on after epoch %d of %d", epoch, self.job.epochs)

    def run(self) -> Reached:
        """Train to the last epoch; the average then holds the tuned weights.

        :raises TrainingError: at the first loss or gradient that is not finite.
        """
        for epoch in range(self.reached.epoch, self.job.epochs):
            started = time.perf_counter()
            losses = self._epoch(epoch)
            clean, robust = _QUICK
            line = {
                "epoch": epoch + 1,
                **losses,
                **judge(self.average, self.forward, self.job.guard, self.job.threat, clean=clean, robust=robust),
                "odds": copy.deepcopy(self.reached.odds),
                "seconds": round(time.perf_counter() - started, 3),
            }
            _LOG.info("epoch %(epoch)d: loss %(loss).4f, guard clean %(clean).3f, robust %(robust).3f", line)
            self.reached.history.append(line)
            self.reached.epoch = epoch + 1
            tensors = {
                "last": snapshot(self.student),
                "ema": snapshot(self.average),
                "optimizer": state_tensors(self.optimizer) if self.checkpoint.directory else {},
            }
            self.checkpoint.save_epoch(epoch + 1, tensors, self.reached.facts())
        return self.reached

    def dial(self, base: State) -> Dial:
        """Judge the interpolations between the base and the averaged weights on the guard part, and return the dial.

        :param base: weights and buffers of the base network.
        """
        job = self.job

        def judged(module: nn.Module) -> dict[str, Any]:
            return judge(module, self.forward, job.guard, job.threat)

        ends, views = (base, snapshot(self.average)), job.norm_views(self.forward.device)
        return trace(self.average, self.forward, ends, job.recipe.alphas, views, judged, self.progress)

    def _epoch(self, epoch: int) -> dict[str, float]:
        job = self.job
        drawn = draw_epoch(job.ids, job.weights, job.seed, epoch)
        first, sums, seen = epoch * len(drawn), np.zeros(3), 0
        for number, ids in enumerate(batches(drawn, job.batch_size)):
            step = epoch * job.steps_per_epoch + number
            draws = torch.arange(first + seen, first + seen + len(ids), device=self.forward.device)
            sums += np.array(self._step(step, ids, draws)) * len(ids)
            seen += len(ids)
            self.progress("training", step + 1, job.steps)
            if step + 1 == job.corrected_at:
                self._correct_odds()
        clean, adversarial_part, corrupted_part = (float(part) for part in sums / seen)
        return {
            "loss": clean + adversarial_part + corrupted_part,
            "loss_clean": clean,
            "loss_adversarial": adversarial_part,
            "loss_corrupted": corrupted_part,
        }

    def _step(self, step: int, ids: np.ndarray, draws: Tensor) -> list[float]:
        job = self.job
        samples = job.data.take(ids)
        y = torch.from_numpy(samples.y).to(self.forward.device)
        clean = job.crop(samples.x, draws)
        attacked, spoilt, views = self._views(step, clean, y, draws)
        with torch.no_grad():
            wanted = targets(y, self.forward(self.teacher, clean), job.recipe)
        self.student.train()
        with seeded(derive(job.seed, "dropout", step)):  # what a network draws itself is keyed as well
            logits = self.forward(self.student, torch.cat([clean, *views]))
            parts = batch_loss(logits, wanted, attacked, spoilt, job.recipe)
            rate = set_rate(self.optimizer, self.peaks, job.recipe.rate(step, job.steps))
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(torch.stack(parts).sum())
        losses = [part.item() for part in parts]
        if not math.isfinite(sum(losses)):
            self._stop("loss", step, sum(losses), rate)
        length = nn.utils.clip_grad_norm_(self._parameters, job.recipe.clip_norm).item()
        if not math.isfinite(length):  # after the last step no loss would tell
            self._stop("length of the gradient", step, length, rate)
        self.optimizer.step()
        follow(self.average, self.student, job.recipe.decay(job.steps))
        return losses

    def _views(self, step: int, clean: Tensor, y: Tensor, draws: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return which samples are attacked and which corrupted (from either end of the batch), and their views."""
        job, n = self.job, len(clean)
        rng = np.random.default_rng(derive(job.seed, "types", step))
        rows = torch.arange(n, device=clean.device)
        attacked = rows[: round(job.recipe.adversarial * n) if self._attacks else 0]
        spoilt = rows[n - (round(job.recipe.corrupted * n) if self._corruptions else 0) :]
        views = []
        if len(attacked):
            (name,) = draw_types(self.reached.odds["attacks"], 1, rng)
            x, threat, seed = clean[attacked], self._attacks[name].threat, derive(job.seed, "adversarial")
            views.append(
                adversarial(self.forward, self.student, x, y[attacked], draws[attacked], threat, job.recipe, seed)
            )
            self.reached.drawn[name] += len(attacked)
        if len(spoilt):
            runs = min(_RUNS, len(spoilt))
            names = draw_types(self.reached.odds["corruptions"], runs, rng)
            kinds, severities = [self._corruptions[name] for name in names], rng.integers(1, 6, runs).tolist()
            views.append(corrupted(clean[spoilt], draws[spoilt], kinds, severities, derive(job.seed, "corrupted")))
            for name, part in zip(names, spoilt.tensor_split(runs), strict=True):
                self.reached.drawn[name] += len(part)
        return attacked, spoilt, views

    def _correct_odds(self) -> None:
        """Draw more often what is weak by now: adversarial views weaken types that the base model was good at."""
        job = self.job
        errors = type_errors(self.average, self.forward, job.guard, job.attacks, job.corruptions, job.recipe)
        weak = {family: weak_by_error(kinds, job.seed) for family, kinds in errors.items()}
        self.reached.odds = job.odds(weak)
        _LOG.info("odds corrected on the guard part: weak are %s; errors %s", weak, means(errors))

    def _stop(self, what: str, step: int, value: float, rate: float) -> None:
        raise TrainingError(
            f"the {what} is {value} at step {step + 1} of {self.job.steps}, learning rate {rate:g}: training stopped "
            "and the base weights are back; lower the rate of the classifier's optimizer, or see whether the model "
            "gives finite logits on its training data"
        )
