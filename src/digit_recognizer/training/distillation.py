"""Distillation: which networks of a finished run, the teacher, may teach which networks in training.

A network that was trained on a row never teaches one that is validated on it.
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
    """A trained network of the run that teaches."""

    model: str
    folder: Path
    held_out: np.ndarray  # (n,) int: the rows of train.csv it never saw
    split: str  # the settings that held them out
    weights: dict[str, np.ndarray]

    def build(self) -> Any:
        """The Keras model, not trainable. Raises InputError when the weights are another network's."""
        network = build_with_weights(self.model, self.weights, self.folder)
        network.trainable = False
        return network


def load_teachers(ledger: Ledger, recipe: Recipe, train_hash: str) -> tuple[Recipe, tuple[Teacher, ...]]:
    """The recipe with the full name of its teacher run, and the networks of that run.

    Raises InputError when the run is unknown or not finished, was trained on another train.csv, has no networks or has
    lost them, or when one of the two recipes resizes the images and the other pads them.
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
            f"teacher {run.name} was trained on another train.csv and may know the rows that are held out here. "
            "Name a run of this one."
        )
    rows = ledger.networks(run.id)
    if not rows or run.is_blend:
        raise InputError(f"teacher {run.name} has no networks of its own. Name a run that trained some.")
    own = run.recipe
    if any(network.fit != "pad" for either in (recipe, own) for network in network_recipes(either)):
        raise InputError('teacher: it must see a digit as large as its student does; both need fit = "pad".')
    split = f"seed {own.seed}, {f'folds {own.folds}' if own.folds else f'validation {own.validation:g}'}"
    try:
        teachers = tuple(_load(row.model, network_folder(run.folder, row.name, len(rows)), split) for row in rows)
    except InputError as error:
        raise InputError(f"teacher {run.name}: {error} Then name the new run as teacher.") from error
    return replace(recipe, teacher=run.name), teachers


def _load(model: str, folder: Path, split: str) -> Teacher:
    return Teacher(model, folder, read_predictions(folder).rows, split, read_arrays(folder / "weights.npz"))


def check_teachers(networks: Sequence[NetworkSpec], teachers: Sequence[Teacher]) -> None:
    """Raise InputError when a network has no teacher among `teachers`, or a teacher's weights do not fit its model."""
    for network in networks:
        teachers_of(network, teachers)
    for teacher in teachers:
        teacher.build()


def teachers_of(network: NetworkSpec, teachers: Sequence[Teacher]) -> list[Teacher]:
    """The teachers that never saw the network's held-out rows; without such rows those that saw all rows, if any did.

    Raises InputError when there are teachers and none may teach.
    """
    if not len(network.held_out):
        return [teacher for teacher in teachers if not len(teacher.held_out)] or list(teachers)
    allowed = [teacher for teacher in teachers if np.isin(network.held_out, teacher.held_out).all()]
    if teachers and not allowed:
        raise InputError(
            f"no network of the teacher held out all rows on which {network.name} is validated. Use the settings that "
            f"the teacher was trained with, {teachers[0].split}; one that held out no rows teaches only with `full` or "
            "validation = 0."
        )
    return allowed
