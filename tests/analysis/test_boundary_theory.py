"""The exact distances of a linear classifier, which no verified perturbation may undercut and ours has to meet."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from art.attacks.evasion import ElasticNet
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from art_weakrobust.analysis.boundary import boundary
from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.kernels.hyperplane import nearest_crossing
from art_weakrobust.kernels.norms import lp_norm
from art_weakrobust.testing.networks import linear

NEAR = 1.02
FLOAT = 1e-4
"""By how much less than the exact distance float32 logits may let an adversarial be."""

problems = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "shape": st.sampled_from([(1, 3, 3), (3, 4, 4), (1, 8, 8)]),
        "classes": st.integers(2, 10),
        "batch_size": st.integers(1, 9),
        "scale": st.sampled_from([0.1, 1.0, 30.0]),
    }
)


def problem(build, seed, shape, classes, scale, middle=False, **_):
    """Return a linear classifier, samples it gets right, and margins and weight differences to other classes."""
    generator = np.random.default_rng(seed)
    pixels = math.prod(shape)
    weight = torch.from_numpy(generator.normal(size=(classes, pixels)).astype(np.float32) * scale)
    bias = -weight.sum(1) / 2  # so that the classes share the box
    x = generator.random((6, *shape)).astype(np.float32)
    if middle:
        x = (x * 0.02 + 0.49).astype(np.float32)
    estimator = build.classifier(linear(shape, weight=weight, bias=bias), classes=classes, shape=shape)
    y = estimator.predict(x).argmax(1)
    data = ArrayDataset(x, y, class_names=tuple(map(str, range(classes))))
    w, flat = weight.double().numpy(), x.reshape(6, -1).astype(np.float64)
    others = [[c for c in range(classes) if c != label] for label in y]
    apart = np.stack([w[label] - w[other] for label, other in zip(y, others, strict=True)])
    logits = flat @ w.T + bias.double().numpy()
    gap = np.stack(
        [logits[i, label] - logits[i, other] for i, (label, other) in enumerate(zip(y, others, strict=True))]
    )
    return estimator, data, flat, apart, gap


def measured(build, estimator, data, norm, batch_size=4, **options):
    scores = build.score_with(boundary(distance_norm=norm, batch_size=batch_size, **options), estimator, data)
    return scores["adversarial_distance"].astype(np.float64)


@pytest.mark.parametrize(("norm", "dual"), [(2.0, 2), (math.inf, 1)])
@given(drawn=problems)
@settings(max_examples=12, deadline=None)
def test_distances_inside_the_box_are_those_to_the_nearest_plane(norm, dual, drawn, build):
    estimator, data, _, apart, gap = problem(build, middle=True, **drawn)
    exact = (gap / np.linalg.norm(apart, ord=dual, axis=2)).min(1)
    found = measured(build, estimator, data, norm, drawn["batch_size"], budget=20)
    inside = exact < 0.45  # no pixel comes to its limit
    assert inside.any()
    assert (found[inside] <= NEAR * exact[inside] + 1e-6).all()
    assert (found >= exact * (1 - FLOAT) - 1e-6).all()


@given(drawn=problems)
@settings(max_examples=12, deadline=None)
def test_linf_distances_where_the_box_binds_are_those_of_a_linear_programme(drawn, build):
    estimator, data, flat, apart, gap = problem(build, **drawn)
    found = measured(build, estimator, data, math.inf, drawn["batch_size"])
    for row, x in enumerate(flat):
        exact = min(_within_the_box(x, slope, g) for slope, g in zip(apart[row], gap[row], strict=True))
        if np.isinf(exact):
            assert np.isnan(found[row])
        else:
            assert exact * (1 - FLOAT) - 1e-6 <= found[row] <= NEAR * exact + 1e-6


@given(drawn=problems)
@settings(max_examples=12, deadline=None)
def test_l2_distances_where_the_box_binds_are_those_of_the_nearest_crossing(drawn, build):
    estimator, data, flat, apart, gap = problem(build, **drawn)
    found = measured(build, estimator, data, 2.0, drawn["batch_size"])
    n, classes = gap.shape
    x = torch.from_numpy(flat).repeat_interleave(classes, 0)
    slope = torch.from_numpy(apart.reshape(n * classes, -1))
    point, reached = nearest_crossing(x, slope, torch.from_numpy(gap.reshape(-1)), 2.0)
    length = lp_norm(point - x, 2.0).masked_fill(~reached, torch.inf)
    exact = length.view(n, classes).amin(1).numpy()
    known = np.isfinite(exact)
    assert (np.isnan(found) == ~known).all()
    assert (found[known] <= NEAR * exact[known] + 1e-6).all()
    assert (found[known] >= exact[known] * (1 - FLOAT) - 1e-6).all()


def test_an_l1_attack_as_the_engine_comes_to_the_l1_distance_of_most_and_never_below(build):
    estimator, data, _, apart, gap = problem(build, 5, (1, 3, 3), 2, 1.0, middle=True)
    exact = (gap / np.abs(apart).max(2)).min(1)
    attack = partial(ElasticNet, decision_rule="L1", max_iter=200, binary_search_steps=9, batch_size=6, beta=0.1)
    found = measured(build, estimator, data, math.inf, attack=attack)
    assert (exact < 0.45).all()
    assert (found >= exact * (1 - FLOAT) - 1e-6).all()
    assert np.median(found / exact) <= NEAR


def _within_the_box(x: np.ndarray, slope: np.ndarray, gap: float) -> float:
    """Return the least t with pixels in [0, 1] moved by at most t that lower ``slope x`` by gap; or inf."""
    d, eye, ones = len(x), np.eye(len(x)), np.ones((len(x), 1))
    rows = np.vstack([np.hstack([eye, -ones]), np.hstack([-eye, -ones]), np.append(slope, 0)[None]])
    limits = np.concatenate([x, -x, [slope @ x - gap]])
    solved = linprog(np.append(np.zeros(d), 1), rows, limits, bounds=[(0, 1)] * d + [(0, None)])
    return float(solved.fun) if solved.status == 0 else math.inf
