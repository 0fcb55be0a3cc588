"""A finished run as teacher: which of its networks may teach which of those to be trained.

One that was trained on a row may not teach a network that is judged by this row.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.models.registry import build_with_weights
from digit_recognizer.recipes.recipe import Recipe, from_record, network_recipes
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.compare import check_finished
from digit_recognizer.tracking.ledger import Ledger, Row
from digit_recognizer.training.cross_validation import NetworkSpec


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network of a run."""

    model: str
    folder: Path
    held_out: np.ndarray  # (n,) int: the rows of train.csv it never saw
    split: str  # the options that held them out
    weights: dict[str, np.ndarray]

    def network(self) -> Any:
        """The network itself, which learns no more. Raises InputError when the weights are another's."""
        network = build_with_weights(self.model, self.weights, self.folder)
        network.trainable = False
        return network


def load_teachers(book: Ledger, recipe: Recipe, train_hash: str) -> tuple[Recipe, tuple[Teacher, ...]]:
    """The networks of the run that `recipe` names as teacher, and the recipe with that run's full name.

    Raises InputError when the run is not known or finished, was made of another train.csv, has no networks or has lost
    them, or when one side enlarges the images and the other puts paper around.
    """
    if not recipe.teacher:
        return recipe, ()
    try:
        run = book.run(recipe.teacher)
        check_finished(run)
    except InputError as error:
        raise InputError(f"teacher: {error}") from error
    if run["train_hash"] != train_hash:
        raise InputError(
            f"teacher {run['name']} was trained on another train.csv and may know the rows that are held out here. "
            "Name a run of this one."
        )
    members = book.members(run["id"])
    if not members or run["kind"] == "blend":
        raise InputError(f"teacher {run['name']} has no networks of its own. Name a run that trained some.")
    taught = from_record(json.loads(run["recipe"]))
    if any(own.fit != "pad" for one in (recipe, taught) for own in network_recipes(one)):
        raise InputError('teacher: it must see a digit as large as its student does; both need fit = "pad".')
    folder = run_dir.folder_of(run)
    part = f"--folds {taught.folds}" if taught.folds else f"--validation {taught.validation:g}"
    try:
        teachers = tuple(
            _teacher(
                member, run_dir.member_folder(folder, member["name"], len(members)), f"--seed {taught.seed} {part}"
            )
            for member in members
        )
    except InputError as error:
        raise InputError(f"teacher {run['name']}: {error} Then name the new run as teacher.") from error
    return replace(recipe, teacher=run["name"]), teachers


def _teacher(member: Row, folder: Path, split: str) -> Teacher:
    rows = run_dir.read_probabilities(folder)[0]
    return Teacher(member["model"], folder, rows, split, run_dir.read_arrays(folder / "weights.npz"))


def check_teachers(members: Sequence[NetworkSpec], teachers: Sequence[Teacher]) -> None:
    """Raise InputError when a member has no teacher among `teachers`, or one's weights are not its network's."""
    for member in members:
        teachers_of(member, teachers)
    for teacher in teachers:
        teacher.network()


def teachers_of(member: NetworkSpec, teachers: Sequence[Teacher]) -> list[Teacher]:
    """Those that never saw the rows `member` is judged by; where it is judged by none, those that saw all, if any did.

    Raises InputError when there are teachers and none may.
    """
    if not len(member.held_out):
        return [teacher for teacher in teachers if not len(teacher.held_out)] or list(teachers)
    fit = [teacher for teacher in teachers if np.isin(member.held_out, teacher.held_out).all()]
    if teachers and not fit:
        raise InputError(
            f"no network of the teacher has left out all rows that {member.name} is judged by. Use the options "
            f"that the teacher was trained with, {teachers[0].split}; one that held out no rows teaches only with "
            "--full or validation = 0."
        )
    return fit
