"""The trainer as its users meet it; small networks on small pictures."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from art.attacks.evasion import DeepFool, FastGradientMethod, ProjectedGradientDescent
from art.defences.trainer import Trainer
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.datasets.subset import Subset
from art_weakrobust.errors import DataError, ModelError, TrainingError, UsageError
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.types import CorruptionType
from art_weakrobust.results import WEAK_SET, Finetuning, PerturbationType, WeakSet, conform
from art_weakrobust.testing.networks import small_cnn
from art_weakrobust.trainer import WeakRobustTrainer
from art_weakrobust.training import checkpoint as checkpoints
from art_weakrobust.training.checkpoint import turn_dial
from art_weakrobust.training.network import snapshot
from art_weakrobust.training.recipe import Recipe

CLASSES, COUNT = 3, 120
HELD_OUT, CONTROL, TUNE = list(range(0, 10)), list(range(20, 30)), list(range(40, 50))


def pictures(count: int = COUNT, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Bright bars of a position that the class says, under noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % CLASSES
    x = rng.uniform(0, 0.4, (count, 1, 8, 8)).astype(np.float32)
    for row, label in enumerate(y):
        x[row, 0, 2 * label : 2 * label + 2] += 0.5
    return x, y


def darken(x, ids, severity, seed):
    return x * (1 - severity / 10)


def grain(x, ids, severity, seed):
    from art_weakrobust.kernels.keyed import uniform

    return (x + severity / 20 * uniform(ids, severity, x.shape[1:], seed)).clamp(0, 1)


def make(kind=FastPyTorchClassifier, optimizer=None, clip=(0, 1), model=None) -> PyTorchClassifier:
    model = model or small_cnn(num_classes=CLASSES)
    return kind(
        model=model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer(model.parameters()) if optimizer else None,
        input_shape=(1, 8, 8),
        nb_classes=CLASSES,
        clip_values=clip,
        device_type="cpu",
    )


def weak_set() -> WeakSet:
    ids = TUNE + HELD_OUT + CONTROL
    role = ["tune"] * 10 + ["held_out"] * 10 + ["control"] * 10
    return WeakSet(conform(pa.table({"index": ids, "role": role, "weight": [1.0] * 30}), WEAK_SET))


X, Y = pictures()
GUARD = pictures(30, seed=1)
EVERYTHING = {"corruptions": [darken, grain], "eps": 0.1}


def fitted(classifier=None, epochs: int = 2, **options) -> WeakRobustTrainer:
    fit = {key: options.pop(key) for key in ("weak_set", "weak_types", "ids", "guard") if key in options}
    trainer = WeakRobustTrainer(classifier or make(), **{**EVERYTHING, **options})
    trainer.fit(X, Y, epochs, 40, **{"guard": GUARD, **fit})
    return trainer


def fitted_on(data, **fit) -> WeakRobustTrainer:
    trainer = WeakRobustTrainer(make(), **EVERYTHING)
    trainer.fit(data, None, 1, 40, **fit)
    return trainer


@pytest.fixture(scope="module")
def _learned() -> dict[str, torch.Tensor]:
    return weights(fitted(epochs=8))


@pytest.fixture
def learned(_learned: dict[str, torch.Tensor]) -> nn.Module:
    """A network that knows the pictures already."""
    model = small_cnn(num_classes=CLASSES)
    model.load_state_dict(_learned)
    return model


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def weights(trainer: WeakRobustTrainer) -> dict[str, torch.Tensor]:
    return snapshot(trainer.get_classifier().model)


def untimed(record: Finetuning) -> dict:
    plain = record.to_json()
    plain["history"] = [{k: v for k, v in line.items() if k != "seconds"} for line in plain["history"]]
    return plain


class Watched(ArrayDataset):
    """Remembers which ids anybody asked for."""

    def __init__(self, x, y) -> None:
        super().__init__(x, y)
        self.asked: set[int] = set()

    def _images(self, ids):
        self.asked |= set(ids.tolist())
        return super()._images(ids)


# --- what it trains, and on what ---


def test_it_is_one_of_arts_trainers_and_trains_in_place():
    classifier = make()
    model, before = classifier.model, snapshot(classifier.model)

    trainer = fitted(classifier)

    assert isinstance(trainer, Trainer)
    assert trainer.get_classifier() is classifier
    assert classifier.model is model
    assert not same(weights(trainer), before)
    assert not model.training


def test_it_learns(learned: nn.Module):
    x, y = pictures(90, seed=2)

    assert (make(model=learned).predict(x).argmax(1) == y).mean() > 0.9


def test_held_out_half_control_group_and_guard_part_are_never_asked_for():
    data = Watched(X, Y)
    trainer = WeakRobustTrainer(make(), **EVERYTHING)

    with pytest.warns(UserWarning, match="guard is None"):
        trainer.fit(data, None, 2, 40, weak_set=weak_set())

    trained, guard = set(trainer.finetuning.trained_ids.tolist()), set(trainer.finetuning.guard_ids.tolist())
    assert not trained & ({*HELD_OUT, *CONTROL} | guard)
    assert not guard & {*HELD_OUT, *CONTROL, *TUNE}
    assert data.asked == trained | guard
    assert trained | guard | {*HELD_OUT, *CONTROL} == set(range(COUNT))
    assert trainer.finetuning.guard_split == "train"


def test_only_the_ids_that_were_given_are_trained_on():
    trainer = fitted(ids=np.arange(0, 60), weak_set=weak_set())

    assert set(trainer.finetuning.trained_ids.tolist()) == set(range(60)) - {*HELD_OUT, *CONTROL}


def test_a_guard_part_from_the_training_set_itself_is_taken_out_of_it():
    data = Watched(X, Y)
    trainer = WeakRobustTrainer(make(), **EVERYTHING)

    trainer.fit(data, None, 1, 40, guard=(data, np.arange(100, 120)))

    assert trainer.finetuning.trained_ids.tolist() == list(range(100))


def test_a_guard_part_that_holds_unseen_samples_is_refused():
    data = Watched(X, Y)

    with pytest.raises(UsageError, match=r"guard: sample 5 and 4 more are in the held-out half or the control group"):
        fitted_on(data, weak_set=weak_set(), guard=(data, np.arange(5, 20)))
    assert not data.asked


def test_a_subset_is_trained_on_under_the_ids_of_the_whole():
    data = Watched(X, Y)
    trainer = fitted_on(Subset(data, np.arange(60, 100)), guard=GUARD)

    assert trainer.finetuning.trained_ids.tolist() == list(range(60, 100))
    assert data.asked == set(range(60, 100))


def test_nothing_left_to_train_on_is_an_error():
    with pytest.raises(TrainingError, match="no sample is left"):
        fitted(ids=np.array(HELD_OUT), weak_set=weak_set())


def test_one_hot_labels_are_understood():
    trainer = WeakRobustTrainer(make(), **EVERYTHING)

    trainer.fit(X, np.eye(CLASSES, dtype=np.float32)[Y], 2, 40, guard=GUARD)

    assert same(weights(trainer), weights(fitted()))


def test_arts_own_classifier_is_trained_as_ours_is():
    assert same(weights(fitted(make(PyTorchClassifier))), weights(fitted(make())))


def test_its_optimizer_trains_it_and_comes_back_as_it_was():
    class Counting(torch.optim.SGD):
        steps = 0

        def step(self, closure=None):
            self.steps += 1
            return super().step(closure)

    classifier = make(optimizer=lambda parameters: Counting(parameters, lr=0.01, momentum=0.9))

    fitted(classifier)

    assert classifier.optimizer.steps == 2 * 3
    assert classifier.optimizer.param_groups[0]["lr"] == 0.01
    assert not classifier.optimizer.state


# --- what is drawn ---


def test_it_tells_what_was_drawn_and_how_often():
    record = fitted(attacks=["fgm", "pgd@2"]).finetuning

    attacks = {name: n for name, n in record.drawn.items() if name in ("fgm-linf", "pgd-l2")}
    corruptions = {name: n for name, n in record.drawn.items() if name in ("darken", "grain")}
    assert sum(attacks.values()) == sum(corruptions.values()) == 2 * COUNT // 2
    assert set(corruptions) == {"darken", "grain"}
    assert set(record.norms) == {{"fgm-linf": "inf", "pgd-l2": "2"}[name] for name in attacks}
    assert [line["epoch"] for line in record.history] == [1, 2]
    assert {"loss", "loss_clean", "loss_adversarial", "loss_corrupted", "clean", "robust", "odds", "seconds"} <= set(
        record.history[0]
    )


def test_without_attacks_it_is_pgd_in_linf_at_eps():
    record = fitted(corruptions=None).finetuning

    assert record.drawn == {"pgd-linf": COUNT}
    assert record.norms == ("inf",)
    assert record.options["attacks"] == {"pgd-linf": {"norm": "inf", "eps": 0.1}}


def test_attacks_of_many_steps_and_stored_sets_are_passed_over(caplog: pytest.LogCaptureFixture):
    class Stored:
        paired = True

        def dataset(self, severity):
            raise AssertionError("a stored set belongs to the test set")

    stored = CorruptionType(PerturbationType("cifar10-c/fog", "corruptions", origin="stored"), Stored())
    with caplog.at_level(logging.INFO):
        trainer = fitted(attacks=[FastGradientMethod, DeepFool], corruptions=[darken, stored])

    assert set(trainer.finetuning.drawn) == {"fgm-linf", "darken"}
    assert "cifar10-c/fog is validated, not trained on" in caplog.text
    assert "deep" in caplog.text


def test_attacks_keep_their_own_budget():
    trainer = WeakRobustTrainer(
        make(), eps=0.1, attacks=["pgd@2:eps=0.7", lambda e: ProjectedGradientDescent(e, eps=0.2)]
    )

    assert {kind.threat.norm: kind.threat.eps for kind in trainer.attacks} == {2.0: 0.7, float("inf"): 0.2}


def test_weak_types_it_was_not_handed_are_passed_over_with_a_log_line(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        trainer = fitted(weak_types=["darken", "motion_blur"])

    assert "motion_blur" in caplog.text
    assert trainer.finetuning.options["weak_types"] == ["darken"]


def test_weak_types_are_drawn_three_times_as_often():
    trainer = fitted(epochs=1, weak_types=["darken"], recipe=Recipe(corrupted=1.0))

    drawn = trainer.finetuning.drawn
    assert drawn["darken"] > drawn["grain"]


def test_the_odds_are_corrected_by_what_is_weak_on_the_guard_part_after_the_first_epoch(learned: nn.Module):
    def ruin(x, ids, severity, seed):
        return torch.zeros_like(x)

    given = {"corruptions": [darken, grain, ruin], "weak_types": ["grain"], "guard": pictures(90, 3)}
    record = fitted(make(model=learned), **given).finetuning

    assert [line["odds"]["corruptions"] for line in record.history] == 2 * [{"darken": 1.0, "grain": 1.0, "ruin": 3.0}]
    assert record.options["weak_types"] == ["grain"]


# --- the dial ---


def test_the_curve_has_seven_points_from_base_to_tuned_with_intervals():
    curve = fitted().finetuning.curve

    assert [point["alpha"] for point in curve] == [0.0, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0]
    for point in curve:
        assert point["clean_low"] <= point["clean"] <= point["clean_high"]
        assert point["robust_low"] <= point["robust"] <= point["robust_high"]
        assert point["n"] == point["n_robust"] == 30


def test_without_a_budget_the_tuned_network_is_taken():
    assert fitted().finetuning.alpha == 1.0


def test_a_budget_that_only_the_base_meets_gives_the_base_back(learned: nn.Module):
    good = make(model=learned)
    before = snapshot(good.model)
    # one step at a rate that ruins: every other point of the dial loses accuracy
    trainer = fitted(good, epochs=1, clean_budget=0.0, recipe=Recipe(learning_rate=5.0, teacher_clean=0.0))

    losses = [trainer.finetuning.curve[0]["clean"] - point["clean"] for point in trainer.finetuning.curve[1:]]
    assert min(losses) > 0
    assert trainer.finetuning.alpha == 0.0
    assert same(weights(trainer), before)


def test_turning_the_dial_later_gives_what_training_with_that_budget_gave(tmp_path: Path):
    fitted(epochs=3, checkpoint_dir=tmp_path / "a")
    for budget in (0.0, 10.0, None):
        state, alpha = turn_dial(tmp_path / "a", budget)
        trained = fitted(epochs=3, clean_budget=budget)

        assert trained.finetuning.alpha == alpha
        assert same(weights(trained), state)


# --- undone, killed, refused ---


def test_it_can_be_undone():
    classifier = make()
    before = snapshot(classifier.model)

    trainer = fitted(classifier)
    trainer.undo()

    assert same(weights(trainer), before)


def test_undoing_works_from_a_directory_too(tmp_path: Path):
    trained = fitted(checkpoint_dir=tmp_path)

    WeakRobustTrainer(trained.get_classifier(), **EVERYTHING, checkpoint_dir=tmp_path).undo()

    assert same(weights(trained), snapshot(small_cnn(num_classes=CLASSES)))


def test_undoing_nothing_is_an_error():
    with pytest.raises(TrainingError, match="nothing to undo"):
        WeakRobustTrainer(make(), **EVERYTHING).undo()


def test_one_seed_gives_one_result_and_another_another():
    first = fitted(seed=3)

    assert same(weights(first), weights(fitted(seed=3)))
    assert not same(weights(first), weights(fitted(seed=4)))
    assert untimed(first.finetuning) == untimed(fitted(seed=3).finetuning)


def test_global_random_state_is_neither_read_nor_changed():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, CLASSES))
    start = snapshot(model)
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)
        model.load_state_dict(start)
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
        results.append(weights(fitted(make(model=model))))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (np.random.get_state()[1] == before[1]).all()
        assert random.getstate() == before[2]

    assert same(*results)


class Killed(BaseException):
    """Stands for kill -9: no handler of ours catches it and goes on."""


def optimizer(parameters):
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True)


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], dict]:
    trainer = fitted(make(optimizer=optimizer), epochs=2, checkpoint_dir=tmp_path_factory.mktemp("unkilled"))
    return weights(trainer), untimed(trainer.finetuning)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 10))
def test_killed_at_any_write_it_ends_with_the_same_weights_bit_for_bit(
    number: int, after: bool, unkilled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    writes = iter(range(1, 100))
    write = checkpoints.atomic_write

    def failing(path, data):
        last = next(writes) == number
        if last and not after:
            raise Killed
        write(path, data)
        if last:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "atomic_write", failing)
        with pytest.raises(Killed):
            fitted(make(optimizer=optimizer), epochs=2, checkpoint_dir=tmp_path)

    resumed = fitted(make(optimizer=optimizer), epochs=2, checkpoint_dir=tmp_path)

    assert same(weights(resumed), unkilled[0])
    assert untimed(resumed.finetuning) == unkilled[1]


def test_killed_for_good_it_goes_on_in_another_process(unkilled, tmp_path: Path):
    here = Path(__file__)
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('here', {str(here)!r})\n"
        "here = importlib.util.module_from_spec(spec); spec.loader.exec_module(here)\n"
        f"here.fitted(here.make(optimizer=here.optimizer), epochs=2, checkpoint_dir={str(tmp_path)!r})\n"
    )
    # the sixth rename: the progress of the last epoch, whose tensors are there already
    environment = {**os.environ, "ART_WEAKROBUST_FAILPOINT": "6", "OMP_NUM_THREADS": str(torch.get_num_threads())}

    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 137

    resumed = fitted(make(optimizer=optimizer), epochs=2, checkpoint_dir=tmp_path)
    assert same(weights(resumed), unkilled[0])
    assert untimed(resumed.finetuning) == unkilled[1]


def test_a_training_that_had_ended_is_loaded_and_not_repeated(unkilled, tmp_path: Path):
    fitted(make(optimizer=optimizer), epochs=2, checkpoint_dir=tmp_path)
    steps: list[int] = []

    again = fitted(
        make(optimizer=optimizer),
        epochs=2,
        checkpoint_dir=tmp_path,
        progress=lambda stage, done, total: steps.append(done),
    )

    assert steps == []
    assert same(weights(again), unkilled[0])


def test_another_training_in_the_directory_is_refused_and_the_classifier_keeps_its_weights(tmp_path: Path):
    fitted(seed=0, checkpoint_dir=tmp_path)
    classifier = make()

    with pytest.raises(TrainingError, match="seed 0, not 1"):
        fitted(classifier, seed=1, checkpoint_dir=tmp_path)
    assert same(snapshot(classifier.model), snapshot(small_cnn(num_classes=CLASSES)))


def test_a_loss_that_is_not_finite_stops_training_early_and_gives_the_base_weights_back():
    classifier = make(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e30))
    before = snapshot(classifier.model)

    with pytest.raises(TrainingError, match=r"loss is (nan|inf) at step \d of 6, learning rate 1e\+30"):
        fitted(classifier)
    assert same(snapshot(classifier.model), before)


class Breaking(nn.Module):
    """A network whose gradient is not finite from a training step on, though its outputs are."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.body, self.left = small_cnn(num_classes=CLASSES), step

    def forward(self, x):
        logits = self.body(x)
        if self.training and logits.requires_grad:
            self.left -= 1
            if self.left == 0:
                logits.register_hook(lambda gradient: gradient * torch.nan)
        return logits


