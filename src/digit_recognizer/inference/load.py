"""The networks of a finished run, and their weights in its predictions. Keras is not loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.models.registry import build_with_weights
from digit_recognizer.recipes.recipe import Recipe, network_recipe
from digit_recognizer.tracking.compare import check_finished
from digit_recognizer.tracking.ledger import Ledger
from digit_recognizer.tracking.run_dir import network_folder
from digit_recognizer.tracking.run_record import RunRecord
from digit_recognizer.utils.arrays import read_arrays


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network and its weight in the predictions of its run."""

    recipe: Recipe
    folder: Path
    weights: dict[str, np.ndarray]
    weight: float  # in the average of log-probabilities; those of all networks add up to 1

    def build(self) -> Any:
        """The Keras model. Raises InputError when the weights do not fit it."""
        return build_with_weights(self.recipe.model, self.weights, self.folder)


def load_networks(ledger: Ledger, run: RunRecord, weight: float = 1.0) -> list[TrainedNetwork]:
    """The networks that predict test.csv in a run, or in the runs of a blend.

    Raises InputError when the run is not finished, or its networks are missing or damaged.
    """
    check_finished(run)
    if run.is_blend:
        weights = {name: own for name, own in run.blend_weights.items() if own}
        total = sum(weights.values())
        parts = [load_networks(ledger, ledger.run(name), weight * own / total) for name, own in weights.items()]
        return [network for part in parts for network in part]
    recipe, rows = run.recipe, ledger.networks(run.id)
    predicting = [row for row in rows if row.fold is None or not recipe.full]
    if not predicting:
        raise InputError(f"run {run.name} has no networks. Name a run that trained some.")
    found = []
    for row in predicting:
        folder = network_folder(run.folder, row.name, len(rows))
        arrays = read_arrays(folder / "weights.npz")
        found.append(TrainedNetwork(network_recipe(recipe, row.name), folder, arrays, weight / len(predicting)))
    return found
