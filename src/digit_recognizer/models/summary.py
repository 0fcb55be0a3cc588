"""The layers of a built network as records, for the table of `digits models NAME`."""

from dataclasses import dataclass
from math import prod
from typing import Any


@dataclass(frozen=True)
class Layer:
    """A layer: its output shape without the batch, its number of weights, and its multiply-adds for one image."""

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    multiply_adds: int


def layer_table(model: Any) -> list[Layer]:
    """Returns the layers of a built Keras model, in order."""
    return [_layer(layer) for layer in model.layers]


def _layer(layer: Any) -> Layer:
    kernels = [getattr(layer, name) for name in ("kernel", "kernels", "centres") if hasattr(layer, name)]
    shape = tuple(layer.output.shape[1:])
    multiply_adds = sum(prod(kernel.shape) * prod(shape[:-1]) for kernel in kernels)  # a kernel at each position
    return Layer(layer.name, type(layer).__name__, shape, layer.count_params(), multiply_adds)
