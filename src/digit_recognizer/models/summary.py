"""What a built network consists of, as records: the table of `digits models NAME`."""

from dataclasses import dataclass
from math import prod
from typing import Any


@dataclass(frozen=True)
class Layer:
    """One layer: its output's shape without the batch, its weights, its multiply-adds for one image."""

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    multiply_adds: int


def layer_table(model: Any) -> list[Layer]:
    """The layers of a built Keras model, in order."""
    return [
        Layer(
            layer.name,
            type(layer).__name__,
            tuple(layer.output.shape[1:]),
            layer.count_params(),
            _multiply_adds(layer),
        )
        for layer in model.layers
    ]


def _multiply_adds(layer: Any) -> int:
    """A convolution applies its kernels at each place of its output, a dense layer once."""
    for name in ("kernel", "kernels", "centres"):
        if hasattr(layer, name):
            return prod(getattr(layer, name).shape) * prod(layer.output.shape[1:-1])
    return 0
