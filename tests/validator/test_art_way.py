"""The way ART's users work: construct with keywords, evaluate, fit, evaluate again, look."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.defences.trainer import Trainer
from art.estimators.classification import PyTorchClassifier
from art.evaluations.evaluation import Evaluation
from matplotlib.figure import Figure
from torch import nn

from art_weakrobust import FastPyTorchClassifier, WeakRobustTrainer, WeakRobustValidator
from art_weakrobust.errors import RunError, UsageError
from art_weakrobust.results import SCORES, column
from art_weakrobust.testing.networks import small_cnn

AS_ANNOUNCED = """
classifier = FastPyTorchClassifier(model=net, loss=nn.CrossEntropyLoss(), optimizer=opt, input_shape=(3, 32, 32), nb_classes=10, clip_values=(0, 1))
validator = WeakRobustValidator(
    classifier, radius=8 / 255, neighbors=50, fraction=0.1, eps=2 / 255, seed=0,          # a stock PyTorchClassifier is accepted too, its module shared
    attacks=["fgm", "pgd@2", partial(ProjectedGradientDescent, eps=2 / 255, eps_step=0.5 / 255, max_iter=20)],   # names, factories, or a ready-made attack (rebound)
    corruptions=["gaussian_noise", "contrast", "pixelate"])
