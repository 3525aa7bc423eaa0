"""What training leaves on disk, so that it can be resumed, undone, and its dial turned: safetensors and json alone.

``base``, ``epoch-N`` (last and averaged weights, the optimizer's state), ``tuned`` and ``dial`` (batch norm of every
point) are safetensors. ``progress.json`` says which epoch is the last whole one; it is written after that epoch's
tensors, so that it never names a file that is not there. No generator has a state: every draw is keyed by seed, epoch
and position, and the seed stands in ``progress.json``. ``finetuning.json`` is the record of a training that has ended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ..errors import RunError, TrainingError
from ..results import Finetuning
from ..store import atomic_write
from .interpolation import Dial, State, choose

_BASE, _TUNED, _DIAL = "base.safetensors", "tuned.safetensors", "dial.safetensors"
_PROGRESS, _RECORD = "progress.json", "finetuning.json"


def digest(*parts: bytes | np.ndarray) -> str:
    """Return a short fingerprint of arrays and bytes."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        found.update(part.tobytes() if isinstance(part, np.ndarray) else part)
    return found.hexdigest()


def digest_of(state: State) -> str:
    """Return the fingerprint of weights and buffers."""
    return digest(save(state))


@dataclass(frozen=True)
class Checkpoint:
    """A directory of one training; None as the directory keeps nothing.

    :param directory: made where it does not exist.
    """

    directory: Path | None

    def begin(self, stamp: Mapping[str, Any], base: State, precision: str) -> dict[str, Any] | None:
        """Store the base weights and return what an interrupted training with the same stamp had reached, or None.

        :param stamp: everything that decides what training does, as plain values.
        :param precision: in which training computes; one that goes on keeps the precision that it began with.
        :raises TrainingError: where the directory holds another training.
        """
        if self.directory is None:
            return None
        stamp = json.loads(json.dumps(stamp))
        if (self.directory / _PROGRESS).exists():
            reached = self._json(_PROGRESS)
            _same(self.directory, reached["stamp"], stamp)
            return reached
        self._write(_BASE, base)
        self._write_json(_PROGRESS, {"stamp": stamp, "precision": precision, "epoch": 0})
        return None

    def save_epoch(self, epoch: int, tensors: Mapping[str, State], facts: Mapping[str, Any]) -> None:
        """Store the state at the end of an epoch, then forget that of the one before.

        :param tensors: ``last``, ``ema`` and ``optimizer`` -> names -> tensors.
        :param facts: history, counts and odds so far, as plain values.
        """
        if self.directory is None:
            return
        self._write(f"epoch-{epoch}.safetensors", _joined(tensors))
        self._write_json(_PROGRESS, {**self._json(_PROGRESS), "epoch": epoch, **facts})
        for file in self.directory.glob("epoch-*.safetensors"):
            if file.name != f"epoch-{epoch}.safetensors":
                file.unlink()

    def load_epoch(self, epoch: int) -> dict[str, State]:
        """Return what :meth:`save_epoch` stored."""
        return _parted(self._read(f"epoch-{epoch}.safetensors"))

    def finish(self, dial: Dial, record: Finetuning) -> None:
        """Store the dial, and the record last: where it is, everything is."""
        if self.directory is None:
            return
        self._write(_TUNED, dial.tuned)
        self._write(_DIAL, _joined({f"{alpha!r}": state for alpha, state in dial.buffers.items()}, separator="/"))
        self._write_json(_RECORD, record.to_json())

    def finished(self) -> tuple[Dial, Finetuning] | None:
        """Return dial and record of a training that has ended, or None."""
        if self.directory is None or not (self.directory / _RECORD).exists():
            return None
        record = Finetuning.from_json(self._json(_RECORD))
        buffers: dict[float, State] = {float(point["alpha"]): {} for point in record.curve}
        buffers |= {float(a): state for a, state in _parted(self._read(_DIAL), separator="/").items()}
        return Dial(self._read(_BASE), self._read(_TUNED), buffers, record.curve), record

    def base(self) -> State:
        """Return the weights and buffers that training began with."""
        return self._read(_BASE)

    def _read(self, name: str) -> State:
        path = self._path(name)
        try:
            return load(path.read_bytes())
        except (OSError, SafetensorError) as error:
            raise RunError(
                f"checkpoint_dir: {path} cannot be read: {error}; train again into another directory"
            ) from error

    def _write(self, name: str, state: State) -> None:
        atomic_write(self._path(name), save(state))

    def _json(self, name: str) -> dict[str, Any]:
        path = self._path(name)
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise RunError(
                f"checkpoint_dir: {path} cannot be read: {error}; train again into another directory"
            ) from error

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        atomic_write(self._path(name), json.dumps(content, indent=1).encode())

    def _path(self, name: str) -> Path:
        if self.directory is None:
            raise RunError("checkpoint_dir: none was given, nothing is stored")
        return self.directory / name


def turn_dial(checkpoint_dir: str | Path, clean_budget: float | None) -> tuple[State, float]:
    """Return weights and buffers, and the alpha, that a training which has ended gives for another budget.

    Nothing is trained or judged again: the curve and the batch norm of all its points are stored.

    :param checkpoint_dir: where a trainer stored its training.
    :param clean_budget: points of clean accuracy that may be lost; None gives the tuned network.
    :raises RunError: where no training has ended there.
    """
    finished = Checkpoint(Path(checkpoint_dir)).finished()
    if finished is None:
        raise RunError(f"checkpoint_dir {str(checkpoint_dir)!r} holds no training that has ended; train first")
    dial, _ = finished
    alpha = choose(dial.curve, clean_budget)
    return dial.state(alpha), alpha


def _joined(states: Mapping[str, State], separator: str = ":") -> State:
    return {f"{part}{separator}{name}": tensor for part, state in states.items() for name, tensor in state.items()}


def _parted(tensors: Mapping[str, Tensor], separator: str = ":") -> dict[str, State]:
    parts: dict[str, State] = {}
    for key, tensor in tensors.items():
        part, name = key.split(separator, 1)
        parts.setdefault(part, {})[name] = tensor
    return parts


def _same(directory: Path, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in sorted({*stored, *wanted}):
        if stored.get(key) != wanted.get(key):
            raise TrainingError(
                f"checkpoint_dir {str(directory)!r} holds a training with {key} {stored.get(key)!r}, not "
                f"{wanted.get(key)!r}; use another directory, or remove this one to train anew"
            )
