"""RobustBench, imported once, and checkpoints of random weights in the layout of its zoo."""

from __future__ import annotations

import pytest
import torch

from art_weakrobust.models.registry import parse


@pytest.fixture(scope="session")
def zoo():
    """The imported package; it takes seconds."""
    from art_weakrobust.models.robustbench import import_robustbench

    return import_robustbench()


@pytest.fixture(scope="session")
def dictionary(zoo):
    """Return a function that makes the zoo's own module of an entry, with weights of a seed, in eval mode."""
    from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel

    def made(argument, seed=1):
        entry = parse(argument)
        models = zoo.model_zoo.model_dicts[BenchmarkDataset(entry.dataset)][ThreatModel(entry.threat)]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return models[entry.name]["model"]().eval()

    return made


@pytest.fixture
def saved(tmp_path):
    """Return a function that saves one content a file where robustbench keeps those of an entry."""

    def save(argument, *contents):
        for remote, content in zip(parse(argument).files(tmp_path), contents, strict=True):
            remote.path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(content, remote.path)
        return tmp_path

    return save
