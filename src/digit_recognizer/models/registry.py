"""MODELS, a table of the models with their builders and properties.

A builder takes `dropout` (rate in [0, 1), 0 leaves the layer out) and returns a new, untrained `keras.Sequential` from
images, (n, side, side, 1) float32 in [0, 1], to logits, (n, 10) float32. It imports Keras when called, so that this
table can be read without Keras. To add a model, add a builder to the file of its family and a row here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.models import convnets, lenet5_1998
from digit_recognizer.models.lenet5 import lenet
from digit_recognizer.utils.backend import start_backend
from digit_recognizer.utils.environment import require_backend

REGISTERED = "registered"  # the source of a model of the user


@dataclass(frozen=True)
class Model:
    """A builder and its properties, which the tests check on the built network."""

    build: Callable[..., Any]
    side: int  # of the square input, in pixels
    weights: int  # all that are stored, so without constants
    multiply_adds: int  # for one image, of all layers with a kernel
    source: str
    relu: bool = True  # whether it has ReLUs, which batch normalisation precedes


MODELS = {
    "lenet5": Model(partial(lenet, 32), 32, 61_706, 416_520, "LeNet-5 as it is taught: average pooling, ReLU, softmax"),
    "lenet5-1998": Model(
        lenet5_1998.lenet5_1998, 32, 60_000, 326_520, "LeCun, Bottou, Bengio, Haffner 1998, as published", relu=False
    ),
    "lenet-28": Model(partial(lenet, 28), 28, 44_426, 281_640, "LeNet-5 for 28x28 images, unpadded"),
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


def list_models() -> list[str]:
    """Returns the names of the models.

    Example: `dr.list_models()`
    """
    return list(MODELS)


def create_model(name: str, dropout: float = 0.0) -> Any:
    """Returns a new, untrained Keras model from (n, side, side, 1) float32 images in [0, 1] to (n, 10) logits.

    `dropout` is a rate in [0, 1); 0 leaves the layer out. Raises InputError for an unknown name, another rate, and a
    backend that is not installed.

    Example: `dr.create_model("lenet5").summary()`
    """
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}. The models: {', '.join(MODELS)}.")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout: expected a rate in [0, 1), received {dropout}.")
    require_backend()
    start_backend()
    return MODELS[name].build(dropout=dropout)


def register_model(name: str, input_size: int = 28) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function `(dropout=0.0) -> keras.Sequential` that builds a model of your own.

    The model maps (n, input_size, input_size, 1) images in [0, 1] to (n, 10) logits. Recipes of this process can then
    name it, without `batch_norm` and with one worker. `input_size` is at least 28. Raises InputError for a smaller one,
    and for a name that is taken.

    Example:

        import keras

        @dr.register_model("mine", input_size=28)
        def mine(dropout=0.0):
            return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])

        dr.train(dr.load_data("sample"), dr.Recipe("mine", epochs=5))
    """
    if name in MODELS:
        raise InputError(f"there already is a model {name!r}. Choose another name.")
    if input_size < 28:
        raise InputError(f"input_size: expected at least 28, the size of the images, received {input_size}.")

    def register(build: Callable[..., Any]) -> Callable[..., Any]:
        MODELS[name] = Model(build, input_size, 0, 0, REGISTERED, relu=False)
        return build

    return register


def network_weights(network: Any) -> dict[str, np.ndarray]:
    """Returns the weights of a network, by "layer/weight"."""
    return {f"{layer.name}/{weight.name}": np.asarray(weight) for layer in network.layers for weight in layer.weights}


def build_with_weights(model: str, weights: dict[str, np.ndarray], place: Path) -> Any:
    """Returns a model of MODELS with `weights`, by "layer/weight", that were read from `place`.

    Raises InputError when they are not weights of this model.
    """
    network = MODELS[model].build(dropout=0.0)
    try:
        for layer in network.layers:
            layer.set_weights([weights[f"{layer.name}/{weight.name}"] for weight in layer.weights])
    except (KeyError, ValueError) as error:
        raise InputError(f"{place}: not the weights of {model} ({error}). Repeat that run.") from error
    return network
