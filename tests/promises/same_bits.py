"""Trainings that go on from the checkpoint on the disk after any of their epochs, against those that never stopped."""

from dataclasses import asdict
from pathlib import Path
from random import Random

import numpy as np

from digit_recognizer import resuming
from digit_recognizer.recipes import RECIPES, change
from digit_recognizer.train import Checkpoint, fit

from .actors import forked

PROMISE = "a resumed training ends in the bits of one that never stopped, with dropout and distortions"
CASES = "resumed trainings"
GOAL = 200

N_EPOCHS = 4


def trial(number: int) -> None:
    """The whole training in one process, each of its checkpoints to the disk; the rest of it in another."""
    random = Random(number)
    recipe = change(
        RECIPES["quick"],
        {
            "epochs": N_EPOCHS,
            "seed": number,
            "dropout": random.choice((0.1, 0.4)),
            "rotate": random.choice((0, 15)),
            "shift": random.choice((1, 2)),
            "elastic": random.choice((0, 0.5)),
            "clean": random.choice((0, 1)),
            "ema": random.choice((0, 0.9)),
            "batch_norm": random.choice((True, False)),
            "batch_size": random.choice((32, 64)),
        },
    )
    stop = 1 + number % (N_EPOCHS - 1)
    rng = np.random.default_rng(number)
    images, labels = rng.random((200, 32, 32, 1), dtype=np.float32), np.repeat(np.arange(10), 20)
    identity = str(asdict(recipe))

    def keep(checkpoint: Checkpoint) -> None:
        if len(checkpoint.history) == stop:
            resuming.keep(Path(), identity, checkpoint)

    def train(name: str, resumes: bool) -> None:
        begun = resuming.begun(Path(), identity) if resumes else None
        assert bool(begun) == resumes
        trained = fit(recipe, images, labels, begun=begun, keep=keep)
        losses = [(epoch.loss, epoch.accuracy) for epoch in trained.history]
        np.savez(name, *trained.model.get_weights(), losses=losses)

    output = Path("output")
    assert forked(lambda: train("whole", False), output=output) == 0, output.read_text()
    assert forked(lambda: train("resumed", True), output=output) == 0, output.read_text()
    with np.load("whole.npz") as whole, np.load("resumed.npz") as resumed:
        for key in whole:
            np.testing.assert_array_equal(whole[key], resumed[key], err_msg=str(recipe))
