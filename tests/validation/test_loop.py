"""The loop: every perturbation type on every set, one verdict a sample, white-box both times."""

from __future__ import annotations

from functools import partial
from math import inf

import numpy as np
import pyarrow as pa
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.errors import UsageError
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.resolve import attack_type
from art_weakrobust.perturbations.types import CorruptionType
from art_weakrobust.results import VALIDATION, PerturbationType, Table, column, merge
from art_weakrobust.testing.networks import linear, small_cnn
from art_weakrobust.validation.loop import validate
from art_weakrobust.validation.questions import Attacked

SHAPE = (1, 4, 4)
RNG = np.random.default_rng(2)
X = RNG.uniform(0.3, 0.7, (60, *SHAPE)).astype(np.float32)
WEIGHT = torch.from_numpy(RNG.normal(0, 0.5, 16)).float()
HALF = torch.cat([WEIGHT[:8], torch.zeros(8)])
OTHER_HALF = torch.cat([torch.zeros(8), WEIGHT[8:]])


def classifier(weight: torch.Tensor, x: np.ndarray = X, kind: type = FastPyTorchClassifier) -> PyTorchClassifier:
    """Two classes on both sides of a hyperplane through the median of ``x``."""
    median = float(np.median(x.reshape(len(x), -1) @ weight.numpy()))
    model = linear(SHAPE, weight=torch.stack([-weight, weight]) / 2, bias=torch.tensor([median / 2, -median / 2]))
    return kind(model, loss=torch.nn.CrossEntropyLoss(), input_shape=SHAPE, nb_classes=2, clip_values=(0, 1))


def labelled(estimator, x: np.ndarray = X) -> ArrayDataset:
    return ArrayDataset(x, estimator.predict(x).argmax(1))


def margins(weight: torch.Tensor) -> np.ndarray:
    score = X.reshape(len(X), -1).astype(np.float64) @ weight.double().numpy()
    return np.abs(score - np.median(score))


class Over:
    """A map in memory that remembers what it ran."""

    def __init__(self, size: int = 25) -> None:
        self.size, self.ran = size, []

    def __call__(self, stage, function, estimator, data, ids=None) -> Table:
        self.ran.append(stage)
        return merge(function(estimator, chunk) for chunk in data.chunks(self.size, ids))


def dim(x, ids, severity, seed):
    return x * (1 - severity / 10)


def corruption(function=dim, name="dim", **info) -> CorruptionType:
    return CorruptionType(PerturbationType(name, "corruptions", **info), function)


def accuracy(validation, kind: str, name: str = "test") -> float:
    rows = validation.to_pandas().query("type == @kind and set == @name")
    assert rows.correct.notna().all()
    return rows.correct.astype(float).mean()


def of_test(estimator, **options):
    data = labelled(options.pop("labels", estimator))
    return validate(estimator, {"test": (data, np.arange(len(data)))}, Over(), **options)


def test_every_type_is_judged_on_every_set_once():
    estimator = classifier(WEIGHT)
    data, over = labelled(estimator), Over()
    sets = {"held_out": (data, np.array([3, 7, 9])), "control": (data, np.array([1])), "test": (data, np.arange(60))}
    fgm = attack_type(partial(FastGradientMethod, eps=0.1), estimator)
    validation = validate(estimator, sets, over, attacks=[fgm], corruptions=[corruption()], severities=(1, 5))
    assert validation.table.schema.equals(VALIDATION)
    assert [kind.type for kind in validation.types] == ["clean", "uniform_noise", "fgm-linf", "dim"]
    assert over.ran == [f"{k.type}/{s}" for k in validation.types for s in sets]
    frame = validation.to_pandas()
    assert not frame.duplicated(["set", "type", "severity", "index"]).any()
    assert frame.groupby(["set", "type"], observed=True).size().to_dict() == {
        (s, t): len(ids) * (2 if t == "dim" else 1) for s, (_, ids) in sets.items() for t in frame.type.unique()
    }
    assert set(frame[frame.type == "dim"].severity) == {1, 5}
    assert frame[frame.type != "dim"].severity.isna().all()
    assert frame.phase.isna().all()  # the pipeline's word, given to the Map
    assert (frame.label.to_numpy() == data.labels()[frame["index"]]).all()


@pytest.mark.parametrize("eps", [0.01, 0.03, 0.05])
def test_fgm_on_a_linear_classifier_leaves_the_share_beyond_the_budget(eps):
    estimator = classifier(WEIGHT)
    beyond = margins(WEIGHT) / WEIGHT.abs().sum().item() > eps
    assert 0 < beyond.mean() < 1
    fgm = attack_type(partial(FastGradientMethod, eps=eps), estimator)
    validation = of_test(estimator, attacks=[fgm])
    assert accuracy(validation, "fgm-linf") == beyond.mean()
    assert accuracy(validation, "clean") == 1.0