before = validator.evaluate(x_train, y_train, x_test=x_test, y_test=y_test)            # art.evaluations.Evaluation
trainer = WeakRobustTrainer(classifier, eps=2 / 255, corruptions=["gaussian_noise", "contrast", "pixelate"])        # art.defences.trainer.Trainer
trainer.fit(x_train, y_train, nb_epochs=3, weak_set=before.weak_set, weak_types=before.weak_types, guard=(x_val, y_val))
after = validator.evaluate(x_train, y_train, x_test=x_test, y_test=y_test, classifier=trainer.get_classifier(), weak_set=before.weak_set)
comparison = after.compare(before, trainer.finetuning)
print(comparison); comparison.to_html("report.html"); before.scores.to_pandas()
"""  # noqa: E501 - as the package was announced, word for word


def test_the_announced_script_runs_word_for_word(arrays, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net = small_cnn((3, 32, 32))

    def large(x: np.ndarray) -> np.ndarray:
        return x.repeat(3, 1).repeat(4, 2).repeat(4, 3)

    def said(x: np.ndarray) -> np.ndarray:  # what the network says is right, so that it has something to lose
        return net.eval()(torch.from_numpy(x)).argmax(1).numpy()

    parts = {"train": arrays.x_train[:48], "test": arrays.x_test[:12], "val": arrays.x_val[:12]}
    names = {f"x_{part}": large(x) for part, x in parts.items()}
    names |= {f"y_{part}": said(names[f"x_{part}"]) for part in parts}
    names |= {"net": net, "opt": torch.optim.SGD(net.parameters(), lr=0.01), "nn": nn, "partial": partial}
    names |= {"ProjectedGradientDescent": ProjectedGradientDescent, "FastPyTorchClassifier": FastPyTorchClassifier}
    names |= {"WeakRobustValidator": WeakRobustValidator, "WeakRobustTrainer": WeakRobustTrainer}

    exec(compile(AS_ANNOUNCED, "announced", "exec"), names)

    assert "Robust accuracy" in capsys.readouterr().out
    assert (tmp_path / "report.html").stat().st_size > 10_000
    kinds = [kind.type for kind in names["before"].validation.types]
    assert kinds[2:] == ["fgm-linf", "pgd-l2", "pgd-linf", "gaussian_noise", "contrast", "pixelate"]


def test_they_are_an_evaluation_and_a_trainer_of_arts(validator, story):
    assert isinstance(validator(), Evaluation)
    assert isinstance(story.trainer, Trainer)


def test_training_is_in_place_and_can_be_undone(story, network, classifier, arrays):
    assert story.trainer.get_classifier() is story.tuned
    changed = story.tuned.model.state_dict()
    assert any(not torch.equal(values, changed[name]) for name, values in story.base.items())

    again = classifier(rate=0.01)
    trainer = WeakRobustTrainer(again, eps=0.1)
    trainer.fit(arrays.x_train[:128], arrays.y_train[:128], nb_epochs=1, guard=(arrays.x_val, arrays.y_val))
    trainer.undo()
    for name, values in again.model.state_dict().items():
        assert torch.equal(values, network.state_dict()[name]), name


def test_scores_have_a_row_a_training_sample_and_come_as_pandas(story, arrays):
    frame = story.before.scores.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns[: len(SCORES.names)]) == SCORES.names
    assert frame["index"].tolist() == list(range(len(arrays.x_train)))
    assert (frame["label"] == arrays.y_train).all()
    assert set(frame["scorer"]) == {"neighborhood"}


def test_the_weak_set_is_the_weakest_in_halves_with_a_control_group(story):
    weak, score = story.before.weak_set, story.before.scores["score"]
    assert len(weak.tune) == pytest.approx(len(weak.held_out), abs=1)
    assert len(weak.control) == len(weak.held_out) >= 8
    chosen = np.concatenate([weak.tune, weak.held_out])
    assert score[chosen].min() >= np.nanmax(np.delete(score, chosen))
    assert not set(weak.control) & set(chosen)


def test_weak_types_come_from_the_tune_half_and_weaknesses_from_the_held_out_half(story):
    kinds = [kind.type for kind in story.before.validation.types]
    for names in (story.before.weak_types, story.before.weaknesses, story.before.strengths):
        assert isinstance(names, list)
        assert set(names) <= set(kinds)

    def without(role):
        table = story.before.validation.table
        kept = table.filter(column(table, "set") != role)
        records = story.before.records.with_(before=type(story.before.validation)(kept, story.before.validation.types))
        return type(story.before)(records)

    assert without("tune").weak_types == []
    assert without("tune").weaknesses == story.before.weaknesses
    assert without("held_out").weaknesses == []
    assert without("held_out").weak_types == story.before.weak_types


def test_before_and_after_hold_the_same_samples_under_the_same_perturbations(story):
    def keys(evaluation):
        frame = evaluation.validation.to_pandas().query("set != 'tune'")
        return frame[["set", "type", "severity", "index", "label"]].reset_index(drop=True)

    pd.testing.assert_frame_equal(keys(story.before), keys(story.after), check_categorical=False)
    assert set(column(story.before.validation.table, "phase")) == {"before"}
    assert set(column(story.after.validation.table, "phase")) == {"after"}
    noise = [
        e.validation.to_pandas().query("type == 'uniform_noise' and set != 'tune'") for e in (story.before, story.after)
    ]
    np.testing.assert_array_equal(*(frame["perturbation_norm"] for frame in noise))


def test_the_tune_half_is_validated_before_alone_and_shown_nowhere(story):
    assert "tune" in set(column(story.before.validation.table, "set"))
    assert "tune" not in set(column(story.after.validation.table, "set"))
    for shown in (story.before, story.comparison):
        assert all("tune" not in set(frame.get("set", ())) for frame in shown.tables.values())


def test_what_training_drew_is_marked_in_the_comparison(story):
    rows = story.comparison.tables["paired"].set_index("type")["trained"].groupby("type").first()
    assert rows["pgd-linf"]
    assert rows["fgm-linf"]  # an attack of a norm that was drawn
    assert rows["contrast"]
    assert not rows["pgd-l2"]
    assert story.comparison.finetuning is story.trainer.finetuning
    assert "* training drew this type" in str(story.comparison)


def test_a_comparison_prints_before_and_after(story):
    text = str(story.comparison)
    for word in ("Clean accuracy", "Robust accuracy", "Corruption accuracy", "PGD L2", "contrast", "before", "after"):
        assert word in text
    robust = story.comparison.tables["headline"].set_index("metric").loc["robust"]
    assert 0 < robust["after"] < 1
    line = next(line for line in text.splitlines() if line.startswith("Robust accuracy"))
    assert f"{100 * robust['before']:.1f}" in line
    assert f"{100 * robust['after']:.1f}" in line


def test_a_repr_fits_a_line_or_two(story):
    weak = len(story.before.weak_set)
    assert repr(story.comparison).startswith(
        f"WeakRobustComparison({weak} weak samples, types=['clean', 'uniform_noise',"
    )
    assert len(repr(story.before)) < 200


@pytest.mark.parametrize("name", ["before", "after", "comparison"])
def test_each_writes_a_page_and_shows_itself_in_a_notebook(story, name, tmp_path):
    shown = getattr(story, name)
    path = shown.to_html(tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "Weakest samples" in page
    assert shown._repr_html_().lstrip().startswith("<div")


def test_a_page_that_cannot_be_written_is_told_in_one_line(story, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"report\.html"):
        story.before.to_html(tmp_path / "file" / "report.html")


@pytest.mark.parametrize("plot", ["plot_types", "plot_scores", "plot_samples"])
@pytest.mark.parametrize("name", ["before", "comparison"])
def test_plots_are_figures_of_matplotlib(story, name, plot):
    assert isinstance(getattr(getattr(story, name), plot)(), Figure)


def test_a_comparison_draws_the_change(story):
    assert isinstance(story.comparison.plot(), Figure)


def test_after_knows_what_the_tuned_network_says_of_the_samples_found_before(story):
    before, after = (e.records.samples.to_pandas().set_index("index") for e in (story.before, story.after))
    assert (before["original"] == after["original"]).all()
    assert before["p_neighbor_after"].isna().all()
    seen = after["p_neighbor_after"].notna()
    assert set(after.index[seen]) == set(story.before.weak_set.held_out)  # training saw the others
    row = after[seen].iloc[0]
    image = np.frombuffer(row["neighbor"], np.uint8).reshape(1, 1, 8, 8).astype(np.float32) / 255
    expected = torch.from_numpy(story.tuned.predict(image)).softmax(1)[0]
    np.testing.assert_allclose(row["p_neighbor_after"], expected, atol=1e-5)


def test_an_evaluation_with_a_weak_set_scores_nothing_and_says_so(story):
    assert story.after.weak_types == []
    with pytest.raises(UsageError, match="nothing was scored"):
        _ = story.after.scores


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fraction": 0.03}, "different weak sets"),
        ({"corruptions": ["contrast"]}, "perturbation types or budgets: pixelate"),
        ({"eps": 0.05}, "perturbation types or budgets: fgm-linf"),
    ],
)
def test_evaluations_of_different_things_are_not_compared(story, validator, arrays, test_arrays, changes, said):
    given = {} if "fraction" in changes else {"weak_set": story.before.weak_set}
    other = validator(**changes).evaluate(arrays.x_train, arrays.y_train, **test_arrays, **given)
    with pytest.raises(UsageError, match=said):
        other.compare(story.before)


def test_a_weaker_attack_after_is_no_improvement(classifier, arrays, test_arrays):
    def validator(attack, severities=(1, 5)):
        options = {"radius": 0.35, "neighbors": 4, "eps": 0.1, "verbose": False}
        return WeakRobustValidator(
            classifier(), attacks=[attack], corruptions=["contrast"], severities=severities, **options
        )

    before = validator("pgd:max_iter=3").evaluate(arrays.x_train, arrays.y_train, **test_arrays)
    for other, said in (
        (validator("pgd:max_iter=1"), "pgd-linf has max_iter 3 before and 1 after"),
        (validator("pgd:max_iter=3", (1,)), r"contrast has severities \[1, 5\] before and \[1\] after"),
    ):
        after = other.evaluate(arrays.x_train, arrays.y_train, weak_set=before.weak_set, **test_arrays)
        with pytest.raises(UsageError, match=said):
            after.compare(before)


def test_other_test_images_are_not_compared(story, validator, arrays):
    other = validator(attacks=[], corruptions=[]).evaluate(arrays.x_train, arrays.y_train)
    same = validator(attacks=[], corruptions=[]).evaluate(
        arrays.x_train, arrays.y_train, x_test=arrays.x_val, y_test=arrays.y_val, weak_set=other.weak_set
    )
    with pytest.raises(UsageError, match="different test samples"):
        same.compare(other)


def test_a_stock_classifier_shares_its_module(classifier, validator, story, arrays):
    stock = classifier(PyTorchClassifier)
    own = validator(stock, attacks=[], corruptions=[])
    assert own.classifier.model is stock.model
    scores = own.evaluate(arrays.x_train, arrays.y_train).scores
    np.testing.assert_array_equal(scores["score"], story.before.scores["score"])


def test_nothing_but_a_bar_on_standard_error_is_written(validator, arrays, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validator(attacks=["fgm"], corruptions=[], verbose=True).evaluate(arrays.x_train[:64], arrays.y_train[:64])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Weak robust" in captured.err
