"""What a run keeps of the samples that fine-tuning fixed or broke: few, the first, and of the sets without others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
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


def test_nothing_is_kept_where_nothing_flipped():
    same = [validation(phase, np.ones(N, bool)) for phase in ("before", "after")]
    assert flipped(*same, {"test": (DATA, np.arange(N))}).num_rows == 0