def test_a_twin_that_resists_transferred_attacks_falls_to_the_rebound_one():
    # The base looks at the first eight pixels alone, the twin at the others: what is made on the base does not touch
    # what the twin sees, and both are right about all clean samples.
    base, twin = classifier(HALF), classifier(OTHER_HALF)
    agreed = base.predict(X).argmax(1) == twin.predict(X).argmax(1)
    x, y = X[agreed], base.predict(X[agreed]).argmax(1)
    assert len(x) > 20
    attack = ProjectedGradientDescent(base, eps=0.25, eps_step=0.1, max_iter=10, verbose=False)
    transferred = attack.generate(x, np.eye(2)[y])
    assert (base.predict(transferred).argmax(1) == y).mean() == 0.0
    assert (twin.predict(transferred).argmax(1) == y).mean() == 1.0

    sets = {"test": (ArrayDataset(x, y), np.arange(len(x)))}
    kind = attack_type(attack, base)
    before = validate(base, sets, Over(), attacks=[kind])
    after = validate(twin, sets, Over(), attacks=[kind])
    assert accuracy(before, "pgd-linf") == 0.0
    assert accuracy(after, "clean") == 1.0
    assert accuracy(after, "pgd-linf") == 0.0
    assert attack.estimator is base


def test_uniform_noise_lies_in_the_radius_and_is_the_same_before_and_after():
    base, other = classifier(WEIGHT), classifier(HALF)
    for norm, radius in ((inf, 0.05), (2, 0.3)):
        first = of_test(base, radius=radius, radius_norm=norm, labels=base).to_pandas().query("type == 'uniform_noise'")
        second = of_test(other, radius=radius, radius_norm=norm, labels=base).to_pandas()
        second = second.query("type == 'uniform_noise'")
        assert (first.perturbation_norm <= radius * (1 + 1e-6)).all()
        assert first.perturbation_norm.max() > 0.8 * radius
        np.testing.assert_array_equal(first.perturbation_norm, second.perturbation_norm)
    third = of_test(base, radius=0.3, radius_norm=2, seed=1).to_pandas().query("type == 'uniform_noise'")
    assert not np.array_equal(first.perturbation_norm, third.perturbation_norm)


def test_uniform_noise_hardly_harms_where_the_worst_case_would():
    estimator = classifier(WEIGHT)
    fgm = attack_type(partial(FastGradientMethod, eps=0.1), estimator)
    validation = of_test(estimator, attacks=[fgm], radius=0.1)
    assert accuracy(validation, "uniform_noise") > accuracy(validation, "fgm-linf") + 0.3


def test_a_corruption_is_judged_on_the_corrupted_pixels():
    estimator = classifier(WEIGHT)
    frame = of_test(estimator, corruptions=[corruption()], severities=(2, 4)).to_pandas().query("type == 'dim'")
    for severity in (2, 4):
        expected = estimator.predict(X * np.float32(1 - severity / 10)).argmax(1)
        np.testing.assert_array_equal(frame[frame.severity == severity].prediction, expected)
    assert 0 < frame.correct.mean() < 1
    assert set(frame.status) == {"ok"}
    assert frame.perturbation_norm.isna().all()


def test_rows_do_not_depend_on_chunks_or_batches():
    estimator = classifier(WEIGHT)
    data = labelled(estimator)
    sets = {"test": (data, np.arange(60))}
    made = [
        validate(estimator, sets, Over(size), corruptions=[corruption(keyed)], batch_size=batch_size)
        .to_pandas()
        .sort_values(["type", "severity", "index"], ignore_index=True)
        for size, batch_size in ((60, 256), (7, 3))
    ]
    assert made[0].equals(made[1])


def keyed(x, ids, severity, seed):
    assert x.shape[0] == ids.shape[0]
    return (x + (ids % 7).float().div(20).reshape(-1, 1, 1, 1) * severity / 5).clamp(0, 1)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda x, ids, severity, seed: 1 / 0, "error: ZeroDivisionError: division by zero"),
        (lambda x, ids, severity, seed: x[:1], "error: ValueError: dim gave (1, 1, 4, 4)"),
        (lambda x, ids, severity, seed: x * float("nan"), "error: ValueError: dim gave"),
    ],
    ids=["crash", "shape", "nan"],
)
def test_a_broken_corruption_is_an_error_and_no_verdict(broken, said):
    frame = of_test(classifier(WEIGHT), corruptions=[corruption(broken)], severities=(1,)).to_pandas()
    rows = frame[frame.type == "dim"]
    assert len(rows) == 60
    assert rows.correct.isna().all()
    assert rows.prediction.isna().all()
    assert rows.status.astype(str).str.startswith(said).all()
    assert frame[frame.type == "clean"].correct.all()


