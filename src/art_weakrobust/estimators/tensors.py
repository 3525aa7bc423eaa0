"""The third of ``FastPyTorchClassifier`` that takes and gives tensors: the path of our own analysis and attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .border import float32_tensor
from .gradients import differentiating, input_gradient, with_reduction
from .labels import LabelsKnown, is_index, label_tensor, one_hot, wants_index
from .modes import evaluating, frozen, set_mode
from .passes import ForwardPasses
from .plan import arranged
from .precision import precision_on
from .streams import Result, slices

SampleLoss = Callable[[Tensor, Tensor], Tensor]
"""Logits (n, K) and labels as they were given -> the loss of each sample (n,)."""


class TensorPasses(ForwardPasses):
    """Logits and gradients of tensors on the device, and what a loss needs to be asked of them."""

    def refresh(self) -> None:
        """See to it that the next search sees the model as it is now, also what was written through ``.data``."""
        self._search.doubt()

    @property
    def search_failure(self) -> str | None:
        """What was raised when the copy that searches was last to be made, so that there is none; None otherwise."""
        return self._search.failure

    @contextmanager
    def searching(self, precision: str | None = None) -> Iterator[None]:
        """Look at the model once and then rely on it: inside, only writes that PyTorch counts are followed.

        It holds for the thread that is inside: others may search on the same model meanwhile, in another precision.

        :param precision: of the search inside: ``float32``, ``bfloat16`` or ``auto``; that of the plan by default.
        :raises ModelError: for a precision that is not known.
        """
        inside = self._search.inside
        before = inside.precision, inside.relied_upon
        if precision is not None:
            inside.precision = precision_on(self._device, precision)
        self._search.doubt()
        self._network()
        inside.relied_upon = True
        try:
            yield
        finally:
            inside.precision, inside.relied_upon = before

    def _searched(self, network: nn.Module, x: Tensor, precision: str | None = None) -> Tensor:
        """Return the float32 logits (n, K) of preprocessed images on the device, in the precision of the search."""
        self._count(len(x))
        return self._answers(network, x, precision or self.precision)

    def predict_tensor(self, x: Tensor, precision: str = "float32") -> Tensor:
        """Return the float32 logits (n, K) of one batch of images, on the device, without a graph.

        On a CPU a batch larger than the plan's is asked in parts, where there is a copy and no defence.
        They come from the copy that searches, but in float32 whatever the plan says: within 1e-5 of ``predict``.
        Evaluation mode meanwhile; training flags are left as they were.

        :param x: images (n, ...), on any device.
        :param precision: of the arithmetic: ``float32``, or ``bfloat16`` where an approximation will do.
        """
        size = self._plan["batch_size"]
        if (copy := self._in_streams(len(x), size)) is not None:
            return self._side_by_side(copy, x, size, precision)
        network = self._network()
        parts = slices(len(x), size) if self._may_cut(len(x), network) else [slice(None)]
        with evaluating(network), torch.no_grad():
            answers = [
                self._searched(network, self._preprocessed(float32_tensor(x[part], self._device)), precision)
                for part in parts
            ]
        return answers[0] if len(answers) == 1 else torch.cat(answers)

    def each(self, work: Callable[[slice], Result], n: int, batch_size: int) -> list[Result]:
        """Return what ``work`` returns for parts of ``n`` images, in order: in streams, where the plan has them.

        :param work: of one part, without a graph; what it asks of :meth:`predict_tensor` is answered by the thread that
            it is in.
        :param batch_size: images in work at a time: of one part, or of all streams together.
        :raises ValueError: for a batch without images.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size} has to be at least 1")
        network = self._in_streams(n, batch_size)
        if network is None:
            with torch.no_grad():
                return [work(part) for part in slices(n, batch_size)]
        return self._streamed(network, work, n, batch_size)

    def logits(self, x: Tensor) -> Tensor:
        """Return the float32 logits (n, K) of one batch in the precision of the search, as part of the graph of ``x``.

        The parameters are part of no graph. Preprocessing in NumPy cuts the graph off.

        :param x: images (n, ...), on any device.
        """
        with evaluating(network := self._network()), frozen(network):
            images = x.to(device=self._device, dtype=torch.float32, copy=True)
            return self._searched(network, self._preprocessed(images))

    def input_gradient(self, x: Tensor, y: Tensor, loss: SampleLoss | None = None) -> Tensor:
        """Return the gradient of each sample's own loss with respect to ``x``, contiguous float32 on the device.

        It is that of the summed loss, so that it depends neither on the batch nor on its size.

        :param x: images (n, ...).
        :param y: labels, index (n,) or one-hot (n, K); what ``loss`` takes, where there is one.
        :param loss: of logits and labels, one number a sample; the classifier's own loss by default, which is taken as
            it is where it has no ``reduction``.
        :raises ValueError: where the loss does not depend on the input.
        """
        return self.logits_and_gradient(x, y, loss)[1]

    def logits_and_gradient(self, x: Tensor, y: Tensor, loss: SampleLoss | None = None) -> tuple[Tensor, Tensor]:
        """Return the logits (n, K) of a batch as well as its gradient, from one forward pass.

        Parameters and errors are those of :meth:`input_gradient`.
        """
        with evaluating(network := self._network()), differentiating(network):
            leaf, inputs, labels = self._leaf(x, y if loss is None else None)
            logits = self._searched(network, inputs)
            if loss is None:
                own = with_reduction(self._loss, "sum") if hasattr(self._loss, "reduction") else self._loss
                total = self._loss_of(own, logits, labels)
            else:
                total = loss(logits, y.to(self._device)).sum()
            gradient = input_gradient(total, leaf)
        self.gradients += len(gradient)
        return logits.detach(), self._pulled_back(x, gradient)

    def loss_gradient_tensor(self, x: Tensor, y: Tensor) -> Tensor:
        """Return :meth:`input_gradient` of the classifier's own loss."""
        return self.input_gradient(x, y)

    def _loss_labels(self, y: np.ndarray | Tensor) -> Tensor:
        """Return labels, index or one-hot, as what the loss takes."""
        known = self._labels_known
        if known is not None and known.are(y):
            return known.taken
        taken = self._reduced(label_tensor(y, y.device if isinstance(y, Tensor) else torch.device("cpu")))
        taken = taken.to(self._device)
        self._labels_known = LabelsKnown.of(y, taken) if isinstance(y, Tensor) else None
        return taken

    def _reduced(self, labels: Tensor) -> Tensor:
        if is_index(labels) and self._int_labels:
            return labels.reshape(-1).long()
        if is_index(labels) and self.nb_classes > 2:
            if not _of_pytorch(self._loss) and self._takes_index():
                return labels if labels.is_floating_point() else labels.long()
            labels = one_hot(labels, self.nb_classes)
        return self.reduce_labels(labels)  # type: ignore[return-value]

    def _takes_index(self) -> bool:
        if self._wants_index is None:
            self._wants_index = wants_index(self._loss, self.nb_classes, self._device)
        return self._wants_index

    def _loss_of(self, loss: Any, logits: Tensor, y: np.ndarray | Tensor) -> Tensor:
        labels = self._loss_labels(y)
        if self._one_number and logits.ndim == 2:
            logits = logits.squeeze(1)
        if self._reduce_labels and not self._int_labels and labels.numel() == logits.numel():
            labels = labels.reshape(logits.shape)  # binary losses want the very shape of the logits
        return loss(logits, labels)  # type: ignore[no-any-return]

    def _with_labels(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return images and labels after the preprocessing operations, which know one-hot labels alone."""
        if self._only_standardises:
            return self._preprocessed(x), y
        if is_index(y) and self.nb_classes > 2:
            y = one_hot(label_tensor(y, self._device), self.nb_classes)
        if self.all_framework_preprocessing:
            return self._apply_preprocessing(x, y=label_tensor(y, self._device), fit=False, no_grad=False)
        y = y.cpu().numpy() if isinstance(y, Tensor) else y
        x, y = self._apply_preprocessing(x.cpu().numpy(), y=y, fit=False)
        return float32_tensor(x, self._device), y

    def _leaf(self, x: np.ndarray | Tensor, y: Any = None) -> tuple[Tensor, Tensor, Any]:
        """Return the leaf of a gradient, the images that go into the model, and the labels."""
        images = float32_tensor(x, self._device)
        if self.all_framework_preprocessing:
            leaf = arranged(images, self.plan).requires_grad_(True)
            inputs, labels = (self._preprocessed(leaf), None) if y is None else self._with_labels(leaf, y)
            return leaf, inputs.clone() if inputs is leaf else inputs, labels  # no model may work in place on a leaf
        inputs, labels = (self._preprocessed(images), None) if y is None else self._with_labels(images, y)
        leaf = inputs.requires_grad_(True)
        return leaf, leaf.clone(), labels

    def _pulled_back(self, x: np.ndarray | Tensor, gradient: Tensor) -> Any:
        """Return a gradient as what ``x`` is, taken through the operations that PyTorch could not differentiate."""
        if self.all_framework_preprocessing:
            return gradient if isinstance(x, Tensor) else gradient.cpu().numpy()
        images = x.cpu().numpy() if isinstance(x, Tensor) else x
        gradients = self._apply_preprocessing_gradient(images, gradient.cpu().numpy())  # type: ignore[no-untyped-call]
        return torch.from_numpy(gradients).to(self._device) if isinstance(x, Tensor) else gradients

    def _set_gradient_mode(self, training_mode: bool) -> None:
        set_mode(self._model, training_mode or self.is_rnn)  # cuDNN differentiates an RNN in training mode alone
        if self.is_rnn and not training_mode:
            self.set_batchnorm(train=False)
            self.set_dropout(train=False)


def _of_pytorch(loss: Any) -> bool:
    """Return whether a loss is one of PyTorch's own, of which is known what labels it takes."""
    return type(loss).__module__ == nn.modules.loss.__name__
