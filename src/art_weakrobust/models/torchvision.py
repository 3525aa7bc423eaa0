"""Classifiers of torchvision: ``torchvision:resnet50`` or ``torchvision:resnet50@IMAGENET1K_V2``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from ..errors import ModelError, nearest
from ..protocols import ModelInfo
from .drawing import own_generator
from .fetching import MODEL_DIR, Remote, located, or_cached
from .normalise import Normalised
from .weights import load_weights


def torchvision(
    argument: str,
    *,
    model_dir: str = MODEL_DIR,
    weights: str | Path | None = None,
    download: bool = False,
    allow_unsafe: bool = False,
) -> tuple[nn.Module, ModelInfo]:
    """Return a classifier with the normalisation of its weights inside; resize and crop are in the info.

    :param argument: ``NAME``, or ``NAME@WEIGHTS`` as torchvision spells them; its default weights otherwise.
    :param model_dir: weights are looked for in ``MODEL_DIR/torchvision``, then in PyTorch's own cache.
    :param weights: a file to take instead, for the same network with the same preprocessing.
    :param download: fetch what is not there; never by default.
    :param allow_unsafe: read a checkpoint that needs unpickling, which runs code that it holds.
    :raises ModelError: for a name or weights that torchvision does not have, and unfit files.
    """
    from torchvision.models import get_model

    name, _, wanted = argument.partition("@")
    chosen = _weights(name, wanted)
    preset = chosen.transforms()
    if not hasattr(preset, "crop_size"):
        raise ModelError(f"model 'torchvision:{name}' is no classifier of images; choose one that is")
    with own_generator():
        module: nn.Module = get_model(name, weights=None, **_heads(chosen))
    file = Path(weights) if weights is not None else located(_remote(chosen.url, model_dir), download=download)
    load_weights(module, file, allow_unsafe=allow_unsafe)
    return Normalised(module, preset.mean, preset.std).eval(), _info(argument, chosen, preset)


def _weights(name: str, wanted: str) -> Any:
    from torchvision.models import get_model_weights, list_models

    known = list_models()
    if name not in known:
        raise ModelError(f"torchvision has no model {name!r}{nearest(name, known)}; it has {len(known)}")
    choices = get_model_weights(name)
    if wanted and wanted not in choices.__members__:
        raise ModelError(
            f"torchvision's {name} has no weights {wanted!r}{nearest(wanted, list(choices.__members__))}; "
            f"it has {', '.join(choices.__members__)}"
        )
    return choices[wanted or "DEFAULT"]


def _heads(chosen: Any) -> dict[str, Any]:
    """Return what torchvision builds two networks with where it loads their weights; others know no such arguments.

    They have a second head while they train, which their checkpoints hold, and take images normalised otherwise.
    """
    if not chosen.url.rsplit("/", 1)[-1].startswith(("googlenet", "inception")):
        return {}
    return {"aux_logits": True, "transform_input": True, "init_weights": False}


def _remote(url: str, model_dir: str) -> Remote:
    return or_cached(Remote(Path(model_dir).expanduser() / "torchvision" / url.rsplit("/", 1)[-1], url))


def _info(argument: str, chosen: Any, preset: Any) -> ModelInfo:
    crop = preset.crop_size[0]
    accuracy = chosen.meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1")
    names = tuple(chosen.meta.get("categories", ()))
    return ModelInfo(
        nb_classes=len(names) or None,
        input_shape=(3, crop, crop),
        name=f"torchvision:{argument}",
        class_names=names,
        resize=preset.resize_size[0],
        crop=crop,
        interpolation=preset.interpolation.value,
        published=None if accuracy is None else round(accuracy / 100, 5),
    )
