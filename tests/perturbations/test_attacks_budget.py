"""Whatever an attack returned, the point that is judged lies inside budget and range."""

from __future__ import annotations

from math import inf

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from art_weakrobust.perturbations.attacks.judge import hold
from art_weakrobust.threat import ThreatModel

SHAPE = (1, 4, 4)


@settings(max_examples=60, deadline=None)
@given(
    norm=st.sampled_from([1.0, 2.0, inf]),
    eps=st.floats(0, 5),
    size=st.floats(0, 1e6),
    seed=st.integers(0, 1000),
)
def test_what_is_judged_is_inside_budget_and_range(norm, eps, size, seed):
    rng = np.random.default_rng(seed)
    x = rng.random((3, *SHAPE), np.float32)
    x_adv = (x + size * rng.normal(size=x.shape)).astype(np.float32)
    held, measured, over = hold(x_adv, x, ThreatModel(norm, eps))
    distance = np.linalg.norm((held.astype(np.float64) - x).reshape(3, -1), ord=norm, axis=1)
    assert held.dtype == np.float32
    assert (distance <= eps * (1 + 1e-5) + 2e-6).all()
    assert held.min() >= 0
    assert held.max() <= 1
    assert (over | (measured <= eps * (1 + 1e-5) + 1e-6)).all()
    np.testing.assert_array_equal(held[~over], np.clip(x_adv[~over], 0, 1))
