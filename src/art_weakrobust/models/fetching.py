"""Files of models: where they are expected, where they come from, and how they are fetched and checked."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..datasets.downloads import mistaken_for
from ..errors import ModelError

MODEL_DIR = "./models"
"""Where weights are expected, unless the user says otherwise: as RobustBench has it."""

_DRIVE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"
_ATTEMPTS, _PAUSE = 5, 1.0
"""How often a fetch is tried, and the first of the seconds between, which double."""
_TIMEOUT, _BLOCK = 60.0, 1 << 20
_WORTH_ANOTHER = frozenset({408, 425, 429, 500, 502, 503, 504})
_FAILURES = (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException)
_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+\Z")
"""PyTorch's habit: a name ends in the first digits of the SHA-256 sum of the file."""


@dataclass(frozen=True)
class Remote:
    """A file and its source.

    :param path: where it is expected.
    :param source: ``gdrive:ID``, or a URL.
    """

    path: Path
    source: str

    @property
    def url(self) -> str:
        """The address that gives the file itself."""
        return _DRIVE.format(self.source.removeprefix("gdrive:")) if self.source.startswith("gdrive:") else self.source

    @property
    def command(self) -> str:
        """What fetches it by hand, with tools that are there: gdown comes with robustbench."""
        path, folder = shlex.quote(str(self.path)), self.path.parent
        before = "" if folder.is_dir() else f"mkdir -p {shlex.quote(str(folder))} && "  # neither tool makes folders
        if self.source.startswith("gdrive:"):
            return f"{before}gdown {self.source.removeprefix('gdrive:')} -O {path}"
        return f"{before}curl -fL {shlex.quote(self.source)} -o {path}"

    def check(self, path: Path | None = None) -> None:
        """Look at size, first bytes, end and, where the name tells it, the hash of a file that is there.

        :param path: another place to look at: of a download that has no name yet.
        :raises ModelError: naming what it is instead, its path, and the command that fetches it again.
        """
        path = path or self.path
        wrong = mistaken_for(path) or _cut_short(path)
        promised = _HASH.search(self.path.name)
        if not wrong and promised and not _digest(path).startswith(promised[1]):
            wrong = f"has not the SHA-256 sum {promised[1]}… that its name promises"
        if wrong:
            raise ModelError(f"weights {str(path)!r} {wrong.split(';')[0]}; fetch them again: {self.command}")


def located(remote: Remote, *, download: bool) -> Path:
    """Return the path of a checked file, fetched where it is not there and that is allowed.

    :raises ModelError: where it is not there, cannot be fetched, or is not what it should be.
    """
    if remote.path.is_file():
        remote.check()
    elif download:
        fetched(remote)  # which has checked it
    else:
        raise ModelError(
            f"weights {str(remote.path)!r} are not there; --download (download=True) fetches them from "
            f"{remote.url}, or put them there: {remote.command}"
        )
    return remote.path


def or_cached(remote: Remote) -> Remote:
    """Return a file where it is expected, or where PyTorch has cached it if it is there alone."""
    import torch

    cached = Path(torch.hub.get_dir()) / "checkpoints" / remote.source.rsplit("/", 1)[-1]
    return replace(remote, path=cached) if cached.is_file() and not remote.path.is_file() else remote


def fetched(remote: Remote, *, pause: Callable[[float], Any] = time.sleep) -> None:
    """Fetch a file: to a temporary name beside it, going on where it was cut off, checked, then renamed.

    A connection that fails, and a server that is busy, is asked again, after 1, 2, 4 and 8 seconds.

    :param pause: waits some seconds.
    :raises ModelError: where it cannot be had, or is not what it should be; then nothing has its name.
    """
    part = remote.path.with_name(f"{remote.path.name}.part")
    try:
        remote.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{part}.lock"):
            if not remote.path.is_file():  # another process may have fetched it while this one waited
                _received(remote, part, pause)
                _accepted(remote, part)
    except OSError as error:
        raise ModelError(f"weights {str(remote.path)!r} cannot be written: {error.strerror or error}") from error


def _received(remote: Remote, part: Path, pause: Callable[[float], Any]) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            _receive(remote.url, part)
            return
        except _FAILURES as error:
            status = error.code if isinstance(error, urllib.error.HTTPError) else None
            if attempt + 1 == _ATTEMPTS or (status is not None and status not in _WORTH_ANOTHER):
                raise ModelError(
                    f"weights {str(remote.path)!r} cannot be fetched from {remote.url}: {_line(error)}; "
                    f"try again later, or on a machine that is online: {remote.command}"
                ) from error
            pause(_PAUSE * 2**attempt)


def _receive(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "art-weakrobust"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if not (have and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            raise
        part.unlink()  # all of it was there, or another file: begin anew
        return _receive(url, part)
    with response, part.open("ab" if response.status == http.HTTPStatus.PARTIAL_CONTENT else "wb") as file:
        expected = response.headers.get("Content-Length")
        count = 0
        while block := response.read(_BLOCK):
            count += file.write(block)
    if expected is not None and count != int(expected):
        raise http.client.IncompleteRead(b"", int(expected) - count)
    return None


def _accepted(remote: Remote, part: Path) -> None:
    try:
        remote.check(part)
    except ModelError:
        part.unlink()  # going on from it would keep what is wrong
        raise
    os.replace(part, remote.path)


def _cut_short(path: Path) -> str | None:
    """Say so where a zip archive, which torch.save writes, has lost its end: its directory stands there."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return None
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - (1 << 16) - 22))
        return None if b"PK\x05\x06" in file.read() else f"are a zip archive cut short at {size:,} bytes"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(error: BaseException) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return f"{error.expected} bytes are missing at the end"
    text = str(error).strip().split("\n")[0]
    return text or type(error).__name__
