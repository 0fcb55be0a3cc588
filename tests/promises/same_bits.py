"""Trainings resumed from the checkpoint of any epoch, against those that are not stopped."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from random import Random

import numpy as np

from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import Recipe, change
from digit_recognizer.training import checkpoints
from digit_recognizer.training.fit import fit
from digit_recognizer.training.state import Checkpoint, FitHooks

from .processes import run_process

PROMISE = "a resumed training gives the same bits as one that is not stopped, with dropout and augmentation"
CASES = "resumed trainings"
GOAL = 200

N_EPOCHS = 4


@contextmanager
def setup() -> Iterator[Callable[[int], None]]:
    """Keep all checkpoints of an uninterrupted training, for a case of each."""
    yield partial(trial, Path("complete").absolute())


def trial(complete: Path, number: int) -> None:
    """Train in one process, and resume from one of its checkpoints in another."""
    seed, stop = number // (N_EPOCHS - 1), 1 + number % (N_EPOCHS - 1)
    output, recipe = Path("output"), _recipe(seed)
    if not (complete / str(seed)).exists():
        shutil.rmtree(complete, ignore_errors=True)
        assert run_process(lambda: _train(recipe, complete / str(seed)), output=output) == 0, output.read_text()
    assert run_process(lambda: _train(recipe, Path("resumed"), complete / str(seed) / str(stop)), output=output) == 0, (
        output.read_text()
    )
    with np.load(complete / str(seed) / "end.npz") as first, np.load("resumed/end.npz") as second:
        for key in first:
            np.testing.assert_array_equal(first[key], second[key], err_msg=str(recipe))


def _recipe(seed: int) -> Recipe:
    random = Random(seed)
    return change(
        RECIPES["quick"],
        {
            "epochs": N_EPOCHS,
            "seed": seed,
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


def _train(recipe: Recipe, folder: Path, start: Path | None = None) -> None:
    """Train, perhaps from a checkpoint; write the result and each checkpoint, in a folder of its own, to `folder`."""
    rng = np.random.default_rng(recipe.seed)
    images, labels = rng.random((200, 32, 32, 1), dtype=np.float32), np.repeat(np.arange(10), 20)
    identity = str(asdict(recipe))
    checkpoint = checkpoints.load_latest_checkpoint(start, identity) if start else None
    assert bool(checkpoint) == bool(start)

    def keep(kept: Checkpoint) -> None:
        checkpoints.save_checkpoint(folder / str(len(kept.history)), identity, kept)

    model, history = fit(recipe, images, labels, checkpoint=checkpoint, hooks=FitHooks(on_checkpoint=keep))
    losses = [(epoch.loss, epoch.accuracy) for epoch in history]
    np.savez(folder / "end.npz", *model.get_weights(), losses=losses)
