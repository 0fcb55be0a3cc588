"""A network with augmented input: the images are on the device, where each training step gathers and augments them.

The random numbers are inputs: before each epoch `fit` draws them, by `data.augmentation.draw_coefficients` from
`default_rng((seed, epoch, 1))` with the seed of the network's recipe. Pure Keras, so that every backend computes the
same images.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from digit_recognizer.data.augmentation import coordinate_basis

_BORDER = 1  # pixel of zeros around the images, so that bilinear interpolation fades to 0 at the edge
# TensorFlow does not place int32 variables on a GPU, and PyTorch has few operations for uint32.
_FOUR_BYTES = "uint32" if keras.backend.backend() == "tensorflow" else "int32"


class AugmentedModel(keras.Model):  # type: ignore[misc]
    """`network` applied to augmented rows of its `images`, (n, side, side, 1) float32 in [0, 1].

    The input is a dict of "rows", (batch,) int32, and "coefficients", (batch, 2, k) float32, of
    `data.augmentation.draw_coefficients`. With `teachers`, networks that are not trainable, the loss includes the
    cross-entropy with their predictions of the same augmented images, weighted by `teacher_weight` (Hinton, Vinyals,
    Dean 2015).
    """

    def __init__(
        self, network: Any, images: np.ndarray, teachers: Sequence[Any] = (), teacher_weight: float = 0.0
    ) -> None:
        super().__init__(name="presented")
        self.network, self.teachers, self.teacher_weight = network, list(teachers), teacher_weight
        packed = pack_pixels(images)
        self.packed = self.add_weight(
            packed.shape, lambda shape, dtype: packed, _FOUR_BYTES, trainable=False, autocast=False, name="frames"
        )

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        images = sample_augmented(self.packed, inputs["rows"], inputs["coefficients"])
        logits = self.network(images, training=training)
        if training and self.teachers:
            targets = average_probabilities(self.teachers, images)
            losses = keras.losses.categorical_crossentropy(targets, logits, from_logits=True)
            self.add_loss(self.teacher_weight * ops.mean(losses))
        return logits


def average_probabilities(networks: Sequence[Any], images: Any) -> Any:
    """Returns the normalised geometric mean, (n, 10), of the networks' probabilities of (n, side, side, 1) images.

    Images are cropped or padded with zeros to the side of each network.
    """
    logits = [network(_crop_or_pad(images, network.input_shape[1]), training=False) for network in networks]
    return ops.softmax(sum(ops.log_softmax(own) for own in logits) / len(logits))


def _crop_or_pad(images: Any, side: int) -> Any:
    edge = (side - images.shape[1]) // 2
    if edge < 0:
        return images[:, -edge:edge, -edge:edge]
    return ops.pad(images, ((0, 0), (edge, edge), (edge, edge), (0, 0)))


def pack_pixels(images: np.ndarray) -> np.ndarray:
    """Packs (n, side, side, 1) float32 in [0, 1] into (n, side + 2, side + 2) int32 or uint32, padded with zeros.

    Each integer has four pixels, a byte each: a pixel, its right neighbour and the two below them, so that one gather
    yields all values for bilinear interpolation. Pixels are rounded to the 256 levels of the CSV.
    """
    around = (_BORDER, _BORDER + 1)  # one more below and to the right, for the neighbours of the last pixels
    pixels = np.pad(np.rint(images[..., 0] * 255).astype(np.uint8), ((0, 0), around, around))
    four = [pixels[:, :-1, :-1], pixels[:, :-1, 1:], pixels[:, 1:, :-1], pixels[:, 1:, 1:]]
    return np.stack(four, axis=-1).view(_FOUR_BYTES)[..., 0]


def sample_augmented(packed: Any, rows: Any, coefficients: Any) -> Any:
    """Returns the `rows`, (n,) int, of `packed` images with augmentation applied: (n, side, side, 1) float32 in [0, 1].

    The result is that of `data.augmentation.apply_augmentation`, computed in one bilinear gather.
    """
    width = packed.shape[-1]
    side = width - 2 * _BORDER
    source = ops.matmul(coefficients, coordinate_basis(side)) + (side - 1) / 2 + _BORDER  # (n, 2, side * side)
    source = ops.clip(source, 0, width - 1)
    corner = ops.cast(source, "int32")  # rounded down
    part = source - ops.cast(corner, "float32")
    down, right = part[:, 0], part[:, 1]
    place = rows[:, None] * width**2 + corner[:, 0] * width + corner[:, 1]
    four = ops.take(ops.reshape(packed, (-1,)), place, axis=0)
    upper = _ink(four, 0) + right * (_ink(four, 1) - _ink(four, 0))
    lower = _ink(four, 2) + right * (_ink(four, 3) - _ink(four, 2))
    return ops.reshape(upper + down * (lower - upper), (-1, side, side, 1)) / 255


def _ink(four: Any, which: int) -> Any:
    """Returns one of the four pixels of four bytes, 0 to 255, as float32."""
    return ops.cast(ops.bitwise_and(ops.right_shift(four, 8 * which), 255), "float32")
