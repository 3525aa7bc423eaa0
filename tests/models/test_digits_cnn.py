"""The digits network: trained on first use, kept, and never in the way when the cache is not."""

from __future__ import annotations

import logging
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from art_weakrobust.datasets.digits import digits
from art_weakrobust.errors import ModelError
from art_weakrobust.models import digits_cnn as module
from art_weakrobust.models.cache import cache_folder
from art_weakrobust.models.digits_cnn import RECIPE, digits_cnn, train

QUICK = replace(RECIPE, epochs=1, width=4)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ART_WEAKROBUST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "RECIPE", QUICK)
    return tmp_path / "cache"


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_it_names_98_percent_of_the_test_images_right_and_says_what_it_takes(tmp_path, monkeypatch):
    monkeypatch.setenv("ART_WEAKROBUST_CACHE", str(tmp_path))
    net, info = digits_cnn()
    samples = next(digits(split="test").chunks(1000))
    with torch.no_grad():
        accuracy = (net(torch.from_numpy(samples.x)).argmax(dim=1).numpy() == samples.y).mean()
    assert accuracy >= 0.98
    assert (info.nb_classes, info.input_shape, info.class_names[3]) == (10, (1, 8, 8), "3")
    assert not net.training
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_the_same_recipe_gives_the_same_weights_and_leaves_every_global_state_alone():
    states = random.getstate(), np.random.get_state()[1].copy(), torch.random.get_rng_state(), torch.get_num_threads()
    first = train(QUICK)
    torch.rand(3)
    assert same(first, train(QUICK))
    assert not same(first, train(replace(QUICK, seed=1)))
    torch.random.set_rng_state(states[2])
    train(QUICK)
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.random.get_rng_state(), states[2])
    assert torch.get_num_threads() == states[3]


def test_it_trains_inside_no_grad_as_well():
    with torch.no_grad():
        assert same(train(QUICK), train(QUICK))


def test_the_second_time_it_comes_from_the_cache(cache, monkeypatch):
    first, _ = digits_cnn()
    monkeypatch.setattr(module, "train", lambda recipe: pytest.fail("it was trained again"))
    assert same(first, digits_cnn()[0])


def test_another_recipe_has_a_file_of_its_own(cache, monkeypatch):
    digits_cnn()
    monkeypatch.setattr(module, "RECIPE", replace(QUICK, epochs=2))
    digits_cnn()
    assert len(list(cache.glob("digits-cnn-*.safetensors"))) == 2


@pytest.mark.parametrize("damage", [b"", b"garbage", b"<html>", None])
def test_a_damaged_cache_means_training_again_and_is_mended(cache, caplog, damage):
    first, _ = digits_cnn()
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with caplog.at_level(logging.WARNING):
        assert same(first, digits_cnn()[0])
    assert "trained again" in caplog.text
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_a_log_line(cache, caplog):
    cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        assert same(digits_cnn()[0], train(QUICK))
    assert "ART_WEAKROBUST_CACHE" in caplog.text


def test_no_home_is_a_log_line(monkeypatch, caplog):
    monkeypatch.setattr(module, "RECIPE", QUICK)
    monkeypatch.setattr(module, "cache_folder", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with caplog.at_level(logging.WARNING):
        assert same(digits_cnn()[0], train(QUICK))
    assert "no home" in caplog.text


def test_weights_of_a_fine_tuned_run_can_be_taken_instead(cache, tmp_path):
    tuned = train(replace(QUICK, seed=5))
    torch.save(tuned.state_dict(), tmp_path / "tuned.pt")
    assert same(digits_cnn(weights=tmp_path / "tuned.pt")[0], tuned)
    assert not cache.exists()


def test_an_argument_is_refused():
    with pytest.raises(ModelError, match="takes no argument"):
        digits_cnn("large")


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ART_WEAKROBUST_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "art-weakrobust"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "art-weakrobust"
    monkeypatch.setenv("ART_WEAKROBUST_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
