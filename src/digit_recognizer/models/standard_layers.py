"""Conversion of a trained network to Keras's own layers, so that its file needs no code of this package."""

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from keras import Sequential, layers

from digit_recognizer.models.lenet5_1998_layers import SparseConvolution, Subsampling, SymbolDistance, squash

Part = tuple[Any, list[np.ndarray]]  # a layer, and its weights
_LANES = 32  # maps that a CPU's vector units compute as fast as a few


def to_standard_layers(network: Any, widened: bool = False) -> Any:
    """Returns a `keras.Sequential` from (n, side, side, 1) images to logits (n, 10), with the softmax of `network`.

    With `widened`, a convolution to few maps and the average pooling after it become a convolution of stride 2 to four
    times as many maps and their means: the same function up to rounding, and faster on a CPU (docs/benchmarks.md).
    """
    parts = [part for layer in network.layers for part in _parts(layer)]
    model = Sequential([layers.Input(network.input_shape[1:])])
    for layer, weights in _widened(parts) if widened else parts:
        model.add(layer)
        layer.set_weights(weights)
    return model


def _parts(layer: Any) -> list[Part]:
    """Returns Keras's own layers for a layer of MODELS."""
    weights, config = layer.get_weights(), layer.get_config()
    if isinstance(layer, Subsampling):
        coefficient, bias = weights
        kernel = np.tile(coefficient[:, np.newaxis], (2, 2, 1, 1))
        return [(layers.DepthwiseConv2D(2, strides=2, name=layer.name), [kernel, bias]), *_squashed()]
    if isinstance(layer, SparseConvolution):
        kernel = (weights[0] @ layer.places).reshape(5, 5, 6, 16)
        return [(layers.Conv2D(16, 5, name=layer.name), [kernel, weights[1]]), *_squashed()]
    if isinstance(layer, SymbolDistance):  # -|x - c|^2 = 2 c.x - |c|^2 - |x|^2; the last is the same for all digits
        centres = layer.centres
        return [(layers.Dense(len(centres), name=layer.name), [2 * centres.T, -np.square(centres).sum(axis=1)])]
    # ONNX Runtime is far slower with a last axis of length 1.
    if isinstance(layer, layers.Rescaling) and layer.output.shape[-1] == 1:
        plane = layer.output.shape[1:3]
        rescaling = layers.Rescaling.from_config(config)
        return [(layers.Reshape(plane), []), (rescaling, []), (layers.Reshape((*plane, 1)), [])]
    if getattr(layer, "activation", None) is squash:
        return [(type(layer).from_config({**_plain(config), "activation": "linear"}), weights), *_squashed()]
    return [(type(layer).from_config(_plain(config)), weights)]


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a layer without its initializers, which may be code of this package."""
    return {key: value for key, value in config.items() if not key.endswith("_initializer")}


def _squashed() -> list[Part]:
    return [(layers.Rescaling(2 / 3), []), (layers.Activation("tanh"), []), (layers.Rescaling(1.7159), [])]


def _has(layer: Any, kind: type, settings: dict[str, Any]) -> bool:
    return type(layer) is kind and all(getattr(layer, name) == value for name, value in settings.items())


def _widened(parts: Sequence[Part]) -> list[Part]:
    plain = {"strides": (1, 1), "dilation_rate": (1, 1), "padding": "valid", "groups": 1, "use_bias": True}
    halving = {"pool_size": (2, 2), "strides": (2, 2), "padding": "valid"}
    found = list(parts)
    for place, ((conv, weights), (pool, _)) in enumerate(pairwise(parts)):
        is_mean_of_conv = _has(conv, layers.Conv2D, plain) and _has(pool, layers.AveragePooling2D, halving)
        if is_mean_of_conv and 4 * conv.filters <= _LANES:
            kernel, bias = weights
            size, maps = len(kernel), conv.filters
            moved = np.zeros((size + 1, size + 1, kernel.shape[2], 4, maps), np.float32)
            for corner, (row, column) in enumerate(product((0, 1), repeat=2)):
                moved[row : row + size, column : column + size, :, corner] = kernel
            wide = layers.Conv2D(4 * maps, size + 1, strides=2, activation=conv.activation, name=conv.name)
            means = layers.Conv2D(maps, 1, use_bias=False, name=pool.name)
            found[place] = wide, [moved.reshape(size + 1, size + 1, -1, 4 * maps), np.tile(bias, 4)]
            found[place + 1] = means, [np.tile(np.eye(maps, dtype=np.float32) / 4, (4, 1))[np.newaxis, np.newaxis]]
    return found
