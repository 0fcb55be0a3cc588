"""One training with rows held out: recipe x tables -> Outcome. Refuses to know files, answers and the terminal."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from . import train
from .errors import InputError, RunError
from .images import to_images
from .models import MODELS
from .predict import Fitness, fitness, log_probabilities
from .recipes import Recipe
from .tables import LabelledTable, Table


@dataclass(frozen=True, eq=False)
class Outcome:
    """What training and predicting leave."""

    model: Any  # Keras, trained
    history: tuple[train.Epoch, ...]
    validation_rows: np.ndarray  # (n_validation,) int, rows of train.csv from 0
    validation_log_p: np.ndarray  # (n_validation, 10) log-probabilities
    test_log_p: np.ndarray  # (n_test, 10)
    fits: dict[str, Fitness]  # "train" and, when rows are held out, "validation"
    seconds: dict[str, float]  # "train" and "predict" (test.csv)


def split(labels: np.ndarray, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on and the rows to hold out, stratified by label.

    Raises InputError when there are too few rows to hold out one of each digit.
    """
    rows = np.arange(len(labels))
    if recipe.validation == 0:
        return rows, rows[:0]
    try:
        fitted, held_out = train_test_split(
            rows, test_size=recipe.validation, stratify=labels, random_state=recipe.seed
        )
    except ValueError as error:
        raise InputError(
            f"a validation part of {recipe.validation:g} of {len(rows):,} rows does not hold each digit on both sides. "
            "Choose another part, or 0 to hold out none."
        ) from error
    return fitted, held_out


def train_and_predict(
    recipe: Recipe,
    train_table: LabelledTable,
    test_table: Table,
    rows: tuple[np.ndarray, np.ndarray],
    on_batch: Callable[[int, int], None],
    on_epoch: Callable[[train.Epoch], None],
) -> Outcome:
    """Train on the first of `rows`, as `split` gives them, and predict all of train.csv and test.csv.

    Raises RunError when the training diverges or the network predicts what is no number.
    """
    fitted, held_out = rows
    labels, side = train_table.labels, MODELS[recipe.model].side
    held_images = to_images(train_table.pixels[held_out], side, recipe.fit)
    fitted_images = to_images(train_table.pixels[fitted], side, recipe.fit)
    validation = (held_images, labels[held_out]) if len(held_out) else None
    start = time.perf_counter()
    trained = train.fit(recipe, fitted_images, labels[fitted], validation, on_batch, on_epoch)
    trained_at = time.perf_counter()
    test_log_p = log_probabilities(trained.model, to_images(test_table.pixels, side, recipe.fit))
    seconds = {"train": trained_at - start, "predict": time.perf_counter() - trained_at}
    log_p = {"train": log_probabilities(trained.model, fitted_images)}
    if validation:
        log_p["validation"] = log_probabilities(trained.model, held_images)
    if not all(np.isfinite(part).all() for part in (test_log_p, *log_p.values())):
        raise RunError("The network predicts values that are no numbers; nothing was written. Try another seed.")
    own = {"train": fitted, "validation": held_out}
    return Outcome(
        trained.model,
        trained.history,
        held_out,
        log_p.get("validation", np.empty((0, 10), np.float32)),
        test_log_p,
        {part: fitness(values, labels[own[part]]) for part, values in log_p.items()},
        seconds,
    )
