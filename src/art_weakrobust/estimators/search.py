"""The network that searches: a private copy of the module for attacks and scoring, in the form of the plan."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .border import LogitsOnly, rows_of
from .compiled import Compiled
from .folding import Pair, folded, pairs, refill
from .gradients import differentiating
from .modes import evaluating, generators_kept, twin_of
from .plan import FORMATS, wants_contiguous
from .precision import exact_float32
from .watching import Glance, Settings, checksum

_log = logging.getLogger(__name__)

SOFTMAX_TOLERANCE = 1e-5
"""By how much a probability of the copy may differ from that of the original on the images of the check."""

LOGIT_TOLERANCE = 1e-4
"""The same for logits, relative to the largest: where a probability is close to 1 it would hide a difference."""

EXAMPLES = 8

_TRIES = 3
"""How often a copy is tried of a module that changes when it is called: it may only have filled a cache."""


class Inside(threading.local):
    """What holds inside ``searching``, for the thread that is inside alone."""

    precision: str | None = None
    relied_upon = False


class SearchNetwork:
    """Makes the copy, looks at the module at every use, and follows whatever has changed in it.

    A write to a parameter or buffer is seen by PyTorch's version counters; one through ``.data`` and a change of a
    plain attribute only after :meth:`doubt`, since to look for these takes a while. Where only values have changed,
    they are folded again; otherwise the copy is made anew. There is no copy where hooks watch the module, where it
    writes to itself when it is called, where what it answers to an image depends on others in the batch, or where the
    copy's answers are not those of the original; nor where it cannot be made, which is told in a warning, and in
    ``failure`` until the copy is tried again.
    """

    def __init__(self) -> None:
        self._asked: tuple[Any, ...] = ()
        self._source: nn.Module | None = None
        self._glance: Glance | None = None
        self._settings: Settings | None = None
        self._checksum: list[int] = []
        self._pairs: list[Pair] = []
        self._copy: LogitsOnly | None = None
        self._runs: nn.Module | None = None
        self._doubted = self._restless = False
        self._tries = 0
        self.failure: str | None = None
        self.wants_contiguous = False
        """Whether the module could not be asked in the plan's memory format, but may be in another."""
        self.inside = Inside()

    def doubt(self) -> None:
        """Look at everything before the next use, unless somebody has just done so and relies on it."""
        self._doubted = self._doubted or not self.inside.relied_upon

    def of(self, wrapper: nn.Module, plan: Mapping[str, Any], example: Callable[[], Tensor]) -> nn.Module | None:
        """Return the copy that is to be asked in place of ``wrapper``, or None where that one is to be asked itself.

        :param wrapper: ART's wrapper of the module.
        :param plan: of which ``folding``, ``memory_format`` and ``compile`` count here.
        :param example: gives images for the check, on the device.
        """
        if not isinstance(wrapper, LogitsOnly) or not _asks_for_a_copy(plan):
            return None
        source = wrapper._model
        glance = Glance.at(source)
        if glance is None:
            return None
        asked = tuple(plan[key] for key in ("folding", "memory_format", "compile"))
        known = self._glance is not None and source is self._source and asked == self._asked
        if not known:
            self._tries = 0
        elif self._restless and (self._tries >= _TRIES or (self._glance_same(glance) and not self._doubted)):
            return None
        if not known or self._structure_changed(source):
            self._make(wrapper, plan, example)
            self._source, self._asked, self._glance = source, asked, Glance.at(source)
        elif not self._same_values(glance):
            self._follow(wrapper, plan, example, glance)
        self._doubted = False
        return self._runs

    def _structure_changed(self, source: nn.Module) -> bool:
        return self._doubted and (self._settings is None or not self._settings.same(Settings(source)))

    def _glance_same(self, glance: Glance) -> bool:
        return self._glance is not None and self._glance.same(glance)

    def _same_values(self, glance: Glance) -> bool:
        return self._glance_same(glance) and not (self._doubted and checksum(glance.tensors) != self._checksum)

    def _follow(
        self, wrapper: LogitsOnly, plan: Mapping[str, Any], example: Callable[[], Tensor], glance: Glance
    ) -> None:
        """Take over new values, or make the copy anew where more than values has changed."""
        source, settings = wrapper._model, Settings(wrapper._model)
        if self._copy is None or self._settings is None or not self._settings.same(settings):
            self._make(wrapper, plan, example)
        else:
            with torch.inference_mode(False):
                refill(self._copy._model, source, self._pairs)
                images = example()
                if not (_each_by_itself(self._copy, images) and self._agrees(wrapper, self._copy, images)):
                    self._copy = self._runs = None
            self._checksum = checksum(glance.tensors)
        self._glance = Glance.at(source)

    def _make(self, wrapper: LogitsOnly, plan: Mapping[str, Any], example: Callable[[], Tensor]) -> None:
        source, failed_before, restless_before = wrapper._model, self.failure, self._restless
        self._copy, self._runs, self._pairs, self.failure = None, None, [], None
        self._restless = self.wants_contiguous = False
        self._tries += 1
        with torch.inference_mode(False):
            try:
                images = example()
                made = self._made(source, plan, images)
                self._restless = made is not None and not _steady(wrapper, images)
                right = made is not None and not self._restless and self._agrees(wrapper, made, images)
                if made is not None and right and _each_by_itself(made, images) and not _gradients_meet(made, images):
                    runs = Compiled(made).eval() if plan["compile"] else made
                    if runs is made or self._agrees(wrapper, runs, images):  # compiles, which may fail
                        self._copy, self._runs = made, runs
            except Exception as error:  # copying and asking run the model's own code, which may raise anything
                self.wants_contiguous = plan["memory_format"] != "contiguous" and wants_contiguous(error)
                self._restless = restless_before  # what it has kept of a call may be beyond copying
                if not (self.wants_contiguous or restless_before):
                    self.failure = f"{type(error).__name__}: {' '.join(str(error).split())}"
                if self.failure not in (None, failed_before):
                    _log.warning("%s is searched on as it is, no copy is made: %s", type(source).__name__, self.failure)
        glance = Glance.at(source)
        self._settings = Settings(source)
        self._checksum = checksum(glance.tensors) if glance is not None else []

    def _made(self, source: nn.Module, plan: Mapping[str, Any], images: Tensor) -> LogitsOnly | None:
        self._pairs = pairs(source, images[:2]) if plan["folding"] == "conv-bn" else []
        if not self._pairs and plan["memory_format"] == "contiguous" and not plan["compile"]:
            return None
        twin = folded(source, self._pairs)
        made = LogitsOnly(_laid_out(twin, FORMATS[plan["memory_format"]]))
        return made.eval()  # the wrapper as well, so that nobody has to switch it, which would not do in streams

    @staticmethod
    def _agrees(wrapper: nn.Module, made: nn.Module, images: Tensor) -> bool:
        """Return whether the copy answers as the original."""
        with exact_float32(), generators_kept(images.device), evaluating(wrapper), torch.no_grad():
            expected, got = (rows_of(asked(images.clone())[-1]) for asked in (wrapper, made))
        return _alike(expected, got, "from those of its copy")


