"""Sizes of a page: a thousand classes and two hundred types stay within the cap, and the page stays whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.report.html import html_report
from art_weakrobust.results import PerturbationType, Records, Validation, column

CAP = 5_000_000
CLASSES, ATTACKS, CORRUPTIONS = 1000, 100, 100


def many_types() -> tuple[PerturbationType, ...]:
    attacks = [
        PerturbationType(f"attack_{k}-linf", "attacks", "gradient", norm="inf", eps=0.01) for k in range(ATTACKS)
    ]
    corruptions = [PerturbationType(f"corruption_number_{k}", "corruptions", "weather") for k in range(CORRUPTIONS)]
    return (PerturbationType("clean", "clean"), *attacks, *corruptions)


def validated(records: Records, phase: str) -> Validation:
    """Verdicts of some images of every set under every type, corruptions at five severities."""
    rng = np.random.default_rng(1 if phase == "before" else 2)
    assert records.weak_set is not None
    held_out, control = records.weak_set.held_out[:20], records.weak_set.control[:100]
    sets = {"held_out": held_out, "control": control, "test": np.arange(150)}
    ids = np.concatenate(list(sets.values()))
    names = np.repeat(list(sets), [len(own) for own in sets.values()])
    columns = [(k.type, s) for k in many_types() for s in ((1, 2, 3, 4, 5) if k.family == "corruptions" else (None,))]
    n = len(ids)
    right = rng.random((len(columns), n)) < np.linspace(0.2, 0.9, len(columns))[:, None]
    label = np.tile(ids % CLASSES, len(columns))
    text = {"type": np.repeat([kind for kind, _ in columns], n), "set": np.tile(names, len(columns))}
    table = pa.table(
        {
            "index": np.tile(ids, len(columns)),
            "label": label,
            "prediction": np.where(right.ravel(), label, (label + 1) % CLASSES),
            "correct": right.ravel(),
            "severity": pa.array([severity for _, severity in columns for _ in range(n)], pa.int8()),
            **{name: pa.array(values).dictionary_encode() for name, values in text.items()},
            **{
                name: pa.array([value] * len(label)).dictionary_encode()
                for name, value in (("phase", phase), ("status", "ok"))
            },
        }
    )
    return Validation(table, many_types())


@pytest.fixture(scope="module")
def large(make_records: Callable[..., Records], keep_flipped: Callable[..., pa.Table]) -> Records:
    records = make_records(nb_classes=CLASSES, side=32, channels=3, shown=100)
    named = records.with_(class_names=tuple(f"n{k:08d}, a class with a long name" for k in range(CLASSES)))
    before, after = validated(named, "before"), validated(named, "after")
    return named.with_(before=before, after=after, flipped=keep_flipped(before, after, 32, 3))


@pytest.fixture(scope="module")
def made(large: Records) -> Any:
    return html_report()(large)


def test_a_thousand_classes_and_two_hundred_types_stay_below_the_cap(made: Any) -> None:
    assert len(made["report.html"]) < CAP


def test_every_image_that_the_figures_may_open_is_there(large: Records) -> None:
    assert large.flipped is not None
    counted = dict(zip(*np.unique(column(large.flipped, "set"), return_counts=True), strict=True))
    assert counted["control"] == 50  # all that there are
    assert counted["test"] > 80


def test_none_of_the_types_is_lost(made: Any) -> None:
    html = made["report.html"].decode()
    missing = [
        kind.type for kind in many_types() if kind.family == "corruptions" and kind.type.replace("_", " ") not in html
    ]
    assert missing == []
