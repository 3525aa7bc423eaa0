from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from art_weakrobust.training.losses import batch_loss, targets
from art_weakrobust.training.recipe import Recipe

Y = torch.tensor([0, 2, 1, 1])
TEACHER = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
LOGITS = torch.randn(8, 3, generator=torch.Generator().manual_seed(2))
NOBODY = torch.empty(0, dtype=torch.long)


def test_targets_mix_label_and_soft_labels_at_the_recipes_shares():
    wanted = targets(Y, TEACHER, Recipe(teacher_clean=0.9, teacher_views=0.5, temperature=4.0))

    label, soft = functional.one_hot(Y, 3).float(), (TEACHER / 4).softmax(1)
    torch.testing.assert_close(wanted.clean, 0.1 * label + 0.9 * soft)
    torch.testing.assert_close(wanted.views, 0.5 * label + 0.5 * soft)
    torch.testing.assert_close(wanted.clean.sum(1), torch.ones(4))


def test_without_the_teacher_the_loss_is_cross_entropy():
    wanted = targets(Y, TEACHER, Recipe(teacher_clean=0.0, teacher_views=0.0))

    clean, adversarial, corrupted = batch_loss(LOGITS[:4], wanted, NOBODY, NOBODY, Recipe())

    torch.testing.assert_close(clean, functional.cross_entropy(LOGITS[:4], Y))
    assert adversarial == corrupted == 0


def test_views_are_held_to_the_targets_of_the_samples_they_show():
    wanted = targets(Y, TEACHER, Recipe(teacher_clean=0.0, teacher_views=0.0))
    attacked, spoilt = torch.tensor([0, 1]), torch.tensor([2, 3])

    _, adversarial, corrupted = batch_loss(
        LOGITS, wanted, attacked, spoilt, Recipe(adversarial_weight=0.7, corrupted_weight=0.5)
    )

    torch.testing.assert_close(adversarial, 0.7 * functional.cross_entropy(LOGITS[4:6], Y[attacked]))
    torch.testing.assert_close(corrupted, 0.5 * functional.cross_entropy(LOGITS[6:], Y[spoilt]))


def test_a_teacher_that_is_sure_of_something_else_pulls_the_loss_up():
    sure = 20.0 * functional.one_hot((Y + 1) % 3, 3).float()
    right = 20.0 * functional.one_hot(Y, 3).float()

    def loss(share: float) -> float:
        wanted = targets(Y, sure, Recipe(teacher_clean=share, temperature=1.0))
        return batch_loss(right, wanted, NOBODY, NOBODY, Recipe())[0].item()

    assert loss(0.0) == pytest.approx(0.0, abs=1e-6)
    assert loss(0.5) == pytest.approx(10.0, rel=1e-4)
