"""The rows of a validation as matrices, one a set: images down, (type, severity) across. All tables start here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DataError
from ..results import PerturbationType, Validation

TUNE = "tune"
SETS = ("held_out", "control", "test")
"""The sets that may be shown, in the order of the tables; others, a third party's, follow. ``tune`` is never shown."""

RIGHT, WRONG, UNKNOWN, ABSENT = 1, 0, -1, -2
_SEVERITIES = 256
"""Above every severity an int8 holds: (type, severity) is coded as one integer."""


@dataclass(frozen=True)
class Verdicts:
    """What is known of one set.

    :param ids: int64 (n,), sorted.
    :param labels: int64 (n,); -1 where no row tells.
    :param types: types with at least one row, in the validation's order.
    :param columns: ``(type, severity)`` of each column; severity is None for clean, noise and attacks.
    :param right: int8 (n, columns): 1 right, 0 wrong, -1 unknown (judged without a verdict), -2 absent (no row).
    :param predictions: int32 (n, columns), -1 where none is known.
    """

    ids: np.ndarray
    labels: np.ndarray
    types: tuple[PerturbationType, ...]
    columns: tuple[tuple[str, int | None], ...]
    right: np.ndarray
    predictions: np.ndarray

    @classmethod
    def of(cls, validation: Validation, name: str) -> Verdicts:
        """Return the verdicts of the set ``name``, without rows where the validation has none of it.

        They are made once a validation and set, since every table starts with them; their arrays are for reading.

        A type that has a verdict only where nothing had to be attacked (clean-misclassified images) has crashed: all
        its images are unknown, or it would read as an accuracy of 0.

        :raises DataError: for several phases, for a sample judged twice, for a type that ``validation.types`` lacks.
        """
        made = _MADE.setdefault(validation, {})
        if name not in made:
            made[name] = cls._of(validation, name)
        return made[name]

    @classmethod
    def _of(cls, validation: Validation, name: str) -> Verdicts:
        if len(found := phases(validation)) > 1:
            raise DataError(f"validation holds the phases {', '.join(found)}; hand them in one at a time")
        rows = validation.table.filter(pc.equal(_text(validation.table, "set"), name))
        columns, column = _columns(rows, validation.types)
        ids, row = np.unique(_integers(rows, "index"), return_inverse=True)
        verdict = _integers(rows, "correct")
        _forget_crashed(verdict, column, len(columns), _text(rows, "status"))
        right = np.full((ids.size, len(columns)), ABSENT, np.int8)
        right[row, column] = verdict
        if int((right != ABSENT).sum()) != rows.num_rows:
            raise DataError(f"validation judges a sample of the set {name!r} twice under one perturbation")
        predictions = np.full(right.shape, -1, np.int32)
        predictions[row, column] = _integers(rows, "prediction")
        labels = np.full(ids.size, -1, np.int64)
        labels[row] = _integers(rows, "label")
        present = {kind for kind, _ in columns}
        types = tuple(kind for kind in validation.types if kind.type in present)
        for array in (ids, labels, right, predictions):
            array.flags.writeable = False
        return cls(ids, labels, types, columns, right, predictions)

    def severities(self, kind: str) -> tuple[int | None, ...]:
        """Return the severities at which a type was judged; ``(None,)`` for a type without severities."""
        return tuple(severity for name, severity in self.columns if name == kind)

    def column(self, kind: str, severity: int | None) -> np.ndarray:
        """Return 1.0, 0.0 or NaN an image, float64 (n,), at one severity."""
        values = self.right[:, self.columns.index((kind, severity))]
        return np.where(values >= 0, values, np.nan).astype(np.float64)

    def values(self, kind: str) -> np.ndarray:
        """Return the share of severities at which each image is right, float64 (n,).

        NaN where one of them is unknown: the rest of the severities would be another question.
        """
        block = self.right[:, self._at([kind])]
        present = (block != ABSENT).sum(axis=1)
        share = np.where(block == RIGHT, 1, 0).sum(axis=1) / np.maximum(present, 1)
        return np.where((block == UNKNOWN).any(axis=1) | (present == 0), np.nan, share)

    def unknown(self, kind: str, severity: int | None = None) -> int:
        """Return how many images have no verdict under a type (at one severity, where it is given)."""
        columns = self._at([kind]) if severity is None else [self.columns.index((kind, severity))]
        return int((self.right[:, columns] == UNKNOWN).any(axis=1).sum())

    def asked(self, kinds: Iterable[str]) -> np.ndarray:
        """Return which images have a row under one of the types, bool (n,); the others are of another set on disk."""
        present: np.ndarray = (self.right[:, self._at(kinds)] != ABSENT).any(axis=1)
        return present

    def mean(self, kinds: Iterable[str]) -> np.ndarray:
        """Return the mean over all types and severities an image, float64 (n,); NaN unless every verdict is known."""
        block = self.right[:, self._at(kinds)]
        known = (block >= 0).all(axis=1) & (block.shape[1] > 0)
        return np.where(known, np.where(block == RIGHT, 1, 0).sum(axis=1) / max(1, block.shape[1]), np.nan)

    def worst(self, kinds: Iterable[str]) -> np.ndarray:
        """Return 1.0 where an image withstands all types, 0.0 where one breaks it, float64 (n,).

        NaN unless every verdict is known: if images that one attack breaks counted while another crashed, and those
        that it does not break did not, the share would fall with every crash.
        """
        block = self.right[:, self._at(kinds)]
        known = (block >= 0).all(axis=1) & (block.shape[1] > 0)
        return np.where(known, (block == RIGHT).all(axis=1), np.nan).astype(np.float64)

    def mistakes(self, kinds: Iterable[str]) -> np.ndarray:
        """Return (label, prediction) of every wrong verdict under some types, int64 (m, 2)."""
        at = self._at(kinds)
        row, column = np.nonzero(self.right[:, at] == WRONG)
        return np.stack([self.labels[row], self.predictions[:, at][row, column]], axis=1)

    def ran(self, kind: str) -> bool:
        """Say whether a single image has a verdict under a type."""
        return bool(np.isfinite(self.values(kind)).any())

    def _at(self, kinds: Iterable[str]) -> list[int]:
        wanted = set(kinds)
        return [position for position, (name, _) in enumerate(self.columns) if name in wanted]


