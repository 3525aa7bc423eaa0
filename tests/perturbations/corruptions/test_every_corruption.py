"""What holds of all 19 corruptions, whatever they do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from art_weakrobust.errors import DataError, UsageError
from art_weakrobust.kernels import keyed
from art_weakrobust.perturbations.corruptions.constants import CONSTANTS, constants, min_size
from art_weakrobust.perturbations.corruptions.levels import truncated
from art_weakrobust.plugins.manager import Manager

MANAGER = Manager(third_party=False)
ALL = {name: MANAGER.make("corruption", name) for name in CONSTANTS}
NOTHING_DRAWN = {
    "defocus_blur", "zoom_blur", "gaussian_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "saturate",
}  # fmt: skip
OF_8_BITS = {"motion_blur", "pixelate", "jpeg_compression"}  # made by what knows nothing else
NOT_EVER_STRONGER = {"elastic_transform", "frost", "glass_blur", "saturate", "snow", "spatter"}  # as published

each_corruption = pytest.mark.parametrize("name", ALL)
each_that_draws = pytest.mark.parametrize("name", [name for name in ALL if name not in NOTHING_DRAWN])
each_severity = pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])


def images(n: int, channels: int = 3, height: int = 32, width: int | None = None) -> torch.Tensor:
    """Smooth random images at 8-bit levels, with black, white and plain patches."""
    noise = keyed.uniform(torch.arange(n), 0, (channels, height + 4, (width or height) + 4), 1)
    x = avg_pool2d(noise, 5, 1).sub_(0.5).mul_(3).add_(0.5).clamp_(0, 1).mul_(255).round_().div_(255)
    x[:, :, :3, :3], x[:, :, :3, 3:6], x[:, 0, -4:, -4:] = 0, 1, 200 / 255
    return x


@each_corruption
@each_severity
def test_an_image_is_corrupted_alike_in_any_batch(name, severity):
    x, ids = images(9), torch.arange(9) * 100
    whole = ALL[name](x, ids, severity, 0)
    order = torch.tensor([4, 0, 8, 2, 6, 1, 3, 7, 5])
    parts = [ALL[name](x[rows], ids[rows], severity, 0) for rows in order.split([1, 2, 6])]
    assert torch.equal(torch.cat(parts), whole[order])


@each_corruption
def test_a_large_image_is_corrupted_alike_in_any_batch(name):
    x, ids = images(4, height=224), torch.arange(4)
    whole = ALL[name](x, ids, 5, 0)
    assert torch.equal(torch.cat([ALL[name](x[i : i + 1], ids[i : i + 1], 5, 0) for i in range(4)]), whole)


@each_corruption
def test_a_result_is_the_same_for_any_number_of_threads(name):
    x, ids, threads = images(40), torch.arange(40), torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(ALL[name](x, ids, 4, 0))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


@each_that_draws
def test_what_is_drawn_is_a_function_of_seed_id_and_severity(name):
    x = images(1).expand(3, -1, -1, -1)
    base = ALL[name](x, torch.tensor([7, 8, 7]), 5, 1)
    assert torch.equal(base[0], base[2])
    assert not torch.equal(base[0], base[1])
    assert not torch.equal(base, ALL[name](x, torch.tensor([7, 8, 7]), 5, 2))


@pytest.mark.parametrize("name", sorted(NOTHING_DRAWN))
def test_where_nothing_is_drawn_neither_seed_nor_id_matters(name):
    x = images(1).expand(2, -1, -1, -1)
    out = ALL[name](x, torch.tensor([7, 8]), 3, 1)
    assert torch.equal(out[0], out[1])
    assert torch.equal(out, ALL[name](x, torch.tensor([7, 8]), 3, 2))


def test_no_two_corruptions_share_their_randomness():
    x, ids = torch.full((60, 1, 28, 28), 0.5), torch.arange(60)
    names = ["gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"]
    moved = np.stack([(ALL[name](x, ids, 5, 0) - x).flatten().numpy() for name in names])
    assert np.abs(np.corrcoef(moved) - np.eye(4)).max() < 5 / x.numel() ** 0.5


@each_corruption
@each_severity
def test_every_result_is_an_8_bit_level_in_range(name, severity):
    out = ALL[name](keyed.uniform(torch.arange(3), 0, (3, 32, 32), 1), torch.arange(3), severity, 0)
    assert out.dtype == torch.float32
    assert out.min() >= 0
    assert out.max() <= 1
    assert torch.equal(out, (out * 255).round() / 255)


@each_corruption
def test_every_severity_changes_images_and_most_get_ever_stronger(name):
    x = images(40)
    harm = [float((ALL[name](x, torch.arange(40), severity, 0) - x).abs().mean()) for severity in range(1, 6)]
    assert min(harm) > 0
    assert name in NOT_EVER_STRONGER or harm == sorted(harm)


@each_corruption
@pytest.mark.parametrize("shape", [(2, 1, 0, 0), (2, 4, 1, 13), (1, 3, 42, 0), (1, 3, 312, 572), (0, 3, 4, 4)], ids=str)
def test_any_number_of_channels_and_any_size_from_the_least_on_works(name, shape):
    n, channels, height, width = shape
    x = images(n, channels, min_size(name) + height, min_size(name) + width)
    for severity in (1, 5):
        out = ALL[name](x, torch.arange(n), severity, 0)
        assert out.shape == x.shape
        assert bool(torch.isfinite(out).all())


@each_corruption
def test_smaller_images_are_refused_in_one_sentence(name):
    least = min_size(name)
    with pytest.raises(
        DataError, match=f"{name} needs images of at least {least} x {least} pixels, got {least - 1} x 40"
    ):
        ALL[name](torch.zeros(1, 3, least - 1, 40), torch.arange(1), 1, 0)


@each_corruption
@pytest.mark.parametrize("severity", [0, 6, True])
def test_another_severity_is_refused(name, severity):
    with pytest.raises(UsageError, match="use 1, 2, 3, 4 or 5"):
        ALL[name](torch.zeros(1, 3, 32, 32), torch.arange(1), severity, 0)


@each_corruption
@pytest.mark.parametrize("pixel", [float("nan"), float("inf"), -0.1, 1.1, 200.0])
def test_pixels_out_of_range_are_refused_with_the_sample_that_holds_them(name, pixel):
    x = images(3)
    x[1, 2, 5, 5] = pixel
    with pytest.raises(DataError, match=rf"{name}: sample 71 holds the pixel"):
        ALL[name](x, torch.tensor([70, 71, 72]), 1, 0)


@each_corruption
def test_the_input_and_the_global_random_state_are_left_as_they_were(name):
    x = images(2)
    before, state, numpy_state = x.clone(), torch.get_rng_state(), np.random.get_state()[1].copy()
    for severity in range(1, 6):
        ALL[name](x, torch.arange(2), severity, 0)
    assert torch.equal(x, before)
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])


@each_corruption
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_images_of_another_type_are_corrupted_as_in_float32_and_keep_their_type(name, dtype):
    x, ids = images(2).to(dtype), torch.arange(2)
    out = ALL[name](x, ids, 3, 0)
    assert out.dtype == dtype
    assert torch.equal(out, ALL[name](x.float(), ids, 3, 0).to(dtype))


@each_corruption
def test_images_that_a_gradient_is_wanted_of_are_corrupted_without_one(name):
    x, ids = images(2), torch.arange(2)
    out = ALL[name](x.clone().requires_grad_(), ids, 3, 0)
    assert not out.requires_grad
    assert torch.equal(out, ALL[name](x, ids, 3, 0))


@each_corruption
@each_severity
def test_quantising_can_be_left_out_and_is_all_that_is_left_out(name, severity):
    x, ids = keyed.uniform(torch.arange(3), 0, (3, 32, 32), 1), torch.arange(3)
    fine = ALL[name](x, ids, severity, 0, quantised=False)
    assert fine.min() >= 0
    assert fine.max() <= 1
    gap = truncated(fine.clone()) - ALL[name](x, ids, severity, 0)
    if name == "defocus_blur":  # cut down in float64, before a hair below a level is lost
        assert gap.abs().max() <= 1 / 255 + 1e-6
    else:
        assert not gap.any()
    levels = fine * 255
    between = float(((levels - levels.round()).abs() > 0.01).double().mean())
    only_moved = (name, severity) == ("glass_blur", 1)  # too narrow a blur: levels that were cut before stay
    assert between == 0 if name in OF_8_BITS or only_moved else between > 0.5


@each_corruption
def test_a_severity_may_be_any_number_that_is_one(name):
    x, ids = images(1), torch.arange(1)
    assert torch.equal(ALL[name](x, ids, 3.0, 0), ALL[name](x, ids, np.int64(3), 0))


@each_corruption
@each_severity
def test_constants_between_the_two_sizes_lie_between_theirs(name, severity):
    least, ends = min_size(name), (CONSTANTS[name][32][severity - 1], CONSTANTS[name][224][severity - 1])
    assert constants(name, (1, 3, least, least), severity) == constants(name, (1, 3, 32, 300), severity) == ends[0]
    assert constants(name, (1, 3, 224, 224), severity) == constants(name, (1, 3, 500, 400), severity) == ends[1]
    middle = constants(name, (1, 3, 64, 64), severity)
    assert all(min(a, b) <= c <= max(a, b) for a, b, c in zip(*ends, middle, strict=True))


@each_corruption
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_what_a_cpu_gives(name):
    x, ids = images(8), torch.arange(8)
    for severity in range(1, 6):
        cpu, gpu = ALL[name](x, ids, severity, 0), ALL[name](x.cuda(), ids.cuda(), severity, 0).cpu()
        assert float((cpu - gpu).abs().gt(1.5 / 255).double().mean()) <= 1e-3
