"""What a download that went wrong looks like: said here once, for data sets and for weights."""

from __future__ import annotations

from pathlib import Path


def mistaken_for(path: Path) -> str | None:
    """Return what a file is instead of data, and what to do, or None where nothing gives it away.

    :param path: an existing file.
    :raises OSError: where it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(1024)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "is empty; download it again"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return "is an HTML page, not data: the download was refused or redirected; fetch the file itself"
    if text.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'"
    return None
