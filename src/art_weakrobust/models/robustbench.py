"""RobustBench's zoo: ``robustbench:cifar10/Linf/Standard``, from the user's own ``models/`` folder.

F. Croce et al., "RobustBench: a standardized adversarial robustness benchmark", arXiv 2010.09670. Its own
``load_model`` puts the weights into the modules, for it knows the habits of every checkpoint; files are found, fetched
and checked here before it sees them.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..datasets.checks import existing
from ..errors import ModelError
from ..protocols import ModelInfo
from .drawing import own_generator
from .fetching import MODEL_DIR, Remote, located, or_cached
from .importing import import_robustbench as import_robustbench
from .registry import Entry, entry, parse
from .unpickling import torch_content
from .weights import fit_weights, load_weights, read_weights


def robustbench(
    argument: str,
    *,
    model_dir: str = MODEL_DIR,
    weights: str | Path | None = None,
    download: bool = False,
    allow_unsafe: bool = False,
) -> tuple[nn.Module, ModelInfo]:
    """Return a model of the zoo in eval mode, with its normalisation inside, and what is known of it.

    :param argument: ``DATASET/THREAT/NAME``, as in ``cifar10/Linf/Standard``.
    :param model_dir: the folder that holds ``cifar10/Linf/Standard.pt``, and ``….pt_m0.pt`` for ensembles.
    :param weights: a file to take instead: safetensors, or as the zoo's.
    :param download: fetch what is not there; never by default.
    :param allow_unsafe: read checkpoints that need unpickling, which runs code that they hold.
    :raises ModelError: for a model that the zoo does not have, and files that are missing, damaged or do not fit.
    """
    wanted = parse(argument)
    if weights is not None and Path(weights).suffix == ".safetensors":  # of a fine-tuned run: the module's own names
        module = _bare(wanted)
        load_weights(module, weights)
    else:
        module = _loaded(wanted, model_dir, weights or "", download=download, allow_unsafe=allow_unsafe)
    return module.eval(), wanted.info


def load_robustbench(
    model_name: str,
    model_dir: str | Path = MODEL_DIR,
    dataset: str | Enum = "cifar10",
    threat_model: str | Enum = "Linf",
    custom_checkpoint: str | Path = "",
    *,
    download: bool = False,
    allow_unsafe: bool = False,
) -> nn.Module:
    """Return a model of the zoo as ``robustbench.utils.load_model`` does: on the CPU, in eval mode, pixels in [0, 1].

    :param model_name: as RobustBench spells it.
    :param model_dir: the folder in which robustbench keeps, or would keep, the checkpoints.
    :param dataset: ``cifar10``, ``cifar100`` or ``imagenet``, or RobustBench's ``BenchmarkDataset``.
    :param threat_model: ``Linf``, ``L2``, ``corruptions`` or ``corruptions_3d``, or RobustBench's ``ThreatModel``.
    :param custom_checkpoint: a file to take instead of the zoo's; not for ensembles.
    :param download: fetch what is not there; never by default.
    :param allow_unsafe: read checkpoints that need unpickling, which runs code that they hold.
    :raises ModelError: for a model that the zoo does not have, and files that are missing, damaged or do not fit.
    """
    wanted = entry(dataset, threat_model, model_name)
    return _loaded(wanted, model_dir, custom_checkpoint, download=download, allow_unsafe=allow_unsafe)


def checkpoints(wanted: Entry, model_dir: str | Path, custom: str | Path = "") -> tuple[Remote, ...]:
    """Return the files that a model is read from.

    torchvision's own ResNet-50, which robustbench leaves in PyTorch's cache, is looked for there as well.

    :raises ModelError: for one file in place of an ensemble's, or a custom one that is not there.
    """
    remotes = wanted.files(model_dir)
    if custom:
        if wanted.ensemble:
            raise ModelError(
                f"custom_checkpoint {str(custom)!r} is one file, and robustbench:{wanted.argument} is read from "
                f"{len(remotes)}; put them where robustbench keeps them: {', '.join(str(r.path) for r in remotes)}"
            )
        found = existing(custom, "custom_checkpoint", ModelError)
        if not found.is_file():
            raise ModelError(f"custom_checkpoint {str(custom)!r} is a folder; name the file in it")
        return (Remote(found, remotes[0].source),)
    return tuple(map(or_cached, remotes)) if _is_torchvision(wanted) else remotes


def _loaded(
    wanted: Entry, model_dir: str | Path, custom: str | Path, *, download: bool, allow_unsafe: bool
) -> nn.Module:
    files = [located(remote, download=download) for remote in checkpoints(wanted, model_dir, custom)]
    if wanted.gpu and not torch.cuda.is_available():
        raise ModelError(
            f"robustbench builds {wanted.argument} on a GPU alone, and there is none; choose another model"
        )
    if wanted.timm is not None or _is_torchvision(wanted):
        module = _bare(wanted)
        _fill(module, files[0], allow_unsafe)
        return module.eval()
    return _by_robustbench(wanted, files, model_dir, allow_unsafe)


def _is_torchvision(wanted: Entry) -> bool:
    """Standard_R50: torchvision's ResNet-50, which robustbench fetches whatever ``model_dir`` holds."""
    return wanted.timm is None and wanted.sources[0].startswith("https:")


