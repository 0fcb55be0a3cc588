"""Random changes that leave a digit the digit it is, as functions of (images, seed, epoch)."""

from itertools import product

import numpy as np


def shift(images: np.ndarray, pixels: int, seed: int, epoch: int) -> np.ndarray:
    """Each image of (n, side, side, 1) moved by -pixels..pixels rows and columns at random; paper (0) moves in."""
    if pixels == 0:
        return images
    n, side = images.shape[:2]
    offsets = np.random.default_rng((seed, epoch, 1)).integers(-pixels, pixels + 1, size=(n, 2))

    def from_(offset: int) -> slice:
        return slice(max(offset, 0), side + min(offset, 0))

    shifted = np.zeros_like(images)
    for row, column in product(range(-pixels, pixels + 1), repeat=2):
        here = (offsets == (row, column)).all(axis=1)
        shifted[here, from_(-row), from_(-column)] = images[here, from_(row), from_(column)]
    return shifted
