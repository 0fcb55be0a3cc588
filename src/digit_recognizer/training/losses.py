"""The losses, functions of (n, 10) one-hot labels and logits."""

from typing import Any

import keras
from keras import ops

_RUBBISH = 1.0  # j of equation (9): "a positive constant", whose value is not in the paper


def loss_of(name: str, label_smoothing: float) -> Any:
    """Returns a recipe's loss by name: "cross-entropy", with label smoothing, or "map"."""
    if name == "map":
        return map_loss
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)


def map_loss(one_hot: Any, logits: Any) -> Any:
    """Equation (9): y_D + log(e^-j + sum_i e^-y_i), y_i = -logits: a cross-entropy with an eleventh, rubbish class.

    It decreases the distance of the right digit, and increases those of the others up to about j.
    """
    rubbish = ops.full_like(logits[:, :1], -_RUBBISH)
    with_rubbish = ops.concatenate([logits, rubbish], axis=1)
    targets = ops.concatenate([one_hot, ops.zeros_like(one_hot[:, :1])], axis=1)
    return keras.losses.categorical_crossentropy(targets, with_rubbish, from_logits=True)
