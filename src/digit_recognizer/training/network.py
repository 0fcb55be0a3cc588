"""One network of a run: trained, then asked about the rows that it is judged by and about test.csv.

Comes in: a Member and tables. Goes out: its Outcome. Refuses to know files, answers and the terminal.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from digit_recognizer.data.csv_reader import LabelledTable, Table
from digit_recognizer.data.images import to_images
from digit_recognizer.errors import Diverged
from digit_recognizer.evaluation.prediction import fitness, log_probabilities
from digit_recognizer.models.registry import MODELS, stored
from digit_recognizer.training.cross_validation import Member, Outcome
from digit_recognizer.training.fit import fit
from digit_recognizer.training.state import Checkpoint, Epoch


def train_member(
    member: Member,
    train_table: LabelledTable,
    test_table: Table,
    on_batch: Callable[[int, int], None] = lambda step, n_steps: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    teachers: Sequence[Any] = (),
    begun: Checkpoint | None = None,
    keep: Callable[[Checkpoint], None] = lambda checkpoint: None,
) -> Outcome:
    """Train one network, by `teachers` if there are any, and predict its held-out rows and test.csv.

    `begun` and `keep` are those of `train.fit`. Raises Diverged when the training does or the network predicts what is
    no number.
    """
    recipe, labels, side = member.recipe, train_table.labels, MODELS[member.recipe.model].side

    def images(table: Table, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        return to_images(table.pixels[rows], side, recipe.fit)

    fitted, held_out = (images(train_table, rows) for rows in (member.fitted, member.held_out))
    validation = (held_out, labels[member.held_out]) if len(held_out) else None
    start = time.perf_counter() - (begun.seconds if begun else 0)
    trained = fit(recipe, fitted, labels[member.fitted], validation, on_batch, on_epoch, teachers, begun, keep)
    seconds = {"train": time.perf_counter() - start}
    start = time.perf_counter()
    test_images = images(test_table, slice(None) if member.labels_test else slice(0))
    test_log_p = log_probabilities(trained.model, test_images, recipe.tta)
    seconds["predict"] = time.perf_counter() - start
    log_p = {
        "train": log_probabilities(trained.model, fitted),
        "validation": log_probabilities(trained.model, held_out, recipe.tta),
    }
    if not all(np.isfinite(part).all() for part in (test_log_p, *log_p.values())):
        raise Diverged(f"Network {member.name} predicts values that are no numbers. Try another seed.")
    rows = {"train": member.fitted, "validation": member.held_out}
    return Outcome(
        stored(trained.model),
        trained.history,
        log_p["validation"],
        test_log_p,
        {part: fitness(values, labels[rows[part]]) for part, values in log_p.items() if len(values)},
        seconds,
    )
