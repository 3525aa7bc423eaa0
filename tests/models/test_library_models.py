"""Classifiers of torchvision and timm: normalisation inside, preprocessing told, weights from files."""

from __future__ import annotations

import pytest
import torch

from art_weakrobust.errors import ModelError
from art_weakrobust.models.normalise import Normalised
from art_weakrobust.models.timm import timm
from art_weakrobust.models.torchvision import torchvision

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
X = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def seeded(make):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        return make().eval()


def answers(module, own):
    with torch.no_grad():
        expected = own((X - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1))
        torch.testing.assert_close(module(X), expected, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def squeezenet():
    from torchvision.models import get_model

    return seeded(lambda: get_model("squeezenet1_1"))


@pytest.mark.parametrize("where", ["models/torchvision", "hub/checkpoints"])
def test_torchvisions_weights_are_found_where_they_may_be(where, squeezenet, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("art_weakrobust.models.fetching._digest", lambda _: "b8a52dc0" + "0" * 56)
    (tmp_path / where).mkdir(parents=True)
    torch.save(squeezenet.state_dict(), tmp_path / where / "squeezenet1_1-b8a52dc0.pth")
    module, info = torchvision("squeezenet1_1", model_dir=str(tmp_path / "models"))
    assert isinstance(module, Normalised)
    answers(module, squeezenet)
    assert (info.resize, info.crop, info.interpolation, info.input_shape) == (256, 224, "bilinear", (3, 224, 224))
    assert (info.nb_classes, info.class_names[0], info.published) == (1000, "tench", 0.58178)


def test_torchvisions_weights_of_a_name_bring_their_own_preprocessing(squeezenet, tmp_path):
    from torchvision.models import get_model

    torch.save(seeded(lambda: get_model("resnet18")).state_dict(), tmp_path / "mine.pt")
    _, first = torchvision("resnet18@IMAGENET1K_V1", weights=tmp_path / "mine.pt")
    assert (first.resize, first.crop) == (256, 224)
    with pytest.raises(ModelError, match=r"has no weights 'V3'; it has IMAGENET1K_V1, DEFAULT"):
        torchvision("resnet18@V3")
    with pytest.raises(ModelError, match=r"resnet50-11ad3fa6\.pth' are not there"):
        torchvision("resnet50", model_dir=str(tmp_path))  # the default is V2, with another file than V1


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_with_a_second_head_are_built_as_for_their_checkpoints(name):
    from torchvision.models import get_model

    from art_weakrobust.models.torchvision import _heads, _weights

    with torch.device("meta"):
        network = get_model(name, weights=None, **_heads(_weights(name, "")))
    assert any("aux" in key.lower() for key in network.state_dict())
    assert network.transform_input


@pytest.mark.parametrize(
    ("name", "words"), [("resnt18", "did you mean 'resnet18'"), ("fcn_resnet50", "is no classifier of images")]
)
def test_what_torchvision_does_not_have_is_told(name, words):
    with pytest.raises(ModelError, match=words):
        torchvision(name)


def test_timms_own_preprocessing_and_normalisation_come_with_the_name(tmp_path):
    import timm as library

    own = seeded(lambda: library.create_model("resnet10t.c3_in1k", pretrained=False))
    torch.save(own.state_dict(), tmp_path / "mine.pt")
    module, info = timm("resnet10t.c3_in1k", weights=tmp_path / "mine.pt")
    answers(module, own)
    assert (info.resize, info.crop, info.interpolation, info.squash) == (201, 176, "bicubic", False)
    assert (info.nb_classes, info.input_shape) == (1000, (3, 176, 176))


def test_what_timm_squashes_is_squashed():
    import timm as library

    from art_weakrobust.models.timm import _info

    config = library.get_pretrained_cfg("convnext_tiny.in12k_ft_in1k_384").to_dict()
    info = _info("convnext_tiny.in12k_ft_in1k_384", config)
    assert (info.resize, info.crop, info.squash) == (384, 384, True)


def test_timms_weights_are_expected_beside_those_of_the_zoo(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it went to the network"))
    with pytest.raises(ModelError) as caught:
        timm("resnet18.a1_in1k", model_dir=str(tmp_path))
    assert f"{tmp_path}/timm/resnet18.a1_in1k.safetensors" in str(caught.value)
    assert "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors" in str(caught.value)


def test_a_timm_of_another_major_version_is_refused(monkeypatch):
    import timm as library

    monkeypatch.setattr(library, "__version__", "2.0.1")
    with pytest.raises(ModelError, match=r"timm 2\.0\.1 is installed, and 1\.x is expected: pip install timm==1\.0\.9"):
        timm("resnet18.a1_in1k")


def test_a_later_timm_of_this_major_version_is_taken(monkeypatch, tmp_path):
    import timm as library

    monkeypatch.setattr(library, "__version__", "1.0.27")
    with pytest.raises(ModelError, match="are not there"):
        timm("resnet18.a1_in1k", model_dir=str(tmp_path))


def test_a_name_that_timm_does_not_have_is_told():
    with pytest.raises(ModelError, match="timm has no model 'resnt18', did you mean 'resnet18'"):
        timm("resnt18")
    with pytest.raises(ModelError, match=r"Invalid pretrained tag \(a7_in1k\)"):
        timm("resnet18.a7_in1k")
