"""Fine-tuning in a run directory: a trainer that goes on where it stopped, and the weights that it leaves there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import ModelError
from ..estimators.judge import module_of
from ..models.normalise import inner
from ..models.weights import load_weights
from ..protocols import Estimator, Trainer
from ..results import WeakSet
from ..store import Run
from .context import Context
from .progress import Progress

_WEIGHTS = "model.safetensors"


def trained(run: Run, context: Context, weak_set: WeakSet, weak: Sequence[str], progress: Progress | None) -> Trainer:
    """Return the trainer after training; one that ended in this run before is loaded, and only chooses again.

    :param weak: the types that the tune half was weak against.
    """
    options = context.options
    trainer: Trainer = context.make(
        "trainer", options.trainer, context.fresh(), checkpoint_dir=run.path / "training", progress=progress
    )
    trainer.fit(
        context.train,
        None,
        nb_epochs=options.nb_epochs,
        batch_size=options.batch_size,
        weak_set=weak_set,
        weak_types=list(weak),
        ids=context.train_ids,
        guard=(context.test, context.test_parts[1]),
    )
    return trainer


def keep(run: Run, trainer: Trainer, name: str) -> None:
    """Write the fine-tuned weights, and what training drew, to the run directory.

    :param name: of the trainer, as the user wrote it.
    :raises ModelError: where there is no PyTorch module to save.
    """
    module = module_of(trainer.get_classifier())
    if module is None:
        raise ModelError(f"trainer {name!r} returned a classifier without a PyTorch module to save")
    state = {key: tensor.detach().cpu().numpy() for key, tensor in inner(module).state_dict().items()}
    run.write_tensors(_WEIGHTS, state)
    run.write_json("training/finetuning.json", replace(trainer.finetuning, guard_split="test").to_json())


def around_kept(run: Run, context: Context) -> Estimator:
    """Return an estimator around the fine-tuned weights of the run.

    :raises ModelError: for a black box, which cannot be given any.
    """
    estimator = context.fresh()
    module = module_of(estimator)
    if module is None:
        raise ModelError("a black box cannot be given the fine-tuned weights; use an estimator around a module")
    load_weights(inner(module), run.path / _WEIGHTS)
    return estimator
