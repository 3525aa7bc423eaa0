"""Records as a run on digits would leave them, without a model: verdicts drawn from a known chance per type."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits

from art_weakrobust.pipeline.shown import MOST_FLIPPED
from art_weakrobust.report.html import html_report
from art_weakrobust.results import FLIPS, Finetuning, PerturbationType, Records, Scores, Validation, WeakSet
from art_weakrobust.validation.flips import examples
from art_weakrobust.validation.verdicts import Verdicts

EPS = 2 / 255
TYPES = (
    PerturbationType("clean", "clean"),
    PerturbationType("uniform_noise", "noise", "noise"),
    PerturbationType("fgm-linf", "attacks", "gradient", norm="inf", eps=EPS),
    PerturbationType("pgd-linf", "attacks", "gradient", norm="inf", eps=EPS),
    PerturbationType("pgd-l2", "attacks", "gradient", norm="2", eps=0.5),
    PerturbationType("gaussian_noise", "corruptions", "noise"),
    PerturbationType("shot_noise", "corruptions", "noise"),
    PerturbationType("brightness", "corruptions", "digital"),
    PerturbationType("contrast", "corruptions", "digital"),
    PerturbationType("defocus_blur", "corruptions", "blur"),
    PerturbationType("pixelate", "corruptions", "digital"),
)
BEFORE = dict(
    zip((t.type for t in TYPES), (0.93, 0.72, 0.2, 0.06, 0.11, 0.52, 0.58, 0.9, 0.62, 0.71, 0.66), strict=True)
)
AFTER = dict(
    zip((t.type for t in TYPES), (0.91, 0.8, 0.63, 0.48, 0.52, 0.77, 0.8, 0.86, 0.53, 0.74, 0.76), strict=True)
)
DRAWN = {"pgd-linf": 5000, "gaussian_noise": 900, "contrast": 900}


def verdicts(
    types: tuple[PerturbationType, ...],
    phase: str,
    sets: dict[str, np.ndarray],
    labels: np.ndarray,
    severities: int = 5,
) -> Validation:
    """Every image has a strength of its own, the same in both phases, so that pairs are alike, as real ones are."""
    rng = np.random.default_rng(5)
    strength = {name: rng.random(len(ids)) for name, ids in sets.items()}
    noise = np.random.default_rng(6 if phase == "before" else 7)
    chance = BEFORE if phase == "before" else AFTER
    rows: dict[str, list[Any]] = {
        key: [] for key in ("index", "set", "type", "severity", "label", "prediction", "status")
    }
    for kind in types:
        for severity in range(1, severities + 1) if kind.family == "corruptions" else (None,):
            for name, ids in sets.items():
                base = chance.get(kind.type, 0.6) - 0.06 * (severity - 3 if severity else 0)
                base -= (0.35 if name == "held_out" else 0.0) * (kind.family != "clean")
                right = 0.75 * strength[name] + 0.25 * noise.random(len(ids)) < max(base, 0.02)
                label = labels[ids]
                rows["index"] += ids.tolist()
                rows["set"] += [name] * len(ids)
                rows["type"] += [kind.type] * len(ids)
                rows["severity"] += [severity] * len(ids)
                rows["label"] += label.tolist()
                rows["prediction"] += np.where(right, label, (label + 1) % (labels.max() + 1)).tolist()
                rows["status"] += ["ok"] * len(ids)
    correct = np.array(rows["label"]) == np.array(rows["prediction"])
    table = pa.table(
        {
            **{key: rows[key] for key in ("index", "label", "prediction")},
            "severity": pa.array(rows["severity"], pa.int8()),
            "correct": correct,
            **{key: pa.array(rows[key]).dictionary_encode() for key in ("set", "type", "status")},
            "phase": pa.array([phase] * len(correct)).dictionary_encode(),
        }
    )
    return Validation(table, types)


def scores(labels: np.ndarray, seed: int = 1) -> Scores:
    """Two in five samples have an error close by."""
    rng = np.random.default_rng(seed)
    n = len(labels)
    flips = np.where(rng.random(n) < 0.4, rng.geometric(0.06, n).clip(1, 50), 0)
    status = np.where(rng.random(n) < 0.04, "misclassified", "ok")
    score = np.where(status == "ok", flips / 50 * rng.uniform(0.55, 0.99, n), np.nan)
    return Scores(
        pa.table(
            {
                "index": np.arange(n),
                "label": labels,
                "prediction": np.where(status == "ok", labels, (labels + 1) % (labels.max() + 1)),
                "correct": status == "ok",
                "status": status,
                "scorer": ["neighborhood"] * n,
                "score": score,
                "misprediction_score": score,
                "margin": rng.gamma(2.0, 1.5, n).astype(np.float32),
                "flips": flips.astype(np.int32),
                "neighbors": np.full(n, 50, np.int32),
                "found": flips > 0,
            }
        )
    )


def weak_set(scored: Scores, number: int = 60) -> WeakSet:
    """The weakest samples, every other one held out, and a control group."""
    score = np.nan_to_num(scored["score"], nan=-1)
    order = np.argsort(-score, kind="stable")
    weak = order[:number]
    control = order[number : number * 5][:: max(1, 8)][: len(weak[1::2])]
    ids = np.concatenate([weak[::2], weak[1::2], control])
    role = ["tune"] * len(weak[::2]) + ["held_out"] * len(weak[1::2]) + ["control"] * len(control)
    reason = ["score"] * len(weak) + ["control"] * len(control)
    return WeakSet(pa.table({"index": ids, "role": role, "reason": reason, "weight": np.ones(len(ids), np.float32)}))


def gallery(weak: np.ndarray, images: np.ndarray, labels: np.ndarray, *, after: bool, radius: int = 20) -> pa.Table:
    """What a report shows of the weakest: uint8 images (n, c, h, w), a noisy neighbor, probabilities."""
    rng = np.random.default_rng(3)
    k = int(labels.max()) + 1
    noise = rng.integers(-radius, radius + 1, images.shape, dtype=np.int16)
    near = (images.astype(np.int16) + noise).clip(0, 255).astype(np.uint8)

    def chances(right: bool) -> list[list[float]]:
        p = rng.dirichlet(np.full(k, 0.2), len(weak)) * 0.3
        p[np.arange(len(weak)), labels[weak] if right else (labels[weak] + 1) % k] += 0.7
        return p.tolist()

    return pa.table(
        {
            "index": weak,
            "rank": np.arange(1, len(weak) + 1, dtype=np.int32),
            "shape": [list(images.shape[1:])] * len(weak),
            "original": [image.tobytes() for image in images],
            "neighbor": [image.tobytes() for image in near],
            "p_original_before": chances(True),
            "p_neighbor_before": chances(False),
            **({"p_original_after": chances(True), "p_neighbor_after": chances(True)} if after else {}),
        }
    )


def flipped(before: Validation, after: Validation, side: int, channels: int) -> pa.Table:
    """The originals of what the figures of the sets without weak samples open."""
    found = {
        name: examples(before, after, name, Verdicts.of(before, name).ids, MOST_FLIPPED) for name in ("control", "test")
    }
    return pa.Table.from_pylist(
        [
            {
                "set": name,
                "index": index,
                "path": f"{index}.png",
                "shape": list(image.shape),
                "original": image.tobytes(),
            }
            for name, ids in found.items()
            for index, image in zip(ids, pictures(np.array(ids, np.int64), side, channels), strict=True)
        ],
        schema=FLIPS,
    )


@pytest.fixture(scope="session")
def keep_flipped() -> Callable[..., pa.Table]:
    """:func:`flipped`."""
    return flipped


PROVENANCE = {
    "title": "digits-cnn on digits",
    "command": "art-weakrobust run --model digits-cnn --dataset digits --radius 40/255 --out runs/digits",
    "arguments": {
        "model": "digits-cnn",
        "radius": 40 / 255,
        "neighbors": 50,
        "eps": EPS,
        "seed": 0,
        "out": "runs/digits",
    },
    "defaults": {"model": "digits-cnn", "radius": 8 / 255, "neighbors": 50, "eps": EPS, "seed": 0, "out": None},
    "versions": {
        "art-weakrobust": "0.1.0",
        "adversarial-robustness-toolbox": "1.20.1",
        "torch": "2.14.1",
        "numpy": "2.3.5",
    },
    "seeds": {"seed": 0},
    "fingerprints": {"model": "sha256 4f1c09b2a7b27e", "after": "sha256 9a70d311f4", "train": "xxh128 7be2a090c3"},
    "plan": {"device": "cpu", "batch_size": 256, "precision": "float32"},
    "stages": {
        "score": {"status": "done", "seconds": 12.3, "forwards": 61200, "gradients": 1200, "samples": 1200},
        "select": {"status": "done", "seconds": 0.2, "samples": 1200},
        "before": {"status": "resumed", "seconds": 20.1, "forwards": 40000, "gradients": 9000, "samples": 460},
        "finetune": {"status": "done", "seconds": 31.0, "forwards": 90000, "gradients": 60000, "samples": 1140},
        "after": {"status": "failed: out of memory", "seconds": 19.8, "forwards": 40000, "gradients": 9000},
    },
    "started": "2026-11-24T09:15:00+00:00",
}
FINDINGS = (
    {
        "severity": "warning",
        "code": "saturated_score",
        "seen": "60 % of the scores are 0.",
        "do": "Use a larger radius.",
    },
    {"severity": "note", "code": "nondeterministic", "seen": "Two passes differ by 2e-7.", "do": "Nothing."},
)


def finetuning(trained_ids: np.ndarray) -> Finetuning:
    """Three epochs, and the dial's seven points."""
    alphas = np.linspace(0, 1, 7)
    return Finetuning(
        drawn=DRAWN,
        norms=("inf",),
        history=tuple({"epoch": e, "loss": 1.2 / (e + 1), "clean": 0.9, "robust": 0.2 + 0.1 * e} for e in range(3)),
        guard_ids=np.arange(200),
        guard_split="test",
        trained_ids=trained_ids,
        curve=tuple(
            {
                "alpha": float(a),
                "clean": 0.935 - 0.03 * a**2,
                "clean_low": 0.905 - 0.03 * a**2,
                "clean_high": 0.955 - 0.03 * a**2,
                "robust": 0.06 + 0.42 * a,
                "robust_low": 0.03 + 0.40 * a,
                "robust_high": 0.09 + 0.44 * a,
                "n": 200,
            }
            for a in alphas
        ),
        alpha=float(alphas[5]),
        options={"eps": EPS, "weak_weight": 2.0},
    )


