"""A stub of the training: immediate, deterministic, and the more accurate the nearer the learning rate is to 0.01.

`python stub_training.py N ARGUMENTS` runs `digits` with it, where each training waits for N training processes.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from digit_recognizer.errors import DivergedError
from digit_recognizer.evaluation.metrics import evaluate
from digit_recognizer.evaluation.prediction import average_log_p

DIVERGES = 1.0  # the lowest learning rate that diverges


def train_network(network, train, test, teachers=(), checkpoint=None, hooks=None):
    """Replaces training.network.train_network."""
    from digit_recognizer.tracking.history import Epoch
    from digit_recognizer.training.cross_validation import NetworkResult

    recipe = network.recipe
    if recipe.learning_rate >= DIVERGES:
        raise DivergedError("Training diverged in epoch 1.")
    rng = np.random.default_rng(0)
    labels = train.labels[network.held_out]
    history, log_p = [], None
    for epoch in range(1, recipe.epochs + 1):
        logits = rng.normal(size=(len(labels), 10))
        margin = 4 - 2 * abs(np.log10(recipe.learning_rate / 0.01))
        logits[np.arange(len(labels)), labels] += margin * epoch / recipe.epochs
        log_p = average_log_p([logits])
        fit = evaluate(log_p, labels)
        history.append(Epoch(epoch, fit.log_loss, fit.accuracy, fit.log_loss, fit.accuracy, float(epoch)))
        if hooks:
            hooks.on_epoch(history[-1])
    test_log_p = average_log_p([rng.normal(size=(len(test.pixels), 10))])
    seconds = {"train": 1.0, "predict": 0.1}
    return NetworkResult({"layer/weight": np.zeros(3)}, tuple(history), log_p, test_log_p, fit, fit, seconds)


def train_after_others(n_processes):
    """Returns a `train_network` that first waits until `n_processes` processes train."""

    def waiting(*arguments):
        Path(f"{os.getpid()}.training").touch()
        while len(list(Path().glob("*.training"))) < n_processes:
            time.sleep(0.01)
        return train_network(*arguments)

    return waiting


if __name__ == "__main__":
    from digit_recognizer import cli
    from digit_recognizer.training import network

    network.train_network = train_after_others(int(sys.argv[1]))
    cli.main(sys.argv[2:])
