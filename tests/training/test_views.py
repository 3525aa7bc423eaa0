from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from art_weakrobust.kernels.norms import lp_norm
from art_weakrobust.perturbations.types import CorruptionType
from art_weakrobust.results import PerturbationType
from art_weakrobust.testing.networks import linear, small_cnn
from art_weakrobust.threat import ThreatModel
from art_weakrobust.training.network import Forward, snapshot
from art_weakrobust.training.recipe import Recipe
from art_weakrobust.training.views import adversarial, corrupted, crop_and_flip

FORWARD = Forward(torch.device("cpu"))
DRAWS = torch.arange(40)
X = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = DRAWS % 10


def test_without_border_and_mirror_an_image_stays_as_it_is():
    assert torch.equal(crop_and_flip(X, DRAWS, border=0, mirror=False, seed=3), X)


def test_a_crop_is_a_window_of_the_zero_padded_image_and_all_windows_occur():
    padded = functional.pad(X, (1,) * 4)

    views = crop_and_flip(X, DRAWS, border=1, mirror=False, seed=0)

    windows = [padded[:, :, top : top + 8, left : left + 8] for top in range(3) for left in range(3)]
    hits = torch.stack([(window == views).flatten(1).all(1) for window in windows])
    assert hits.any(0).all()
    assert hits.any(1).all()


def test_half_of_the_images_are_mirrored():
    views = crop_and_flip(X, DRAWS, border=0, mirror=True, seed=0)

    mirrored = (views == X.flip(3)).flatten(1).all(1)
    kept = (views == X).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert 10 <= mirrored.sum() <= 30


def test_a_view_follows_from_its_draw_alone_whatever_the_batch():
    whole = crop_and_flip(X, DRAWS, border=2, mirror=True, seed=1)
    order = torch.from_numpy(np.random.default_rng(0).permutation(40))

    assert torch.equal(crop_and_flip(X[order], DRAWS[order], border=2, mirror=True, seed=1), whole[order])


@pytest.mark.parametrize(("norm", "eps"), [(float("inf"), 0.05), (2.0, 0.5)])
def test_adversarial_views_keep_to_the_budget_and_to_the_pixels(norm, eps):
    views = adversarial(FORWARD, small_cnn(), X, Y, DRAWS, ThreatModel(norm, eps), Recipe(), seed=0)

    assert (lp_norm(views - X, norm) <= eps * (1 + 1e-5)).all()
    assert views.min() >= 0
    assert views.max() <= 1


def test_on_a_linear_classifier_two_steps_reach_the_corner_that_the_gradient_points_to():
    weight = torch.randn(2, 64, generator=torch.Generator().manual_seed(4))
    model, y = linear(num_classes=2, weight=weight), DRAWS % 2
    x = 0.4 + 0.2 * X  # so that no pixel is clipped

    views = adversarial(FORWARD, model, x, y, DRAWS, ThreatModel(float("inf"), 0.01), Recipe(steps=2), seed=0)

    towards = (weight[1 - y] - weight[y]).sign().view_as(x)
    torch.testing.assert_close(views, x + 0.01 * towards)


def test_crafting_moves_no_batch_norm_statistic_and_no_weight():
    model = small_cnn().train()
    before = snapshot(model)

    adversarial(FORWARD, model, X, Y, DRAWS, ThreatModel(float("inf"), 0.1), Recipe(), seed=0)

    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


def test_each_run_of_images_gets_its_own_corruption_and_severity():
    def darker(x, ids, severity, seed):
        return x * 0 + severity / 10

    def brighter(x, ids, severity, seed):
        return x * 0 + 1 - severity / 100

    kinds = [CorruptionType(PerturbationType(f.__name__, "corruptions"), f) for f in (darker, brighter, darker)]

    views = corrupted(X[:7], DRAWS[:7], kinds, [2, 3, 5], seed=0)

    assert views[:, 0, 0, 0].tolist() == pytest.approx([0.2] * 3 + [0.97] * 2 + [0.5] * 2)
