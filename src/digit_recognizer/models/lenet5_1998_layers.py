"""Layers of the 1998 paper that Keras does not have, and its tables: C3's connections and the bitmaps."""

from typing import Any

import keras
import numpy as np
from keras import ops

# Table I: the S2 maps that are the input of each of the 16 C3 maps.
C3_INPUTS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

# Figure 3: the characters' 7x12 bitmaps, the output's fixed centres. They follow public transcriptions of the figure,
# which is small, so single pixels may differ from those used in 1998.
BITMAPS = """
.#####.  ...##..  .#####.  #######  .#####.  .#####.  ..####.  #######  .#####.  .#####.
.......  ..###..  .......  .....##  .......  .......  .##....  .....##  ##...##  ##..###
..###..  .####..  .#####.  ....##.  .......  #######  ##.....  .....##  ##...##  ##...##
.##.##.  ...##..  ##...##  ...##..  .##..##  ##.....  ##.....  ....##.  ##...##  ##...##
##...##  ...##..  #....##  ..####.  .##..##  ##.....  ######.  ...##..  .#####.  ##..###
##...##  ...##..  ....##.  .....##  ###..##  .####..  ###..##  ...##..  ##...##  .######
##...##  ...##..  ..###..  .....##  ##...##  ..####.  ##...##  ..##...  ##...##  .....##
##...##  ...##..  .##....  .....##  ##...##  .....##  ##...##  ..##...  ##...##  .....##
.##.##.  ...##..  ##.....  ##...##  ##..###  ##...##  ###..##  ..##...  ##...##  ....##.
..###..  .######  #######  .#####.  .######  .#####.  .#####.  ..##...  .#####.  .####..
.......  .......  .......  .......  .....##  .......  .......  .......  .......  .......
.......  .......  .......  .......  .....##  .......  .......  .......  .......  .......
"""


def squash(x: Any) -> Any:
    """The paper's sigmoid, equation (6): 1.7159 tanh(2x/3), so that squash(+-1) = +-1."""
    return 1.7159 * ops.tanh(2 / 3 * x)


def uniform(fan_in: int) -> keras.initializers.Initializer:
    """Appendix A: initial weights are uniform in +-2.4 / fan-in."""
    return keras.initializers.RandomUniform(-2.4 / fan_in, 2.4 / fan_in)


def bitmaps() -> np.ndarray:
    """Returns the ten centres, (10, 84) float32, ink +1 and paper -1: the 7x12 bitmaps row by row."""
    rows = [line.split() for line in BITMAPS.split("\n") if line]
    digits = ["".join(row[digit] for row in rows) for digit in range(10)]
    return np.array([[1 if pixel == "#" else -1 for pixel in digit] for digit in digits], dtype=np.float32)


class Subsampling(keras.layers.Layer):  # type: ignore[misc]
    """S2, S4: the sum of each 2x2 block, times one coefficient per map, plus one bias per map, squashed."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        maps = (input_shape[-1],)
        self.coefficient = self.add_weight(shape=maps, initializer=uniform(4), name="coefficient")
        self.bias = self.add_weight(shape=maps, initializer="zeros", name="bias")

    def call(self, maps: Any) -> Any:
        sums = 4 * ops.average_pool(maps, 2)
        return squash(self.coefficient * sums + self.bias)


class SparseConvolution(keras.layers.Layer):  # type: ignore[misc]
    """C3: 16 maps, each a 5x5 convolution of 3, 4 or 6 of the 6 S2 maps; 60 kernels, 1,516 weights."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        pairs = [(source, target) for target, sources in enumerate(C3_INPUTS) for source in sources]
        # Row k of `places` puts kernel k at its (S2 map, C3 map) in a full 6x16 table.
        self.places = np.zeros((len(pairs), 6 * 16), dtype=np.float32)
        self.places[range(len(pairs)), [16 * source + target for source, target in pairs]] = 1
        limits = np.array([2.4 / (25 * len(C3_INPUTS[target])) for _, target in pairs], dtype=np.float32)
        unit = keras.initializers.RandomUniform(-1, 1)
        self.kernels = self.add_weight(
            shape=(5, 5, len(pairs)), initializer=lambda shape, dtype: unit(shape, dtype) * limits, name="kernels"
        )
        self.bias = self.add_weight(shape=(16,), initializer="zeros", name="bias")

    def call(self, maps: Any) -> Any:
        kernel = ops.reshape(ops.matmul(self.kernels, self.places), (5, 5, 6, 16))
        return squash(ops.conv(maps, kernel) + self.bias)


class SymbolDistance(keras.layers.Layer):  # type: ignore[misc]
    """The negative RBF output, equation (7): -||F6 - bitmap||^2 for each digit, the largest for the likeliest."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.centres = bitmaps()

    def call(self, f6: Any) -> Any:
        return -ops.sum(ops.square(ops.expand_dims(f6, 1) - self.centres), axis=-1)
