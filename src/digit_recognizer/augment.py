"""Changes that leave a digit the digit it is: random ones as functions of (images, seed, epoch), and fixed ones.

A digit is never flipped: a mirrored 2 is no 2.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

_ANGLES = (-8.0, 8.0)  # degrees; less than people's hands differ by


def shift(images: np.ndarray, pixels: int, seed: int, epoch: int) -> np.ndarray:
    """Each image of (n, side, side, 1) moved by -pixels..pixels rows and columns at random; paper (0) moves in."""
    if pixels == 0:
        return images
    offsets = np.random.default_rng((seed, epoch, 1)).integers(-pixels, pixels + 1, size=(len(images), 2))
    shifted = np.zeros_like(images)
    for offset in product(range(-pixels, pixels + 1), repeat=2):
        _move(images, shifted, (offsets == offset).all(axis=1), offset)
    return shifted


def variants(images: np.ndarray, tta: str) -> Iterator[np.ndarray]:
    """The (n, side, side, 1) images as test-time augmentation shows them to a network, themselves first.

    "none": only themselves; "shift": also moved by one pixel in the eight directions; "rotate": also those
    eight and turned by 8 degrees either way.
    """
    yield images
    if tta in ("shift", "rotate"):
        for offset in product((-1, 0, 1), repeat=2):
            if offset != (0, 0):
                moved = np.zeros_like(images)
                _move(images, moved, slice(None), offset)
                yield moved
    if tta == "rotate":
        from scipy import ndimage

        for angle in _ANGLES:
            yield ndimage.rotate(images, angle, axes=(1, 2), reshape=False, order=1)


def _move(images: np.ndarray, target: np.ndarray, here: np.ndarray | slice, offset: tuple[int, ...]) -> None:
    """Write the images `here`, moved up and left by `offset` rows and columns, into the zeros of `target`."""
    side = images.shape[1]

    def from_(distance: int) -> slice:
        return slice(max(distance, 0), side + min(distance, 0))

    row, column = offset
    target[here, from_(-row), from_(-column)] = images[here, from_(row), from_(column)]
