"""One network of a run: trained, then asked about the rows that it is judged by and about test.csv.

Comes in: a Member and tables. Goes out: its Outcome. Refuses to know files, answers and the terminal.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.data.images import to_images
from digit_recognizer.errors import DivergedError
from digit_recognizer.evaluation.prediction import evaluate, log_probabilities
from digit_recognizer.models.registry import MODELS, network_weights
from digit_recognizer.training.cross_validation import NetworkResult, NetworkSpec
from digit_recognizer.training.fit import fit
from digit_recognizer.training.state import Checkpoint, Epoch


def train_network(
    member: NetworkSpec,
    train_table: LabelledTable,
    test_table: Table,
    on_batch: Callable[[int, int], None] = lambda step, n_steps: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    teachers: Sequence[Any] = (),
    begun: Checkpoint | None = None,
    keep: Callable[[Checkpoint], None] = lambda checkpoint: None,
) -> NetworkResult:
    """Train one network, by `teachers` if there are any, and predict its held-out rows and test.csv.

    `begun` and `keep` are those of `train.fit`. Raises Diverged when the training does or the network predicts what is
    no number.
    """
    recipe, labels, side = member.recipe, train_table.labels, MODELS[member.recipe.model].side

    def images(table: Table, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        return to_images(table.pixels[rows], side, recipe.fit)

    fitted, held_out = (images(train_table, rows) for rows in (member.train_rows, member.held_out))
    validation = (held_out, labels[member.held_out]) if len(held_out) else None
    start = time.perf_counter() - (begun.seconds if begun else 0)
    trained = fit(recipe, fitted, labels[member.train_rows], validation, on_batch, on_epoch, teachers, begun, keep)
    seconds = {"train": time.perf_counter() - start}
    start = time.perf_counter()
    test_images = images(test_table, slice(None) if member.predicts_test else slice(0))
    test_log_p = log_probabilities(trained.model, test_images, recipe.tta)
    seconds["predict"] = time.perf_counter() - start
    log_p = {
        "train": log_probabilities(trained.model, fitted),
        "validation": log_probabilities(trained.model, held_out, recipe.tta),
    }
    if not all(np.isfinite(part).all() for part in (test_log_p, *log_p.values())):
        raise DivergedError(f"Network {member.name} predicts values that are no numbers. Try another seed.")
    rows = {"train": member.train_rows, "validation": member.held_out}
    return NetworkResult(
        network_weights(trained.model),
        trained.history,
        log_p["validation"],
        test_log_p,
        {part: evaluate(values, labels[rows[part]]) for part, values in log_p.items() if len(values)},
        seconds,
    )
