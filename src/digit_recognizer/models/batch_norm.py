"""Batch normalisation before each ReLU during training, folded into the weights afterwards.

After training, a normalisation between a linear layer and its ReLU is itself linear, so folding is exact up to
rounding, and the network that predicts is the one of MODELS.
"""

from collections.abc import Iterable
from math import prod
from typing import Any

import keras
import numpy as np
from keras import ops

_SUFFIX = "_norm"
_MOMENTUM = 0.9  # Keras's 0.99 averages over some 100 batches, more than a short training has
_EPSILON = 1e-3  # Keras's default


class BatchNorm(keras.layers.Layer):  # type: ignore[misc]
    """Batch normalisation (Ioffe, Szegedy 2015) of each channel; any shape (n, ..., channels) float32.

    The same function as Keras's layer, which sums and scales along the channels. LeNet-5 has 6, too few for a CPU's
    vector units. Here positions and channels are one long axis, and an epoch of LeNet-5 takes a quarter less.
    """

    def build(self, shape: tuple[Any, ...]) -> None:
        channels = (shape[-1],)
        self.gamma = self.add_weight(channels, "ones", name="gamma")
        self.beta = self.add_weight(channels, "zeros", name="beta")
        self.mean = self.add_weight(channels, "zeros", trainable=False, name="mean")
        self.variance = self.add_weight(channels, "ones", trainable=False, name="variance")
        self.shape, self.n_positions = (-1, *shape[1:]), prod(shape[1:-1])
        self.momentum = _MOMENTUM

    def call(self, x: Any, training: bool = False) -> Any:
        x = ops.reshape(x, (-1, self.n_positions * self.shape[-1]))
        mean, variance = self.mean, self.variance
        if training:
            mean = self._per_channel(x)
            variance = ops.maximum(self._per_channel(ops.square(x)) - ops.square(mean), 0)
            self.mean.assign(self.momentum * self.mean + (1 - self.momentum) * mean)
            self.variance.assign(self.momentum * self.variance + (1 - self.momentum) * variance)
        scale = self.gamma * ops.rsqrt(variance + _EPSILON)
        offset = self.beta - mean * scale
        return ops.reshape(x * ops.tile(scale, [self.n_positions]) + ops.tile(offset, [self.n_positions]), self.shape)

    def _per_channel(self, x: Any) -> Any:
        return ops.mean(ops.reshape(ops.mean(x, axis=0), (self.n_positions, -1)), axis=0)


def insert(model: Any) -> Any:
    """Returns `model` with a batch normalisation between each linear layer and its ReLU, and new initial weights."""
    layers = [keras.layers.Input(model.input_shape[1:])]
    for layer in model.layers:
        config = layer.get_config()
        if config.get("activation") == "relu":
            layers += [
                type(layer).from_config({**config, "activation": "linear", "use_bias": False}),  # beta is the bias
                BatchNorm(name=layer.name + _SUFFIX),
                keras.layers.ReLU(name=layer.name + "_relu"),
            ]
        else:
            layers.append(type(layer).from_config(config))
    return keras.Sequential(layers)


def measure(normalised: Any, batches: Iterable[np.ndarray]) -> None:
    """Set all means and variances to averages over `batches`, each (n, side, side, 1) float32 in [0, 1].

    The moving averages lag behind the weights, most in a short training, and include dropout's noise.
    """
    for count, batch in enumerate(batches, start=1):
        for layer in normalised.layers:
            is_norm = layer.name.endswith(_SUFFIX)
            if is_norm:
                layer.momentum = 1 - 1 / count  # so the moving average becomes the plain one
            batch = layer(batch, training=is_norm)


def fold(normalised: Any, plain: Any) -> None:
    """Set the weights of `plain` to those of `normalised` = insert(plain), with the normalisations folded in."""
    names = {layer.name for layer in normalised.layers}
    for layer in plain.layers:
        weights = normalised.get_layer(layer.name).get_weights()
        if layer.name + _SUFFIX in names:
            norm = normalised.get_layer(layer.name + _SUFFIX)
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / np.sqrt(variance + _EPSILON)
            (kernel,) = weights  # output channels are its last axis
            weights = [kernel * scale, beta - mean * scale]
        layer.set_weights(weights)
