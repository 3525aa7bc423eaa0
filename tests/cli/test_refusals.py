"""Bad input ends in one clear line and a non-zero exit, and leaves what was there before untouched."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

LABELS = np.arange(30) % 10
PIXELS = np.random.default_rng(0).random((30, 1, 8, 8), dtype=np.float32)
NETS = """
import torch

def nan():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    network[1].weight.data.fill_(float("nan"))
    return network

def three():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))

def failing():
    raise RuntimeError("no weights\\nwere found")
"""


class Unsafe:
    """What only unpickling could read."""


def npz(folder, x=PIXELS, y=LABELS, **others):
    np.savez(folder / "data.npz", **{"x_train": x, "y_train": y, "x_test": x, "y_test": y, **others})
    return f"npz:{folder / 'data.npz'}"


def with_pixel(value):
    x = PIXELS.copy()
    x[3, 0, 1, 1] = value
    return x


def png(size=(8, 8)):
    file = io.BytesIO()
    Image.fromarray(np.full(size, 100, np.uint8)).save(file, "PNG")
    return file.getvalue()


def bomb():
    """A PNG of a few bytes whose header claims 60000 x 60000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def parquet(folder, images, labels=None, column="img"):
    labels = np.arange(len(images)) % 10 if labels is None else labels
    for split in ("train", "test"):
        path = folder / "images" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({column: images, "label": labels}), path)
    return f"parquet:{folder / 'images'}"


def checkpoint(folder, content):
    torch.save(content, folder / "net.pt")
    return folder / "net.pt"


def nets(folder, name):
    (folder / "nets_of_refusals.py").write_text(NETS)
    return f"python:nets_of_refusals:{name}"


def nan_weights():
    from art_weakrobust.models.digits_cnn import network

    return {
        name: value * float("nan") if name == "0.weight" else value for name, value in network(32).state_dict().items()
    }


