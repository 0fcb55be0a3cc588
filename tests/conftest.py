"""Fixtures of all tests: an empty workspace, no credentials, and the real data if available."""

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
_TEMPORARY = tempfile.TemporaryDirectory()  # also of locks, so that concurrent suites do not conflict
tempfile.tempdir = os.environ["TMPDIR"] = _TEMPORARY.name


def pytest_collection_modifyitems(items):
    """Run slow tests first, so that no worker ends long after the others."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def messages_on_stdout(monkeypatch):
    """Undo --json, which redirects messages to stderr."""
    monkeypatch.setattr(console, "stderr", False)


@pytest.fixture
def tiny_lenet5(monkeypatch):
    """A tiny network instead of LeNet-5."""
    monkeypatch.setitem(MODELS, "lenet5", tiny("lenet5"))


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty workspace, also for commands, and a home folder without Kaggle credentials."""
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
    """Kaggle's client, loaded once instead of half a second in each process."""
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
        pytest.skip("DIGITS_REAL_DATA is not a folder or zip with the real CSVs")
    return Path(path)
