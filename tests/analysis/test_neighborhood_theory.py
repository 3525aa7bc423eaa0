"""Flip rate and mean misprediction score of a two-class linear model, whose margin has a known distribution nearby."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.testing.networks import linear

SHAPE = (1, 8, 8)
PIXELS = math.prod(SHAPE)
SAMPLES, NEIGHBORS = 60, 50  # of each margin
FEW = np.array([9.0, -6.0, 4.0])  # the weights of three pixels: far from normal
ALL = np.linspace(-3, 3, PIXELS)

Density = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def normal(grid: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    return stats.norm.pdf(grid, scale=sigma * np.linalg.norm(weight))


def sum_of_uniforms(grid: np.ndarray, weight: np.ndarray, radius: float) -> np.ndarray:
    """The density of a sum of uniform numbers, by numerical convolution with one box after the other."""
    widths = np.sort(np.abs(weight[weight != 0]) * radius)[::-1]
    density = (np.abs(grid) <= widths[0]) / (2 * widths[0])
    for a in widths[1:]:
        below = np.cumsum(density) * (grid[1] - grid[0])
        density = (np.interp(grid + a, grid, below) - np.interp(grid - a, grid, below)) / (2 * a)
    return density


def slice_of_ball(grid: np.ndarray, weight: np.ndarray, radius: float) -> np.ndarray:
    """A coordinate of a point in the unit d-ball has a density in proportion to (1 - t^2)^((d - 1) / 2)."""
    t = grid / (radius * np.linalg.norm(weight))
    density = np.clip(1 - t**2, 0, None) ** ((PIXELS - 1) / 2)
    return density / (density.sum() * (grid[1] - grid[0]))


@pytest.mark.parametrize(
    ("options", "density", "weight"),
    [
        ({"radius": 0.05, "neighbor_source": "gaussian"}, normal, ALL),
        ({"radius": 0.05, "neighbor_source": "gaussian"}, normal, FEW),
        ({"radius": 0.1}, sum_of_uniforms, FEW),
        ({"radius": 0.1}, sum_of_uniforms, ALL),
        ({"radius": 0.4, "radius_norm": 2}, slice_of_ball, ALL),
    ],
    ids=["gaussian", "gaussian, three pixels", "uniform, three pixels", "uniform", "L2 ball"],
)
def test_flip_rate_and_mean_misprediction_score_are_the_integrals(
    build, options: dict[str, object], density: Density, weight: np.ndarray
):
    grid = np.linspace(-6, 6, 200_001)
    step = grid[1] - grid[0]
    whole = np.zeros(PIXELS)
    whole[: len(weight)] = weight
    f = density(grid, whole, float(options["radius"]))
    assert abs(f.sum() * step - 1) < 1e-3
    margins = np.sqrt((f * grid**2).sum() * step) * np.array([0.2, 0.7, 1.3, 4.0])

    x = np.full((len(margins), PIXELS), 0.5)
    x += margins[:, None] * whole / (whole @ whole)  # the least change that gives the margin: all stay inside [0, 1]
    data = ArrayDataset(
        np.repeat(x, SAMPLES, 0).reshape(-1, *SHAPE).astype(np.float32),
        np.ones(len(margins) * SAMPLES, np.int64),
        class_names=("no", "yes"),
    )
    model = linear(
        SHAPE,
        weight=torch.tensor(np.stack([np.zeros(PIXELS), whole]), dtype=torch.float32),
        bias=torch.tensor([0.0, -0.5 * whole.sum()], dtype=torch.float32),
    )
    scores = build.score_with(neighborhood(neighbors=NEIGHBORS, seed=11, **options), build.classifier(model, 2), data)
    flips = scores["flips"].reshape(len(margins), SAMPLES).sum(1) / (SAMPLES * NEIGHBORS)
    score = scores["score"].reshape(len(margins), SAMPLES).mean(1)

    for margin, rate, mean in zip(margins, flips, score, strict=True):
        confidence = np.where(margin + grid < 0, 1 / (1 + np.exp(margin + grid)), 0)
        for got, value in ((rate, (margin + grid < 0).astype(float)), (mean, confidence)):
            expected = (f * value).sum() * step
            variance = (f * value**2).sum() * step - expected**2
            assert abs(got - expected) < 4.5 * math.sqrt(max(variance, 0) / (SAMPLES * NEIGHBORS)) + 1e-4
    assert flips[0] > 0.3 > flips[3]
