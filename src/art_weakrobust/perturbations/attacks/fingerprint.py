"""Which state of a model something was made on."""

from __future__ import annotations

from ...datasets.base import digest
from ...estimators.judge import module_of
from ...protocols import Estimator


def weights_digest(estimator: Estimator) -> str:
    """Return a digest of a model's parameters and buffers; empty for a black box, which may change unseen."""
    module = module_of(estimator)
    if module is None:
        return ""
    tensors = [tensor.detach().cpu() for tensor in module.state_dict().values()]
    return digest(*((t.float() if t.is_floating_point() else t).numpy() for t in tensors))
