"""Models of the zoo from files in its layout: random weights, the answers of the zoo's own modules."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch
from torch import nn

from art_weakrobust import FastPyTorchClassifier
from art_weakrobust.errors import ModelError
from art_weakrobust.models.registry import parse
from art_weakrobust.models.robustbench import load_robustbench, robustbench
from art_weakrobust.plugins.manager import Manager

SMALL = "cifar10/corruptions/Hendrycks2020AugMix_WRN"


def images(shape, n=2):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0))


def same_answers(module, own, shape):
    with torch.no_grad():
        torch.testing.assert_close(module(images(shape)), own(images(shape)), atol=1e-5, rtol=0)
    assert not module.training


@pytest.mark.parametrize(
    "argument", [SMALL, "cifar100/corruptions/Hendrycks2020AugMix_WRN", "cifar10/Linf/Wong2020Fast"]
)
def test_the_smallest_entries_answer_as_the_modules_of_the_dictionary(argument, dictionary, saved):
    own = dictionary(argument)
    module, info = robustbench(argument, model_dir=saved(argument, own.state_dict()))
    same_answers(module, own, info.input_shape)


def test_imagenet_checkpoints_are_named_as_the_network_inside_the_normalisation(dictionary, saved):
    argument = "imagenet/Linf/Salman2020Do_R18"
    own = dictionary(argument)
    module, info = robustbench(argument, model_dir=saved(argument, own.model.state_dict()))
    same_answers(module, own, info.input_shape)


def test_an_ensemble_is_read_from_its_numbered_files(dictionary, saved):
    argument = "cifar10/Linf/Chen2020Adversarial"
    own = dictionary(argument)
    folder = saved(argument, *(part.state_dict() for part in own.models))
    assert (folder / "cifar10" / "Linf" / "Chen2020Adversarial.pt_m2.pt").is_file()
    same_answers(robustbench(argument, model_dir=folder)[0], own, (3, 32, 32))


def test_an_ensemble_without_one_of_its_files_says_which(dictionary, saved):
    argument = "cifar10/Linf/Chen2020Adversarial"
    own = dictionary(argument)
    folder = saved(argument, *(part.state_dict() for part in own.models))
    (folder / "cifar10" / "Linf" / "Chen2020Adversarial.pt_m1.pt").unlink()
    with pytest.raises(ModelError, match=r"Chen2020Adversarial\.pt_m1\.pt' are not there.*gdown 1DB2ymt0rMnsMk5hTuU"):
        robustbench(argument, model_dir=folder)


@pytest.mark.parametrize("whole", [True, False])
def test_a_timm_registered_entry_loads_from_a_file_of_the_user_alone(whole, zoo, saved, monkeypatch):
    import timm

    argument = "imagenet/corruptions/Tian2022Deeper_DeiT-S"
    own = timm.create_model(parse(argument).timm, pretrained=False).eval()
    folder = saved(argument, own.state_dict() if whole else {"model": own.model.state_dict()})
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it went to the network"))
    same_answers(robustbench(argument, model_dir=folder)[0], own, (3, 224, 224))


def test_torchvisions_resnet50_is_found_in_pytorchs_own_cache(dictionary, tmp_path, monkeypatch):
    own = dictionary("imagenet/Linf/Salman2020Do_R50")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / "resnet50-0676ba61.pth"
    torch.save(own.model.state_dict(), file)
    with pytest.raises(ModelError, match="has not the SHA-256 sum 0676ba61"):
        robustbench("imagenet/Linf/Standard_R50", model_dir=tmp_path / "models")
    monkeypatch.setattr("art_weakrobust.models.fetching._digest", lambda _: "0676ba61" + "0" * 56)
    same_answers(robustbench("imagenet/Linf/Standard_R50", model_dir=tmp_path / "models")[0], own, (3, 64, 64))


def test_it_takes_the_arguments_of_load_model_and_gives_what_that_gives(dictionary, saved, zoo):
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel
    from robustbench.utils import load_model

    folder = saved(SMALL, {"state_dict": {f"module.{k}": v for k, v in dictionary(SMALL).state_dict().items()}})
    words = ("Hendrycks2020AugMix_WRN", folder, "cifar10", "corruptions")
    members = ("Hendrycks2020AugMix_WRN", folder, BenchmarkDataset("cifar10"), ThreatModel("corruptions"))
    for arguments in (words, members):
        same_answers(load_robustbench(*arguments), load_model(*arguments), (3, 32, 32))


def test_another_checkpoint_may_be_named(dictionary, tmp_path):
    own = dictionary(SMALL, seed=7)
    torch.save(own.state_dict(), tmp_path / "mine.pt")
    module = load_robustbench(
        "Hendrycks2020AugMix_WRN", threat_model="corruptions", custom_checkpoint=tmp_path / "mine.pt"
    )
    same_answers(module, own, (3, 32, 32))
    with pytest.raises(ModelError, match=r"is one file, and .* is read from 3"):
        load_robustbench("Chen2020Adversarial", custom_checkpoint=tmp_path / "mine.pt")


def test_weights_that_a_run_has_fine_tuned_are_taken_by_the_modules_names(dictionary, tmp_path):
    import safetensors.torch

    own = dictionary(SMALL, seed=3)
    safetensors.torch.save_file(own.state_dict(), tmp_path / "model.safetensors")
    module, _ = robustbench(SMALL, weights=tmp_path / "model.safetensors", model_dir=str(tmp_path))
    same_answers(module, own, (3, 32, 32))


def test_nothing_is_fetched_unasked_and_the_error_says_path_and_source(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it went to the network"))
    with pytest.raises(ModelError) as caught:
        robustbench(SMALL, model_dir=str(tmp_path))
    path = f"{tmp_path}/cifar10/corruptions/Hendrycks2020AugMix_WRN.pt"
    assert path in str(caught.value)
    assert "--download" in str(caught.value)
    assert f"gdown {parse(SMALL).sources[0].removeprefix('gdrive:')} -O {path}" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><title>Google Drive - Quota exceeded</title>", "is an HTML page"),
        (b"", "is empty"),
        ("half", "are a zip archive cut short"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named_with_the_command_that_fetches_it_again(
    content, words, saved, dictionary
):
    folder = saved(SMALL, dictionary(SMALL).state_dict())
    path = parse(SMALL).files(folder)[0].path
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(ModelError, match=words) as caught:
        robustbench(SMALL, model_dir=folder)
    assert str(path) in str(caught.value)
    assert "fetch them again: gdown " in str(caught.value)


def test_weights_of_another_architecture_are_told(saved):
    folder = saved(SMALL, nn.Linear(2, 2).state_dict())
    with pytest.raises(ModelError, match="do not fit robustbench:cifar10/corruptions/Hendrycks2020AugMix_WRN"):
        robustbench(SMALL, model_dir=folder)


def test_a_checkpoint_with_a_training_scripts_arguments_is_read_on_the_users_word_alone(dictionary, saved):
    own = dictionary(SMALL)
    content = {"state_dict": own.state_dict(), "args": argparse.Namespace(lr=0.1), "acc": np.float64(0.9)}
    folder = saved(SMALL, content)
    with pytest.raises(ModelError, match="--allow-unsafe-checkpoint"):
        robustbench(SMALL, model_dir=folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.pt")}
    same_answers(robustbench(SMALL, model_dir=folder, allow_unsafe=True)[0], own, (3, 32, 32))
    assert {path: path.read_bytes() for path in folder.rglob("*.pt")} == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="it can be built here")
def test_what_robustbench_builds_on_a_gpu_alone_is_refused_without_one(saved):
    argument = "cifar10/Linf/Bai2023Improving_edm"
    with pytest.raises(ModelError, match="on a GPU alone"):
        robustbench(argument, model_dir=saved(argument, {}, {}, {}))


def test_the_global_generator_is_left_alone(dictionary, saved):
    folder = saved(SMALL, dictionary(SMALL).state_dict())
    before = torch.get_rng_state()
    robustbench(SMALL, model_dir=folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_classifier_is_made_in_one_call(dictionary, saved):
    own = dictionary(SMALL)
    folder = saved(SMALL, own.state_dict())
    classifier = FastPyTorchClassifier.from_robustbench(
        "Hendrycks2020AugMix_WRN", threat_model="corruptions", model_dir=folder, device="cpu"
    )
    assert (classifier.nb_classes, classifier.input_shape, tuple(classifier.clip_values)) == (10, (3, 32, 32), (0, 1))
    with torch.no_grad():
        expected = own(images((3, 32, 32))).numpy()
    np.testing.assert_allclose(classifier.predict(images((3, 32, 32)).numpy()), expected, rtol=1e-5, atol=1e-5)


def test_the_zoo_comes_through_the_door_like_any_model(dictionary, saved):
    folder = saved(SMALL, dictionary(SMALL).state_dict())
    offered = {"model_dir": str(folder), "download": False, "allow_unsafe": False, "nb_classes": 10}
    _, info = Manager(third_party=False).make("model", "robustbench", SMALL, offered=offered)
    assert info.name == f"robustbench:{SMALL}"