def _steady(wrapper: LogitsOnly, images: Tensor) -> bool:
    """Return whether nothing is written when the module is called; a twin is, and with a graph, as some keep only then.

    What fills a cache at its first call is not steady before it.
    """
    with exact_float32(), generators_kept(images.device), torch.enable_grad():
        twin = twin_of(wrapper)
        glance, settings = Glance.at(twin), Settings(twin)
        twin(images.clone().requires_grad_(True).clone())
        after = Glance.at(twin)
    steady = glance is not None and after is not None and glance.same(after) and settings.same(Settings(twin))
    if not steady:
        _log.info("%s is searched on as it is: it changes when it is called", type(wrapper._model).__name__)
    return steady


def _each_by_itself(made: nn.Module, images: Tensor) -> bool:
    """Return whether a network answers to either half of a batch as it does in the whole: batches may then be cut."""
    half = len(images) // 2
    with exact_float32(), generators_kept(images.device), torch.no_grad():
        whole, *parts = (rows_of(made(some.clone())[-1]) for some in (images, images[:half], images[half:]))
    return _alike(whole, torch.cat(parts), "with the rest of a batch")


def _gradients_meet(made: nn.Module, images: Tensor) -> bool:
    """Return whether gradients of the first and the last image meet others of the batch, on their way or in the end.

    However small, none may reach another image, and either has to be the same beside the other as it is alone: what
    scales gradients by those of the batch lets none across. It takes the half of the images that has more contrast.
    """
    with exact_float32(), generators_kept(images.device), differentiating(made):
        leaf = images[len(images) // 2 :].clone().requires_grad_(True)
        logits = rows_of(made(leaf.clone())[-1]).flatten(1)
        if not logits.requires_grad:
            return False
        weights = torch.linspace(0.5, 1, logits.shape[1], device=logits.device)  # probabilities add up to a constant
        first, last = ((logits[row] * weights).sum() for row in (0, -1))
        try:
            alone, other, both = (
                torch.autograd.grad(total, leaf, retain_graph=True, materialize_grads=True)[0].nan_to_num(nan=0.0)
                for total in (first, last, first + last)  # what is no number is none for any neighbor either
            )
        except RuntimeError as error:  # a gradient asked for later fails as well, and is told: there is none to meet
            _log.info("gradients of the copy are not looked at: %s", error)
            return False
    apart = not (alone[1:].any() or other[:-1].any())
    same = torch.allclose(both, alone + other, rtol=1e-4, atol=1e-6 * float(both.abs().max()))
    if not (apart and same):
        _log.info("the model is searched on as it is: gradients of an image meet those of others in its batch")
    return not (apart and same)


def _alike(expected: Tensor, got: Tensor, what: str) -> bool:
    """Return whether probabilities and logits differ by no more than their tolerances."""
    softmax = float((expected.softmax(-1) - got.softmax(-1)).abs().max())
    relative = (expected - got).abs().max() / expected.abs().max().clamp_min(torch.finfo(torch.float32).tiny)
    alike = softmax <= SOFTMAX_TOLERANCE and float(relative) <= LOGIT_TOLERANCE
    if not alike:
        _log.info("the model is searched on as it is: its probabilities differ %s by %.1e", what, softmax)
    return alike


def _asks_for_a_copy(plan: Mapping[str, Any]) -> bool:
    return bool(plan["folding"] != "none" or plan["memory_format"] != "contiguous" or plan["compile"])


def _laid_out(module: nn.Module, memory_format: torch.memory_format) -> nn.Module:
    if memory_format != torch.contiguous_format:
        for parameter in module.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=memory_format)
    return module


def example_images(input_shape: tuple[int, ...], clip_values: Any) -> Tensor:
    """Return images to check a copy with, float32 (8, ...): noise of rising contrast around grey, always the same."""
    low, high = (0.0, 1.0) if clip_values is None else (float(value.min()) for value in clip_values)
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(EXAMPLES, *input_shape, generator=generator) - 0.5
    contrast = torch.linspace(0.125, 1, EXAMPLES).reshape(-1, *(1,) * len(input_shape))
    return low + (high - low) * (0.5 + contrast * noise)
