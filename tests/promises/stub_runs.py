"""Runs with stubs for networks and plots, small checkpoints, and checks of such runs."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

import stub_training
from digit_recognizer import cli
from digit_recognizer.report import plots
from digit_recognizer.tracking.history import Epoch
from digit_recognizer.training import checkpoints, network  # noqa: F401  # loaded once, for all runs
from digit_recognizer.training.state import Checkpoint
from digit_recognizer.utils.arrays import read_arrays
from kaggle_csv import kaggle_test, kaggle_train

from .processes import run_process

FACTS = {"kind": "run", "recipe_name": "x", "recipe": {}, "data": "", "source": "folder"}
FACTS |= {"train_hash": "", "test_hash": "", "device": "cpu"}
IDENTITY = "me"
N_EPOCHS = 4
N_TEST = 2_000
COMMAND = ["run", "--recipe", "quick", "--epochs", str(N_EPOCHS), "--name", "mine"]
OLD = b"of an earlier run"
PUBLISHED = Path("submissions/submission.csv")


def state(epoch: int) -> tuple[np.ndarray, ...]:
    return tuple(np.random.default_rng((epoch, part)).random((100, 200), dtype=np.float32) for part in range(3))


def checkpoint_after(n_epochs: int) -> Checkpoint:
    """A checkpoint after `n_epochs` epochs."""
    history = tuple(Epoch(epoch, 0.5, 0.9, None, None, float(epoch)) for epoch in range(1, n_epochs + 1))
    return Checkpoint(history, state(n_epochs))


def write_data(folder: Path) -> None:
    """Write small CSVs."""
    folder.mkdir()
    (folder / "train.csv").write_bytes(kaggle_train(200))
    (folder / "test.csv").write_bytes(kaggle_test(N_TEST))


def digits(command: list[str], n_epochs: int = N_EPOCHS) -> None:
    """Run a command with stubs for networks and plots; the run is stopped after `n_epochs` epochs.

    The file `log` gets the number of epochs with which the training starts, and each epoch after its checkpoint.
    """

    def train_network(one: Any, train: Any, test: Any, teachers: Any, checkpoint: Any, hooks: Any) -> Any:
        n_done = len(checkpoint.history) if checkpoint else 0
        if checkpoint:
            np.testing.assert_equal(checkpoint.variables, state(n_done))
        log(f"start {n_done}")
        for epoch in range(n_done + 1, n_epochs + 1):
            hooks.on_checkpoint(checkpoint_after(epoch))
            log(f"epoch {epoch}")
        if n_epochs < N_EPOCHS:
            raise KeyboardInterrupt
        return stub_training.train_network(one, train, test, teachers, checkpoint, hooks)

    network.train_network = train_network
    plots.write_plots = lambda *_: None
    cli.main(command)


def log(line: str) -> None:
    descriptor = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def check_files(expected: bytes) -> None:
    """Check that every file is complete or missing."""
    assert PUBLISHED.read_bytes() in (OLD, expected), "a partial submission"
    for path in PUBLISHED.parent.glob("*/**/*"):
        if path.suffix == ".npz":
            read_arrays(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.name == "submission.csv":
            assert path.read_bytes() == expected, path


def check_end(code: int, output: Path) -> None:
    """Check that a run ended with exit code 0, or with 1 and an error message."""
    printed = output.read_text(errors="replace")
    assert code in (0, 1), f"exit code {code}: {printed}"
    assert "Traceback" not in printed, printed
    assert (code == 1) == ("Error: " in printed), f"exit code {code}: {printed}"


def resume(name: str, lines: list[str]) -> None:
    """Resume a run, and check that it starts at the last epoch in its log or later."""
    output = Path("output")
    assert run_process(lambda: digits(["run", "--resume", name]), output=output) == 0, output.read_text()
    n_done = sum(line.startswith("epoch") for line in lines)
    start = Path("log").read_text().splitlines()[len(lines) :][:1]
    n_start = int(start[0].split()[1]) if start else N_EPOCHS
    assert n_done <= n_start <= n_done + 1, f"{n_start} epochs of {n_done}"
    assert not list(PUBLISHED.parent.rglob("checkpoint-*"))
