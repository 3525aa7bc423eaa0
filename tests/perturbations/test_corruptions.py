"""Six common corruptions against independent implementations in numpy, scipy and Pillow."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage, stats

from art_weakrobust.errors import DataError, UsageError
from art_weakrobust.kernels import keyed
from art_weakrobust.perturbations.corruptions.blur import defocus_blur
from art_weakrobust.perturbations.corruptions.colour import brightness, contrast
from art_weakrobust.perturbations.corruptions.constants import CONSTANTS, constants
from art_weakrobust.perturbations.corruptions.digital import pixelate
from art_weakrobust.perturbations.corruptions.noise import gaussian_noise, shot_noise

ALL = [gaussian_noise, shot_noise, brightness, contrast, defocus_blur, pixelate]
SIZES = [32, 224]
SEVERITIES = [1, 2, 3, 4, 5]
either_size = pytest.mark.parametrize("size", SIZES)
each_severity = pytest.mark.parametrize("severity", SEVERITIES)
each_corruption = pytest.mark.parametrize("corruption", ALL, ids=lambda c: c.__name__)


def photographs(n: int = 2, channels: int = 3, height: int = 32, width: int | None = None) -> np.ndarray:
    """Smooth random images as uint8 (n, c, h, w), with black, white and plain patches."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(n, channels, height, width or height))
    smooth = ndimage.gaussian_filter(noise, (0, 0, height / 16, height / 16))
    image = np.clip(128 + 90 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    image[:, :, :3, :3], image[:, :, :3, 3:6], image[:, 0, -4:, -4:] = 0, 255, 200
    return image


def corrupted(corruption, levels: np.ndarray, severity: int, seed: int = 0, ids=None) -> np.ndarray:
    """The levels 0 to 255 that come out."""
    x = torch.from_numpy(levels.astype(np.float32) / np.float32(255))
    ids = torch.arange(len(x)) if ids is None else torch.as_tensor(ids)
    out = corruption(x, ids, severity, seed)
    assert out.dtype == torch.float32
    assert out.shape == x.shape
    return np.round(out.numpy().astype(np.float64) * 255).astype(int)


def cut(levels: np.ndarray) -> np.ndarray:
    """Truncated as np.uint8 does it, after rounding off what float64 itself got wrong."""
    return np.floor(np.round(np.clip(levels, 0, 255), 6)).astype(int)


def assert_levels(actual: np.ndarray, expected: np.ndarray, apart: float = 0.002) -> None:
    """Nowhere more than one level away, and that almost nowhere."""
    assert np.abs(actual - expected).max() <= 1
    assert (actual != expected).mean() <= apart


def brightness_by_hsv(levels: np.ndarray, added: float) -> np.ndarray:
    """The long way, one pixel at a time through the standard library's HSV."""
    import colorsys

    out = np.empty(levels.shape)
    for (n, h, w), _ in np.ndenumerate(levels[:, 0]):
        hue, saturation, value = colorsys.rgb_to_hsv(*(levels[n, :, h, w] / 255))
        out[n, :, h, w] = colorsys.hsv_to_rgb(hue, saturation, min(value + added, 1.0))
    return cut(out * 255)


def gaussian_taps(count: int, sigma: float) -> np.ndarray:
    taps = np.exp(-((np.arange(count) - count // 2) ** 2) / (2 * sigma**2))
    return taps / taps.sum()


def defocus_by_scipy(levels: np.ndarray, radius: float, edge: float) -> np.ndarray:
    """OpenCV's GaussianBlur and filter2D mirror without repeating the border: scipy's ``mirror``."""
    grid = np.arange(-max(8, radius), max(8, radius) + 1)
    disk = (np.hypot(*np.meshgrid(grid, grid)) <= radius).astype(float)
    disk /= disk.sum()
    taps = gaussian_taps(3 if radius <= 8 else 5, edge)
    for axis in (0, 1):
        disk = ndimage.correlate1d(disk, taps, axis=axis, mode="mirror")
    return cut(np.stack([[ndimage.correlate(plane.astype(float), disk, mode="mirror") for plane in x] for x in levels]))


@each_severity
def test_brightness_adds_to_the_value_of_hsv(severity):
    levels = photographs(height=16)
    (added,) = CONSTANTS["brightness"][32][severity - 1]
    assert_levels(corrupted(brightness, levels, severity), brightness_by_hsv(levels, added))


def test_brightness_of_a_grey_image_is_addition():
    levels = photographs(channels=1)
    assert np.array_equal(corrupted(brightness, levels, 4), np.minimum(levels.astype(int) + 51, 255))


@either_size
@each_severity
def test_contrast_draws_each_channel_to_its_mean(size, severity):
    levels = photographs(height=size)
    (kept,) = CONSTANTS["contrast"][size][severity - 1]
    mean = levels.mean((2, 3), keepdims=True)
    assert_levels(corrupted(contrast, levels, severity), cut((levels - mean) * kept + mean))


@either_size
@each_severity
def test_defocus_blur_is_a_disk_with_a_smooth_edge(size, severity):
    levels = photographs(n=1, height=size)
    radius, edge = CONSTANTS["defocus_blur"][size][severity - 1]
    assert_levels(corrupted(defocus_blur, levels, severity), defocus_by_scipy(levels, radius, edge))


@each_severity
def test_defocus_blur_leaves_a_plain_image_as_it_was(severity):
    levels = np.full((1, 3, 40, 40), 255, np.uint8)
    levels[:, 1] = 77
    assert np.array_equal(corrupted(defocus_blur, levels, severity), levels)


@each_severity
@pytest.mark.parametrize(("height", "width"), [(32, 32), (224, 224), (8, 8), (33, 50), (28, 28), (97, 61)])
def test_pixelate_is_bit_for_bit_what_pillow_does(height, width, severity):
    levels = photographs(channels=2, height=height, width=width)
    (ratio,) = constants("pixelate", levels.shape, severity)
    out = corrupted(pixelate, levels, severity)
    for image, result in zip(levels.reshape(-1, height, width), out.reshape(-1, height, width), strict=True):
        small = Image.fromarray(image).resize((int(width * ratio), int(height * ratio)), Image.Resampling.BOX)
        assert np.array_equal(result, np.asarray(small.resize((width, height), Image.Resampling.BOX)))


@either_size
@each_severity
def test_gaussian_noise_has_the_paper_s_deviation(size, severity):
    levels = np.full((2000 if size == 32 else 40, 3, size, size), 128, np.uint8)[:, :1]
    (sigma,) = CONSTANTS["gaussian_noise"][size][severity - 1]
    out = corrupted(gaussian_noise, levels[:200], severity).ravel()
    for level in (96, 128, 160):  # truncated: at most this level means below the next
        share = (out <= level).mean()
        assert abs(share - stats.norm.cdf((level + 1 - 128) / 255 / sigma)) < 5 * math.sqrt(0.25 / out.size)


@either_size
@each_severity
def test_gaussian_noise_is_the_keyed_noise_clipped_and_truncated(size, severity):
    levels = photographs(height=size)
    (sigma,) = CONSTANTS["gaussian_noise"][size][severity - 1]
    noise = keyed.normal(torch.arange(2), severity, (3, size, size), keyed.derive(5, "gaussian_noise")).numpy()
    assert_levels(corrupted(gaussian_noise, levels, severity, seed=5), cut(levels + 255 * sigma * noise.astype(float)))


@either_size
@each_severity
@pytest.mark.parametrize("level", [0, 3, 100, 255])
def test_shot_noise_counts_photons(size, severity, level):
    """Counts are Poisson: compared bin by bin, after the truncation that the original makes too."""
    levels = np.full((20, 1, size, size), level, np.uint8)
    (photons,) = CONSTANTS["shot_noise"][size][severity - 1]
    out = corrupted(shot_noise, levels, severity).ravel()
    counts = np.arange(int(photons * 3 + 40))
    chance = np.bincount(cut(counts / photons * 255), stats.poisson.pmf(counts, level / 255 * photons), minlength=256)
    seen, expected = np.bincount(out, minlength=256), chance / chance.sum() * out.size
    usual = expected > 5
    assert np.abs(seen - expected)[usual].max() / np.sqrt(expected[usual].max()) < 5
    spread = ((seen - expected)[usual] ** 2 / expected[usual]).sum()
    assert stats.chi2.sf(spread, max(usual.sum() - 1, 1)) > 1e-5
    assert seen[expected == 0].sum() == 0


@each_corruption
@each_severity
def test_every_result_is_an_8_bit_level_in_range(corruption, severity):
    x = keyed.uniform(torch.arange(3), 0, (3, 32, 32), 1)
    out = corruption(x, torch.arange(3), severity, 0)
    assert out.min() >= 0
    assert out.max() <= 1
    assert torch.equal(out, (out * 255).round() / 255)


@each_corruption
def test_severities_do_ever_more_harm(corruption):
    levels = photographs(n=4)
    harm = [np.abs(corrupted(corruption, levels, s) - levels.astype(float)).mean() for s in SEVERITIES]
    assert harm == sorted(harm)
    assert harm[0] > 0


@each_corruption
def test_a_result_is_the_same_in_any_batch(corruption):
    levels = photographs(n=9)
    ids = np.arange(9) * 100
    whole = corrupted(corruption, levels, 3, ids=ids)
    parts = [corrupted(corruption, levels[i : i + 2], 3, ids=ids[i : i + 2]) for i in range(0, 9, 2)]
    assert_levels(np.concatenate(parts), whole, apart=0.0001)


@pytest.mark.parametrize("corruption", [gaussian_noise, shot_noise], ids=lambda c: c.__name__)
def test_noise_is_a_function_of_seed_id_and_severity(corruption):
    levels = np.full((2, 3, 16, 16), 128, np.uint8)
    base = corrupted(corruption, levels, 3, seed=1, ids=[7, 8])
    assert np.array_equal(base[::-1], corrupted(corruption, levels, 3, seed=1, ids=[8, 7]))
    assert not np.array_equal(base[0], base[1])
    assert not np.array_equal(base, corrupted(corruption, levels, 3, seed=2, ids=[7, 8]))


def test_the_two_noises_do_not_share_their_randomness():
    levels = np.full((50, 1, 16, 16), 128, np.uint8)
    gauss, shot = (corrupted(noise, levels, 1).ravel() for noise in (gaussian_noise, shot_noise))
    assert abs(np.corrcoef(gauss, shot)[0, 1]) < 5 / math.sqrt(gauss.size)


@each_corruption
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (2, 1, 28, 28), (2, 4, 9, 12), (1, 3, 300, 230), (0, 3, 32, 32)])
def test_any_number_of_channels_and_any_size_from_8_px_works(corruption, shape):
    levels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    assert corrupted(corruption, levels, 5).shape == shape


@each_corruption
def test_smaller_images_are_refused_in_one_sentence(corruption):
    with pytest.raises(DataError, match=rf"{corruption.__name__} needs images of at least 8 x 8 pixels, got 7 x 20"):
        corruption(torch.zeros(1, 3, 7, 20), torch.arange(1), 1, 0)


@each_corruption
@pytest.mark.parametrize("severity", [0, 6])
def test_another_severity_is_refused(corruption, severity):
    with pytest.raises(UsageError, match="use 1, 2, 3, 4 or 5"):
        corruption(torch.zeros(1, 3, 32, 32), torch.arange(1), severity, 0)


@each_corruption
def test_the_input_and_the_global_random_state_are_left_as_they_were(corruption):
    x = keyed.uniform(torch.arange(2), 0, (3, 32, 32), 1)
    before, state = x.clone(), torch.get_rng_state()
    corruption(x, torch.arange(2), 4, 0)
    assert torch.equal(x, before)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", CONSTANTS)
@each_severity
def test_constants_between_the_two_sizes_lie_between_theirs(name, severity):
    ends = CONSTANTS[name][32][severity - 1], CONSTANTS[name][224][severity - 1]
    assert constants(name, (1, 3, 8, 8), severity) == constants(name, (1, 3, 32, 300), severity) == ends[0]
    assert constants(name, (1, 3, 224, 224), severity) == constants(name, (1, 3, 500, 400), severity) == ends[1]
    middle = constants(name, (1, 3, 64, 64), severity)
    assert all(min(a, b) <= c <= max(a, b) for a, b, c in zip(*ends, middle, strict=True))


@each_corruption
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_what_a_cpu_gives(corruption):
    x, ids = torch.from_numpy(photographs(n=8)).float() / 255, torch.arange(8)
    for severity in SEVERITIES:
        cpu, gpu = corruption(x, ids, severity, 0), corruption(x.cuda(), ids.cuda(), severity, 0).cpu()
        assert_levels((gpu * 255).round().numpy(), (cpu * 255).round().numpy(), apart=0.0001)
