"""Networks with made-up weights, as a finished run would have them, and images to show them."""

from pathlib import Path

import numpy as np

from digit_recognizer.inference.load import TrainedNetwork
from digit_recognizer.models.registry import MODELS, network_weights
from digit_recognizer.recipes.recipe import Recipe, change

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (130, 784), dtype=np.uint8)  # 130: two whole batches and a part of one


def made_up(model="lenet5", weight=1.0, **fields):
    """A network. Weights are spread out, biases with them, so that each matters."""
    rng = np.random.default_rng(0)
    weights = {
        name: values + 0.05 * rng.standard_normal(values.shape, np.float32)
        for name, values in network_weights(MODELS[model].build(dropout=0.0)).items()
    }
    return TrainedNetwork(change(Recipe(model), fields), Path(model), weights, weight)
