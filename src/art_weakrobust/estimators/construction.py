"""The construction of ``FastPyTorchClassifier``: parameters as ART's, what follows from them, plan, and copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from .border import LogitsOnly, standardiser
from .labels import LabelsKnown, label_rules
from .malloc import keep_freed_memory
from .plan import BATCH_SIZE, checked, device_for, plan_for
from .precision import precision_on
from .search import SearchNetwork


class Constructed(PyTorchClassifier):
    """What a classifier is made of; parameters as in ``FastPyTorchClassifier``."""

    estimator_params = [*PyTorchClassifier.estimator_params, "precision"]  # noqa: RUF012 - ART reads it in this form
    _made_anew: ClassVar[tuple[str, ...]] = ("_search", "_labels_known")

    def __init__(
        self,
        model: nn.Module,
        loss: Any,
        input_shape: tuple[int, ...],
        nb_classes: int,
        optimizer: torch.optim.Optimizer | None = None,
        use_amp: bool = False,
        opt_level: str = "O1",
        loss_scale: float | str | None = "dynamic",
        channels_first: bool = True,
        clip_values: Any = None,
        preprocessing_defences: Any = None,
        postprocessing_defences: Any = None,
        preprocessing: Any = None,
        device_type: str = "gpu",
        precision: str = "float32",
    ) -> None:
        self._chosen_device = device_for(device_type)
        self._plan: dict[str, Any] = {"batch_size": BATCH_SIZE, "precision": precision}
        self._required: dict[str, Any] = {}  # of every plan, found out by asking the model
        self._layout_known = False  # whether the model was asked channels last, to see whether it can be
        self._one_number = False  # whether the model gives (n,), which a loss is then given as it is
        self._search = SearchNetwork()
        self._labels_known: LabelsKnown | None = None
        self._wants_index: bool | None = None  # of a loss of one's own, once it was asked
        super().__init__(
            model=model,
            loss=loss,
            input_shape=input_shape,
            nb_classes=nb_classes,
            optimizer=optimizer,
            use_amp=use_amp,
            opt_level=opt_level,
            loss_scale=loss_scale,
            channels_first=channels_first,
            clip_values=clip_values,
            preprocessing_defences=preprocessing_defences,
            postprocessing_defences=postprocessing_defences,
            preprocessing=standardiser(preprocessing, self._chosen_device),
            device_type=device_type,
        )
        self.forwards = 0
        self.gradients = 0
        self._settle()

    def _make_model_wrapper(self, model: nn.Module) -> nn.Module:
        return LogitsOnly(model)

    def _settle(self) -> None:
        """Derive what follows from model, loss and device."""
        self._device = self._chosen_device
        keep_freed_memory(self._device)
        self._model.to(self._device)
        self._layer_names = self._model.get_layers
        self.is_rnn = any(isinstance(part, nn.RNNBase) for part in self._model.modules())
        self._labels_known, self._required, self._layout_known = None, {}, False
        self._wants_index = None
        self._reduce_labels, self._int_labels, self._probability_labels = label_rules(self._loss)
        self._plan = plan_for(self._device, self.model, self._plan["batch_size"], self._plan["precision"])

    @property
    def plan(self) -> dict[str, Any]:
        """The execution plan, see :func:`~art_weakrobust.estimators.plan.plan_for`; keys left out keep their default.

        :raises ModelError: where it is set to something that is not known.
        """
        return self._plan

    @plan.setter
    def plan(self, plan: Mapping[str, Any]) -> None:
        self._plan = {**plan_for(self._device, self.model), **checked(plan), **self._required}

    def set_plan(self, **keys: Any) -> None:
        """Set some keys of the plan and leave the others.

        :raises ModelError: for a key or value that is not known.
        """
        self._plan = {**self._plan, **checked(keys), **self._required}

    def _keep_contiguous(self) -> None:
        """Follow no other memory format from now on: the model takes views of what its convolutions give."""
        self._required = {"memory_format": "contiguous"}
        self.set_plan()

    @property
    def precision(self) -> str:
        """``float32`` or ``bfloat16``: that of the search; ``predict`` and the judge stay in float32."""
        return self._search.inside.precision or str(self._plan["precision"])

    def set_params(self, **kwargs: Any) -> None:
        """Set parameters of the constructor, and what follows from them.

        :raises ValueError: for a name that is no parameter.
        """
        if "device_type" in kwargs:
            self._chosen_device = device_for(kwargs["device_type"])
        if "model" in kwargs:
            kwargs["model"] = self._make_model_wrapper(kwargs["model"])
        if "preprocessing" in kwargs:
            kwargs["preprocessing"] = standardiser(kwargs["preprocessing"], self._chosen_device)
        precision = kwargs.pop("precision", None)
        super().set_params(**kwargs)
        if precision is not None:
            self.set_plan(precision=precision_on(self._device, precision))
        if kwargs.keys() & {"device_type", "model", "loss"}:
            self._settle()

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but ART's file names: weights travel in the pickle, no file is left behind."""
        return {name: value for name, value in self.__dict__.items() if name not in self._made_anew}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take everything back; optimizer and module still share their parameters."""
        self.__dict__.update(state)
        keep_freed_memory(self._device)
        self._search = SearchNetwork()
        self._labels_known = None
