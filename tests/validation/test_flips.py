"""What became of every image: five outcomes that add up, and agree with the paired test."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.results import PerturbationType, Validation
from art_weakrobust.validation.flips import flip_table, outcomes
from art_weakrobust.validation.metrics import paired_table

TYPES = (PerturbationType("pgd-linf", "attacks", norm="inf", eps=0.1), PerturbationType("fog", "corruptions"))


def validation(phase: str, attack: list[bool | None], fog: list[list[bool]]) -> Validation:
    """One attack and one corruption at several severities over the same images of the test set."""
    rows = [(i, "pgd-linf", None, right) for i, right in enumerate(attack)]
    rows += [(i, "fog", level, right) for i, all_of in enumerate(fog) for level, right in enumerate(all_of, 1)]
    index, kind, severity, correct = (list(column) for column in zip(*rows, strict=True))
    columns = {"index": index, "type": kind, "severity": pa.array(severity, pa.int8()), "correct": correct}
    columns |= {"label": [0] * len(rows), "set": ["test"] * len(rows), "phase": [phase] * len(rows)}
    return Validation(pa.table(columns), TYPES)


BEFORE = validation(
    "before", [False, True, True, False, None], [[False, False], [True, True], [True, False], [False, True], [True] * 2]
)
AFTER = validation(
    "after", [True, False, True, False, True], [[True, False], [True, False], [False, True], [False] * 2, [True] * 2]
)


def test_every_image_has_one_outcome() -> None:
    rows = {row["type"]: row for row in flip_table(BEFORE, AFTER)}
    fields = ("n", "fixed", "broken", "right", "wrong", "between")
    assert [rows["pgd-linf"][name] for name in fields] == [4, 1, 1, 1, 1, 0], "an unknown verdict is none"
    assert [rows["fog"][name] for name in fields] == [5, 1, 2, 1, 0, 1]


def test_fixed_and_broken_are_what_the_test_counts() -> None:
    paired = {row["type"]: row for row in paired_table(BEFORE, AFTER)}
    for row in flip_table(BEFORE, AFTER):
        assert (row["fixed"], row["broken"]) == (paired[row["type"]]["gained"], paired[row["type"]]["lost"])


def test_outcomes_are_told_an_image() -> None:
    assert outcomes(BEFORE, AFTER, "test") == {
        "pgd-linf": dict(enumerate("fbrw-")),
        "fog": dict(enumerate("fbmbr")),
    }


def test_a_diagnosis_has_neither_fixed_nor_broken() -> None:
    found = outcomes(BEFORE, None, "test")
    assert set("".join(found["fog"].values())) == {"w", "r", "m"}


@pytest.mark.parametrize("seed", range(3))
def test_outcomes_add_up_to_the_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    draw = [
        validation(p, (rng.random(20) < 0.5).tolist(), (rng.random((20, 3)) < 0.5).tolist())
        for p in ("before", "after")
    ]
    for row in flip_table(*draw):
        assert row["fixed"] + row["broken"] + row["right"] + row["wrong"] + row["between"] == row["n"] == 20
