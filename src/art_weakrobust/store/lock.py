"""One writer a run directory. The operating system holds the lock, so that ``kill -9`` leaves none behind."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import RunError
from .atomic import cannot_write

LOCK, OWNER = ".lock", ".owner"


class RunLock:
    """The lock of a run directory, taken at once or refused.

    :param folder: the run directory.
    :raises RunError: where another process, or another part of this one, writes to it; where it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
        # Beside the lock, since some versions of filelock empty the lock's own file when they try to take it.
        self._owner = folder / OWNER
        try:
            self._lock.acquire()
            self._owner.write_text(str(os.getpid()), encoding="ascii")
        except Timeout:
            raise RunError(
                f"run directory {folder} is in use by {self._holder()}; wait for it to end, or choose another --out"
            ) from None
        except OSError as error:
            self.release()
            raise cannot_write(folder, error) from error

    def release(self) -> None:
        """Let others write."""
        if self._lock.is_locked:
            with suppress(OSError):
                self._owner.unlink(missing_ok=True)
            self._lock.release()

    def _holder(self) -> str:
        with suppress(OSError, ValueError):
            return f"another run (process {int(self._owner.read_text(encoding='ascii'))})"
        return "another run"
