"""``FastPyTorchClassifier``: a drop-in for ART's ``PyTorchClassifier`` that does less work for the same answers."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from art.data_generators import PyTorchDataGenerator
from art.estimators.classification import PyTorchClassifier
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from torch import Tensor, nn
from tqdm.auto import trange

from ..errors import ModelError
from ..models.registry import entry
from ..models.robustbench import load_robustbench
from . import tuning
from .border import float32_tensor
from .gradients import class_gradients, differentiating, input_gradient, share_of_part, with_reduction
from .labels import is_index, label_tensor
from .modes import set_mode
from .passes import ForwardPasses
from .plan import BATCH_SIZE
from .shapes import shape_and_classes
from .streams import slices
from .tensors import TensorPasses

if TYPE_CHECKING:
    from enum import Enum

    from ..protocols import ModelInfo


def answers_as_its_module(estimator: Any) -> bool:
    """Return whether an estimator's predictions and gradients are those of its PyTorch module, and nothing is added."""
    kind = type(estimator)
    return isinstance(estimator, PyTorchClassifier) and (
        (kind.predict is PyTorchClassifier.predict and kind.loss_gradient is PyTorchClassifier.loss_gradient)
        or (kind.predict is ForwardPasses.predict and kind.loss_gradient is FastPyTorchClassifier.loss_gradient)
    )


def _is_identity(operation: Any) -> bool:
    return (
        isinstance(operation, StandardisationMeanStdPyTorch)
        and not np.any(operation.mean)
        and bool(np.all(operation.std == 1))
    )