def test_a_gradient_that_is_not_finite_in_the_last_step_is_no_result():
    classifier = make(model=Breaking(6))
    before = snapshot(classifier.model)

    with pytest.raises(TrainingError, match="length of the gradient is nan at step 6 of 6"):
        fitted(classifier)
    assert same(snapshot(classifier.model), before)


def test_whatever_goes_wrong_the_base_weights_are_back():
    def broken(x, ids, severity, seed):
        if severity == 5:
            raise RuntimeError("out of paint")
        return x

    classifier = make()
    before = snapshot(classifier.model)

    with pytest.raises(RuntimeError, match="out of paint"):
        fitted(classifier, corruptions=[broken])
    assert same(snapshot(classifier.model), before)


@pytest.mark.parametrize("clip", [(0, 255), (-1, 1), None])
def test_other_pixels_than_0_to_1_are_refused_with_the_way_out(clip):
    with pytest.raises(UsageError, match=r"expected \(0, 1\): put the scaling .* inside the model"):
        WeakRobustTrainer(make(PyTorchClassifier, clip=clip))


def test_a_black_box_is_refused():
    with pytest.raises(ModelError, match="pass a PyTorchClassifier"):
        WeakRobustTrainer(object())


@pytest.mark.parametrize(
    ("option", "value"), [("weak_weight", 0), ("clean_budget", -1), ("eps", "lots"), ("corruptions", ["sepia_tone"])]
)
def test_an_option_out_of_range_is_named(option, value):
    with pytest.raises(Exception, match=option if option != "corruptions" else "sepia_tone"):
        WeakRobustTrainer(make(), **{option: value})


@pytest.mark.parametrize("option", ["nb_epochs", "batch_size"])
def test_no_epoch_and_no_batch_are_refused(option):
    with pytest.raises(UsageError, match=f"{option} 0"):
        WeakRobustTrainer(make()).fit(X, Y, **{option: 0}, guard=GUARD)


def test_samples_that_the_classifier_was_not_made_for_are_refused():
    with pytest.raises(DataError, match=r"label 7, expected 0 to 2"):
        WeakRobustTrainer(make()).fit(X, Y + 5, guard=GUARD)
    with pytest.raises(DataError, match=r"shape \(1, 6, 8\), the classifier takes \(1, 8, 8\)"):
        WeakRobustTrainer(make()).fit(X[:, :, 1:7], Y, guard=GUARD)


def test_progress_is_told_step_by_step():
    told = []
    fitted(progress=lambda *event: told.append(event))

    assert told[:6] == [("training", step, 6) for step in range(1, 7)]
    assert told[6:] == [("dial", point, 7) for point in range(1, 8)]


def test_the_record_survives_json():
    record = fitted(clean_budget=3.0).finetuning

    assert Finetuning.from_json(record.to_json()).to_json() == record.to_json()
    assert record.options["clean_budget"] == 3.0
