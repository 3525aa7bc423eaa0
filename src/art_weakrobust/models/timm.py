"""Classifiers of timm: ``timm:resnet18.a1_in1k``. robustbench brings timm 1.0.9; later ones of 1.x work as well."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import ModelError, nearest
from ..protocols import ModelInfo
from .drawing import own_generator
from .fetching import MODEL_DIR, Remote, located
from .normalise import Normalised
from .weights import load_weights

_MAJOR = "1"


def timm(
    argument: str,
    *,
    model_dir: str = MODEL_DIR,
    weights: str | Path | None = None,
    download: bool = False,
    allow_unsafe: bool = False,
) -> tuple[nn.Module, ModelInfo]:
    """Return a classifier with its own normalisation inside; resize and crop are in the info.

    :param argument: a name of timm's, with or without the tag of its weights.
    :param model_dir: weights are looked for in ``MODEL_DIR/timm``.
    :param weights: a file to take instead, for the same network with the same preprocessing.
    :param download: fetch what is not there; never by default.
    :param allow_unsafe: read a checkpoint that needs unpickling, which runs code that it holds.
    :raises ModelError: for a timm that this was not made for, a name that it does not have, and files that are not what
        they should be.
    """
    library = _library()
    if not library.is_model(argument):
        known = library.list_models()
        raise ModelError(f"timm has no model {argument!r}{nearest(argument, known)}; it has {len(known)}")
    try:
        with own_generator():
            module: nn.Module = library.create_model(argument, pretrained=False)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"timm {library.__version__} cannot make {argument!r}: {str(error).splitlines()[0]}"
        ) from error
    config: dict[str, Any] = dict(module.pretrained_cfg)  # type: ignore[arg-type]
    file = Path(weights) if weights else located(_remote(argument, config, model_dir), download=download)
    load_weights(module, file, allow_unsafe=allow_unsafe)
    return Normalised(module, config["mean"], config["std"]).eval(), _info(argument, config)


def _library() -> Any:
    """Return timm.

    :raises ModelError: where it is missing, fails to import, or is of another major version.
    """
    try:
        import timm as library
    except ImportError as error:
        raise ModelError(f"timm cannot be imported: {error}; pip install timm==1.0.9") from error
    if library.__version__.split(".")[0] != _MAJOR:
        raise ModelError(
            f"timm {library.__version__} is installed, and {_MAJOR}.x is expected: pip install timm==1.0.9, which "
            "robustbench asks for as well"
        )
    return library


def _remote(name: str, config: dict[str, Any], model_dir: str) -> Remote:
    folder, hub, url = Path(model_dir).expanduser() / "timm", config.get("hf_hub_id"), config.get("url")
    if hub:
        file = config.get("hf_hub_filename") or "model.safetensors"
        return Remote(folder / f"{name}{Path(file).suffix}", f"https://huggingface.co/{hub}/resolve/main/{file}")
    if url:
        return Remote(folder / url.rsplit("/", 1)[-1], url)
    raise ModelError(
        f"timm has no weights for {name!r}; pass your own with --weights FILE, or name a tag that has some"
    )


def _info(name: str, config: dict[str, Any]) -> ModelInfo:
    shape = tuple(config["input_size"])
    crop = shape[1]
    return ModelInfo(
        nb_classes=config.get("num_classes"),
        input_shape=(shape[0], shape[1], shape[2]),
        name=f"timm:{name}",
        resize=math.floor(crop / config.get("crop_pct", 1.0)),
        crop=crop,
        interpolation=config.get("interpolation", "bilinear"),
        squash=config.get("crop_mode") == "squash",
    )
