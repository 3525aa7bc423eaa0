"""The embedded default: one fixed, stratified split."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from art_weakrobust.datasets.digits import digits
from art_weakrobust.errors import DataError


def all_of(split: str):
    data = digits(split=split)
    return data.take(np.arange(len(data)))


def test_the_two_splits_are_the_whole_set_once():
    everything = sorted(image.tobytes() for image in (load_digits().images / 16).astype(np.float32))
    parts = [image.tobytes() for split in ("train", "test") for image in all_of(split).x]
    assert sorted(parts) == everything
    assert len(parts) == 1797


def test_images_are_grey_floats_in_the_unit_range_with_their_names():
    data = digits(split="train")
    samples = all_of("train")
    assert samples.x.shape[1:] == (1, 8, 8)
    assert samples.x.dtype == np.float32
    assert (samples.x.min(), samples.x.max()) == (0, 1)
    assert data.class_names == tuple("0123456789")


def test_a_quarter_of_every_class_is_for_testing():
    train, test = (np.bincount(digits(split=split).labels()) for split in ("train", "test"))
    assert np.abs(test / (train + test) - 0.25).max() < 0.01


def test_the_split_is_the_one_that_published_figures_were_made_on():
    assert digits(split="train").fingerprint() == "d47219cc7668e8a43ef87b82b26572b5"
    assert digits(split="test").fingerprint() == "de39e920d63914f3c543b2856d37f9d8"


def test_another_split_or_an_argument_is_refused():
    with pytest.raises(DataError, match=r"did you mean 'train'.*it has: 'train', 'test'"):
        digits(split="trian")
    with pytest.raises(DataError, match="takes no argument"):
        digits("somewhere")