def _bare(wanted: Entry) -> nn.Module:
    """Return the module without weights; what robustbench would fetch at once is built by other means."""
    import_robustbench()
    with own_generator():
        if wanted.timm is not None:
            import timm

            made: nn.Module = timm.create_model(wanted.timm, pretrained=False, num_classes=wanted.info.nb_classes)
            return made
        name = "Salman2020Do_R50" if _is_torchvision(wanted) else wanted.name  # the same network, normalised alike
        threat = "Linf" if _is_torchvision(wanted) else wanted.threat
        return _dictionary(wanted.dataset, threat, name)


def _dictionary(dataset: str, threat: str, name: str) -> nn.Module:
    from robustbench.model_zoo import model_dicts
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel

    made: nn.Module = model_dicts[BenchmarkDataset(dataset)][ThreatModel(threat)][name]["model"]()
    return made


def _fill(module: nn.Module, file: Path, allow_unsafe: bool) -> None:
    """Put weights into ``Sequential(normalize, model)``: named as in the whole, or as in what is in it."""
    found = read_weights(file, allow_unsafe=allow_unsafe)
    if all(name.split(".")[0] in ("normalize", "model") for name in found):
        fit_weights(module, found, file)
        return
    network = module.get_submodule("model")
    adapt = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)  # timm's, of older names
    fit_weights(network, adapt(found, network) if adapt else found, file)


def _by_robustbench(wanted: Entry, files: Sequence[Path], model_dir: str | Path, allow_unsafe: bool) -> nn.Module:
    """Let robustbench's ``load_model`` read the files; it finds all of them, and so fetches none."""
    import_robustbench()
    from robustbench.utils import load_model

    with _staged(wanted, files, model_dir, allow_unsafe) as folder, own_generator():
        try:
            module: nn.Module = load_model(wanted.name, folder, wanted.dataset, wanted.threat)
        except (RuntimeError, KeyError, AttributeError, TypeError, pickle.UnpicklingError) as error:
            cause = " ".join(str(error).split())[:300]
            raise ModelError(
                f"weights {str(files[0])!r} do not fit robustbench:{wanted.argument}: {cause}; choose the model that "
                f"they were saved from, or fetch them again: {wanted.files(model_dir)[0].command}"
            ) from error
    return module.eval()


@contextmanager
def _staged(wanted: Entry, files: Sequence[Path], model_dir: str | Path, allow_unsafe: bool) -> Iterator[Path]:
    """Yield a folder in which all files stand where robustbench looks for them, and hold tensors alone.

    It is ``model_dir`` itself, unless a file lies elsewhere or needed unpickling: then what is in them is saved anew.
    """
    contents = [torch_content(file, allow_unsafe=allow_unsafe) for file in files]
    places = [remote.path for remote in wanted.files(model_dir)]
    if list(files) == places and not allow_unsafe:
        del contents  # they were read to be checked: robustbench reads them again
        yield Path(model_dir).expanduser()
        return
    with tempfile.TemporaryDirectory(prefix="art-weakrobust-") as name:
        for remote, content in zip(wanted.files(name), contents, strict=True):
            remote.path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(_tensors(content), remote.path)
        yield Path(name)


def _tensors(content: Any) -> Any:
    """Return a checkpoint with its tensors, and the mappings that hold them, alone."""
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, dict):
        return content
    kept = {name: _tensors(value) for name, value in content.items() if isinstance(value, (dict, Tensor, nn.Module))}
    return {name: value for name, value in kept.items() if isinstance(value, Tensor) or value}
