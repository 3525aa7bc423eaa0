"""The networks fit the shipped checkpoints, and are what they say."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from art_weakrobust.testing import networks

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


@pytest.mark.parametrize("name", [*networks.FACTORIES, "resnet20_cifar10_robust"])
def test_a_shipped_checkpoint_fits_name_by_name(real_data: Path, name: str) -> None:
    model = networks.FACTORIES[name.removesuffix("_robust")]()

    result = model.load_state_dict(load_file(real_data / "models" / f"{name}.safetensors"), strict=True)

    assert not result.missing_keys
    assert not result.unexpected_keys


def test_resnet20_with_its_normalisation_is_as_good_as_published(real_data: Path) -> None:
    rows = pq.ParquetFile(real_data / "cifar10" / "test-00000-of-00001.parquet").read_row_group(0).slice(0, 500)
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(image["bytes"]))) for image in rows["img"].to_pylist()])
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    model = networks.resnet20().eval()
    model.load_state_dict(load_file(real_data / "models" / "resnet20_cifar10.safetensors"))

    with torch.no_grad():
        right = model((x - MEAN) / STD).argmax(dim=1).numpy() == rows["label"].to_numpy()

    assert right.mean() == pytest.approx(0.9173, abs=0.025)  # two standard deviations of 500 draws


def test_the_papers_count_of_weights_is_met() -> None:
    def weights(model: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in model.parameters())

    assert weights(networks.resnet20()) == 269_722
    assert weights(networks.resnet32(10)) == 466_906


def test_the_shortcut_without_weights_takes_every_second_pixel_and_pads_both_sides() -> None:
    x = torch.rand(2, 16, 8, 8)

    shortcut = networks.PadShortcut(32)(x)

    assert torch.equal(shortcut[:, 8:24], x[:, :, ::2, ::2])
    assert not shortcut[:, :8].any()
    assert not shortcut[:, 24:].any()


@pytest.mark.parametrize("factory", [networks.resnet20, networks.small_cnn, networks.linear])
def test_weights_follow_from_the_seed_and_the_global_generator_is_left_alone(factory) -> None:
    before = torch.random.get_rng_state()

    first, again, other = factory(seed=1), factory(seed=1), factory(seed=2)

    assert torch.equal(torch.random.get_rng_state(), before)
    names = dict(first.named_parameters())
    assert all(torch.equal(names[name], value) for name, value in again.named_parameters())
    assert any(not torch.equal(names[name], value) for name, value in other.named_parameters())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 5)])
def test_small_networks_take_any_shape(shape: tuple[int, int, int]) -> None:
    for factory in (networks.small_cnn, networks.linear):
        assert factory(shape, 4)(torch.rand(2, *shape)).shape == (2, 4)


def test_a_linear_classifier_has_the_weights_it_was_given() -> None:
    weight, bias = torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([0.5, 0.0])

    logits = networks.linear((1, 1, 2), weight=weight, bias=bias)(torch.tensor([[[[1.0, 1.0]]]]))

    assert logits.tolist() == [[3.5, -1.0]]
