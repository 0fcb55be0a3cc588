"""Distillation: networks of a finished run, the teacher, whose predictions other networks learn.

No network learns from a teacher that was trained on one of its held-out rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.models.registry import build_with_weights
from digit_recognizer.recipes.recipe import Recipe, network_recipes
from digit_recognizer.tracking.compare import check_finished
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.tracking.run_dir import network_folder, read_predictions
from digit_recognizer.training.cross_validation import NetworkSpec
from digit_recognizer.utils.arrays import read_arrays


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network of the teacher run."""

    model: str
    folder: Path
    held_out: np.ndarray  # (n,) int: the rows of train.csv that it was not trained on
    weights: dict[str, np.ndarray]

    def build(self) -> Any:
        """Returns the Keras model, not trainable. Raises InputError when the weights are another network's."""
        network = build_with_weights(self.model, self.weights, self.folder)
        network.trainable = False
        return network


def load_teachers(ledger: Ledger, recipe: Recipe, train_hash: str) -> tuple[Recipe, tuple[Teacher, ...]]:
    """Returns the recipe with the full name of its teacher run, and the networks of that run.

    Raises InputError when the run is unknown or not finished, was trained on another train.csv, has no networks or has
    lost them, or when either recipe resizes the images.
    """
    if not recipe.teacher:
        return recipe, ()
    try:
        run = ledger.run(recipe.teacher)
        check_finished(run)
    except InputError as error:
        raise InputError(f"teacher: {error}") from error
    if run.train_hash != train_hash:
        raise InputError(
            f"teacher {run.name} was trained on another train.csv, perhaps on rows that are held out here. "
            "Name a run of this train.csv."
        )
    rows = ledger.networks(run.id)
    if not rows or run.is_blend:
        raise InputError(f"teacher {run.name} has no networks of its own. Name a run that trained networks.")
    if any(network.fit != "pad" for either in (recipe, run.recipe) for network in network_recipes(either)):
        raise InputError('teacher: digits must have the same size for teacher and student; both need fit = "pad".')
    teachers = []
    try:
        for row in rows:
            folder = network_folder(run.folder, row.name, len(rows))
            held_out, weights = read_predictions(folder).rows, read_arrays(folder / "weights.npz")
            teachers.append(Teacher(row.model, folder, held_out, weights))
    except InputError as error:
        raise InputError(f"teacher {run.name}: {error} Then name the new run as teacher.") from error
    return replace(recipe, teacher=run.name), tuple(teachers)


def teachers_of(network: NetworkSpec, teachers: Sequence[Teacher]) -> list[Teacher]:
    """Returns the teachers that were not trained on the network's held-out rows.

    A network without held-out rows has those that were trained on all rows, or else all teachers. Raises InputError
    when there are teachers and none is allowed.
    """
    if not len(network.held_out):
        return [teacher for teacher in teachers if not len(teacher.held_out)] or list(teachers)
    allowed = [teacher for teacher in teachers if np.isin(network.held_out, teacher.held_out).all()]
    if teachers and not allowed:
        raise InputError(
            f"each network of the teacher was trained on rows that {network.name} is validated on. Set seed, and folds "
            "or validation, as in the teacher's recipe, or hold out no rows with full = true or validation = 0."
        )
    return allowed
