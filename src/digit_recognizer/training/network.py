"""The training of one network of a run, and its predictions of its held-out rows and test.csv."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.data.images import to_images
from digit_recognizer.errors import DivergedError
from digit_recognizer.evaluation.metrics import evaluate
from digit_recognizer.evaluation.prediction import log_probabilities
from digit_recognizer.models.registry import MODELS, network_weights
from digit_recognizer.training.cross_validation import NetworkResult, NetworkSpec
from digit_recognizer.training.fit import fit
from digit_recognizer.training.state import NO_HOOKS, Checkpoint, FitHooks


def train_network(
    network: NetworkSpec,
    train: LabelledTable,
    test: Table,
    teachers: Sequence[Any] = (),
    checkpoint: Checkpoint | None = None,
    hooks: FitHooks = NO_HOOKS,
) -> NetworkResult:
    """Train a network and predict its held-out rows and test.csv; `fit` describes the other arguments.

    Raises DivergedError when the training diverges or the network predicts NaN or infinity.
    """
    recipe, labels, side = network.recipe, train.labels, MODELS[network.recipe.model].side

    def images(table: Table, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        return to_images(table.pixels[rows], side, recipe.fit)

    train_images, held_out_images = (images(train, rows) for rows in (network.train_rows, network.held_out))
    validation = (held_out_images, labels[network.held_out]) if len(network.held_out) else None
    start = time.perf_counter() - (checkpoint.seconds if checkpoint else 0)
    model, history = fit(recipe, train_images, labels[network.train_rows], validation, teachers, checkpoint, hooks)
    seconds = {"train": time.perf_counter() - start}
    start = time.perf_counter()
    test_images = images(test, slice(None) if network.predicts_test else slice(0))
    test_log_p = log_probabilities(model, test_images, recipe.tta)
    seconds["predict"] = time.perf_counter() - start
    train_log_p = log_probabilities(model, train_images)
    held_out_log_p = log_probabilities(model, held_out_images, recipe.tta)
    if not all(np.isfinite(log_p).all() for log_p in (test_log_p, train_log_p, held_out_log_p)):
        raise DivergedError(f"Network {network.name} predicts NaN or infinity. Try another seed.")
    return NetworkResult(
        network_weights(model),
        history,
        held_out_log_p,
        test_log_p,
        evaluate(train_log_p, labels[network.train_rows]),
        evaluate(held_out_log_p, labels[network.held_out]) if validation else None,
        seconds,
    )
