"""All that labels images in a run as one Keras model, in Keras's own layers alone: pixels in, probabilities out.

Comes in: voices. Goes out: a model. Refuses to know files and what else can run it.
"""

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
from digit_recognizer.models.standard_layers import builtin

_AS_IT_IS = 1, 1  # one of the nine places of an image in itself with a margin of 1


def merge_networks(voices: Sequence[TrainedNetwork], widened: bool = False) -> Any:
    """The model from `pixels`, (n, 28, 28) uint8, ink 255, to `probabilities`, (n, 10) float32.

    The same function as `engines.by_keras`: images brought to size, test-time augmentation and the average over all
    networks are inside. `widened` as for `builtin`. Raises InputError when weights are another network's.
    """
    pixels = Input((SIDE, SIDE), dtype="uint8", name="pixels")

    @cache  # networks share what they look at
    def looks(side: int, fit: str, tta: str) -> list[Any]:
        return _variants(_image(pixels, side, fit), side, tta)

    said = []
    for number, voice in enumerate(voices, start=1):
        network = builtin(voice.network(), widened)
        network.name = f"network_{number}"
        logits = [
            network(image) for image in looks(MODELS[voice.recipe.model].side, voice.recipe.fit, voice.recipe.tta)
        ]
        said.append(layers.Rescaling(voice.weight)(_of(layers.Average(), logits)))
    return Model(pixels, layers.Softmax(name="probabilities")(_of(layers.Add(), said)))


def _of(layer: Any, parts: Sequence[Any]) -> Any:
    return layer(parts) if len(parts) > 1 else parts[0]


def _image(pixels: Any, side: int, fit: str) -> Any:
    """As `to_images`."""
    image = layers.Reshape((SIDE, SIDE, 1))(layers.Rescaling(1 / 255)(pixels))  # in this order, as in `builtin`
    if side != SIDE and fit == "resize":
        dots = np.eye(SIDE**2, dtype=np.uint8)
        return _linear(image, to_images(dots, side, fit) * 255)
    before = (side - SIDE) // 2
    return layers.ZeroPadding2D([(before, side - SIDE - before)] * 2)(image) if side != SIDE else image


def _variants(image: Any, side: int, tta: str) -> list[Any]:
    """As `augment.variants`."""
    found = [image]
    if tta in ("shift", "rotate"):
        margin = layers.ZeroPadding2D(1)(image)
        places = [place for place in product((0, 1, 2), repeat=2) if place != _AS_IT_IS]
        found += [layers.Cropping2D([(row, 2 - row), (column, 2 - column)])(margin) for row, column in places]
    if tta == "rotate":
        dots = np.eye(side**2, dtype=np.float32).reshape(-1, side, side, 1)
        found += [_linear(image, turned) for turned in list(tta_views(dots, tta))[len(found) :]]
    return found


def _linear(image: Any, of_dots: np.ndarray) -> Any:
    """What becomes of an image, told by what becomes of each of its pixels alone, (n, side, side, 1)."""
    n, side = len(of_dots), of_dots.shape[1]
    product = layers.Dense(side**2, use_bias=False, trainable=False)
    moved = product(layers.Reshape((n,))(image))
    product.set_weights([of_dots.reshape(n, side**2)])
    return layers.Reshape((side, side, 1))(moved)
