"""What a stage cost: seconds, and images forwards and backwards through the model where the estimator counts them."""

from __future__ import annotations

import time
from typing import Any

from ..protocols import Estimator

_COUNTERS = ("forwards", "gradients")


class Meter:
    """Reads clock and counters when it is made, and again when it is asked.

    :param estimator: ``forwards`` and ``gradients`` of a ``FastPyTorchClassifier`` count images.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator, self._start = estimator, time.monotonic()
        self._before = self._counters()

    def facts(self) -> dict[str, Any]:
        """Return ``seconds``, and ``forwards`` and ``gradients`` where they are counted."""
        spent = {name: count - self._before[name] for name, count in self._counters().items()}
        return {"seconds": round(time.monotonic() - self._start, 2), **spent}

    def _counters(self) -> dict[str, int]:
        return {name: getattr(self._estimator, name) for name in _COUNTERS if hasattr(self._estimator, name)}