_MADE: WeakKeyDictionary[Validation, dict[str, Verdicts]] = WeakKeyDictionary()
"""What :meth:`Verdicts.of` made of each validation that still exists."""


def align(before: Verdicts, after: Verdicts) -> tuple[Verdicts, Verdicts]:
    """Return both on the images and the (type, severity) columns that they share, in one order."""
    ids, rows_before, rows_after = np.intersect1d(before.ids, after.ids, assume_unique=True, return_indices=True)
    shared = set(before.columns) & set(after.columns)
    columns = tuple(column for column in before.columns if column in shared)
    present = {kind for kind, _ in columns}
    types = tuple(kind for kind in before.types if kind.type in present)

    def restricted(verdicts: Verdicts, rows: np.ndarray) -> Verdicts:
        at = np.asarray([verdicts.columns.index(column) for column in columns], np.int64)
        matrices = (verdicts.right, verdicts.predictions)
        return Verdicts(ids, verdicts.labels[rows], types, columns, *(matrix[np.ix_(rows, at)] for matrix in matrices))

    return restricted(before, rows_before), restricted(after, rows_after)


def phases(validation: Validation) -> tuple[str, ...]:
    """Return the phases of the rows, ``before`` first; rows without one are ``before``."""
    names = pc.unique(_text(validation.table, "phase").fill_null("before")).to_pylist()
    return tuple(sorted(names, key=lambda name: (name != "before", name)))


def by_phase(validation: Validation) -> dict[str, Validation]:
    """Return phase -> the rows of that phase."""
    found = phases(validation)
    if len(found) < 2:
        return dict.fromkeys(found, validation)
    phase = _text(validation.table, "phase").fill_null("before")
    return {name: Validation(validation.table.filter(pc.equal(phase, name)), validation.types) for name in found}


def shown_sets(*validations: Validation) -> tuple[str, ...]:
    """Return the names of the sets that all the validations have and that may be shown: never ``tune``."""
    names = [set(pc.unique(_text(validation.table, "set")).to_pylist()) for validation in validations]
    shared = set.intersection(*names) - {TUNE, None}
    return tuple(name for name in SETS if name in shared) + tuple(sorted(shared.difference(SETS)))


def family(types: Sequence[PerturbationType], name: str) -> tuple[str, ...]:
    """Return the generated types of a family; stored sets stand apart."""
    return tuple(kind.type for kind in types if kind.family == name and kind.origin != "stored")


def stored_set(kind: PerturbationType) -> str | None:
    """Return the name of the set on disk that a type is of, None for a computed one: sets may be of other images."""
    return kind.type.rpartition("/")[0] if kind.origin == "stored" else None


def _text(table: pa.Table, name: str) -> pa.ChunkedArray:
    return _column(table, name).cast(pa.string())


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name in table.column_names:
        return table.column(name)
    return pa.chunked_array([pa.nulls(table.num_rows)])


def _integers(table: pa.Table, name: str) -> np.ndarray:
    """Return a column as int64, -1 for null; booleans are 1 and 0."""
    return np.asarray(_column(table, name).cast(pa.int64()).fill_null(UNKNOWN).to_numpy()).copy()


def _columns(
    rows: pa.Table, types: Sequence[PerturbationType]
) -> tuple[tuple[tuple[str, int | None], ...], np.ndarray]:
    """Return the (type, severity) columns that have rows, in the order of the types, and the column of each row."""
    encoded = _text(rows, "type").combine_chunks().dictionary_encode()
    order = {kind.type: position for position, kind in enumerate(types)}
    if unknown := [name for name in encoded.dictionary.to_pylist() if name not in order]:
        raise DataError(f"validation has rows of the type {unknown[0]!r}, which its types do not describe")
    ranks = np.asarray([order[name] for name in encoded.dictionary.to_pylist()], np.int64)
    codes = ranks[encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)]
    keys, column = np.unique(codes * _SEVERITIES + _integers(rows, "severity") + 1, return_inverse=True)
    names = [(types[int(key) // _SEVERITIES].type, int(key) % _SEVERITIES - 1) for key in keys]
    return tuple((name, None if severity < 0 else severity) for name, severity in names), column


def _forget_crashed(verdict: np.ndarray, column: np.ndarray, count: int, status: pa.ChunkedArray) -> None:
    attacked = pc.not_equal(status, "misclassified").fill_null(True).to_numpy()
    judged = np.bincount(column[attacked & (verdict >= 0)], minlength=count)
    failed = np.bincount(column[attacked & (verdict == UNKNOWN)], minlength=count)
    verdict[((judged == 0) & (failed > 0))[column]] = UNKNOWN
