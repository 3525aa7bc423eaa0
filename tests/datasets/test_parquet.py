"""Parquet files of the Hugging Face layout: shards, splits, columns, lazy decoding and what is refused."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from art_weakrobust.datasets import encoded
from art_weakrobust.datasets.parquet import ParquetImages, parquet
from art_weakrobust.errors import DataError
from art_weakrobust.protocols import Dataset

N = 24
PIXELS = np.random.default_rng(1).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(N) % 3


def png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def table(rows=slice(None), *, image="img", label="label", plain=False, **changes) -> pa.Table:
    data = [png(pixels) for pixels in PIXELS[rows]]
    column = pa.array(data) if plain else pa.array([{"bytes": d, "path": f"{i}.png"} for i, d in enumerate(data)])
    return pa.table({image: column, label: pa.array(LABELS[rows])} | changes)


def write(folder: Path, content: pa.Table, name: str = "train-00000-of-00001", rows_in_group: int = 5) -> str:
    pq.write_table(content, folder / f"{name}.parquet", row_group_size=rows_in_group)
    return str(folder)


def whole(path: str | Path, **options) -> Dataset:
    """One split is all there is in most of these folders; what becomes of it is told in ``test_splits.py``."""
    return parquet(str(path), split="all", **options)


def refused(path: str | Path, **options) -> str:
    with pytest.raises(DataError) as caught:
        list(parquet(str(path), **{"split": "all", **options}).chunks(N))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def expected(ids) -> np.ndarray:
    return PIXELS[ids].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def test_images_labels_and_paths_come_back_across_shards_in_the_order_of_the_ids(tmp_path):
    write(tmp_path, table(slice(0, 13)), "train-00000-of-00002")
    write(tmp_path, table(slice(13, N)), "train-00001-of-00002")
    data = whole(tmp_path)
    ids = np.array([23, 0, 13, 12, 23, 5])
    samples = data.take(ids)
    assert (len(data), data.input_shape, data.nb_classes) == (N, (3, 8, 8), 3)
    assert np.array_equal(samples.x, expected(ids))
    assert samples.y.tolist() == LABELS[ids].tolist()
    assert samples.paths == ("10.png", "0.png", "0.png", "12.png", "10.png", "5.png")
    assert np.array_equal(np.concatenate([chunk.x for chunk in data.chunks(7)]), expected(np.arange(N)))


@pytest.mark.parametrize(("image", "label", "plain"), [("image", "fine_label", False), ("img", "label", True)])
def test_the_other_spellings_of_the_layout_are_read(tmp_path, image, label, plain):
    data = whole(write(tmp_path, table(image=image, label=label, plain=plain)))
    samples = data.take(np.arange(N))
    assert np.array_equal(samples.x, expected(np.arange(N)))
    assert (samples.paths is None) is plain


def test_a_label_column_can_be_named(tmp_path):
    path = write(tmp_path, table(coarse=pa.array(LABELS * 2)))
    assert whole(path, label_column="coarse").labels().tolist() == (LABELS * 2).tolist()
    assert "did you mean 'coarse'" in refused(path, label_column="coarsse")


def test_class_names_come_from_the_hugging_face_metadata(tmp_path):
    note = {"info": {"features": {"label": {"names": ["a", "b", "c", "d"], "_type": "ClassLabel"}}}}
    content = table().replace_schema_metadata({"huggingface": json.dumps(note)})
    data = whole(write(tmp_path, content))
    assert (data.class_names, data.nb_classes) == (("a", "b", "c", "d"), 4)
    for damaged in ("{", "[]", '{"info": 3}'):
        assert whole(write(tmp_path, content.replace_schema_metadata({"huggingface": damaged}))).class_names == ()


def test_labels_beyond_the_class_names_are_refused(tmp_path):
    note = {"info": {"features": {"label": {"names": ["a", "b"]}}}}
    assert "label 2 at sample 2" in refused(
        write(tmp_path, table().replace_schema_metadata({"huggingface": json.dumps(note)}))
    )


def test_nothing_but_the_first_images_headers_is_decoded_before_a_batch_is_taken(tmp_path, monkeypatch):
    decoded = []
    original = encoded.decoded
    monkeypatch.setattr(encoded, "decoded", lambda *args: decoded.append(args) or original(*args))
    data = whole(write(tmp_path, table()))
    data.labels()
    data.fingerprint()
    assert decoded == []
    data.take(np.array([3, 4]))
    assert len(decoded) == 2


def test_the_cache_of_encoded_row_groups_is_bounded_and_changes_no_pixel(tmp_path):
    write(tmp_path, table(), rows_in_group=2)
    group = pq.ParquetFile(tmp_path / "train-00000-of-00001.parquet").read_row_group(0).column(0).nbytes
    data = ParquetImages([tmp_path / "train-00000-of-00001.parquet"], "small", cache_bytes=3 * group + 3)
    for _ in range(3):
        ids = np.random.default_rng(2).permutation(N)
        assert np.array_equal(data.take(ids).x, expected(ids))
        assert 1 <= len(data._shards._cache) <= 3


def test_the_test_split_is_the_validation_files_where_there_is_no_other(tmp_path):
    write(tmp_path, table())
    write(tmp_path, table(slice(0, 6)), "validation-00000-of-00001")
    assert len(parquet(str(tmp_path), split="test")) == len(parquet(str(tmp_path), split="validation")) == 6
    write(tmp_path, table(slice(0, 9)), "test-00000-of-00001")
    assert len(parquet(str(tmp_path), split="test")) == 9


def test_one_file_is_one_split_whatever_lies_beside_it(tmp_path):
    write(tmp_path, table(), "things")
    write(tmp_path, table(slice(0, 8)), "test-00000-of-00001")
    assert len(whole(tmp_path / "things.parquet")) == N
    assert len(parquet(str(tmp_path / "test-00000-of-00001.parquet"), split="test")) == 4


def test_missing_files_are_told_with_what_is_there(tmp_path):
    write(tmp_path, table())
    path = write(tmp_path, table(), "test-00000-of-00001")
    assert "no split 'dev'; it has: 'test', 'train'" in refused(path, split="dev")
    assert "did you mean 'data'" in refused(_folder(tmp_path / "hub" / "data").parent / "dat")
    write(tmp_path / "hub" / "data", table())
    assert "name the folder that holds them: data" in refused(tmp_path / "hub")
    assert "no such parquet files" in refused(_folder(tmp_path / "empty"))
    assert "there is no folder" in refused(tmp_path / "nowhere" / "at" / "all")


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_a_missing_shard_is_told_since_it_would_shift_every_id(tmp_path):
    write(tmp_path, table(slice(0, 5)), "train-00000-of-00003")
    write(tmp_path, table(slice(5, 9)), "train-00002-of-00003")
    assert "shards [1] of 3 are missing" in refused(tmp_path)
    write(tmp_path, table(), "train-00000-of-00001")
    assert "mixes shards of 00001 and of 00003" in refused(tmp_path)


def test_shards_of_different_columns_are_told(tmp_path):
    write(tmp_path, table(slice(0, 5)), "train-00000-of-00002")
    write(tmp_path, table(slice(5, N), label="fine_label"), "train-00001-of-00002")
    assert "other columns" in refused(tmp_path)


def test_no_image_column_lists_the_columns(tmp_path):
    message = refused(write(tmp_path, table(image="picture")))
    assert "no image column 'img' or 'image'" in message
    assert "picture" in message
    assert "'label': int64" in message


def test_an_image_column_of_another_type_is_told(tmp_path):
    assert "expected struct<bytes, path>" in refused(write(tmp_path, pa.table({"img": ["a.png"], "label": [0]})))


def test_no_label_column_lists_the_columns(tmp_path):
    assert "--label-column" in refused(write(tmp_path, table(label="klass")))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([-1] * N, "label -1 at sample 0"),
        ([0.5] * N, "0.5"),
        ([float("nan")] * N, "NaN"),
        (["cat"] * N, "string"),
        ([0] * 9 + [None] * 15, "no label at sample 9"),
    ],
)
def test_wrong_labels_are_named(tmp_path, labels, words):
    assert words in refused(write(tmp_path, table(label="other", fine_label=pa.array(labels))))


def test_images_of_mixed_size_are_named(tmp_path):
    content = table(slice(0, 6))
    odd = [{"bytes": png(PIXELS[i] if i % 2 else PIXELS[i, :5, :7]), "path": ""} for i in range(1, 7)]
    message = refused(write(tmp_path, content.set_column(0, "img", pa.array(odd))))
    assert "sample 1 is 7x5, sample 3 is 7x5, sample 5 is 7x5, expected 8x8" in message
    assert "resize them in the data" in message


def test_images_of_mixed_size_further_down_are_named_when_they_are_taken(tmp_path):
    good = {"bytes": png(PIXELS[0]), "path": ""}
    rows = [good] * 150 + [{"bytes": png(PIXELS[0, :4]), "path": ""}]
    data = whole(write(tmp_path, pa.table({"img": rows, "label": [0] * 151}), rows_in_group=50))
    assert len(data.take(np.arange(150))) == 150
    with pytest.raises(DataError, match="sample 150 is 8x4, expected 8x8"):
        data.take(np.arange(140, 151))


@pytest.mark.parametrize(("damage", "words"), [(slice(0, 60), "broken image"), (slice(0, 0), "no bytes")])
def test_a_broken_image_is_named(tmp_path, damage, words):
    rows = table().column("img").to_pylist()
    rows[17]["bytes"] = rows[17]["bytes"][damage]
    message = refused(write(tmp_path, pa.table({"img": rows, "label": LABELS})))
    assert "sample 17" in message
    assert words in message


def test_a_path_without_bytes_is_told(tmp_path):
    rows = pa.array([{"bytes": None, "path": "a.png"}] * 3, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    assert "a path alone is not read" in refused(write(tmp_path, pa.table({"img": rows, "label": [0, 1, 2]})))


def test_a_set_is_grey_where_its_images_are_and_in_colour_where_one_is(tmp_path):
    grey = [png(pixels[..., 0]) for pixels in PIXELS]
    data = whole(write(tmp_path, pa.table({"img": grey, "label": LABELS})))
    assert data.input_shape == (1, 8, 8)
    assert np.array_equal(data.take(np.array([2])).x[0, 0], expected([2])[0, 0])
    mixed = whole(write(tmp_path, pa.table({"img": [*grey[:-1], png(PIXELS[-1])], "label": LABELS})))
    assert mixed.input_shape == (3, 8, 8)
    assert np.array_equal(mixed.take(np.array([N - 1])).x, expected([N - 1]))


def test_a_set_without_rows_is_refused(tmp_path):
    assert "no rows" in refused(write(tmp_path, table().slice(0, 0)))


def test_a_file_cut_short_or_of_another_kind_is_told(tmp_path):
    write(tmp_path, table())
    file = tmp_path / "train-00000-of-00001.parquet"
    whole = file.read_bytes()
    for size in (3, 11, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        assert "cut short" in refused(tmp_path)
    file.write_bytes(b"")
    assert "is empty" in refused(tmp_path)
    file.write_bytes(b"<html><body>Sign in</body></html>")
    assert "HTML page" in refused(tmp_path)


def test_damage_inside_a_row_group_is_told(tmp_path):
    write(tmp_path, table(), rows_in_group=N)
    file = tmp_path / "train-00000-of-00001.parquet"
    content = bytearray(file.read_bytes())
    content[4:60] = b"\xff" * 56  # the header of the first page
    file.write_bytes(content)
    assert "row group 0" in refused(tmp_path)


@pytest.mark.parametrize("seed", range(80))
def test_altered_bytes_give_samples_or_a_data_error_and_nothing_else(tmp_path, seed):
    write(tmp_path, table())
    file = tmp_path / "train-00000-of-00001.parquet"
    content, random = bytearray(file.read_bytes()), np.random.default_rng(seed)
    for position in random.integers(len(content) * (seed % 2) * 3 // 4, len(content), 3):
        content[position] = random.integers(256)
    file.write_bytes(content)
    try:
        chunks = list(whole(tmp_path).chunks(N))
    except DataError:
        return
    assert sum(len(chunk) for chunk in chunks) == N


def test_a_path_that_is_no_text_is_told(tmp_path):
    rows = pa.array([b"\xff\xfe"] * N).view(pa.string())
    column = pa.StructArray.from_arrays([pa.array([png(pixels) for pixels in PIXELS]), rows], ["bytes", "path"])
    assert "cannot be read" in refused(write(tmp_path, pa.table({"img": column, "label": LABELS})))


def test_the_fingerprint_follows_files_and_labels_not_the_folder(tmp_path):
    a, b, c = (_folder(tmp_path / name) for name in "abc")
    first = whole(write(a, table())).fingerprint()
    assert whole(write(b, table())).fingerprint() == first
    relabelled = table().set_column(1, "label", pa.array(LABELS[::-1]))
    assert whole(write(c, relabelled)).fingerprint() != first


def test_the_shipped_cifar10_is_read_as_it_is_published(real_data):
    train, test = (parquet(str(real_data / "cifar10"), split=split) for split in ("train", "test"))
    assert np.bincount(train.labels()).tolist() == [5000] * 10
    assert np.bincount(test.labels()).tolist() == [1000] * 10
    samples = test.take(np.array([9999, 0]))
    assert samples.x.shape == (2, 3, 32, 32)
    assert samples.paths is not None
    assert all(path.endswith(".png") for path in samples.paths)


def test_the_shipped_cifar100_has_its_fine_labels(real_data):
    data = parquet(str(real_data / "cifar100"), split="test")
    assert (len(data), data.nb_classes) == (10_000, 100)