def pictures(ids: np.ndarray, side: int, channels: int) -> np.ndarray:
    """Digits, enlarged, uint8 (n, c, side, side); beyond 8 px with a texture, so that they weigh what photos do."""
    scale = side // 8
    images = np.kron(load_digits().images[ids], np.ones((1, scale, scale))) / 16 * 255
    images = np.repeat(images[:, None], channels, axis=1)
    if side > 8:
        images = images * 0.75 + np.random.default_rng(8).integers(0, 60, images.shape, dtype=np.uint8)
    return images.clip(0, 255).astype(np.uint8)


@cache
def build(
    *,
    after: bool = True,
    side: int = 8,
    channels: int = 1,
    shown: int = 60,
    nb_classes: int = 10,
    types: int = len(TYPES),
) -> Records:
    """Return records of a whole run.

    :param after: with fine-tuning and a second validation.
    :param side: of the images; digits are enlarged, and get a texture beyond 8 px, so that they weigh what photos do.
    :param shown: how many weak samples are shown.
    :param types: how many of :data:`TYPES`.
    """
    digits = load_digits()
    labels = digits.target[:1200] if nb_classes == 10 else np.arange(1200) % nb_classes
    scored = scores(labels)
    chosen = weak_set(scored, max(shown, 60))
    order = np.argsort(-np.nan_to_num(scored["score"], nan=-1), kind="stable")[:shown]
    table = gallery(order, pictures(order, side, channels), labels, after=after)
    sets = {"held_out": chosen.held_out, "control": chosen.control, "test": np.arange(400)}
    kinds = TYPES[:types]
    phases = [verdicts(kinds, phase, sets, labels) for phase in ("before", "after")]
    return Records(
        scores=scored,
        weak_set=chosen,
        before=phases[0],
        after=phases[1] if after else None,
        flipped=flipped(phases[0], phases[1], side, channels) if after else None,
        finetuning=finetuning(chosen.tune) if after else None,
        samples=table,
        class_names=tuple(f"digit {k}" for k in range(10))
        if nb_classes == 10
        else tuple(f"c{k}" for k in range(nb_classes)),
        provenance=PROVENANCE,
        findings=FINDINGS,
    )


@pytest.fixture(scope="session")
def make_records() -> Callable[..., Records]:
    """The builder, for variants."""
    return build


@pytest.fixture(scope="session")
def records() -> Records:
    """A whole run with fine-tuning."""
    return build()


@pytest.fixture(scope="session")
def files(records: Records) -> Mapping[str, bytes]:
    """What the reporter makes of the whole run."""
    return html_report()(records)


@pytest.fixture(scope="session")
def summary(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The summary, as a program reads it."""
    return dict(json.loads(files["summary.json"]))
