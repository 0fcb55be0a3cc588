"""All networks of a run as one Keras model of Keras's own layers, from pixels to probabilities."""

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from keras import Input, Model, layers

from digit_recognizer.data.augmentation import tta_views
from digit_recognizer.data.images import SIDE, to_images
from digit_recognizer.inference.load import TrainedNetwork
from digit_recognizer.models.registry import MODELS
from digit_recognizer.models.standard_layers import to_standard_layers

_AS_IT_IS = 1, 1  # one of the nine places of an image in itself with a margin of 1


def merge_networks(networks: Sequence[TrainedNetwork], widened: bool = False) -> Any:
    """The model from `pixels`, (n, 28, 28) uint8, ink 255, to `probabilities`, (n, 10) float32.

    It computes the same as `engines.keras_predictor`: resizing, test-time augmentation and the average are inside.
    `widened` is as for `to_standard_layers`. Raises InputError when weights are another network's.
    """
    pixels = Input((SIDE, SIDE), dtype="uint8", name="pixels")

    @cache  # networks share their inputs
    def views(side: int, fit: str, tta: str) -> list[Any]:
        return _views(_image(pixels, side, fit), side, tta)

    weighted = []
    for number, network in enumerate(networks, start=1):
        model, recipe = to_standard_layers(network.build(), widened), network.recipe
        model.name = f"network_{number}"
        logits = [model(view) for view in views(MODELS[recipe.model].side, recipe.fit, recipe.tta)]
        weighted.append(layers.Rescaling(network.weight)(_merge(layers.Average(), logits)))
    return Model(pixels, layers.Softmax(name="probabilities")(_merge(layers.Add(), weighted)))


def _merge(layer: Any, parts: Sequence[Any]) -> Any:
    return layer(parts) if len(parts) > 1 else parts[0]


def _image(pixels: Any, side: int, fit: str) -> Any:
    """As `data.images.to_images`."""
    image = layers.Reshape((SIDE, SIDE, 1))(
        layers.Rescaling(1 / 255)(pixels)
    )  # in this order, as in `to_standard_layers`
    if side != SIDE and fit == "resize":
        dots = np.eye(SIDE**2, dtype=np.uint8)
        return _linear(image, to_images(dots, side, fit) * 255)
    before = (side - SIDE) // 2
    return layers.ZeroPadding2D([(before, side - SIDE - before)] * 2)(image) if side != SIDE else image


def _views(image: Any, side: int, tta: str) -> list[Any]:
    """As `data.augmentation.tta_views`."""
    found = [image]
    if tta in ("shift", "rotate"):
        margin = layers.ZeroPadding2D(1)(image)
        places = [place for place in product((0, 1, 2), repeat=2) if place != _AS_IT_IS]
        found += [layers.Cropping2D([(row, 2 - row), (column, 2 - column)])(margin) for row, column in places]
    if tta == "rotate":
        dots = np.eye(side**2, dtype=np.float32).reshape(-1, side, side, 1)
        found += [_linear(image, turned) for turned in list(tta_views(dots, tta))[len(found) :]]
    return found


def _linear(image: Any, basis_images: np.ndarray) -> Any:
    """A linear map of an image, given by its images (n, side, side, 1) of each of the n pixels alone."""
    n, side = len(basis_images), basis_images.shape[1]
    product = layers.Dense(side**2, use_bias=False, trainable=False)
    moved = product(layers.Reshape((n,))(image))
    product.set_weights([basis_images.reshape(n, side**2)])
    return layers.Reshape((side, side, 1))(moved)
