"""The four noises against their formulas, and the discrete draws against their distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from art_weakrobust.kernels import keyed
from art_weakrobust.perturbations.corruptions.noise import (
    _counted,
    _poisson_table,
    gaussian_noise,
    impulse_noise,
    shot_noise,
    speckle_noise,
)

either_size = pytest.mark.parametrize("size", [32, 224])
each_severity = pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])

GAUSSIAN = {32: [0.04, 0.06, 0.08, 0.09, 0.10], 224: [0.08, 0.12, 0.18, 0.26, 0.38]}
SHOT = {32: [500, 250, 100, 75, 50], 224: [60, 25, 12, 5, 3]}
IMPULSE = {32: [0.01, 0.02, 0.03, 0.05, 0.07], 224: [0.03, 0.06, 0.09, 0.17, 0.27]}
SPECKLE = {32: [0.06, 0.1, 0.12, 0.16, 0.2], 224: [0.15, 0.2, 0.35, 0.45, 0.6]}


def cut(x: np.ndarray) -> np.ndarray:
    """Clipped and truncated as np.uint8 does it, after rounding off what float64 itself got wrong."""
    return np.floor(np.round(np.clip(x, 0, 1) * 255, 6))


def drawer(name: str, draw, severity: int, size: int):
    """What the noise of that name draws, channels last as the reference has them."""
    return lambda ids, seed: (
        draw(ids, severity, (3, size, size), keyed.derive(seed, name)).permute(0, 2, 3, 1).contiguous(),
    )


@either_size
@each_severity
def test_gaussian_noise_is_added(agree, size, severity):
    sigma = GAUSSIAN[size][severity - 1]

    def reference(image, normal):
        return cut(image / 255 + sigma * normal.astype(float))

    agree(gaussian_noise, reference, size, severity, drawer("gaussian_noise", keyed.normal, severity, size))


@either_size
@each_severity
def test_speckle_noise_grows_with_the_pixel(agree, size, severity):
    sigma = SPECKLE[size][severity - 1]

    def reference(image, normal):
        x = image / 255
        return cut(x + x * (sigma * normal.astype(float)))

    agree(speckle_noise, reference, size, severity, drawer("speckle_noise", keyed.normal, severity, size))


@either_size
@each_severity
def test_shot_noise_counts_photons_by_the_inverse_distribution_function(agree, size, severity):
    photons = SHOT[size][severity - 1]

    levels = np.arange(256)[:, None]
    below = levels + stats.poisson.cdf(np.arange(2 * photons + 40), levels / 255 * photons)

    def reference(image, bits):
        chance = (bits.astype(np.int64) % 2**32 // 256 + 0.5) / 2**24
        counts = np.searchsorted(below.ravel(), image + chance) - image.astype(int) * below.shape[1]
        return cut(counts / photons)

    agree(shot_noise, reference, size, severity, drawer("shot_noise", keyed.bits, severity, size))


@either_size
@each_severity
def test_impulse_noise_is_salt_and_pepper(agree, size, severity):
    share = IMPULSE[size][severity - 1]

    def reference(image, bits):
        x = image / 255
        flipped = (bits // 256 + 2**23) / 2**24 <= share
        salted = bits % 2 == 1
        x[flipped & salted], x[flipped & ~salted] = 1, 0
        return cut(x)

    agree(impulse_noise, reference, size, severity, drawer("impulse_noise", keyed.bits, severity, size))


@either_size
@each_severity
def test_impulse_noise_replaces_its_share_at_even_odds(size, severity):
    share, n = IMPULSE[size][severity - 1], 300 if size == 32 else 6
    out = impulse_noise(torch.full((n, 3, size, size), 0.5), torch.arange(n), severity, 0)
    salt, pepper = int((out == 1).sum()), int((out == 0).sum())
    assert stats.binomtest(salt + pepper, out.numel(), share).pvalue > 1e-4
    assert stats.binomtest(salt, salt + pepper).pvalue > 1e-4


@pytest.mark.parametrize("photons", [3, 12, 60, 100, 500])
@pytest.mark.parametrize("level", [1, 40, 128, 255])
def test_counts_are_poisson_far_into_the_tails(photons, level):
    """Every draw that there is, in one sweep: a count's share of the 2^24 is its chance, to 2^-24."""
    draws = torch.arange(0, 2**24, 16, dtype=torch.int32)  # each stands for 16
    levels = torch.full_like(draws, level)
    counts = _counted(levels, draws, _poisson_table(photons, torch.device("cpu")))
    assert bool((counts.diff() >= 0).all())
    rate = level / 255 * photons
    seen = np.cumsum(np.bincount(counts.numpy(), minlength=int(rate) + 20)) / len(draws)
    assert np.abs(seen - stats.poisson.cdf(np.arange(len(seen)), rate)).max() <= 17 / 2**24
    assert math.isclose(counts.double().mean(), rate, rel_tol=1e-4)


@either_size
@each_severity
def test_gaussian_noise_has_the_paper_s_deviation(size, severity):
    sigma, n = GAUSSIAN[size][severity - 1], 200 if size == 32 else 10
    out = gaussian_noise(torch.full((n, 1, size, size), 128 / 255), torch.arange(n), severity, 0).mul(255).round()
    for level in (96, 128, 160):  # truncated: at most this level means below the next
        share = float((out <= level).double().mean())
        assert abs(share - stats.norm.cdf((level + 1 - 128) / 255 / sigma)) < 5 * math.sqrt(0.25 / out.numel())


@either_size
@each_severity
@pytest.mark.parametrize("level", [0, 3, 100, 255])
def test_shot_noise_is_poisson_bin_by_bin_after_truncation(size, severity, level):
    photons = SHOT[size][severity - 1]
    x = torch.full((20, 1, size, size), level / 255)
    out = shot_noise(x, torch.arange(20), severity, 0).mul(255).round().long().flatten()
    counts = np.arange(photons * 3 + 40)
    chance = np.bincount(
        cut(counts / photons).astype(int), stats.poisson.pmf(counts, level / 255 * photons), minlength=256
    )
    seen, expected = np.bincount(out, minlength=256), chance / chance.sum() * len(out)
    usual = expected > 5
    spread = ((seen - expected)[usual] ** 2 / expected[usual]).sum()
    assert stats.chi2.sf(spread, max(usual.sum() - 1, 1)) > 1e-5
    assert seen[expected == 0].sum() == 0
