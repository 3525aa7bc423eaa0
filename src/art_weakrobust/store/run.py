"""A run directory: opened, locked, filled stage by stage, read back."""

from __future__ import annotations

import copy
import datetime
import glob
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import RunError, UserError
from ..results import Records, Table, conform
from . import manifest as manifests
from .atomic import atomic_write
from .directory import prepare, remove, sweep, withdraw
from .layout import FOLDERS, MANIFEST, OWNED, SCHEMAS, STAGES, check_name, check_stage, covers, files_of
from .lock import RunLock
from .parts import Parts
from .records import read_folder, read_json, read_records
from .tables import read_parquet, same_rows, to_parquet
from .tensors import read_safetensors, to_safetensors


class Run:
    """One run directory; :meth:`open` makes it. A context manager: leaving it lets others write.

    A stage is begun, writes what it makes, and is finished. Whatever it writes is first listed in the manifest as its
    own (names known in advance as patterns), so that ``force`` can remove that and nothing else.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], lock: RunLock | None) -> None:
        self.path = path
        self._manifest, self._lock = manifest, lock
        self._stage: str | None = None
        self._made: list[Path] | None = None  # folders made for a run that is new

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False, write: bool = True) -> Run:
        """Open a run directory.

        :param path: the directory.
        :param create: make it where there is none, or an empty folder.
        :param write: False takes no lock, changes nothing, and works on a read-only disk.
        :raises RunError: where it is missing, not ours, damaged, in use by another process, or cannot be written.
        """
        folder = Path(path)
        if not write:
            return cls(folder, manifests.load(folder), None)
        made = prepare(folder, create=create)
        lock = RunLock(folder)
        try:
            new = not (folder / MANIFEST).exists()
            if new:
                started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                manifests.save(folder, manifests.new() | {"started": started})
            manifest = manifests.load(folder)
            sweep(folder, manifest)
        except BaseException:
            lock.release()
            raise
        run = cls(folder, manifest, lock)
        run._made = made if new else None
        return run

    def close(self) -> None:
        """Let others write; what is open for reading alone stays readable."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and self._stage is not None and self._lock is not None:
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            with suppress(RunError):  # a full disk must not hide the error that is on its way
                self._close_stage(self._stage, "failed", {"reason": reason})
        if isinstance(error, Exception) and self._made is not None:
            withdraw(self.path, self._made)
        self.close()

    @property
    def manifest(self) -> dict[str, Any]:
        """A copy of the manifest: ``tool, schema, started, stages, files`` and what :meth:`update` told."""
        return copy.deepcopy(self._manifest)

    def update(self, **keys: Any) -> None:
        """Set keys of the manifest: ``title``, ``command``, ``arguments``, ``versions``, ``plan``, ``class_names``, ….

        :raises ValueError: for a key that is the store's own.
        """
        if own := sorted(set(keys) & set(manifests.RESERVED)):
            raise ValueError(f"manifest key {own[0]!r} is kept by the store itself")
        changed = manifests.plain(keys)
        if any(key not in self._manifest or self._manifest[key] != value for key, value in changed.items()):
            self._manifest.update(changed)
            self._save()

    def ended(self, stage: str, options: Mapping[str, Any], *, extends: Collection[str] = ()) -> bool:
        """Say whether a stage ended with these options, and change nothing; parameters and errors are as in begin."""
        check_stage(stage)
        entry = self._stages.get(stage)
        if entry is None:
            return False
        changed, grown = manifests.differences(entry["options"], manifests.plain(options), extends)
        if changed and not self._left_nothing(entry):
            raise manifests.refusal(self.path, stage, changed)
        return entry["status"] == "done" and not changed and not grown

    def begin(
        self, stage: str, options: Mapping[str, Any], *, force: bool = False, extends: Collection[str] = ()
    ) -> bool:
        """Start a stage, or resume it with the parts it has.

        :param stage: one of :data:`~.layout.STAGES`.
        :param options: what its rows depend on; anything JSON can hold.
        :param force: redo it and what follows it, whatever the options were.
        :param extends: options whose list may have grown; the stage then runs again and its parts are kept.
        :return: True where it ended earlier with the same options, so that there is nothing to do.
        :raises RunError: where it ran with other options and ``force`` is not given; nothing has changed then.
        """
        self._check_writable()
        if force:
            self.redo(stage)
        if self.ended(stage, options, extends=extends):
            return True
        entry = self._stages.get(stage, {})
        self._stages[stage] = {
            "status": "running",
            "options": manifests.plain(options),
            "facts": {},
            "attempts": entry.get("attempts", 0) + 1,
            "files": sorted({*OWNED[stage], *entry.get("files", ())}),
        }
        if "report" in self._stages:  # it tells of every stage, so that it is out of date now
            self._stages["report"]["status"] = "running"
        self._stage = stage
        self._save()
        return False

    def finish(self, stage: str, **facts: Any) -> None:
        """Mark a stage as done; its rows count from now on.

        :param facts: ``seconds``, ``forwards``, ``gradients``, ``samples`` and whatever else it knows.
        """
        self._close_stage(stage, "done", facts)
        sweep(self.path, self._manifest)

    def skip(self, stage: str, reason: str, **facts: Any) -> None:
        """Mark a stage as left out, begun or not: why is for the report."""
        self._close_stage(stage, "skipped", {"reason": reason, **facts})

    def fail(self, stage: str, reason: str, **facts: Any) -> None:
        """Mark a stage as failed; leaving the context with an error does so too. Its parts are kept."""
        self._close_stage(stage, "failed", {"reason": reason, **facts})

    def redo(self, stage: str) -> None:
        """Forget a stage and those after it, and remove the files that the manifest lists as theirs."""
        check_stage(stage)
        self._check_writable()
        gone = [name for name in STAGES[STAGES.index(stage) :] if name in self._stages]
        if not gone:
            return
        for name in gone:  # first: a process killed below must not leave a stage that looks done
            self._stages[name]["status"] = "running"
        self._save()
        for name in reversed(gone):
            remove(files_of(self.path, self._stages[name]["files"]))
            del self._stages[name]
        self._save()

    def parts(self, table: str, stage: str | None = None) -> Parts:
        """Return the parts of a table (``scores``, ``validation``) that a stage writes.

        :param stage: the stage that has begun, by default.
        """
        if table not in FOLDERS:
            raise ValueError(f"table {table!r} has no parts; {' and '.join(FOLDERS)} have")
        return Parts(self.path / table, stage or self._active(), SCHEMAS[table], writable=self._lock is not None)

    def write_table(self, name: str, table: Table) -> None:
        """Write a table: ``weak_set``, ``types``, ``samples``, or the final rows of ``scores`` or ``validation``.

        Where the parts of the stage that has begun are these very rows, they are the table and nothing is written;
        otherwise the table becomes one file, and :meth:`finish` removes the parts.

        :raises DataError: where a column does not fit the table's schema.
        """
        schema = SCHEMAS.get(name)
        whole = table if schema is None else conform(table, schema)
        if name not in FOLDERS:
            self.write_bytes(f"{name}.parquet", to_parquet(whole))
            return
        self._check_writable()
        path, parts = self.path / name / f"{self._active()}.parquet", self.parts(name).merged()
        if parts is not None and same_rows(parts, whole, FOLDERS[name]):
            path.unlink(missing_ok=True)
        else:
            atomic_write(path, to_parquet(whole))

    def read_table(self, name: str) -> Table:
        """Return a table; of ``scores`` and ``validation`` the rows of the stages that have ended.

        :raises RunError: where it is missing or damaged.
        """
        if name in FOLDERS:
            return read_folder(self.path, self._manifest, name)
        return read_parquet(self.path / check_name(f"{name}.parquet"))

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file; ``name`` with its suffix."""
        self.write_bytes(name, manifests.as_json(value))

    def read_json(self, name: str) -> Any:
        """Return what a JSON file holds.

        :raises RunError: where it is missing or damaged.
        """
        return read_json(self.path / check_name(name))

    def write_bytes(self, name: str, data: bytes | memoryview) -> None:
        """Write any file of the run, listed in the manifest first.

        :param name: relative to the run directory.
        :raises RunError: for a name that leads out of it, or one of a file that is none of ours.
        """
        self._check_writable()
        name = check_name(name)
        owners = [*(entry["files"] for entry in self._stages.values()), self._manifest["files"]]
        if not any(covers(files, name) for files in owners):
            if (self.path / name).exists():
                raise RunError(f"{self.path / name} exists and was not written by this run; move it away")
            listed = self._manifest["files"] if self._stage is None else self._stages[self._stage]["files"]
            listed[:] = sorted([*listed, glob.escape(name)])
            self._save()
        atomic_write(self.path / name, data)

    def write_tensors(
        self, name: str, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
    ) -> None:
        """Write arrays as safetensors; ``name`` with its suffix."""
        self.write_bytes(name, to_safetensors(tensors, metadata))

    def read_tensors(self, name: str) -> dict[str, np.ndarray]:
        """Return the arrays of a file.

        :raises RunError: where it is missing or damaged.
        """
        return read_safetensors(self.path / check_name(name))[0]

    def records(self) -> Records:
        """Return everything that flowed; a stage that has not ended is one that did not happen.

        :raises RunError: where a file is missing or damaged.
        """
        return read_records(self.path, self._manifest)

    @property
    def _stages(self) -> dict[str, dict[str, Any]]:
        stages: dict[str, dict[str, Any]] = self._manifest["stages"]
        return stages

    def _active(self) -> str:
        if self._stage is None:
            raise ValueError("no stage has begun: call begin first, or name the stage")
        return self._stage

    def _left_nothing(self, entry: Mapping[str, Any]) -> bool:
        """Say whether a stage ended without a file, so that its options bind nobody."""
        return entry["status"] in ("failed", "skipped") and not any(files_of(self.path, entry["files"]))

    def _close_stage(self, stage: str, status: str, facts: Mapping[str, Any]) -> None:
        check_stage(stage)
        self._check_writable()
        fresh = {"options": {}, "attempts": 0, "files": list(OWNED[stage])}
        self._stages[stage] = {**self._stages.get(stage, fresh), "status": status, "facts": manifests.plain(facts)}
        self._stage = None
        self._save()

    def _check_writable(self) -> None:
        if self._lock is None:
            raise RunError(f"{self.path} was opened for reading only; nothing is written to it")

    def _save(self) -> None:
        self._check_writable()
        manifests.save(self.path, self._manifest)
