"""The nearest point of a half-space inside a box, against what can be computed otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from art_weakrobust.errors import UsageError
from art_weakrobust.kernels.hyperplane import nearest_crossing
from art_weakrobust.kernels.norms import lp_norm


def draw(seed: int, n: int = 4, d: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(seed)
    return (
        torch.from_numpy(values.astype(np.float32))
        for values in (generator.random((n, d)), generator.normal(size=(n, d)))
    )


@pytest.mark.parametrize("norm", [2.0, math.inf])
@given(seed=st.integers(0, 10**6), share=st.floats(0.01, 0.99))
@settings(max_examples=15, deadline=None)
def test_it_is_the_optimum_of_a_solver(norm, seed, share):
    x, w = draw(seed)
    most = torch.where(w > 0, w * x, w * (x - 1)).sum(1)  # what the whole box can gain
    point, reached = nearest_crossing(x, w, share * most, norm)
    assert reached.all()
    assert ((point >= 0) & (point <= 1)).all()
    for row in range(len(x)):
        a, slope, gap = (values[row].double().numpy() for values in (x, w, share * most))
        if norm == math.inf:
            d = len(a)  # the least t with |u - a| <= t, u in the box and slope (u - a) <= -gap
            ones = np.ones((d, 1))
            rows = np.vstack([np.hstack([np.eye(d), -ones]), np.hstack([-np.eye(d), -ones]), np.append(slope, 0)[None]])
            limits = np.concatenate([a, -a, [slope @ a - gap]])
            best = linprog(np.append(np.zeros(d), 1), rows, limits, bounds=[(0, 1)] * d + [(0, None)]).fun
        else:
            gain = {"type": "ineq", "fun": lambda u, a=a, slope=slope, gap=gap: -slope @ (u - a) - gap}
            found = minimize(
                lambda u, a=a: ((u - a) ** 2).sum(),
                a,
                bounds=[(0, 1)] * len(a),
                constraints=[gain],
                method="SLSQP",
                options={"ftol": 1e-14, "maxiter": 500},
            )
            best = math.sqrt(found.fun)
        assert float(lp_norm(point - x, norm)[row]) == pytest.approx(best, rel=2e-3, abs=1e-4)


@pytest.mark.parametrize("norm", [2.0, math.inf])
def test_a_box_that_holds_no_such_point_is_told_and_its_best_corner_returned(norm):
    x, w = draw(1)
    point, reached = nearest_crossing(x, w, torch.full((4,), 1e3), norm)
    assert not reached.any()
    assert torch.equal(point, (w < 0).float())


@pytest.mark.parametrize("norm", [2.0, math.inf])
def test_without_a_gap_nothing_moves(norm):
    x, w = draw(2)
    point, reached = nearest_crossing(x, w, torch.zeros(4), norm)
    assert torch.equal(point, x)
    assert reached.all()


def test_another_norm_is_refused():
    x, w = draw(3)
    with pytest.raises(UsageError, match="use 2 or inf"):
        nearest_crossing(x, w, torch.ones(4), 1.0)
