"""Other backends than TensorFlow, each in a new process, as Keras chooses its backend when imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digit_recognizer import cli
from digit_recognizer.tracking.run_dir import read_predictions

# With None in sys.modules, an import of TensorFlow raises ImportError.
_PROGRAM = """
import json, sys
sys.modules["tensorflow"] = None
from digit_recognizer.cli import main
for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as leave:
        if leave.code:
            raise
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_augmentation_equals_scipys_on_each_backend(backend):
    pytest.importorskip(backend)
    test = Path(__file__).with_name("test_augmented_model.py")
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(test),
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-k",
        "scipy",
    ]
    done = subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_train_predict_and_distil_without_tensorflow(workspace, backend):
    pytest.importorskip(backend)
    run = ["run", "--recipe", "quick", "--data", "sample", "--json"]
    augmented = [f"--set={setting}" for setting in ("rotate=10", "elastic=0.3", "dropout=0.1")]
    commands = [
        [*run, "--name", "tutor", "--epochs", "12", *augmented],
        [*run, "--epochs", "1", "--set", "teacher=tutor"],
    ]
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(Path(cli.__file__).parents[2])}
    command = [sys.executable, "-c", _PROGRAM, json.dumps(commands)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    teacher, _ = map(json.loads, done.stdout.splitlines())
    assert teacher["validation"]["accuracy"] > 0.9
    predictions = read_predictions(workspace.submissions / teacher["run"])
    assert len(predictions.rows) == len(predictions.log_p) == 120
    np.testing.assert_allclose(np.exp(predictions.test_log_p).sum(axis=1), 1, rtol=1e-5)
