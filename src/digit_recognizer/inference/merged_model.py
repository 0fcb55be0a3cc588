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

_NO_SHIFT = 1, 1  # the offset of the image itself within a margin of 1


def merge_networks(networks: Sequence[TrainedNetwork], widened: bool = False) -> Any:
    """The model from `pixels`, (n, 28, 28) uint8, ink 255, to `probabilities`, (n, 10) float32.

    It computes the same as `engines.keras_predictor`: it includes resizing, test-time augmentation and the average.
    `widened` is as for `to_standard_layers`. Raises InputError when weights do not fit the model.
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
        basis = np.eye(SIDE**2, dtype=np.uint8)
        return _linear(image, to_images(basis, side, fit) * 255)
    before = (side - SIDE) // 2
    return layers.ZeroPadding2D([(before, side - SIDE - before)] * 2)(image) if side != SIDE else image


def _views(image: Any, side: int, tta: str) -> list[Any]:
    """As `data.augmentation.tta_views`."""
    found = [image]
    if tta in ("shift", "rotate"):
        margin = layers.ZeroPadding2D(1)(image)
        offsets = [offset for offset in product((0, 1, 2), repeat=2) if offset != _NO_SHIFT]
        found += [layers.Cropping2D([(row, 2 - row), (column, 2 - column)])(margin) for row, column in offsets]
    if tta == "rotate":
        basis = np.eye(side**2, dtype=np.float32).reshape(-1, side, side, 1)
        found += [_linear(image, rotated) for rotated in list(tta_views(basis, tta))[len(found) :]]
    return found


def _linear(image: Any, basis_images: np.ndarray) -> Any:
    """Apply a linear map, given by what it makes of each of the n pixels, (n, side, side, 1)."""
    n, side = len(basis_images), basis_images.shape[1]
    product = layers.Dense(side**2, use_bias=False, trainable=False)
    mapped = product(layers.Reshape((n,))(image))
    product.set_weights([basis_images.reshape(n, side**2)])
    return layers.Reshape((side, side, 1))(mapped)
