"""Where models that took a while to make or fetch are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "ART_WEAKROBUST_CACHE"


def cache_folder() -> Path:
    """Return ``$ART_WEAKROBUST_CACHE``, else ``art-weakrobust`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.

    :raises RuntimeError: where the user has no home directory.
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "art-weakrobust"
