"""The half of ``FastPyTorchClassifier`` that needs no gradients: forward passes and activations."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from threading import Lock
from typing import Any

import numpy as np
import torch
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from torch import Tensor, nn

from .border import float32_tensor, rows_of, stream
from .construction import Constructed
from .modes import evaluating, generators_kept, set_mode
from .plan import arranged, views
from .search import example_images
from .streams import Result, cut, in_a_stream, side_by_side

_COUNTING = Lock()  # of forward passes: nothing else runs in streams


class ForwardPasses(Constructed):
    """Everything that only asks the model."""

    def _logits(self, x: Tensor) -> Tensor:
        """Return the float32 logits (n, K) of preprocessed images on the device, in the mode the model is in."""
        self._count(len(x))
        return self._rows(self._model, x)

    def _rows(self, network: nn.Module, x: Tensor) -> Tensor:
        """Return what a network gives to preprocessed images as (n, K), laid out as the plan says, if it can be so."""
        if network is self._model:
            self._find_layout(x)
        outputs = network(arranged(x, self._plan))[-1]
        self._one_number = isinstance(outputs, Tensor) and outputs.ndim == 1
        return rows_of(outputs)

    def _find_layout(self, x: Tensor) -> None:
        """Keep to contiguous images where the model takes views of what its convolutions give; looked at once."""
        if self._layout_known or self._plan["memory_format"] == "contiguous" or x.ndim != 4 or not len(x):
            return
        self._layout_known = True
        if self._search.failure is not None:
            return  # there is no twin, which has been told
        images = arranged(x[:2].detach().clone(), self._plan)
        with generators_kept(self._device):
            if views(self._model, lambda twin: twin(images)):
                self._keep_contiguous()

    def _preprocessed(self, x: Tensor) -> Tensor:
        """Return ``x`` after the preprocessing operations, differentiably where all of them are PyTorch's."""
        if not self.preprocessing_operations:
            return x
        if self.all_framework_preprocessing:
            return self._apply_preprocessing(x, y=None, fit=False, no_grad=False)[0]  # type: ignore[no-any-return]
        return float32_tensor(self._apply_preprocessing(x.cpu().numpy(), y=None, fit=False)[0], self._device)

    def _defended(self, x: np.ndarray) -> np.ndarray:
        """Return images after preprocessing where it may depend on all of them, as ART does; others as they are."""
        if self._only_standardises:
            return x
        return np.asarray(self._apply_preprocessing(np.array(x, dtype=np.float32, order="C"), y=None, fit=False)[0])

    def _logits_of_slice(self, x: np.ndarray) -> Tensor:
        """Return the logits of some of the images that :meth:`_defended` gave."""
        images = float32_tensor(x, self._device)
        return self._logits(self._preprocessed(images) if self._only_standardises else images)

    def predict(
        self, x: np.ndarray, batch_size: int | None = None, training_mode: bool = False, **_kwargs: Any
    ) -> np.ndarray:
        """Return the float32 outputs (n, K) of ``x``, after postprocessing: those of the model itself, in float32.

        Where the plan has several ``streams``, and there is more than a batch of it, they come from the copy that
        searches, in float32 as well: within 1e-5.
        Tensors belong to :meth:`predict_tensor`: ART's metaclass turns what comes here into an array first.

        :param x: images (n, ...), of any numeric type.
        :param batch_size: images a forward pass, at most (see :meth:`_at_once`); that of the plan by default, ART's 128
            unless somebody changed it.
        :param training_mode: whether the model is in training mode, and stays so, or in evaluation mode.
        :param _kwargs: what attacks and evaluations of ART pass on (``y``, ``logits``, ...); without effect.
        """
        self._search.doubt()  # attacks begin or end with a prediction
        set_mode(self._model, training_mode)
        size = self._at_once(batch_size or self._plan["batch_size"], len(x), training_mode)
        network = None if training_mode or size < 1 else self._in_streams(len(x), size)
        if network is None:
            return self.predict_by_module(x, size)
        return self._postprocessed(self._side_by_side(network, x, size, "float32").cpu().numpy())

    def predict_by_module(self, x: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        """Return the float32 outputs (n, K) of ``x`` by the model itself, whatever the plan, in the mode that it is in.

        :param batch_size: images a forward pass; that of the plan by default.
        """
        x = self._defended(x)
        with torch.no_grad():  # inference_mode gains nothing measurable, and spoils what modules keep of a forward pass
            outputs = stream(self._logits_of_slice, x, batch_size or self._plan["batch_size"], self.nb_classes)
        return self._postprocessed(outputs)

    def _at_once(self, asked: int, n: int, training_mode: bool) -> int:
        """Return the images of a pass: on a CPU those of the plan at most, since more of them fall out of its caches.

        A copy is the proof that nobody sees the difference: no hook, no counter, no image that is answered by others.
        """
        most: int = self._plan["batch_size"]
        whole = self._device.type != "cpu" or min(asked, n) <= most or self._network(training_mode) is self._model
        return asked if whole else most

    def _may_cut(self, n: int, network: nn.Module) -> bool:
        """Return whether ``n`` images are asked, or differentiated, in parts of the plan; see :meth:`_at_once`."""
        large = self._device.type == "cpu" and n > self._plan["batch_size"]
        return large and network is not self._model and self._only_standardises

    def _in_streams(self, n: int, batch_size: int) -> nn.Module | None:
        """Return the copy that ``n`` images are to be asked of in streams; None where that is not so.

        A single batch is not: threads are begun for it alone, and take longer than they save.
        """
        if self._plan["streams"] == 1 or n <= batch_size or in_a_stream() or not self._may_stream:
            return None
        if self._plan["compile"]:  # which brings threads of its own
            return None
        network = self._network()
        return None if network is self._model else network

    @property
    def _may_stream(self) -> bool:
        """Whether streams are of use, and preprocessing can be trusted in them."""
        return self._device.type == "cpu" and self._only_standardises

    def _streamed(self, network: nn.Module, work: Callable[[slice], Result], n: int, batch_size: int) -> list[Result]:
        """Return what ``work`` returns for parts of ``n`` images, the copy in evaluation mode meanwhile."""
        self._preprocessed(torch.zeros(1, *self.input_shape))  # ART's operations set themselves up when first called
        parts, streams = cut(n, batch_size, self._plan["streams"])
        with evaluating(network):
            return side_by_side(work, parts, streams)

    def _side_by_side(self, network: nn.Module, x: np.ndarray | Tensor, batch_size: int, precision: str) -> Tensor:
        """Return the float32 logits (n, K) of images by a copy, ``batch_size`` at most in all streams at a time."""

        def answered(part: slice) -> Tensor:
            return self._answers(network, self._preprocessed(float32_tensor(x[part], self._device)), precision)

        outputs = self._streamed(network, answered, len(x), batch_size)
        self._count(len(x))
        return torch.cat(outputs)

    def _count(self, images: int) -> None:
        with _COUNTING:
            self.forwards += images

    def _answers(self, network: nn.Module, x: Tensor, precision: str) -> Tensor:
        """Return the float32 logits (n, K) of preprocessed images on the device; nothing is counted."""
        with torch.autocast(self._device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext():
            return self._rows(network, x)

    def _postprocessed(self, outputs: np.ndarray) -> np.ndarray:
        return outputs if not self.postprocessing_defences else self._apply_postprocessing(preds=outputs, fit=False)

    def _network(self, training_mode: bool = False) -> nn.Module:
        """Return whom to ask for logits in a search: the private copy of the model where there is one."""
        module: nn.Module = self._model
        if training_mode or self.is_rnn:  # cuDNN differentiates an RNN in training mode alone
            return module
        copy = self._search.of(module, self._plan, self._example)
        if self._search.wants_contiguous and self._plan["memory_format"] != "contiguous":
            self._keep_contiguous()
            copy = self._search.of(module, self._plan, self._example)
        return module if copy is None else copy

    def _example(self) -> Tensor:
        """Return images for the check of a copy, standardised; defences are left out, some of which draw at random."""
        images = example_images(self.input_shape, self.clip_values).to(self._device)
        for operation in self.preprocessing_operations:
            if isinstance(operation, StandardisationMeanStdPyTorch):
                images, _ = operation.forward(images, None)
        return images

    @property
    def _only_standardises(self) -> bool:
        return all(isinstance(operation, StandardisationMeanStdPyTorch) for operation in self.preprocessing_operations)

    def _predict_framework(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x_preprocessed, y_preprocessed = self._apply_preprocessing(x, y=y, fit=False, no_grad=False)
        set_mode(self._model, False)
        return self._logits(x_preprocessed.clone()), y_preprocessed  # a model may work in place

    def get_activations(  # type: ignore[override]
        self, x: np.ndarray | Tensor, layer: int | str | None = None, batch_size: int = 128, framework: bool = False
    ) -> np.ndarray | Tensor:
        """Return the output of one of the module's children for ``x``.

        :param layer: its name, or its position in ``layer_names``.
        :param batch_size: images a forward pass, where ``framework`` is False.
        :param framework: whether to return a tensor with its graph, for all of ``x`` at once, rather than an array.
        :raises ValueError: for a name that is none of ``layer_names``.
        :raises TypeError: where ``layer`` is neither a name nor a position.
        """
        if not isinstance(layer, str | int):
            raise TypeError("Layer must be of type str or int")
        if isinstance(layer, str) and layer not in self._layer_names:
            raise ValueError(f"Layer name {layer} not supported; the layers are {', '.join(self._layer_names)}")
        module = self.model.get_submodule(layer if isinstance(layer, str) else self._layer_names[layer])
        last: list[Any] = []

        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            last[:] = [output]  # of the last call, as in ART: a forward may pass through one child several times

        hook = module.register_forward_hook(keep)
        set_mode(self._model, False)
        try:
            if framework:
                images = x.to(self._device, copy=True) if isinstance(x, Tensor) else float32_tensor(x, self._device)
                self._logits(self._preprocessed(images))
                return last[0]  # type: ignore[no-any-return]
            parts, x = [], self._defended(x.cpu().numpy() if isinstance(x, Tensor) else x)
            with torch.no_grad():
                for start in range(0, len(x), batch_size):
                    self._logits_of_slice(x[start : start + batch_size])
                    parts.append(last[0].cpu().numpy())
        finally:
            hook.remove()
        return np.concatenate(parts)
