"""The zoo: MODELS maps a name to its builder and the facts one wants before building it.

Every builder takes `dropout` (rate in [0, 1), 0 leaves the layer out) and returns a new,
untrained `keras.Sequential` from images, (n, side, side, 1) float32 in [0, 1], to logits, (n, 10) float32.
Softmax belongs to the loss and to `predict`. Builders import Keras when called, so that this list
can be read without loading it. To add a model: a builder in a file of its family, a row here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.models import convnets, lenet5, lenet5_1998

__all__ = ["MODELS", "Model", "build_with_weights", "network_weights"]


@dataclass(frozen=True)
class Model:
    """A builder and its facts; the tests count them again on the built network."""

    build: Callable[..., Any]
    side: int  # of the square input, in pixels
    weights: int  # all that are stored, without fixed constants
    multiply_adds: int  # of one image, through everything that has a kernel
    source: str
    relu: bool = True  # whether it has ReLUs, before which batch normalisation stands


MODELS = {
    "lenet5": Model(lenet5.lenet5, 32, 61_706, 416_520, "LeNet-5 as it is taught: average pooling, ReLU, softmax"),
    "lenet5-1998": Model(
        lenet5_1998.lenet5_1998, 32, 60_000, 326_520, "LeCun, Bottou, Bengio, Haffner 1998, to the letter", relu=False
    ),
    "lenet-28": Model(lenet5.lenet_28, 28, 44_426, 281_640, "LeNet on the 28x28 digits as they come"),
    "deep-cnn": Model(
        convnets.deep_cnn, 28, 471_914, 7_789_312, "four 3x3 convolutions and a wide dense layer, public notebooks"
    ),
    "simple-cnn": Model(convnets.simple_cnn, 28, 607_394, 777_328, "one convolution and a dense layer, tutorials"),
    "strided-cnn": Model(
        convnets.strided_cnn,
        28,
        325_578,
        15_162_752,
        "seven convolutions, two of stride 2, Chris Deotte's public kernel",
    ),
    "vgg-small": Model(
        convnets.vgg_small, 28, 140_138, 21_903_104, "pairs of 3x3 convolutions and a global maximum, after VGG"
    ),
    "wide-cnn": Model(convnets.wide_cnn, 28, 225_546, 2_510_080, "two wide convolutions and a dense layer, tutorials"),
}


def network_weights(network: Any) -> dict[str, np.ndarray]:
    """The weights of a network, by "layer/weight"."""
    named = [(layer, weight) for layer in network.layers for weight in layer.weights]
    return {f"{layer.name}/{weight.name}": np.asarray(weight) for layer, weight in named}


def build_with_weights(model: str, weights: dict[str, np.ndarray], place: Path) -> Any:
    """The network of MODELS with `weights` stored at a `place`, by "layer/weight".

    Raises InputError when they are not those of this network.
    """
    network = MODELS[model].build(dropout=0.0)
    try:
        for layer in network.layers:
            layer.set_weights([weights[f"{layer.name}/{weight.name}"] for weight in layer.weights])
    except (KeyError, ValueError) as error:
        raise InputError(f"{place}: not the weights of {model} ({error}). Repeat that run.") from error
    return network
