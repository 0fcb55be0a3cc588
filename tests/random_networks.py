"""Networks with random weights, as of a finished run, and images for them."""

from pathlib import Path

import numpy as np

from digit_recognizer.inference.load import TrainedNetwork
from digit_recognizer.models.registry import MODELS, network_weights
from digit_recognizer.recipes.recipe import Recipe, change

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (130, 784), dtype=np.uint8)  # 130: two full batches and a part of one


def random_network(model="lenet5", weight=1.0, **fields):
    """Returns a network whose weights, biases included, are far enough from zero that each matters."""
    rng = np.random.default_rng(0)
    weights = {
        name: values + 0.05 * rng.standard_normal(values.shape, np.float32)
        for name, values in network_weights(MODELS[model].build(dropout=0.0)).items()
    }
    return TrainedNetwork(change(Recipe(model), fields), Path(model), weights, weight)
