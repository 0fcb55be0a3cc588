"""Batch normalisation before each ReLU while training, and none of it afterwards.

A normalisation between a linear layer and its ReLU is itself linear once training is over, so it folds
into the layer's weights exactly (up to rounding): the network that predicts is the one of the table.
"""

from collections.abc import Iterable
from math import prod
from typing import Any

import keras
import numpy as np
from keras import ops

from digit_recognizer.errors import InputError

_SUFFIX = "_norm"
_MOMENTUM = 0.9  # Keras's 0.99 remembers 100 batches: longer than a short training lasts
_EPSILON = 1e-3  # as Keras's own


class BatchNorm(keras.layers.Layer):  # type: ignore[misc]
    """Batch normalisation (Ioffe, Szegedy 2015) of each channel; any shape (n, ..., channels) float32.

    The same function as Keras's layer. That one sums and scales along the channels, of which LeNet-5 has 6: too few
    for a processor's vectors. Here places and channels are one long axis, and an epoch of LeNet-5 takes a quarter less.
    """

    def build(self, shape: tuple[Any, ...]) -> None:
        channels = (shape[-1],)
        self.gamma = self.add_weight(channels, "ones", name="gamma")
        self.beta = self.add_weight(channels, "zeros", name="beta")
        self.mean = self.add_weight(channels, "zeros", trainable=False, name="mean")
        self.variance = self.add_weight(channels, "ones", trainable=False, name="variance")
        self.shape, self.n_places = (-1, *shape[1:]), prod(shape[1:-1])
        self.momentum = _MOMENTUM

    def call(self, x: Any, training: bool = False) -> Any:
        x = ops.reshape(x, (-1, self.n_places * self.shape[-1]))
        mean, variance = self.mean, self.variance
        if training:
            mean = self._per_channel(x)
            variance = ops.maximum(self._per_channel(ops.square(x)) - ops.square(mean), 0)
            self.mean.assign(self.momentum * self.mean + (1 - self.momentum) * mean)
            self.variance.assign(self.momentum * self.variance + (1 - self.momentum) * variance)
        scale = self.gamma * ops.rsqrt(variance + _EPSILON)
        offset = self.beta - mean * scale
        return ops.reshape(x * ops.tile(scale, [self.n_places]) + ops.tile(offset, [self.n_places]), self.shape)

    def _per_channel(self, x: Any) -> Any:
        return ops.mean(ops.reshape(ops.mean(x, axis=0), (self.n_places, -1)), axis=0)


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
                type(layer).from_config({**config, "activation": "linear", "use_bias": False}),  # beta is one
                BatchNorm(name=layer.name + _SUFFIX),
                keras.layers.ReLU(name=layer.name + "_relu"),
            ]
        else:
            layers.append(type(layer).from_config(config))
    return keras.Sequential(layers)


def measure(normalised: Any, batches: Iterable[np.ndarray]) -> None:
    """Set all means and variances anew to their averages over `batches`, each (n, side, side, 1) float32 in [0, 1],
    as the final weights make them.

    The moving ones lag behind the weights, most of all in a short training, and have seen dropout's noise.
    """
    for count, batch in enumerate(batches, start=1):
        for layer in normalised.layers:
            is_ours = layer.name.endswith(_SUFFIX)
            if is_ours:
                layer.momentum = 1 - 1 / count  # the moving average becomes the plain one
            batch = layer(batch, training=True) if is_ours else layer(batch)


def fold(normalised: Any, plain: Any) -> None:
    """Give `plain` the weights of `normalised` = insert(plain) after training, the normalisations folded in."""
    names = {layer.name for layer in normalised.layers}
    for layer in plain.layers:
        weights = normalised.get_layer(layer.name).get_weights()
        if layer.name + _SUFFIX in names:
            norm = normalised.get_layer(layer.name + _SUFFIX)
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + _EPSILON)
            (kernel,) = weights  # its output channels come last
            weights = [kernel * scale, beta - mean * scale]
        layer.set_weights(weights)
