from __future__ import annotations

import pytest

from art_weakrobust.errors import UsageError
from art_weakrobust.training.recipe import Recipe


def test_rate_rises_to_its_peak_in_the_first_tenth_then_falls_along_a_cosine():
    rates = [Recipe().rate(step, 100) for step in range(100)]

    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)  # half way down
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001


def test_a_run_of_one_step_has_a_rate():
    assert Recipe().rate(0, 1) == 1.0


def test_average_looks_back_fifty_steps_but_never_further_than_a_fifth_of_the_run():
    assert Recipe().decay(10_000) == 0.98
    assert Recipe().decay(50) == pytest.approx(1 - 1 / 10)
    assert Recipe().decay(3) == 0.0  # the average is the last step


def test_border_of_a_crop_follows_the_size_of_the_image_and_tiny_ones_stay_in_place():
    assert Recipe().border((3, 32, 32)) == 4
    assert Recipe().border((3, 224, 160)) == 20
    assert Recipe().border((1, 8, 8)) == 0


def test_grey_images_are_not_mirrored_unless_asked():
    assert Recipe().mirrored((3, 32, 32))
    assert not Recipe().mirrored((1, 8, 8))
    assert Recipe(flip=True).mirrored((1, 8, 8))
    assert not Recipe(flip=False).mirrored((3, 32, 32))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("adversarial", 1.5),
        ("temperature", 0),
        ("ema", 1.0),
        ("steps", 0),
        ("alphas", (0.5, 1.0)),
        ("alphas", (0.0, 1.0, 0.5)),
    ],
)
def test_a_value_out_of_range_is_named(name, value):
    with pytest.raises(UsageError, match=name):
        Recipe(**{name: value})
