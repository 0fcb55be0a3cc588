"""Batch normalisation before each ReLU while training, and none of it afterwards.

A normalisation between a linear layer and its ReLU is itself linear once training is over, so it folds
into the layer's weights exactly (up to rounding): the network that predicts is the one of the table.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from ..errors import InputError

_SUFFIX = "_norm"
# Keras's 0.99 remembers 100 batches: longer than a short training lasts.
_MOMENTUM = 0.9


def insert(model: Any) -> Any:
    """`model` with a batch normalisation between each linear layer and its ReLU; weights start afresh.

    Raises InputError when no layer of the model has a ReLU to normalise.
    """
    configs = [layer.get_config() for layer in model.layers]
    if all(config.get("activation") != "relu" for config in configs):
        raise InputError("batch_norm: this model has no ReLU to put one before; use --set batch_norm=false.")
    layers = [keras.layers.Input(model.input_shape[1:])]
    for layer, config in zip(model.layers, configs, strict=True):
        if config.get("activation") == "relu":
            layers += [
                type(layer).from_config({**config, "activation": "linear"}),
                keras.layers.BatchNormalization(momentum=_MOMENTUM, name=layer.name + _SUFFIX),
                keras.layers.ReLU(name=layer.name + "_relu"),
            ]
        else:
            layers.append(type(layer).from_config(config))
    return keras.Sequential(layers)


def measure(normalised: Any, batches: Iterable[np.ndarray]) -> None:
    """Set all means and variances anew to their averages over `batches`, as the final weights make them.

    The moving ones lag behind the weights, most of all in a short training.
    """
    norms = [layer for layer in normalised.layers if layer.name.endswith(_SUFFIX)]
    for count, batch in enumerate(batches, start=1):
        for norm in norms:
            norm.momentum = 1 - 1 / count  # the moving average becomes the plain one
        normalised(batch, training=True)


def fold(normalised: Any, plain: Any) -> Any:
    """Give `plain` the weights of `normalised` = insert(plain) after training, the normalisations folded in."""
    names = {layer.name for layer in normalised.layers}
    for layer in plain.layers:
        weights = normalised.get_layer(layer.name).get_weights()
        if layer.name + _SUFFIX in names:
            norm = normalised.get_layer(layer.name + _SUFFIX)
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + norm.epsilon)
            kernel, bias = weights  # output channels come last in both
            weights = [kernel * scale, (bias - mean) * scale + beta]
        layer.set_weights(weights)
    return plain
