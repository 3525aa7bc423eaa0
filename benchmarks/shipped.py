"""The ResNets of the shipped checkpoints, on pixels in [0, 1]."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from art_weakrobust.models.normalise import Normalised
from art_weakrobust.models.weights import load_weights
from art_weakrobust.testing.networks import resnet20_cifar10


def resnet20(checkpoint: str = "resnet20_cifar10") -> nn.Module:
    """Return the network in evaluation mode, with the weights in ``$ART_WEAKROBUST_DATA/models``."""
    network = resnet20_cifar10()
    load_weights(network, Path(os.environ["ART_WEAKROBUST_DATA"]) / "models" / f"{checkpoint}.safetensors")
    return Normalised(network, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)).eval()
