"""What is known of the zoo without importing it is what the installed robustbench says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from art_weakrobust.errors import ModelError
from art_weakrobust.models import registry
from art_weakrobust.models.registry import CLASSES, entries, entry, parse, published_figures

ALL = entries()


@pytest.fixture(scope="module")
def dictionaries(zoo):
    return {
        (dataset.value, threat.value, name): model
        for dataset, threats in zoo.model_zoo.model_dicts.items()
        for threat, models in threats.items()
        for name, model in models.items()
    }


def test_all_206_models_and_no_other_are_known(dictionaries):
    assert len(ALL) == 206
    assert {(e.dataset, e.threat, e.name) for e in ALL} == set(dictionaries)


def test_every_name_resolves_to_a_loader_and_to_the_paths_that_robustbench_uses(dictionaries):
    import timm

    for e in ALL:
        model = dictionaries[e.dataset, e.threat, e.name]
        assert callable(model["model"])
        assert parse(e.argument) is e
        paths = [remote.path.as_posix() for remote in e.files("models")]
        stem = f"models/{e.dataset}/{e.threat}/{e.name}.pt"
        ids = model["gdrive_id"]
        assert paths == ([f"{stem}_m{i}.pt" for i in range(len(ids))] if isinstance(ids, list) else [stem])
        assert (e.timm is not None) == timm.is_model(f"{e.name}_{e.dataset}_{e.threat}".lower().replace("-", "_"))


def test_files_come_from_where_robustbench_fetches_them(dictionaries):
    for e in ALL:
        ids = dictionaries[e.dataset, e.threat, e.name]["gdrive_id"]
        if ids:  # of the others robustbench says nothing in its dictionary: timm and torchvision know the addresses
            assert list(e.sources) == [f"gdrive:{i}" for i in (ids if isinstance(ids, list) else [ids])]
        else:
            assert [source.startswith("https://") for source in e.sources] == [True]


def test_images_are_prepared_as_robustbench_prepares_them(zoo):
    from robustbench.data import get_preprocessing
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel

    squashed = {"Mo2022When_Swin-B", "Mo2022When_ViT-B"}  # resized to a square whatever their shape: not offered here
    for e in entries("imagenet"):
        steps = get_preprocessing(BenchmarkDataset.imagenet, ThreatModel(e.threat), e.name, None).transforms
        told = {type(step).__name__: step for step in steps}
        resize = told.get("Resize")
        size = None if resize is None else resize.size
        crop = told["CenterCrop"].size[0] if "CenterCrop" in told else size[0]
        assert e.fit == (
            224 if e.name in squashed else size,
            crop,
            "bilinear" if resize is None else resize.interpolation.value,
        ), e.name
    assert {e.fit for e in ALL if e.dataset != "imagenet"} == {None}


def test_figures_are_those_of_the_table_that_robustbench_publishes():
    published, dataset, threat = {}, "", ""
    for line in str(metadata.metadata("robustbench").get_payload()).splitlines():
        if heading := re.match(r"#{2,5} (.*)", line):
            words = heading[1].strip()
            dataset = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "ImageNet": "imagenet"}.get(words, dataset)
            threat = next((t for t in ("Linf", "L2") if words.startswith(t)), "corruptions")
        elif line.startswith("|") and "<sub>" in line and "Model ID" not in line:
            cells = [re.sub(r"<[^>]*>|\*", "", cell).strip() for cell in line.strip().strip("|").split("|")]
            published[dataset, threat, cells[1]] = (float(cells[3].rstrip("%")), float(cells[4].rstrip("%")))
    assert {(e.dataset, e.threat, e.name): (e.clean, e.robust) for e in ALL} == published


def test_the_figures_say_where_they_are_from():
    source = json.loads(Path(registry.__file__).with_name("robustbench_zoo.json").read_text(encoding="utf-8"))["source"]
    assert source["distribution"] == "robustbench 1.1.1 (PyPI)"
    assert re.fullmatch(r"[0-9a-f]{64}", source["sha256"])
    commits = [source["commit"], *source["same_figures_at_commit"].values()]
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for commit in commits)


def test_figures_that_are_others_at_the_commit_are_told_and_where_ours_stand():
    source = json.loads(Path(registry.__file__).with_name("robustbench_zoo.json").read_text(encoding="utf-8"))["source"]
    for other in source["differ_at_commit"]:
        ours = entry(other["dataset"], other["threat"], other["name"])
        assert (ours.clean, ours.robust) != (other["clean"], other["robust"])
        assert f"model_info/{ours.argument}.json" in source["same_figures_at_commit"]
    assert f"{len(ALL) - len(source['differ_at_commit'])} of the {len(ALL)} models" in source["compared"]


def test_what_a_caller_has_to_know_comes_with_the_name():
    info = parse("imagenet/Linf/Salman2020Do_R18").info
    assert (info.nb_classes, info.input_shape, info.published) == (1000, (3, 224, 224), 0.5292)
    assert (info.resize, info.crop, info.interpolation) == (256, 224, "bilinear")
    info = parse("cifar100/Linf/Rice2020Overfitting").info
    assert (info.nb_classes, info.input_shape, info.resize, info.crop) == (100, (3, 32, 32), None, None)
    assert all(e.info.nb_classes == CLASSES[e.dataset] for e in ALL)


def test_figures_are_told_as_fractions_and_of_other_models_nothing():
    assert published_figures("robustbench:cifar10/Linf/Wong2020Fast") == {"clean": 0.8334, "robust": 0.4321}
    assert published_figures("python:nets:resnet") == published_figures("robustbench:cifar10/Linf/Nobody") == {}


def test_three_d_corruptions_share_the_models_of_the_common_ones():
    assert entry("imagenet", "corruptions_3d", "AlexNet") is entry("imagenet", "corruptions", "AlexNet")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("Standard", "has to read robustbench:DATASET/THREAT/NAME"),
        ("cifar10/Linf/", "has to read robustbench:DATASET/THREAT/NAME"),
        ("svhn/Linf/Standard", "RobustBench has cifar10, cifar100, imagenet"),
        ("cifar10/L1/Standard", "RobustBench has Linf, L2, corruptions"),
        ("cifar10/Linf/Wong2020Slow", "did you mean 'Wong2020Fast'"),
        ("cifar100/L2/Standard", "has no model 'Standard' for cifar100/L2"),
    ],
)
def test_a_model_that_is_not_there_is_told_with_what_is(argument, words):
    with pytest.raises(ModelError, match=words):
        parse(argument)


def test_listing_the_zoo_loads_neither_robustbench_nor_torch():
    code = (
        "import sys; from art_weakrobust.models.registry import entries; entries();"
        "print([m for m in ('torch', 'timm', 'robustbench') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
