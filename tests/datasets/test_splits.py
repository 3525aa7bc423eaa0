"""Where one split is all there is, whatever it is called and wherever it comes from, a half of it is the test set."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from art_weakrobust.datasets.base import ids_of, labels_of, limited_ids
from art_weakrobust.datasets.folders import folder
from art_weakrobust.datasets.hub import hf
from art_weakrobust.datasets.npz import npz
from art_weakrobust.datasets.parquet import parquet
from art_weakrobust.errors import DataError
from art_weakrobust.protocols import Dataset

N = 24
LABELS = np.arange(N) // 6
PIXELS = np.random.default_rng(2).integers(0, 256, (N, 6, 5, 3), dtype=np.uint8)
Load = Callable[..., Dataset]


def png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def of_folder(root: Path, word: str) -> Load:
    for i, label in enumerate(LABELS):
        file = root / word / f"class{label}" / f"{i:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(PIXELS[i]))
    return lambda **options: folder(str(root), **options)


def of_npz(root: Path, word: str) -> Load:
    np.savez(root / "a.npz", **{f"x_{word}": PIXELS.transpose(0, 3, 1, 2), f"y_{word}": LABELS})
    return lambda **options: npz(str(root / "a.npz"), **options)


def of_one_file(root: Path, word: str) -> Load:
    rows = pa.table({"img": [png(pixels) for pixels in PIXELS], "label": LABELS})
    pq.write_table(rows, root / f"{word}.parquet", row_group_size=5)
    return lambda **options: parquet(str(root / f"{word}.parquet"), **options)


def of_shards(root: Path, word: str) -> Load:
    of_one_file(root, f"{word}-00000-of-00001")
    return lambda **options: parquet(str(root), **options)


def of_hub(root: Path, word: str) -> Load:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list("abcd"))})
    images = [{"bytes": png(pixels), "path": None} for pixels in PIXELS]
    rows = datasets.Dataset.from_dict({"image": images, "label": LABELS}, features=features)
    rows.to_parquet(str(root / "set" / "data" / f"{word}-00000-of-00001.parquet"))
    return lambda **options: hf(str(root / "set"), **options)


@pytest.fixture(params=[of_folder, of_npz, of_one_file, of_shards, of_hub])
def single(request, tmp_path, monkeypatch) -> Callable[[str], Load]:
    """What makes a data set of one split, called as asked, of each kind of source."""
    if request.param is of_hub:
        datasets = pytest.importorskip("datasets")
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return lambda word="train": request.param(tmp_path, word)


@pytest.mark.parametrize("word", ["train", "test", "validation"])
def test_the_halves_are_disjoint_and_make_up_the_whole_whatever_the_split_is_called(single, word):
    load = single(word)
    ids = {split: ids_of(load(split=split)).tolist() for split in ("train", "test", "validation", "all")}
    assert not set(ids["train"]) & set(ids["test"])
    assert sorted(ids["train"] + ids["test"]) == ids["all"] == list(range(N))
    assert ids["validation"] == ids["test"]


def test_ids_are_positions_in_the_whole_and_bring_its_images(single):
    load = single()
    whole = load(split="all")
    for split in ("train", "test"):
        half = load(split=split)
        ids = ids_of(half)
        assert np.array_equal(half.take(ids).x, PIXELS[ids].transpose(0, 3, 1, 2) / np.float32(255))
        assert np.array_equal(half.take(ids).x, whole.take(ids).x)
        assert labels_of(half).tolist() == LABELS[ids].tolist()
        assert np.concatenate([samples.ids for samples in half.chunks(5)]).tolist() == ids.tolist()


def test_every_class_is_halved_and_keeps_its_number_and_name(single):
    load = single("test")
    whole, test = load(split="all"), load(split="test")
    assert np.bincount(labels_of(test)).tolist() == [3, 3, 3, 3]
    assert (test.nb_classes, test.class_names) == (whole.nb_classes, whole.class_names)


def test_the_draw_is_the_seed_s_and_is_told(single, caplog):
    load = single()
    first = ids_of(load(split="test", seed=1)).tolist()
    assert first == ids_of(load(split="test", seed=1)).tolist() != ids_of(load(split="test", seed=2)).tolist()
    assert "is one split: a half of it drawn with seed 1 is the test set" in caplog.text


def test_the_whole_is_given_without_a_word(single, caplog):
    assert len(single()(split="all")) == N
    assert caplog.text == ""


def test_a_limit_takes_from_a_half_and_moves_nothing_between_them(single):
    load = single()
    for split in ("train", "test"):
        half = load(split=split, seed=3)
        ids = ids_of(load(split=split, seed=3, limit=5))
        assert np.isin(ids, ids_of(half)).all()
        assert np.array_equal(ids, limited_ids(half, 5, 3))


def test_indices_are_ids_of_the_half(single):
    load = single()
    ids = ids_of(load(split="test"))
    chosen = load(split="test", indices=ids[[4, 1]])
    assert ids_of(chosen).tolist() == sorted(ids[[4, 1]].tolist())
    assert labels_of(chosen).tolist() == LABELS[ids_of(chosen)].tolist()
    with pytest.raises(DataError, match="is not in this subset of 12 samples"):
        load(split="train", indices=ids[:1])


def test_halves_whole_and_other_draws_are_told_apart_by_their_fingerprints(single):
    load = single()
    parts = [load(split="train"), load(split="test"), load(split="all"), load(split="train", seed=9)]
    assert len({part.fingerprint() for part in parts}) == 4
    assert load(split="test").fingerprint() == load(split="validation").fingerprint()


def test_another_name_says_what_the_one_split_can_be_asked_for(single):
    with pytest.raises(DataError, match="no split 'dev': one split is all there is; its halves are 'train' and 'test'"):
        single()(split="dev")


@pytest.mark.parametrize("make", [of_folder, of_shards])
def test_a_split_of_another_name_beside_it_is_seen_and_nothing_is_halved(make, tmp_path, caplog):
    load = make(tmp_path, "train")
    if make is of_folder:
        of_folder(tmp_path, "hold_out")
        (tmp_path / "notes" / "class of 2026").mkdir(parents=True)  # holds no class of the split
    else:
        of_one_file(tmp_path, "hold_out")
    assert len(load(split="train")) == len(load(split="hold_out")) == N
    with pytest.raises(DataError, match="no split 'test'; it has: 'train', 'hold_out'"):
        load(split="test")
    assert caplog.text == ""


def test_a_subset_gives_no_samples_of_others(single):
    load = single()
    train, test = load(split="train"), load(split="test")
    for ask in (test.take, lambda ids: list(test.chunks(4, ids))):
        with pytest.raises(DataError, match="is not in this subset of 12 samples"):
            ask(ids_of(train)[:3])


def test_an_id_beyond_a_half_is_not_in_it(single):
    with pytest.raises(DataError, match=r"is not in this subset|there is no sample"):
        single()(split="train", indices=[N])


def test_a_split_of_which_an_array_is_missing_is_not_taken_for_the_only_one(tmp_path):
    x, y = np.full((4, 1, 4, 4), 0.5, np.float32), [0, 1, 0, 1]
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_tests=y)
    with pytest.raises(DataError, match="'x_test' without its other half"):
        npz(str(tmp_path / "a.npz"), split="test")


def test_paths_are_those_of_the_half(tmp_path):
    load = of_folder(tmp_path, "val")
    half = load(split="test")
    assert half.paths() == half.take(ids_of(half)).paths
    assert half.paths() == tuple(np.array(load(split="all").paths())[ids_of(half)])


def test_one_image_is_too_few_to_halve(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.ones((1, 1, 4, 4), np.float32), y_train=[0])
    with pytest.raises(DataError, match="1 image is too few to halve; use --split all"):
        npz(str(tmp_path / "a.npz"))
    assert len(npz(str(tmp_path / "a.npz"), split="all")) == 1


def test_two_splits_are_taken_as_they_are(tmp_path, caplog):
    x = PIXELS.transpose(0, 3, 1, 2)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=LABELS, x_val=x[:7], y_val=LABELS[:7])
    load = [npz(str(tmp_path / "a.npz"), split=split) for split in ("train", "test", "validation", "val")]
    assert [len(data) for data in load] == [N, 7, 7, 7]
    assert caplog.text == ""
    with pytest.raises(DataError, match=r"no split 'all'.*it has: 'train', 'val'"):
        npz(str(tmp_path / "a.npz"), split="all")
