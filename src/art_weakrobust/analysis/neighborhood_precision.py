"""Precision screening: bfloat16 decides where it is sure, float32 wherever it might not.

By how much bfloat16 moves a margin is not proved but measured. A few neighbors, drawn by position, are asked about in
both precisions first, and :func:`bound_of` the differences is what counts as possible. Every neighbor that is wrong, or
right by no more than that, is asked about again in float32; so is whoever could have the least margin of its sample.
Others are right in float32, too, as long as the bound holds. Whether it does is measured again: on all who were asked
twice, and on an audit of some that were sure. Where a difference is larger, the bound grows, and whoever is no longer
sure is asked again.

So flips, scores and ranking are those of float32, and what is reported says on how many neighbors the bound was seen to
hold, by how much, and how many of them were drawn from the sure ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor

from ..kernels import keyed

DEVIATIONS, BEYOND = 6.0, 1.25
"""The bound over the root mean square of the differences, and at least over the largest one.

Differences are near normal, whatever the margin (ResNet-20 on CIFAR-10: root mean square 0.14, the largest of 8,000
4.1 times that; adversarially trained 0.031 and 4.4): six deviations are exceeded once in 10^9, and leave a margin where
tails are heavier."""

PILOT, LEAST_PILOT = 256, 64
"""Neighbors asked in both precisions first: an eighth of all, at most and at least so many."""

AUDIT = 256
"""One in so many of the sure neighbors is asked about in float32 as well."""

LARGEST_SHARE = 0.4
"""Where more of the pilot has to be asked twice, all are asked in float32 at once: that is less work."""


@dataclass(frozen=True)
class Answers:
    """What a model says of neighbors; all of one shape.

    :param score: misprediction score.
    :param margin: logit of the label minus the best other.
    :param decision: whether the answer is a bare label.
    :param wrong: whether the prediction is another than the label.
    """

    score: Tensor
    margin: Tensor
    decision: Tensor
    wrong: Tensor

    @classmethod
    def empty(cls, count: int, device: torch.device) -> Answers:
        """Return room for ``count`` answers."""
        numbers = (torch.empty(count, device=device) for _ in range(2))
        return cls(*numbers, *(torch.empty(count, dtype=torch.bool, device=device) for _ in range(2)))

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """Return the answers of several parts, one after the other."""
        return cls(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def view(self, *shape: int) -> Answers:
        """Return the same answers in another shape."""
        return Answers(*(getattr(self, f.name).view(*shape) for f in fields(self)))

    def take_over(self, pairs: Tensor, said: Answers) -> None:
        """Write the answers about some pairs in."""
        for f in fields(self):
            getattr(self, f.name)[pairs] = getattr(said, f.name)


@dataclass(frozen=True)
class Screened:
    """What was seen of the bound, each (n, neighbors) but for the bound itself: 0 or False where not measured.

    :param measured: who was asked about in both precisions, the audited among them.
    :param audited: who was sure, and drawn.
    :param error: by how much the margin differed.
    :param bound: the largest difference that counted as possible; 0 in float32, infinite where all were asked again.
    """

    measured: Tensor
    audited: Tensor
    error: Tensor
    bound: float

    @classmethod
    def nothing(cls, like: Tensor) -> Screened:
        """Return that all was asked in float32."""
        none = torch.zeros_like(like, dtype=torch.bool)
        return cls(none, none, torch.zeros_like(like), 0.0)


class Asking(Protocol):
    """Neighbors that can be asked about; see :class:`~.neighborhood_draws.Pairs`."""

    @property
    def shape(self) -> tuple[int, int]:
        """Samples, and neighbors of each."""
        ...

    def answers(self, pairs: Tensor | None = None, precision: str = "float32") -> Answers:
        """Return what is said of some pairs."""
        ...


def answered(asking: Asking, precision: str, *, exact_margin: bool = True) -> tuple[Answers, Screened]:
    """Return what float32 says of all neighbors, fields (n, neighbors), and how bfloat16 did meanwhile.

    :param precision: ``float32`` or ``bfloat16``.
    :param exact_margin: whether the least margin of every sample has to be that of float32.
    """
    n, count = asking.shape
    pilot = _drawn(n * count, min(PILOT, n * count // 8))
    if precision == "bfloat16" and len(pilot) >= LEAST_PILOT:
        quick, exact = asking.answers(pilot, "bfloat16"), asking.answers(pilot)
        bound = bound_of(quick.margin - exact.margin)
        if float((quick.margin > bound).float().mean()) >= 1 - LARGEST_SHARE:
            screening = _Screening(asking, asking.answers(None, "bfloat16"), bound)
            screening.take_over(pilot, exact)
            return screening.done(exact_margin)
    said = asking.answers().view(n, count)
    return said, Screened.nothing(said.margin)


class _Screening:
    """Asks again whoever is not sure, until the bound holds for all who were asked twice.

    :param quick: what bfloat16 says of all neighbors, sample by sample.
    """

    def __init__(self, asking: Asking, quick: Answers, bound: float) -> None:
        self._asking, self._said, self._bound = asking, quick, bound
        self._quick_margin = quick.margin.clone()
        self._measured, self._audited = (torch.zeros_like(quick.wrong) for _ in range(2))

    def take_over(self, pairs: Tensor, exact: Answers) -> None:
        """Put what float32 says of some pairs in the place of what bfloat16 said."""
        pairs = pairs.to(self._measured.device)
        self._said.take_over(pairs, exact)
        self._measured[pairs] = True

    def done(self, exact_margin: bool) -> tuple[Answers, Screened]:
        """Return the answers, and what was seen of the bound."""
        self._ask_again(exact_margin)
        self._audit()
        while _largest(self._errors()) > self._bound:
            self._bound = bound_of(self._errors()[self._measured])
            self._ask_again(exact_margin)
        shape = self._asking.shape
        measured, audited, errors = (part.view(*shape) for part in (self._measured, self._audited, self._errors()))
        return self._said.view(*shape), Screened(measured, audited, errors, self._bound)

    def _ask_again(self, exact_margin: bool) -> None:
        self._ask(~(self._quick_margin > self._bound))
        if exact_margin:  # a first guess leaves fewer who could be below it
            shape = self._asking.shape
            guess = torch.zeros(shape, dtype=torch.bool, device=self._measured.device)
            self._ask(guess.scatter_(1, self._quick_margin.view(*shape).argmin(1, keepdim=True), True).flatten())
            known = self._said.margin.masked_fill(~self._measured, torch.inf).view(*shape)
            self._ask((self._quick_margin.view(*shape) - self._bound <= known.amin(1, keepdim=True)).flatten())

    def _audit(self) -> None:
        sure = (~self._measured).nonzero().squeeze(1)
        chosen = sure[_drawn(len(sure), math.ceil(len(sure) / AUDIT)).to(sure.device)]
        self._audited[chosen] = True
        self._ask(self._audited)

    def _ask(self, wanted: Tensor) -> None:
        pairs = (wanted & ~self._measured).nonzero().squeeze(1).cpu()
        if len(pairs):
            self.take_over(pairs, self._asking.answers(pairs))

    def _errors(self) -> Tensor:
        return (self._said.margin - self._quick_margin).abs()  # 0 where bfloat16 alone was asked


def bound_of(differences: Tensor) -> float:
    """Return by how much bfloat16 may move a margin, from some differences (n,): infinite where one is no number."""
    rms = float(differences.square().mean().sqrt().nan_to_num(torch.inf))
    return max(DEVIATIONS * rms, BEYOND * _largest(differences))


def _largest(differences: Tensor) -> float:
    """Return the largest absolute value, infinite where one is no number: then nobody is sure."""
    return float(differences.abs().nan_to_num(torch.inf).max())


def _drawn(total: int, count: int) -> Tensor:
    """Return ``count`` different numbers below ``total``, rising, one drawn at random from each of as many parts."""
    where = keyed.uniform(torch.arange(count), 0, (), 0).double().add_(torch.arange(count))
    return (where * (total / max(count, 1))).to(torch.int64)
