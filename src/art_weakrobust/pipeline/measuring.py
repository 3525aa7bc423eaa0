"""``--tune``: an estimator measures the plan that it follows from then on."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ..errors import UsageError
from .options import Options

TUNED_ON = 64
"""Images that are measured with."""


def tune(estimator: Any, images: np.ndarray, options: Options) -> None:
    """Have an estimator find its fastest execution plan, compiled code among it with ``--compile``.

    :param images: to measure with, (n, ...).
    :raises UsageError: for an estimator that has no ``tune(images)``, or with ``--compile`` no ``tune(images,
        compile=True)``.
    """
    measure = getattr(estimator, "tune", None)
    if measure is None:
        raise UsageError(
            f"--tune measures the plan of estimator 'fast', and {options.estimator!r} has none to measure; "
            "leave it out, or use --estimator fast"
        )
    if not options.compile:
        measure(images)
    elif _takes(measure, "compile"):
        measure(images, compile=True)
    else:
        raise UsageError(
            f"--compile asks for tune(images, compile=True), and that of estimator {options.estimator!r} takes no "
            "compile=; leave it out, or use --estimator fast"
        )


def _takes(function: Any, name: str) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(parameter.name == name or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
