"""A model behind an address: ``endpoint:http://localhost:8000/predict``, for the estimator ``black-box``.

The batch is posted as one ``.npy`` file, float32 (n, c, h, w) in [0, 1]; the answer is JSON, or again ``.npy``: n
labels, or n rows of scores, one a class.
"""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from dataclasses import dataclass

import numpy as np

from ..errors import ModelError, UsageError
from ..protocols import ModelInfo

NPY = "application/x-npy"


@dataclass(frozen=True)
class Endpoint:
    """A callable: images in, scores or labels out.

    :param url: http or https.
    :param timeout: seconds to wait for an answer.
    """

    url: str
    timeout: float = 60.0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return what the server says of a batch.

        :param x: float32 (n, c, h, w).
        :raises ModelError: where it cannot be reached, refuses, or answers something else.
        """
        body = io.BytesIO()
        np.save(body, np.asarray(x, np.float32), allow_pickle=False)
        request = urllib.request.Request(self.url, body.getvalue(), {"Content-Type": NPY, "Accept": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                answer, kind = response.read(), response.headers.get_content_type()
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise ModelError(f"endpoint {self.url!r} does not answer: {error}; check that it runs") from error
        try:
            return np.load(io.BytesIO(answer), allow_pickle=False) if kind == NPY else np.asarray(json.loads(answer))
        except ValueError as error:
            shown = answer[:60].decode("utf-8", "replace")
            raise ModelError(
                f"endpoint {self.url!r} answers {kind} that begins with {shown!r}, expected JSON or {NPY}: labels, or "
                "one row of scores an image"
            ) from error


def endpoint(argument: str, *, timeout: float = 60.0) -> tuple[Endpoint, ModelInfo]:
    """Return the model behind an address; nothing is asked of it yet.

    :param argument: the address, http or https.
    :param timeout: seconds to wait for an answer.
    :raises UsageError: for another kind of address.
    """
    if not argument.startswith(("http://", "https://")):
        raise UsageError(f"model 'endpoint:{argument}' has to name an address, as in endpoint:http://localhost:8000/")
    return Endpoint(argument, timeout), ModelInfo(name=f"endpoint:{argument}", gradients=False)
