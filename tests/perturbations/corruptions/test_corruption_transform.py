"""``CorruptionTransform``: a step of torchvision's v2 transforms, on PIL images and tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from art_weakrobust import CorruptionTransform
from art_weakrobust.errors import DataError
from art_weakrobust.perturbations.corruptions.colour import contrast


@pytest.fixture(scope="module")
def levels():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8))


@pytest.fixture(scope="module")
def wanted(levels):
    return (contrast(levels[None] / 255, torch.zeros(1), 4, 0)[0] * 255).round().to(torch.uint8)


@pytest.fixture(scope="module")
def fade():
    return CorruptionTransform("contrast", severities=[4])


def test_a_pil_image_stays_one(fade, levels, wanted):
    made = fade(v2.functional.to_pil_image(levels))
    assert isinstance(made, Image.Image)
    assert torch.equal(v2.functional.pil_to_tensor(made), wanted)


def test_a_grey_pil_image_stays_grey(fade, levels):
    made = fade(v2.functional.to_pil_image(levels[:1]))
    assert made.mode == "L"


@pytest.mark.parametrize("kind", [torch.Tensor, tv_tensors.Image])
def test_a_tensor_of_bytes_stays_one(fade, levels, wanted, kind):
    given = levels if kind is torch.Tensor else tv_tensors.Image(levels)
    made = fade(given)
    assert type(made) is kind
    assert made.dtype == torch.uint8
    assert torch.equal(made.as_subclass(torch.Tensor), wanted)


def test_floats_stay_floats(fade, levels, wanted):
    assert torch.equal(fade(levels / 255), wanted / 255)


def test_a_batch_is_its_images(levels):
    noise = CorruptionTransform("gaussian_noise")
    other = levels.flip(1)
    batch = noise(torch.stack([levels, other]))
    assert torch.equal(batch, torch.stack([noise(levels), noise(other)]))


def test_labels_and_boxes_pass_through(fade, levels, wanted):
    boxes = tv_tensors.BoundingBoxes([[0, 0, 4, 4]], format="XYXY", canvas_size=(16, 16))
    image, box, label = fade(tv_tensors.Image(levels), boxes, 3)
    assert torch.equal(image.as_subclass(torch.Tensor), wanted)
    assert box is boxes
    assert label == 3


def test_it_is_a_step_of_a_composition(fade, levels, wanted):
    steps = v2.Compose([fade, v2.ToDtype(torch.float32, scale=True)])
    assert torch.allclose(steps(tv_tensors.Image(levels)).as_subclass(torch.Tensor), wanted / 255)


def test_the_same_image_is_corrupted_alike_until_the_epoch_is_another(levels):
    one, two = CorruptionTransform("gaussian_noise"), CorruptionTransform("gaussian_noise")
    two(levels.flip(2))  # what came before changes nothing
    first = one(levels)
    assert torch.equal(two(levels), first)
    assert torch.equal(v2.functional.pil_to_tensor(two(v2.functional.to_pil_image(levels))), first)
    two.set_epoch(1)
    assert not torch.equal(two(levels), first)


def test_an_image_of_another_mode_is_refused(fade):
    with pytest.raises(DataError, match="mode 'RGBA' cannot be corrupted; convert it to 'RGB' or 'L'"):
        fade(Image.new("RGBA", (16, 16)))


def test_normalised_floats_are_refused(fade, levels):
    with pytest.raises(DataError, match=r"expected \[0, 1\]; corrupt images before they are normalised"):
        fade(levels / 127.5 - 1)
