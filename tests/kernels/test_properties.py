"""What is measured on an image before anything is known of its content."""

from __future__ import annotations

import pytest
import torch

from art_weakrobust.kernels.properties import PROPERTIES, brightness, colourfulness, contrast, luminance, sharpness
from art_weakrobust.kernels.shifts import DIRECTIONS, shifted

GREY = torch.full((1, 3, 8, 8), 0.25)
HALVES = torch.cat([torch.zeros(1, 1, 8, 4), torch.ones(1, 1, 8, 4)], 3)


def test_a_grey_image_has_its_level_as_brightness_and_nothing_else():
    assert brightness(GREY).item() == pytest.approx(0.25)
    for measure in (contrast, sharpness, colourfulness):
        assert measure(GREY).item() == pytest.approx(0, abs=1e-6)


def test_half_black_half_white_has_a_contrast_of_one_half():
    assert contrast(HALVES).item() == pytest.approx(0.5)


def test_green_is_brighter_than_blue():
    green, blue = (torch.zeros(1, 3, 4, 4) for _ in range(2))
    green[:, 1], blue[:, 2] = 1, 1
    assert luminance(green).mean().item() == pytest.approx(0.587)
    assert luminance(blue).mean().item() == pytest.approx(0.114)


def test_a_pure_colour_is_colourful_by_the_formula_of_hasler_and_suesstrunk():
    red = torch.zeros(1, 3, 4, 4)
    red[:, 0] = 1  # red - green = 1, yellow - blue = 1/2, no spread
    assert colourfulness(red).item() == pytest.approx(0.3 * (1 + 0.25) ** 0.5)
    assert colourfulness(HALVES).item() == 0


def test_blur_makes_less_sharp_and_fading_does_not():
    x = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    assert (sharpness(blurred) < 0.8 * sharpness(x)).all()
    torch.testing.assert_close(sharpness(0.3 * x + 0.2), sharpness(x))


def test_every_property_is_of_its_image_alone():
    x = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    for measure in PROPERTIES.values():
        torch.testing.assert_close(measure(x)[2:5], measure(x[2:5]))


@pytest.mark.parametrize(("side", "step"), [(8, 1), (32, 2), (224, 14)])
def test_an_image_moves_by_a_sixteenth_of_its_side_and_repeats_its_border(side, step):
    x = torch.arange(side * side, dtype=torch.float32).view(1, 1, side, side)
    down = shifted(x, (1, 0))
    assert torch.equal(down[..., step:, :], x[..., :-step, :])
    assert torch.equal(down[..., :step, :], x[..., :1, :].expand(1, 1, step, side))


def test_the_four_directions_undo_one_another_inside():
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    for down, right in DIRECTIONS:
        back = shifted(shifted(x, (down, right)), (-down, -right))
        assert torch.equal(back[..., 2:-2, 2:-2], x[..., 2:-2, 2:-2])
