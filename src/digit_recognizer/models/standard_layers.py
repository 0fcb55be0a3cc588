"""A trained network as the same function in Keras's own layers, so that its file needs no code of this package."""

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from keras import Sequential, layers

from digit_recognizer.models.lenet5_1998_layers import SparseConvolution, Subsampling, SymbolDistance, squash

Part = tuple[Any, list[np.ndarray]]  # a layer, and its weights
_LANES = 32  # maps that a processor's vectors compute no slower than a few


def to_standard_layers(network: Any, widened: bool = False) -> Any:
    """A new `keras.Sequential` from (n, side, side, 1) images to logits (n, 10), whose softmax is that of `network`.

    With `widened`, a convolution to few maps and the averages of their 2x2 blocks become one of stride 2 to four times
    as many maps, whose means are taken: the same function up to rounding, and faster on a CPU (docs/benchmarks.md).
    """
    parts = [part for layer in network.layers for part in _parts(layer)]
    found = Sequential([layers.Input(network.input_shape[1:])])
    for layer, weights in _widened(parts) if widened else parts:
        found.add(layer)
        layer.set_weights(weights)
    return found


def _parts(layer: Any) -> list[Part]:
    """Keras's own layers for a layer of the zoo."""
    weights, config = layer.get_weights(), layer.get_config()
    if isinstance(layer, Subsampling):
        coefficient, bias = weights
        kernel = np.tile(coefficient[:, np.newaxis], (2, 2, 1, 1))
        return [(layers.DepthwiseConv2D(2, strides=2, name=layer.name), [kernel, bias]), *_squashed()]
    if isinstance(layer, SparseConvolution):
        kernel = (weights[0] @ layer.places).reshape(5, 5, 6, 16)
        return [(layers.Conv2D(16, 5, name=layer.name), [kernel, weights[1]]), *_squashed()]
    if isinstance(layer, SymbolDistance):  # -|x - c|^2 = 2 c.x - |c|^2 - |x|^2, of which the last is the same for all
        centres = layer.centres
        return [(layers.Dense(len(centres), name=layer.name), [2 * centres.T, -np.square(centres).sum(axis=1)])]
    if (
        isinstance(layer, layers.Rescaling) and layer.output.shape[-1] == 1
    ):  # ONNX Runtime is slow by far where the last axis is of one
        plane = layer.output.shape[1:3]
        return [
            (layers.Reshape(plane), []),
            (layers.Rescaling.from_config(config), []),
            (layers.Reshape((*plane, 1)), []),
        ]
    if getattr(layer, "activation", None) is squash:
        return [(type(layer).from_config({**_plain(config), "activation": "linear"}), weights), *_squashed()]
    return [(type(layer).from_config(_plain(config)), weights)]


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a layer without how its weights began, which may be code of ours."""
    return {key: value for key, value in config.items() if not key.endswith("_initializer")}


def _squashed() -> list[Part]:
    return [(layers.Rescaling(2 / 3), []), (layers.Activation("tanh"), []), (layers.Rescaling(1.7159), [])]


def _is_plain(layer: Any) -> bool:
    """Whether a layer is a convolution at every place that its kernel fits in."""
    settings = {"strides": (1, 1), "dilation_rate": (1, 1), "padding": "valid", "groups": 1, "use_bias": True}
    config = layer.get_config()
    return type(layer) is layers.Conv2D and all(config[key] == value for key, value in settings.items())


def _halves(layer: Any) -> bool:
    """Whether a layer takes the means of 2x2 blocks side by side."""
    is_mean = type(layer) is layers.AveragePooling2D and layer.padding == "valid"
    return is_mean and layer.pool_size == layer.strides == (2, 2)


def _widened(parts: Sequence[Part]) -> list[Part]:
    found = list(parts)
    for place, ((conv, weights), (pool, _)) in enumerate(pairwise(parts)):
        if _is_plain(conv) and _halves(pool) and 4 * conv.filters <= _LANES:
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
