"""What stands in for a training where its writing is tried: small checkpoints, and a network that takes no time."""

import os
from pathlib import Path
from typing import Any

import numpy as np

import made_up_training
from digit_recognizer import crossval, resuming, runs  # noqa: F401  # all that a run loads
from digit_recognizer.train import Checkpoint, Epoch
from kaggle_csv import kaggle_test, kaggle_train

FACTS = {"kind": "run", "recipe_name": "x", "recipe": {}, "data": "", "source": "folder"}
FACTS |= {"train_hash": "", "test_hash": "", "device": "cpu"}
IDENTITY = "me"
N_EPOCHS = 4
N_TEST = 2_000
COMMAND = ["run", "--recipe", "quick", "--epochs", str(N_EPOCHS), "--name", "mine"]


def state(epoch: int) -> tuple[np.ndarray, ...]:
    return tuple(np.random.default_rng((epoch, part)).random((100, 200), dtype=np.float32) for part in range(3))


def checkpoint(n_epochs: int) -> Checkpoint:
    """As a training has it after so many epochs."""
    history = tuple(Epoch(epoch, 0.5, 0.9, None, None, float(epoch)) for epoch in range(1, n_epochs + 1))
    return Checkpoint(history, state(n_epochs))


def write_data(folder: Path) -> None:
    """Data for such runs."""
    folder.mkdir()
    (folder / "train.csv").write_bytes(kaggle_train(200))
    (folder / "test.csv").write_bytes(kaggle_test(N_TEST))


def train_nothing(n_epochs: int = N_EPOCHS) -> None:
    """Runs of this process train no network and draw nothing, but do all else; they are stopped after so many epochs.

    `log` in the folder they run in has what they may rely on from then: with how many epochs a training begun, and each
    epoch that was kept.
    """

    def train_member(
        member: Any, train: Any, test: Any, on_batch: Any, on_epoch: Any, teachers: Any, begun: Any, keep: Any
    ) -> Any:
        n_begun = len(begun.history) if begun else 0
        if begun:
            np.testing.assert_equal(begun.variables, state(n_begun))
        log(f"begun {n_begun}")
        for epoch in range(n_begun + 1, n_epochs + 1):
            keep(checkpoint(epoch))
            log(f"epoch {epoch}")
        if n_epochs < N_EPOCHS:
            raise KeyboardInterrupt
        return made_up_training.train_member(member, train, test, on_batch, on_epoch)

    crossval.train_member = train_member
    runs.write_pictures = lambda *_: None


def log(line: str) -> None:
    descriptor = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)
