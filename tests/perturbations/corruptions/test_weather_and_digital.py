"""What snow, frost, fog, elastic transform, JPEG, spatter and saturate hold beside their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from art_weakrobust.kernels import keyed
from art_weakrobust.perturbations.corruptions import blocks, jpeg
from art_weakrobust.perturbations.corruptions.colour import brightness, saturate
from art_weakrobust.perturbations.corruptions.constants import constants
from art_weakrobust.perturbations.corruptions.digital import pixelate
from art_weakrobust.perturbations.corruptions.elastic import elastic_transform
from art_weakrobust.perturbations.corruptions.fog import fog
from art_weakrobust.perturbations.corruptions.frost import frost
from art_weakrobust.perturbations.corruptions.jpeg import jpeg_compression
from art_weakrobust.perturbations.corruptions.snow import snow
from art_weakrobust.perturbations.corruptions.spatter import spatter


def named(corruptions):
    return pytest.mark.parametrize("corruption", corruptions, ids=lambda c: c.__name__)


each_severity = pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])


def images(n: int, channels: int = 3, height: int = 32, width: int | None = None) -> torch.Tensor:
    """Smooth random images at 8-bit levels."""
    x = keyed.uniform(torch.arange(n), 0, (channels, height + 4, (width or height) + 4), 1)
    return torch.nn.functional.avg_pool2d(x, 5, 1).sub_(0.5).mul_(3).add_(0.5).clamp_(0, 1).mul_(255).round_().div_(255)


@named([snow, frost, fog, jpeg_compression, elastic_transform, spatter])
def test_a_grey_image_is_corrupted_as_a_grey_picture_in_colour_is(corruption):
    """Up to the colour of ice and water, and the rounding of colour itself."""
    x = images(6, channels=1)
    grey = corruption(x, torch.arange(6), 3, 0)
    colour = corruption(x.expand(-1, 3, -1, -1).contiguous(), torch.arange(6), 3, 0)
    assert (colour.mean(1, keepdim=True) - grey).abs().mean() < 0.03


def test_saturation_leaves_a_grey_image_alone_and_turns_grey_in_colour_red():
    x = images(2, channels=1)
    assert torch.equal(saturate(x, torch.arange(2), 5, 0), x)
    red, green, blue = saturate(x.expand(-1, 3, -1, -1), torch.arange(2), 5, 0).unbind(1)
    assert torch.equal(red, x[:, 0])
    assert torch.equal(green, blue)
    assert (green <= red).all()


def test_snow_whitens_and_fog_draws_to_its_own_light():
    black = torch.zeros(4, 3, 64, 64)
    assert (snow(black, torch.arange(4), 1, 0).mean((1, 2, 3)) > 0.02).all()
    assert torch.equal(fog(black, torch.arange(4), 1, 0), black)  # as the originals: nothing is brighter than its image


def test_frost_draws_all_five_photographs_evenly():
    ids = torch.arange(3000)
    ice = frost(torch.zeros(3000, 3, 32, 32), ids, 5, 0)
    drawn = keyed.bits(ids, 5, (3,), keyed.derive(0, "frost"))[:, 0].long().bitwise_and(2**24 - 1) * 5 >> 24
    counts = torch.bincount(drawn, minlength=5)
    assert (counts - 600).abs().max() < 5 * 600**0.5
    means = torch.stack([ice[drawn == number].mean() for number in range(5)])
    assert len(means.unique()) == 5


def test_mud_and_water_are_their_own_colours():
    white, black = torch.ones(8, 3, 64, 64), torch.zeros(8, 3, 64, 64)
    mud = spatter(white, torch.arange(8), 4, 0)
    darkest = mud.flatten(2).amin(2).amin(0).mul(255).round()
    assert darkest.tolist() == pytest.approx([63, 42, 20], abs=1)
    water = spatter(black, torch.arange(8), 1, 0).flatten(2).amax(2).amax(0)
    assert (water[1] / water[0]).item() == pytest.approx(238 / 175, abs=0.03)


@each_severity
def test_elastic_transform_keeps_a_plain_image_plain(severity):
    x = torch.full((2, 3, 32, 32), 77 / 255)
    assert torch.equal(elastic_transform(x, torch.arange(2), severity, 0), x)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [80, 25, 7])
def test_both_codecs_are_one(channels, quality):
    image = (images(1, channels, 33, 45)[0] * 255).byte().permute(1, 2, 0).contiguous().numpy()
    assert np.array_equal(jpeg.by_torchvision(image, quality), jpeg.by_pillow(image, quality))


def test_threads_do_not_change_a_jpeg(monkeypatch):
    x = images(6, height=48)
    alone = jpeg_compression(x, torch.arange(6), 3, 0)
    monkeypatch.setattr(blocks, "_VALUES", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert torch.equal(jpeg_compression(x, torch.arange(6), 3, 0), alone)


def test_brightness_of_a_grey_image_is_addition():
    x = images(2, channels=1)
    assert torch.equal(brightness(x, torch.arange(2), 4, 0), (x * 255 + 51).round().clamp(max=255) / 255)


@each_severity
@pytest.mark.parametrize(("height", "width"), [(8, 8), (33, 50), (28, 28), (97, 61)])
def test_pixelate_is_bit_for_bit_what_pillow_does_at_any_size(height, width, severity):
    x = images(2, 2, height, width)
    (ratio,) = constants("pixelate", x.shape, severity)
    out = pixelate(x, torch.arange(2), severity, 0).mul(255).round().byte().flatten(0, 1)
    for image, result in zip(x.mul(255).round().byte().flatten(0, 1), out, strict=True):
        small = Image.fromarray(image.numpy()).resize((int(width * ratio), int(height * ratio)), Image.Resampling.BOX)
        assert np.array_equal(result, np.asarray(small.resize((width, height), Image.Resampling.BOX)))
