"""What a finished run labels images with: its networks, and how much each has to say. Loads no Keras."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.models.registry import build_with_weights
from digit_recognizer.recipes.recipe import Recipe, from_record, network_recipe
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.compare import check_finished
from digit_recognizer.tracking.ledger import Ledger, Row


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network."""

    recipe: Recipe  # by which its images are brought to size, and predictions for changed ones averaged
    folder: Path
    weights: dict[str, np.ndarray]
    weight: float  # of the average of log-probabilities; all add up to 1

    def network(self) -> Any:
        """The network itself. Raises InputError when the weights are another's."""
        return build_with_weights(self.recipe.model, self.weights, self.folder)


def load_networks(book: Ledger, run: Row, share: float = 1.0) -> list[TrainedNetwork]:
    """The networks that label test.csv in a run, or in the runs of a blend.

    Raises InputError when the run is not finished, or its networks are gone or damaged.
    """
    check_finished(run)
    if run["kind"] == "blend":
        weights = json.loads(run["recipe"])["runs"]
        total = sum(weights.values())
        parts = [
            load_networks(book, book.run(name), share * weight / total) for name, weight in weights.items() if weight
        ]
        return [voice for part in parts for voice in part]
    recipe = from_record(json.loads(run["recipe"]))
    members = book.members(run["id"])
    heard = [row for row in members if row["fold"] is None or not recipe.full]
    if not heard:
        raise InputError(f"run {run['name']} has no networks. Name one that trained some.")
    found = []
    for row in heard:
        folder = run_dir.member_folder(run_dir.folder_of(run), row["name"], len(members))
        weights = run_dir.read_arrays(folder / "weights.npz")
        found.append(TrainedNetwork(network_recipe(recipe, row["name"]), folder, weights, share / len(heard)))
    return found