class Fails(FastGradientMethod):
    """Crashes on the chunk that holds the first sample."""

    def generate(self, x, y=None, **kwargs):
        if np.array_equal(x[0], X[0]):
            raise MemoryError("out of memory")
        return x


def test_a_chunk_on_which_an_attack_crashed_has_no_verdict_at_all():
    estimator = classifier(WEIGHT)
    labels = labelled(estimator).labels()
    labels[[1, 30]] = 1 - labels[[1, 30]]  # misclassified: settled without an attack, and all that a crash would leave
    data = ArrayDataset(X, labels)
    fails = attack_type(partial(Fails, eps=0.1), estimator, label="fails")
    validation = validate(estimator, {"test": (data, np.arange(60))}, Over(), attacks=[fails])
    rows = validation.to_pandas().query("type == 'fails'").set_index("index")
    assert rows.correct[:25].isna().all()
    assert rows.status[1] == "misclassified"
    assert rows.correct[25:].notna().all()
    assert not rows.correct[30]


class Stored:
    """A set on disk: the test images, darkened."""

    def __init__(self, paired: bool, labels: np.ndarray) -> None:
        self.paired, self.labels = paired, labels

    def dataset(self, severity: int) -> ArrayDataset:
        return ArrayDataset(X * np.float32(1 - severity / 10), self.labels)


@pytest.mark.parametrize(("paired", "rows"), [(True, 2 * 5), (False, 2 * 60)])
def test_a_stored_corruption_is_validated_on_the_test_set_alone(paired, rows):
    estimator = classifier(WEIGHT)
    data, over = labelled(estimator), Over()
    sets = {"held_out": (data, np.arange(10)), "test": (data, np.arange(5))}
    kind = corruption(Stored(paired, data.labels()), "dark-c/dim", origin="stored")
    frame = validate(estimator, sets, over, corruptions=[kind], severities=(1, 5)).to_pandas()
    stored = frame[frame.type == "dark-c/dim"]
    assert len(stored) == rows
    assert set(stored.set) == {"test"}
    assert [stage for stage in over.ran if "dark-c" in stage] == ["dark-c/dim/test/1", "dark-c/dim/test/5"]
    expected = estimator.predict(X[:5] * np.float32(0.5)).argmax(1)
    np.testing.assert_array_equal(stored[stored.severity == 5].prediction[:5], expected)
    assert validate(estimator, {"control": sets["test"]}, Over(), corruptions=[kind]).to_pandas().type.nunique() == 2


def test_empty_sets_are_passed_over():
    estimator = classifier(WEIGHT)
    data, none = labelled(estimator), np.empty(0, np.int64)
    validation = validate(estimator, {"held_out": (data, none), "test": (data, np.arange(4))}, Over())
    assert set(column(validation.table, "set")) == {"test"}
    assert len(validate(estimator, {"held_out": (data, none)}, Over())) == 0


def test_two_types_of_one_name_are_refused():
    estimator = classifier(WEIGHT)
    fgm = attack_type(partial(FastGradientMethod, eps=0.1), estimator, label="clean")
    with pytest.raises(UsageError, match="'clean'"):
        of_test(estimator, attacks=[fgm])


def test_a_stock_classifier_is_judged_as_ours():
    ours, stock = classifier(WEIGHT), classifier(WEIGHT, kind=PyTorchClassifier)
    fgm = attack_type(partial(FastGradientMethod, eps=0.05), ours)
    first, second = (of_test(e, attacks=[fgm]).to_pandas().drop(columns="queries") for e in (ours, stock))
    assert first.equals(second)


def test_batch_norm_in_training_mode_is_judged_in_evaluation_mode_and_left_as_it_was():
    model = small_cnn(SHAPE, 2)
    model.train()
    estimator = FastPyTorchClassifier(model, torch.nn.CrossEntropyLoss(), SHAPE, 2, clip_values=(0, 1))
    pgd = attack_type(partial(ProjectedGradientDescent, eps=0.1, eps_step=0.05, max_iter=3), estimator)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    of_test(estimator, attacks=[pgd], corruptions=[corruption()])
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_a_chunk_function_carries_all_that_its_rows_say():
    estimator = classifier(WEIGHT)
    fgm = attack_type(partial(FastGradientMethod, eps=0.05), estimator)
    question = Attacked(type=fgm.name, set="control", attack=fgm)
    table = question(estimator, labelled(estimator).take(np.array([4, 2])))
    assert table.column("index").to_pylist() == [4, 2]
    assert set(column(table, "set")) == {"control"}
    assert table.column("perturbation_norm").type == pa.float32()
    assert table.column("queries").to_pylist() == [1, 1]
