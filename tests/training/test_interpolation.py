from __future__ import annotations

import pytest
import torch
from torch import nn

from art_weakrobust.testing.networks import small_cnn
from art_weakrobust.training.interpolation import choose, interpolate, reestimate, trace
from art_weakrobust.training.network import Forward, snapshot

FORWARD = Forward(torch.device("cpu"))
CURVE = (
    {"alpha": 0.0, "clean": 0.920, "robust": 0.01},
    {"alpha": 0.5, "clean": 0.910, "robust": 0.30},
    {"alpha": 0.8, "clean": 0.900, "robust": 0.45},
    {"alpha": 1.0, "clean": 0.870, "robust": 0.50},
)


def test_the_ends_of_the_dial_are_the_two_networks_bit_for_bit():
    base, tuned = snapshot(small_cnn(seed=0)), snapshot(small_cnn(seed=1))

    for alpha, end in ((0.0, base), (1.0, tuned)):
        assert all(torch.equal(tensor, end[name]) for name, tensor in interpolate(base, tuned, alpha).items())


def test_between_the_ends_weights_move_in_a_straight_line():
    base, tuned = snapshot(small_cnn(seed=0)), snapshot(small_cnn(seed=1))

    quarter = interpolate(base, tuned, 0.25)

    torch.testing.assert_close(quarter["0.weight"], 0.75 * base["0.weight"] + 0.25 * tuned["0.weight"])
    assert quarter["1.num_batches_tracked"].dtype == torch.int64


def test_reestimated_batch_norm_is_the_mean_over_all_views():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5))
    views = [torch.rand(50, 1, 8, 8) * scale for scale in (1.0, 3.0)]

    found = reestimate(model, FORWARD, views)

    torch.testing.assert_close(found["0.running_mean"], torch.stack([view.mean() for view in views]).mean()[None])
    torch.testing.assert_close(found["0.running_var"], torch.stack([view.var() for view in views]).mean()[None])
    assert not any(part.training for part in model.modules())
    assert model[0].momentum == 0.1


def test_a_network_without_batch_norm_has_nothing_to_estimate():
    assert reestimate(nn.Flatten(), FORWARD, [torch.rand(4, 1, 8, 8)]) == {}


def test_every_point_of_the_dial_can_be_set_again_exactly_as_it_was_judged():
    module, views = small_cnn(seed=1), [torch.rand(20, 1, 8, 8)]
    ends = snapshot(small_cnn(seed=0)), snapshot(module)
    seen = []

    def judge(network: nn.Module) -> dict[str, float]:
        seen.append(snapshot(network))
        return {"clean": 1.0, "robust": 0.0}

    dial = trace(module, FORWARD, ends, (0.0, 0.5, 1.0), views, judge, lambda *_: None)

    assert [point["alpha"] for point in dial.curve] == [0.0, 0.5, 1.0]
    for point, judged in zip(dial.curve, seen, strict=True):
        state = dial.state(point["alpha"])
        assert all(torch.equal(state[name], judged[name]) for name in judged)
    assert all(torch.equal(seen[0][name], ends[0][name]) for name in ends[0])  # the base as it is


@pytest.mark.parametrize(("budget", "alpha"), [(None, 1.0), (0.0, 0.0), (1.0, 0.5), (2.0, 0.8), (4.9, 0.8), (5.0, 1.0)])
def test_a_budget_takes_the_most_robust_point_within(budget, alpha):
    assert choose(CURVE, budget) == alpha


def test_of_equally_robust_points_the_more_accurate_is_taken():
    level = [{**point, "robust": 0.5} for point in CURVE]

    assert choose(level, 10.0) == 0.0
