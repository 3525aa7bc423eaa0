"""The command line in this process, so that torch is imported once; and one small run, copied where it is altered."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from art_weakrobust.cli.app import build

SMALL = {
    "radius": "0.3",
    "eps": "0.1",
    "neighbors": "6",
    "limit": "400",
    "test-limit": "400",  # leaves the guard part, and with it the dial, 45 samples
    "nb-epochs": "1",
    "attacks": "pgd:max_iter=3",
    "corruptions": "contrast",
    "severities": "1,5",
}
"""Options of a run on the digits that takes a few seconds."""


@dataclass(frozen=True)
class Answer:
    """What a command left behind: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def error(self):
        """The one ``error:`` line; there has to be exactly one, and no traceback."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


def flags(options):
    """Return ``--name value`` for every option."""
    return [word for name, value in options.items() for word in (f"--{name}", value)]


@pytest.fixture
def cli(capsys):
    """Return a function that runs a command line and returns its :class:`Answer`."""

    def run(*words):
        capsys.readouterr()  # what came before is not this command's
        with pytest.raises(SystemExit) as left:
            build()([str(word) for word in words])
        return Answer(left.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def small():
    """The flags of :func:`finished`."""
    return (*flags(SMALL), "--no-plugins", "--quiet")


@pytest.fixture(scope="session")
def some_of():
    """Return a function that picks options of :func:`small` by name, for a command that takes these alone."""

    def picked(*names):
        return flags({name: SMALL[name] for name in names})

    return picked


@pytest.fixture(scope="session")
def finished(own_cache, small, tmp_path_factory):
    """A run directory in which every stage has ended; not to be altered."""
    out = tmp_path_factory.mktemp("street") / "run"
    with pytest.raises(SystemExit) as left:
        build()(["run", *small, "--out", str(out)])
    assert not left.value.code
    return out


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of :func:`finished`, to be altered."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture(scope="session")
def tree():
    """Return a function that gives every file below a folder with a digest of its content."""

    def digests(folder):
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for path in sorted(folder.rglob("*"))
        }

    return digests


@pytest.fixture
def refused(cli, small, tree, tmp_path, monkeypatch):
    """Return a function that runs ``run`` with bad input, and gives the error once all else was found untouched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setattr("sys.dont_write_bytecode", True)

    def run(*words, status, out=tmp_path / "deep" / "run"):
        before = tree(tmp_path)
        answer = cli("run", *small, *words, "--out", out)
        assert answer.status == status, answer
        assert answer.err == f"{answer.error}\n"
        assert answer.out == ""
        assert tree(tmp_path) == before
        return answer.error

    yield run
    sys.modules.pop("nets_of_refusals", None)