DATA = {
    "a missing npz file": (lambda f: "npz:none.npz", "'none.npz' does not exist"),
    "a missing parquet folder": (lambda f: "parquet:none", "'none' does not exist"),
    "no path at all": (lambda f: "parquet:", "parquet needs the path"),
    "a misspelt file": (lambda f: npz(f).replace("data.npz", "dta.npz"), "did you mean 'data.npz'"),
    "a parquet without images": (lambda f: parquet(f, LABELS, column="number"), "no image column 'img' or 'image'"),
    "a label above the classes": (lambda f: npz(f, y=LABELS + 5), "the label 14, outside the 10 classes"),
    "a test label above the classes": (lambda f: npz(f, y_test=LABELS + 5), "(test): sample 9 has the label 14"),
    "a parquet label above the classes": (lambda f: parquet(f, [png()] * 30, LABELS + 5), "the label 14, outside"),
    "a label below zero": (lambda f: npz(f, y=LABELS - 1), "holds the label -1 at sample 0"),
    "images of mixed size": (lambda f: parquet(f, [png()] * 29 + [png((9, 9))]), "sample 29 is 9x9, expected 8x8"),
    "mixed sizes far down": (lambda f: parquet(f, [png()] * 149 + [png((9, 9))]), "sample 149 is 9x9, expected 8x8"),
    "a decompression bomb": (lambda f: parquet(f, [bomb()] + [png()] * 29), "a decompression bomb, not decoded"),
    "a bomb far down": (lambda f: parquet(f, [png()] * 149 + [bomb()]), "sample 149 of parquet"),
    "no image at all": (lambda f: parquet(f, [b"GIF89a"] * 30), "neither PNG nor JPEG"),
    "a pixel above one": (lambda f: npz(f, with_pixel(1.5)), "sample 3 holds the pixel 1.5, expected [0, 1]"),
    "a pixel below zero": (lambda f: npz(f, with_pixel(-0.5)), "sample 3 holds the pixel -0.5, expected [0, 1]"),
    "a pixel that is no number": (lambda f: npz(f, with_pixel(np.nan)), "sample 3 holds a pixel that is nan"),
    "images of another shape": (lambda f: npz(f, np.zeros((30, 1, 28, 28), np.float32)), "(1, 28, 28)"),
    "test images of another shape": (lambda f: npz(f, x_test=np.zeros((30, 3, 8, 8), np.float32)), "(3, 8, 8)"),
    "channels last": (lambda f: npz(f, PIXELS.transpose(0, 2, 3, 1)), "channels come last"),
}
MODELS = {
    "wrong keys": (
        lambda f: ["--weights", checkpoint(f, {"a": torch.zeros(2)})],
        "missing 0.weight, 1.weight, 1.bias and",
    ),
    "an object": (lambda f: ["--weights", checkpoint(f, {"a": Unsafe()})], "need unpickling, which would run code"),
    "a whole module": (lambda f: ["--weights", checkpoint(f, torch.nn.Linear(2, 2))], "need unpickling"),
    "weights that are NaN": (lambda f: ["--weights", checkpoint(f, nan_weights())], "hold NaN or infinity in 0.weight"),
    "missing weights": (lambda f: ["--weights", "none.pt"], "'none.pt' does not exist"),
    "a module that is NaN": (lambda f: ["--model", nets(f, "nan")], "not finite"),
    "too few classes": (lambda f: ["--model", nets(f, "three")], "the label 9, outside the 3 classes"),
    "a factory that fails": (lambda f: ["--model", nets(f, "failing")], "RuntimeError: no weights"),
    "a misspelt factory": (lambda f: ["--model", nets(f, "thre")], "did you mean 'three'"),
    "a module that is not there": (lambda f: ["--model", "python:no_such_nets:mine"], "no module 'no_such_nets'"),
    "a device that is not there": (lambda f: ["--device", "cuda:99"], "'cuda:99' is not present"),
    "a split that is not there": (lambda f: ["--split", "trian"], "no split 'trian', did you mean 'train'"),
}
NAMES = {
    "model": ("digits-cn", "digits-cnn"),
    "dataset": ("digit", "digits"),
    "attacks": ("pdg", "pgd"),
    "corruptions": ("brightnes", "brightness"),
    "scorer": ("neighbourhood", "neighborhood"),
    "estimator": ("fsat", "fast"),
    "trainer": ("weakrobst", "weakrobust"),
    "validator": ("weak-robust", "weakrobust"),
    "reporter": ("htm", "html"),
}
USAGE = {
    "--attacks pgd@3": "'pgd@3': norm '3' is not known; use 1, 2 or inf",
    "--attacks bim@2": "'bim@2': bim is Linf alone",
    "--attacks pgd@1": "'pgd@1' has no budget: write pgd@1:eps=NUMBER",
    "--attacks pgd:max_itr=3": "no option 'max_itr', did you mean 'max_iter'",
    "--attacks pgd:max_iter=2.5": "max_iter=2.5 of an attack has to be a whole number",
    "--attacks pgd:eps=much": "'pgd': eps 'much' is not a number",
    "--attacks pgd,pgd": "two are named 'pgd-linf'; write label=",
    "--corruptions contrast,contrast": "two are named 'contrast'",
    "--scorer attack": "needs the option 'attack': write attack:attack=VALUE",
    "--scorer attack:attack=pdg": "unknown attack 'pdg', did you mean 'pgd'",
    "--scorer neighborhood:neighbours=3": "no option 'neighbours', did you mean 'neighbors'",
    "--trainer weakrobust:weak_wait=3": "no option 'weak_wait', did you mean 'weak_weight'",
    "--reporter html:colour=red": "no option 'colour'",
    "--mean 0.5": "model 'digits-cnn' has no option 'mean'; options: weights",
    "--label-column fine": "no option 'label_column'",
    "--severities 9": "--severities '9' has to list numbers from 1 to 5",
    "--severities ''": "--severities",
    "--radius 0": "--radius 0 has to be above zero",
    "--radius wide": "--radius 'wide' is not a number; write 0.03 or 8/255",
    "--radius-norm 1": "--radius-norm 1 has no neighborhood",
    "--radius-norm 3": "--radius-norm '3' is not known",
    "--eps -1": "--eps '-1' has to be a finite number that is not negative",
    "--limit 0": "--limit 0 has to be at least 1",
    "--test-limit 0": "--test-limit 0 has to be at least 1",
    "--neighbors 0": "--neighbors 0 has to be at least 1",
    "--nb-epochs 0": "--nb-epochs 0 has to be at least 1",
    "--batch-size 0": "--batch-size 0 has to be at least 1",
    "--top-k 0": "--top-k 0 has to be at least 1",
    "--top-k 3 --threshold 0.1": "exclude one another",
    "--threshold nan": "--threshold nan has to be a finite number",
    "--per-class 0": "--per-class 0 has to be at least 1",
    "--fraction 0": "--fraction 0 has to be above 0 and at most 1",
    "--fraction nan": "--fraction nan",
    "--seed -1": "--seed -1 has to be at least 0",
    "--weak-weight nan": "--weak-weight nan",
    "--clean-budget -1": "--clean-budget -1 has to be zero or more points",
    "--split test": "--split test of 'digits' holds the test set",
    "--plugin no_such_plugin": "plugin 'no_such_plugin' is broken",
}


@pytest.mark.parametrize("case", DATA)
def test_data_that_cannot_be_used(case, refused, tmp_path):
    make, fragment = DATA[case]
    assert fragment in refused("--dataset", make(tmp_path), status=1)


def test_an_error_in_the_middle_of_the_work_is_one_line_below_the_progress(cli, small, tmp_path):
    data = parquet(tmp_path, [png()] * 149 + [png((9, 9))])
    answer = cli("run", *small[:-1], "--dataset", data, "--out", tmp_path / "run")  # not quiet
    assert answer.status == 1
    assert answer.err.strip().splitlines()[-1] == answer.error


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_cannot_be_used(case, refused, tmp_path):
    make, fragment = MODELS[case]
    assert fragment in refused(*make(tmp_path), status=1)


@pytest.mark.parametrize(("option", "name", "meant"), [(option, *names) for option, names in NAMES.items()], ids=NAMES)
def test_a_name_that_nobody_registered(option, name, meant, refused):
    kind = option.rstrip("s")
    error = refused(f"--{option}", name, status=2)
    assert error.startswith(f"error: unknown {kind} {name!r}, did you mean {meant!r}? known: ")


@pytest.mark.parametrize("words", USAGE)
def test_an_option_that_cannot_be_followed(words, refused):
    given = [word.strip("'") for word in words.split(" ")]
    assert USAGE[words] in refused(*given, status=2)


def test_weights_that_need_unpickling_run_nothing(refused, tmp_path):
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return Path.touch, (marker,)

    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    refused("--weights", tmp_path / "evil.pt", status=1)
    assert not marker.exists()
