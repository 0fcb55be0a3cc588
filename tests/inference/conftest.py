"""Fixtures of the tests of inference."""

import shutil

import pytest


@pytest.fixture
def trained(finished, workspace, tiny_lenet5):
    """A copy of the workspace of the module's fixture `finished`."""
    shutil.copytree(finished.folder, workspace.folder, dirs_exist_ok=True)
    return workspace
