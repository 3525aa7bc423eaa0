"""A run of AutoAttack that was killed goes on where it was, and what is kept of other work is never taken for its."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.models.normalise import Normalised
from art_weakrobust.perturbations.attacks.autoattack import cascade
from art_weakrobust.perturbations.attacks.autoattack.attack import AutoAttack
from art_weakrobust.store.tensors import read_safetensors, to_safetensors
from art_weakrobust.testing.networks import small_cnn

N, EPS = 12, 0.05
X = np.random.default_rng(0).uniform(0.2, 0.8, (N, 1, 8, 8)).astype(np.float32)


class Killed(BaseException):
    """What ends the process in these tests."""


def estimator(**options) -> FastPyTorchClassifier:
    named = {"input_shape": (1, 8, 8), "nb_classes": 10, "clip_values": (0, 1), "device_type": "cpu"}
    return FastPyTorchClassifier(small_cnn(seed=1).eval(), loss=nn.CrossEntropyLoss(), **named, **options)


def run(state=None, seed: int = 0, eps: float = EPS, model: FastPyTorchClassifier | None = None):
    on = model or estimator()
    attack = AutoAttack(on, eps=eps, max_iter=4, max_queries=3, batch_size=6, seed=seed, state=state)
    return attack.generate(X, on.predict(X).argmax(1)), attack.broken_by, on


@pytest.fixture(scope="module")
def whole():
    return run()


@pytest.fixture
def killed_at(monkeypatch):
    """Return a function that lets the process die at a write: right before it, or right after."""
    real = cascade.atomic_write

    def kill(number: int, after: bool) -> None:
        writes = iter(range(1, 1000))

        def write(path, data) -> None:
            last = next(writes) == number
            if not last or after:
                real(path, data)
            if last:
                raise Killed

        monkeypatch.setattr(cascade, "atomic_write", write)

    yield kill
    monkeypatch.undo()


def test_nothing_is_kept_unless_a_folder_is_named(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run()
    assert list(tmp_path.iterdir()) == []


def test_keeping_changes_no_result(whole, tmp_path):
    x_adv, broken_by, _ = run(tmp_path / "state")
    assert len(list((tmp_path / "state").iterdir())) == 8  # two chunks, four parts
    np.testing.assert_array_equal(x_adv, whole[0])
    np.testing.assert_array_equal(broken_by, whole[1])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 9))
def test_a_run_killed_at_any_write_ends_with_the_same_result(whole, tmp_path, killed_at, number, after):
    killed_at(number, after)
    with pytest.raises(Killed):
        run(tmp_path)
    killed_at(0, False)
    x_adv, broken_by, _ = run(tmp_path)
    np.testing.assert_array_equal(x_adv, whole[0])
    np.testing.assert_array_equal(broken_by, whole[1])


def test_what_is_done_is_not_done_again(whole, tmp_path):
    run(tmp_path)
    again = run(tmp_path)
    assert again[2].gradients == 0
    assert 0 < again[2].forwards < whole[2].forwards / 4
    np.testing.assert_array_equal(again[0], whole[0])


@pytest.mark.parametrize("other", [{"seed": 1}, {"eps": 0.03}], ids=str)
def test_another_seed_or_budget_takes_nothing_from_it(tmp_path, other):
    run(tmp_path)
    assert run(tmp_path, **other)[2].gradients > 0
    np.testing.assert_array_equal(run(tmp_path, **other)[0], run(**other)[0])


def test_other_weights_take_nothing_from_it(tmp_path):
    run(tmp_path)
    tuned = estimator()
    with torch.no_grad():
        tuned.model[-1].bias += 1e-3 * torch.arange(10)
    assert run(tmp_path, model=tuned)[2].gradients > 0


@pytest.mark.parametrize("changed", ["preprocessing", "layers"])
def test_the_same_weights_in_another_model_take_nothing_from_it(tmp_path, changed):
    run(tmp_path)
    other = estimator(preprocessing=(0.5, 1.0)) if changed == "preprocessing" else estimator()
    if changed == "layers":
        other.model[2] = nn.LeakyReLU()
    assert run(tmp_path, model=other)[2].gradients > 0


def test_who_is_broken_is_known_for_all_samples(whole):
    assert 0 < (whole[1] != "").sum() < N


class Scaled(nn.Module):
    """A network whose answers hang on a number that no state dict holds."""

    def __init__(self, scale):
        super().__init__()
        self.network, self.scale = small_cnn(seed=1).eval(), scale

    def forward(self, x):
        return self.network(x * self.scale)


def around(module) -> FastPyTorchClassifier:
    named = {"input_shape": (1, 8, 8), "nb_classes": 10, "clip_values": (0, 1), "device_type": "cpu"}
    return FastPyTorchClassifier(module.eval(), loss=nn.CrossEntropyLoss(), **named)


@pytest.mark.parametrize(
    "make",
    [
        lambda strong: Normalised(small_cnn(seed=1), [0.0], [0.25 if strong else 1.0]),
        lambda strong: Scaled(4.0 if strong else 1.0),
    ],
    ids=["normalised", "attribute"],
)
def test_a_model_that_differs_outside_of_its_state_dict_has_pieces_of_its_own(make, tmp_path):
    weak, strong = around(make(False)), around(make(True))
    x = np.random.default_rng(0).uniform(0.2, 0.8, (200, 1, 8, 8)).astype(np.float32)
    y = weak.predict(x).argmax(1)
    x, y = (part[strong.predict(x).argmax(1) == y][:12] for part in (x, y))

    def broken(estimator, state=None):
        attack = AutoAttack(estimator, eps=0.01, max_iter=4, max_queries=3, batch_size=6, state=state)
        attack.generate(x, y)
        return list(attack.broken_by)

    of_the_weak = broken(weak, tmp_path)
    assert broken(strong, tmp_path) == broken(strong) != of_the_weak


def test_a_piece_that_is_damaged_is_made_anew(whole, tmp_path, caplog):
    run(tmp_path)
    files = sorted(tmp_path.glob("*.safetensors"))
    files[0].write_bytes(files[0].read_bytes()[:20])
    np.testing.assert_array_equal(run(tmp_path)[0], whole[0])
    assert "is made anew" in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(run(tmp_path)[0], whole[0])
    assert "is made anew" not in caplog.text


def test_points_that_break_nobody_are_not_believed(whole, tmp_path, caplog):
    run(tmp_path)
    for file in tmp_path.glob("*.safetensors"):
        arrays, _ = read_safetensors(file)
        if len(arrays["broken"]):
            file.write_bytes(to_safetensors({**arrays, "points": X[: len(arrays["broken"])]}))
            break
    assert list(run(tmp_path)[1]) == list(whole[1])
    assert "is right on what broke it" in caplog.text
