"""Hand-made validations, scores and weak sets, for tables whose every figure is known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.results import (
    SCORES,
    VALIDATION,
    WEAK_SET,
    PerturbationType,
    Scores,
    Validation,
    WeakSet,
    conform,
    merge,
)

EPS = 2 / 255
CLEAN = PerturbationType("clean", "clean")
NOISE = PerturbationType("uniform_noise", "noise")
FGM = PerturbationType("fgm-linf", "attacks", "gradient", norm="inf", eps=EPS)
PGD = PerturbationType("pgd-linf", "attacks", "gradient", norm="inf", eps=EPS)
WIDE = PerturbationType("pgd-wide", "attacks", "gradient", norm="inf", eps=8 / 255)
L2 = PerturbationType("pgd-l2", "attacks", "gradient", norm="2", eps=0.5)
FOG, BLUR, SNOW = (PerturbationType(name, "corruptions") for name in ("fog", "blur", "snow"))
STORED = PerturbationType("cifar10-c/fog", "corruptions", origin="stored")
TYPES = (CLEAN, NOISE, FGM, PGD, WIDE, L2, FOG, BLUR, SNOW, STORED)


def _validation(cells, *, phase="before", status=None, types=TYPES, labels=None):
    """Rows from (set, type, severity) -> verdicts of the images 0, 1, …, each 1, 0, or None for unknown."""
    parts = []
    for (name, kind, severity), verdicts in cells.items():
        n = len(verdicts)
        label = np.zeros(n, int) if labels is None else np.asarray(labels)
        correct = [None if verdict is None else bool(verdict) for verdict in verdicts]
        parts.append(
            pa.table(
                {
                    "index": np.arange(n),
                    "set": [name] * n,
                    "phase": [phase] * n,
                    "type": [kind] * n,
                    "severity": pa.array([severity] * n, pa.int8()),
                    "label": label,
                    "prediction": [own if right else (own + 1) % 3 for own, right in zip(label, correct, strict=True)],
                    "correct": pa.array(correct, pa.bool_()),
                    "status": (status or {}).get(kind, ["ok"] * n),
                }
            )
        )
    rows = merge(parts) if parts else VALIDATION.empty_table()
    return Validation(conform(rows, VALIDATION), types)


def _right(k, n):
    return [1] * k + [0] * (n - k)


def _pick(rows, **wanted):
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def _family_of_three(errors, n=60, name="held_out"):
    """Three attacks that break the first images of the set, so many each."""
    return {
        (name, kind, None): [int(i >= broken) for i in range(n)]
        for kind, broken in zip(("fgm-linf", "pgd-linf", "pgd-l2"), errors, strict=True)
    }


def _weak_set(rows):
    table = pa.table(
        {
            "index": [index for index, _, _ in rows],
            "role": [role for _, role, _ in rows],
            "reason": [reason for _, _, reason in rows],
        }
    )
    return WeakSet(conform(table, WEAK_SET))


def _scores(score, label, **columns):
    table = pa.table({"index": np.arange(len(score)), "score": np.asarray(score, float), "label": label, **columns})
    return Scores(conform(table, SCORES))


@pytest.fixture
def validation():
    return _validation


@pytest.fixture
def right():
    return _right


@pytest.fixture
def pick():
    return _pick


@pytest.fixture
def family_of_three():
    return _family_of_three


@pytest.fixture
def weak_set():
    return _weak_set


@pytest.fixture
def scores():
    return _scores
