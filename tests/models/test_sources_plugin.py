"""Built-in models and data sets come through the door like anybody's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from art_weakrobust.errors import PluginError
from art_weakrobust.plugins.manager import Manager


@pytest.fixture(scope="module")
def manager() -> Manager:
    return Manager(third_party=False)


def test_the_names_are_there(manager):
    assert {"digits", "npz", "parquet"} <= set(manager.names("dataset"))
    assert {"digits-cnn", "python"} <= set(manager.names("model"))


def test_a_data_set_is_made_by_name_with_the_split_that_is_offered(manager, tmp_path):
    assert len(manager.make("dataset", "digits", "", offered={"split": "test", "label_column": None})) == 445
    np.savez(tmp_path / "a.npz", x_test=np.zeros((3, 1, 2, 2)), y_test=[0, 1, 0])
    assert len(manager.make("dataset", "npz", str(tmp_path / "a.npz"), offered={"split": "all"})) == 3


def test_a_model_is_made_by_name_with_the_normalisation_that_is_written(manager):
    argument = "art_weakrobust.testing.networks:resnet20"
    model, _ = manager.make("model", "python", argument, written={"mean": "0.5", "std": "0.5"})
    assert type(model).__name__ == "Normalised"


def test_an_option_that_a_source_does_not_know_is_refused(manager):
    with pytest.raises(PluginError, match="'digits-cnn' has no option 'mean'"):
        manager.make("model", "digits-cnn", "", written={"mean": "0.5"})


def test_the_plugin_modules_import_nothing_heavy():
    code = (
        "import sys, art_weakrobust.models.plugin, art_weakrobust.datasets.plugin;"
        "sys.exit(bool({'torch', 'art', 'PIL', 'pyarrow', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
