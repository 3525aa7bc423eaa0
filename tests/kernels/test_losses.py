"""Margins and scores on logits that can be worked out by hand."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import cross_entropy, one_hot

from art_weakrobust.kernels.losses import margin, misprediction_score, soft_cross_entropy

LOGITS = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 4.5], [1.0, 1.0, 0.0]])


def test_the_margin_is_the_label_against_the_best_other():
    assert margin(LOGITS, torch.tensor([0, 2, 0])).tolist() == [1.0, -0.5, 0.0]


def test_the_score_is_zero_where_right_and_the_confidence_where_wrong():
    score = misprediction_score(LOGITS, torch.tensor([0, 2, 1]))
    assert score[0] == 0
    assert math.isclose(score[1], 1 / (1 + math.exp(-0.5) + math.exp(-5)), rel_tol=1e-6)
    assert math.isclose(score[2], 1 / (2 + math.exp(-1)), rel_tol=1e-6)


def test_the_inputs_are_left_as_they_were():
    logits = LOGITS.clone()
    margin(logits, torch.tensor([0, 1, 2]))
    misprediction_score(logits, torch.tensor([0, 1, 2]))
    assert torch.equal(logits, LOGITS)


def test_soft_cross_entropy_of_a_one_hot_target_is_the_cross_entropy():
    y = torch.tensor([2, 0, 1])
    assert torch.allclose(soft_cross_entropy(LOGITS, one_hot(y, 3).float()), cross_entropy(LOGITS, y, reduction="none"))


def test_soft_cross_entropy_is_least_at_the_target():
    target = LOGITS.softmax(1)
    entropy = -(target * target.log()).sum(1)
    assert torch.allclose(soft_cross_entropy(LOGITS, target), entropy)
    assert (soft_cross_entropy(LOGITS + torch.tensor([1.0, 0.0, 0.0]), target) > entropy).all()
