"""Pixels and probabilities of the weakest samples."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
import torch

from art_weakrobust.analysis.attack import attack
from art_weakrobust.analysis.gallery import weakest_samples, with_after
from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.analysis.neighborhood_source import Uniform
from art_weakrobust.kernels.neighborhood import neighbors
from art_weakrobust.perturbations.resolve import attack_type
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.results import SAMPLES
from art_weakrobust.selection import select
from art_weakrobust.testing.networks import small_cnn

RADIUS, SEED = 0.3, 5
SOURCE = Uniform(radius=RADIUS, seed=SEED)


@pytest.fixture(scope="module")
def scored(build, trained, digit_data):
    scores = build.score_with(neighborhood(RADIUS, neighbors=8, seed=SEED), trained, digit_data)
    return scores, select(scores, top_k=20)


def shown(scored, trained, data, after=None, n=200, **options):
    table = weakest_samples(*scored, trained, after, data, n, source=SOURCE, **options)
    assert table.schema.equals(SAMPLES)
    return table.to_pylist()


def test_rows_are_the_weak_set_in_its_order(scored, trained, digit_data):
    scores, weak = scored
    rows = shown(scored, trained, digit_data, n=6)
    chosen = [row for row in weak.table.to_pylist() if row["role"] != "control"]
    assert [row["index"] for row in rows] == [row["index"] for row in chosen][:6]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5, 6]
    by_id = dict(zip(scores["index"], scores["score"], strict=True))
    weakness = [by_id[row["index"]] for row in rows]
    assert weakness == sorted(weakness, reverse=True)


def test_pixels_are_the_original_and_its_most_damaging_neighbor_as_bytes(scored, trained, digit_data):
    worst = dict(zip(scored[0]["index"], scored[0]["worst_neighbor"], strict=True))
    for row in shown(scored, trained, digit_data):
        sample = digit_data.take(np.array([row["index"]]))
        x, ids = torch.from_numpy(sample.x), torch.from_numpy(sample.ids)
        near = neighbors(x, ids, int(worst[row["index"]]), RADIUS, inf, SEED).numpy()
        assert row["shape"] == [1, 8, 8]
        for name, image in (("original", sample.x), ("neighbor", near)):
            assert np.array_equal(np.frombuffer(row[name], np.uint8), np.rint(image * 255).astype(np.uint8).ravel())
        assert row["adversarial"] is None


def test_probabilities_are_those_of_the_stored_pixels_and_the_neighbor_is_mistaken(scored, trained, digit_data):
    rows = shown(scored, trained, digit_data)
    labels = digit_data.take(np.array([row["index"] for row in rows])).y
    for name in ("original", "neighbor"):
        pixels = np.stack([np.frombuffer(row[name], np.uint8) for row in rows]).reshape(-1, 1, 8, 8)
        with torch.no_grad():
            expected = trained.model(torch.from_numpy(pixels.astype(np.float32) / 255)).softmax(1).numpy()
        given = np.array([row[f"p_{name}_before"] for row in rows])
        assert np.allclose(given, expected, atol=1e-5)
        right = given.argmax(1) == labels
        assert right.mean() > 0.9 if name == "original" else right.mean() < 0.1


def test_after_is_told_of_the_held_out_half_alone(build, scored, trained, digit_data):
    tuned = build.classifier(small_cnn(build.shape, seed=1))
    rows = shown(scored, trained, digit_data, after=tuned)
    held_out = set(scored[1].held_out.tolist())
    assert 0 < sum(row["index"] in held_out for row in rows) < len(rows)
    for row in rows:
        for name in ("p_original_after", "p_neighbor_after"):
            assert (row[name] is not None) == (row["index"] in held_out)


def test_after_may_come_later_from_the_stored_rows(build, scored, trained, digit_data):
    tuned = build.classifier(small_cnn(build.shape, seed=1))
    together = weakest_samples(*scored, trained, tuned, digit_data, source=SOURCE)
    before = weakest_samples(*scored, trained, None, digit_data, source=SOURCE)
    assert before.column("p_original_after").null_count == before.num_rows
    assert with_after(before, tuned, scored[1]).equals(together)


def test_an_attack_adds_its_adversarials(scored, trained, digit_data):
    kind = attack_type("fgm:eps=0.2", trained, manager=Manager(third_party=False), offered={})
    rows = shown(scored, trained, digit_data, attack=kind)
    found = [row for row in rows if row["adversarial"] is not None]
    assert len(found) > len(rows) / 2
    for row in found:
        moved, original = (np.frombuffer(row[name], np.uint8).astype(int) for name in ("adversarial", "original"))
        assert 0 < np.abs(moved - original).max() <= 0.2 * 255 + 1


def test_samples_weak_under_an_attack_show_the_adversarial_in_place_of_a_neighbor(build, trained, digit_data):
    kind = attack_type("fgm:eps=0.1", trained, manager=Manager(third_party=False), offered={})
    scores = build.score_with(attack(kind), trained, digit_data)
    rows = weakest_samples(scores, select(scores, top_k=5), trained, None, digit_data, attack=kind).to_pylist()
    labels = digit_data.take(np.array([row["index"] for row in rows])).y
    assert len(rows) == 5
    assert all(row["neighbor"] is None and row["adversarial"] is not None for row in rows)
    assert np.mean([np.argmax(row["p_neighbor_before"]) != y for row, y in zip(rows, labels, strict=True)]) > 0.7


def test_an_empty_weak_set_gives_an_empty_table(build, digit_data, trained):
    scores = build.score_with(neighborhood(1e-6, neighbors=2), trained, digit_data)
    weak = select(scores)
    assert len(weak) == 0
    table = weakest_samples(scores, weak, trained, None, digit_data)
    assert table.num_rows == 0
    assert with_after(table, trained, weak).num_rows == 0
