"""What a run keeps of samples that fine-tuning fixed, broke or left: few, the first, and of the sets without others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.pipeline import shown
from art_weakrobust.pipeline.shown import flipped
from art_weakrobust.results import PerturbationType, Validation, column

N = 40
KINDS = (PerturbationType("clean", "clean"), PerturbationType("fgm-linf", "attacks", norm="inf", eps=0.1))
IMAGES = np.linspace(0, 1, N, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 4, 4), np.float32)
DATA = ArrayDataset(IMAGES, np.zeros(N, np.int64), paths=[f"{i}.png" for i in range(N)])


def validation(phase: str, right: np.ndarray, name: str = "test", ids: np.ndarray | None = None) -> Validation:
    """One verdict an image under the attack; clean ones are all right."""
    ids = np.arange(N) if ids is None else ids
    rows = [(kind.type, index) for kind in KINDS for index in range(len(ids))]
    table = {
        "index": [ids[at] for _, at in rows],
        "type": [kind for kind, _ in rows],
        "correct": [bool(right[at]) if kind != "clean" else phase == "before" for kind, at in rows],
        "label": [0] * len(rows),
        "prediction": [0] * len(rows),
        "status": ["ok"] * len(rows),
        "set": [name] * len(rows),
        "phase": [phase] * len(rows),
    }
    return Validation(pa.table(table), KINDS)


PAIR = [validation(phase, np.arange(N) % 2 == 0) for phase in ("before", "after")]


def kept(*, ids: np.ndarray | None = None, name: str = "test", sets: np.ndarray | None = None) -> pa.Table:
    before = np.arange(N) % 2 == 0
    pair = [validation(phase, right, name, ids) for phase, right in (("before", before), ("after", ~before))]
    return flipped(*pair, {name: (DATA, np.arange(N) if sets is None else sets)})


def test_the_first_six_that_were_fixed_and_broken_are_kept_with_their_pixels():
    table = kept()
    assert column(table, "index").tolist() == list(range(12))  # the odd ones were fixed, the even ones broken
    assert set(column(table, "set")) == {"test"}
    assert table.column("path").to_pylist() == [f"{i}.png" for i in range(12)]
    pixels = [
        np.frombuffer(data, np.uint8).reshape(shape)
        for data, shape in zip(table.column("original").to_pylist(), table.column("shape").to_pylist(), strict=True)
    ]
    assert np.array_equal(np.stack(pixels), np.rint(255 * IMAGES[:12]).astype(np.uint8))


@pytest.mark.parametrize("name", ["tune", "held_out"])
def test_nothing_is_kept_of_the_weak_set_whose_samples_are_shown_elsewhere(name):
    assert kept(name=name).num_rows == 0


def test_where_there_are_too_many_every_cell_keeps_its_first(monkeypatch):
    monkeypatch.setattr(shown, "MOST_FLIPPED", 4)
    assert column(kept(), "index").tolist() == [0, 1, 2, 3]


def test_an_image_of_a_set_on_disk_that_is_none_of_the_test_images_is_not_looked_for():
    assert kept(ids=np.arange(N) - N).num_rows == 0


@pytest.mark.parametrize("right", [True, False])
def test_of_what_stayed_as_it_was_three_are_kept(right):
    same = [validation(phase, np.full(N, right)) for phase in ("before", "after")]
    table = flipped(*same, {"test": (DATA, np.arange(N))})
    assert column(table, "index").tolist() == [0, 1, 2]


def test_every_cell_has_some_and_what_others_chose_is_taken_first():
    outcome = np.arange(N) % 4  # right, wrong, fixed, broken in turn
    pair = [validation(phase, np.isin(outcome, wanted)) for phase, wanted in (("before", (0, 3)), ("after", (0, 2)))]
    kept = column(flipped(*pair, {"test": (DATA, np.arange(N))}), "index")
    assert np.bincount(outcome[kept]).tolist() == [3, 3, 6, 6]
    assert np.array_equal(kept[outcome[kept] == 0], [0, 4, 8])


def test_an_image_serves_the_cells_of_several_types():
    many = tuple(PerturbationType(f"fgm-{at}", "attacks", norm="inf", eps=at / 10) for at in range(1, 9))
    rows = [(kind.type, index) for kind in many for index in range(N)]
    table = {
        "index": [index for _, index in rows],
        "type": [kind for kind, _ in rows],
        "correct": [True] * len(rows),
        "label": [0] * len(rows),
        "prediction": [0] * len(rows),
        "status": ["ok"] * len(rows),
        "set": ["test"] * len(rows),
    }
    pair = [Validation(pa.table(table | {"phase": [phase] * len(rows)}), many) for phase in ("before", "after")]
    assert column(flipped(*pair, {"test": (DATA, np.arange(N))}), "index").tolist() == [0, 1, 2]


def test_where_nothing_but_clean_images_was_validated_nothing_is_kept():
    clean = [Validation(own.table.filter(pc.equal(own.table.column("type"), "clean")), KINDS[:1]) for own in PAIR]
    assert flipped(*clean, {"test": (DATA, np.arange(N))}).num_rows == 0


def test_a_set_that_one_phase_lacks_keeps_nothing():
    before, after = validation("before", np.ones(N, bool)), validation("after", np.ones(N, bool), "control")
    assert flipped(before, after, {"test": (DATA, np.arange(N))}).num_rows == 0