class FastPyTorchClassifier(TensorPasses):
    """ART's ``PyTorchClassifier``, answering the same with less work: change the class name and nothing else.

    Gradients are taken with respect to the input alone, the model is called once and gives its logits, images cross
    the border as slices in float32 whatever their type was, and index labels are taken wherever one-hot labels are.
    Parameters are those of ``PyTorchClassifier`` but for these:

    :param preprocessing: None by default, where ART has ``(0.0, 1.0)``: the same numbers without a pass over the data.
    :param device_type: ``"cpu"``, ``"gpu"``, or a device as PyTorch writes it, such as ``"cuda:1"`` or ``"mps"``.
    :param precision: of gradients and whatever else searches: ``"float32"``, ``"bfloat16"``, or ``"auto"``: bfloat16
        where the device computes it natively. Predictions are in float32 always.
    :raises ModelError: where the device is not known or not present, or the precision not known.

    Gradients in evaluation mode come from a private copy of the model, see
    :class:`~art_weakrobust.estimators.search.SearchNetwork`. ``plan`` is the execution plan (see
    :func:`~art_weakrobust.estimators.plan.plan_for`); ``forwards`` and ``gradients`` count the images that went through
    the model forwards and backwards, training apart.
    """

    tune = tuning.tune

    @classmethod
    def sharing(cls, classifier: PyTorchClassifier) -> FastPyTorchClassifier:
        """Return a fast classifier around the module, loss and optimizer of another one; itself where it is fast.

        :param classifier: a ``PyTorchClassifier`` whose answers are those of its module.
        :raises ModelError: for any other estimator, or a subclass with answers of its own (randomised smoothing, say).
        """
        if isinstance(classifier, cls):
            return classifier
        if not answers_as_its_module(classifier):
            raise ModelError(
                f"classifier {type(classifier).__name__} is not shared: its answers are not those of a PyTorch module "
                "alone; pass a PyTorchClassifier or FastPyTorchClassifier, or use it as a black box"
            )
        preprocessing = classifier.preprocessing
        if _is_identity(preprocessing):
            preprocessing = None
        clip_values = classifier.clip_values
        shared = cls(
            model=classifier.model,
            loss=classifier.loss,
            input_shape=classifier.input_shape,
            nb_classes=classifier.nb_classes,
            optimizer=classifier.optimizer,
            channels_first=classifier.channels_first,
            clip_values=None if clip_values is None else (clip_values[0], clip_values[1]),
            preprocessing_defences=classifier.preprocessing_defences,
            postprocessing_defences=classifier.postprocessing_defences,
            preprocessing=preprocessing,
            device_type=str(classifier.device),
        )
        if type(classifier)._make_model_wrapper is not PyTorchClassifier._make_model_wrapper:
            # a subclass for models of another kind, Hugging Face's for instance
            shared._model, shared._layer_names = classifier._model, list(classifier.layer_names or ())
        return shared

    def compute_loss(self, x: Any, y: Any, reduction: str = "none", **_kwargs: Any) -> Any:
        """Return the loss of ``x``: an array for arrays; for tensors a tensor, with its graph.

        :param y: labels, index (n,) or one-hot (n, K).
        :param reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        :raises ModelError: where the loss has no reduction to set.
        """
        set_mode(self._model, False)
        loss = with_reduction(self._loss, reduction)
        with nullcontext() if isinstance(x, Tensor) else torch.no_grad():
            images = x.to(self._device, copy=True) if isinstance(x, Tensor) else float32_tensor(x, self._device)
            inputs, labels = self._with_labels(images, y)
            value = self._loss_of(loss, self._logits(inputs), labels)
        return value if isinstance(x, Tensor) else value.cpu().numpy()

    def loss_gradient(self, x: Any, y: Any, training_mode: bool = False, **_kwargs: Any) -> Any:
        """Return the gradient of the loss, with the reduction that it has, with respect to ``x``: as array or tensor.

        :param y: labels, index (n,) or one-hot (n, K).
        :param training_mode: whether the model is in training mode, and stays so, or in evaluation mode.
        :raises ValueError: where the loss does not depend on the input.

        While ``y`` is one and the same tensor, as in the steps of an attack, writes to weights that PyTorch does not
        count (``.data``, NumPy's) are not looked for; :meth:`refresh` has them seen.
        """
        y = np.asarray(y) if isinstance(y, list) else y
        self._set_gradient_mode(training_mode)
        if self._labels_known is None or not self._labels_known.are(y):
            self._search.doubt()  # but for the further steps on one batch, which PGD takes with the same tensor
        network = self._network(training_mode)
        cut = self._may_cut(len(x), network) and share_of_part(self._loss, 1, 1, y) is not None
        parts = slices(len(x), self._plan["batch_size"]) if cut else [slice(None)]
        if len(parts) == 1:  # with the labels as they came: the same object at every step of an attack
            return self._gradient_of_part(network, x, y, len(x))
        gradients = [self._gradient_of_part(network, x[part], y[part], len(x)) for part in parts]
        return torch.cat(gradients) if isinstance(x, Tensor) else np.concatenate(gradients)

    def _gradient_of_part(self, network: nn.Module, x: Any, y: Any, whole: int) -> Any:
        with differentiating(network):
            leaf, inputs, labels = self._leaf(x, y)
            gradient = input_gradient(self._loss_of(self._loss, self._searched(network, inputs), labels), leaf)
        self.gradients += len(gradient)
        share = share_of_part(self._loss, len(x), whole, y) if len(x) < whole else None
        return self._pulled_back(x, gradient if share is None else gradient * share)

    def class_gradient(self, x: Any, label: Any = None, training_mode: bool = False, **_kwargs: Any) -> np.ndarray:
        """Return the gradients of the outputs with respect to ``x``: (n, K, ...), or (n, 1, ...) with ``label``.

        :param label: one class for all samples, one a sample (n,), or None for all classes.
        :raises ValueError: where a label is out of range.
        """
        label = np.asarray(label) if isinstance(label, list) else label
        if label is not None and (
            np.ndim(label) > 1
            or (np.ndim(label) == 1 and len(label) != len(x))
            or not np.all((np.asarray(label) >= 0) & (np.asarray(label) < self.nb_classes))
        ):
            raise ValueError(f"Label {label} is out of range.")
        self._set_gradient_mode(training_mode)
        self._search.doubt()
        network, gradients = self._network(training_mode), []
        alone = self._only_standardises or not self.all_framework_preprocessing  # what the graph goes through beside it
        separable = alone and network is not self._model  # as a copy proves
        cut = self._may_cut(len(x), network)
        for part in slices(len(x), self._plan["batch_size"]) if cut else [slice(None)]:
            with differentiating(network):
                leaf, inputs, _ = self._leaf(x[part])
                logits = self._searched(network, inputs)[:, : self.nb_classes]
                labels = label[part] if isinstance(label, np.ndarray) and label.ndim else label
                gradient = class_gradients(logits, leaf, labels, separable=separable)
            self.gradients += len(gradient) * gradient.shape[1]
            gradients.append(np.asarray(self._pulled_back(x[part], gradient)))
        return gradients[0] if len(gradients) == 1 else np.concatenate(gradients)

    def custom_loss_gradient(self, loss_fn: Any, x: Any, y: Any, layer_name: Any, training_mode: bool = False) -> Any:
        """Return the gradient of ``loss_fn(activations(x) - activations(y), p=2)`` with respect to ``x``."""
        images, targets = (
            np.asarray(part, dtype=np.float32) if not isinstance(part, Tensor) else part for part in (x, y)
        )
        with differentiating(self._model):
            return super().custom_loss_gradient(loss_fn, images, targets, layer_name, training_mode)

    def fit(self, x: np.ndarray, y: np.ndarray, *args: Any, **kwargs: Any) -> None:
        """Train as ART does; ``x`` may be of any numeric type.

        :param args: as in ART: ``batch_size, nb_epochs, training_mode, drop_last, scheduler, verbose``.
        """
        super().fit(np.array(x, dtype=np.float32, order="C"), y, *args, **kwargs)

    def fit_generator(self, generator: Any, nb_epochs: int = 20, verbose: bool = False, **kwargs: Any) -> None:
        """Train on batches as they come; unlike ART's, a PyTorch loader may give index labels."""
        plain = self.preprocessing is None or _is_identity(self.preprocessing)
        if not (isinstance(generator, PyTorchDataGenerator) and plain):
            super().fit_generator(generator, nb_epochs=nb_epochs, verbose=verbose, **kwargs)
            return
        if self._optimizer is None:
            raise ValueError("An optimizer is needed to train the model, but none for provided.")
        set_mode(self._model, True)
        for _ in trange(nb_epochs, disable=not verbose, desc="Epochs"):
            for x, y in generator.iterator:
                self._optimizer.zero_grad()
                labels = label_tensor(y, self._device)
                labels = labels if is_index(labels) else labels.argmax(1)  # as in ART, whose batches are one-hot
                loss = self._loss_of(self._loss, self._model(float32_tensor(x, self._device))[-1], labels)
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        info: ModelInfo,
        *,
        device: str | None = None,
        batch_size: int = BATCH_SIZE,
        clip_values: tuple[float, float] = (0, 1),
        input_shape: tuple[int, ...] | None = None,
        nb_classes: int | None = None,
        precision: str = "float32",
    ) -> FastPyTorchClassifier:
        """Return a classifier with cross-entropy loss around a module; the target of the estimator ``fast``.

        :param info: what is known of the model; ``input_shape`` and ``nb_classes`` come first, a forward pass last.
        :param device: a device type of the constructor; a GPU where there is one by default.
        :param batch_size: images a forward pass, kept in ``plan``.
        :param precision: as in the constructor.
        :raises ModelError: where ``model`` is no module, its shape is not known, or the device is not present.
        """
        shape, classes = shape_and_classes(model, info, input_shape, nb_classes)
        classifier = cls(
            model=model,
            loss=nn.CrossEntropyLoss(),
            input_shape=shape,
            nb_classes=classes,
            clip_values=clip_values,
            device_type=device or "gpu",
            precision=precision,
        )
        classifier.set_plan(batch_size=batch_size)
        return classifier

    @classmethod
    def from_robustbench(
        cls,
        model_name: str,
        dataset: str | Enum = "cifar10",
        threat_model: str | Enum = "Linf",
        *,
        model_dir: str = "./models",
        custom_checkpoint: str = "",
        download: bool = False,
        allow_unsafe: bool = False,
        **options: Any,
    ) -> FastPyTorchClassifier:
        """Return a classifier around a model of RobustBench's zoo, its normalisation inside, pixels in [0, 1].

        Other parameters, and errors: :func:`~art_weakrobust.models.robustbench.load_robustbench`.

        :param options: of :meth:`from_model`: ``device``, ``batch_size``, ``precision``.
        """
        info = entry(dataset, threat_model, model_name).info
        module = load_robustbench(
            model_name,
            model_dir,
            dataset,
            threat_model,
            custom_checkpoint,
            download=download,
            allow_unsafe=allow_unsafe,
        )
        return cls.from_model(module, info, **options)
