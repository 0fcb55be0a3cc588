"""What every test file starts from: a quiet TensorFlow, a folder of its own, no credentials, the real data if any."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from digit_recognizer.models.registry import MODELS
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils.console import console
from promises.warm_client import warm
from tiny import tiny

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
_TEMPORARY = tempfile.TemporaryDirectory()  # locks lie here, too: suites side by side are not in each other's way
tempfile.tempdir = os.environ["TMPDIR"] = _TEMPORARY.name


def pytest_collection_modifyitems(items):
    """Begin with the slow ones, so that few workers end with one while others wait."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def messages_on_stdout(monkeypatch):
    """Also after a command with --json, for which they go to stderr."""
    monkeypatch.setattr(console, "stderr", False)


@pytest.fixture
def tiny_lenet5(monkeypatch):
    """A tiny network in LeNet-5's place."""
    monkeypatch.setitem(MODELS, "lenet5", tiny("lenet5"))


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty workspace, which commands use too, and a home without Kaggle credentials."""
    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.setenv("DIGITS_WORKSPACE", str(folder))
    return Workspace(folder)


@pytest.fixture(scope="session")
def warm_client():
    """Kaggle's client without the half second to load it in each process."""
    if sys.platform != "linux":
        yield
        return
    with warm():
        yield


@pytest.fixture(scope="session")
def real_data():
    """The folder or zip with the real CSVs."""
    path = os.environ.get("DIGITS_REAL_DATA")
    if not path or not Path(path).exists():
        pytest.skip("the real CSVs are not here: DIGITS_REAL_DATA names no folder or zip")
    return Path(path)
