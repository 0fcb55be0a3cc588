"""Random changes that leave a digit the digit it is, as functions of (images, seed, epoch)."""

import numpy as np


def shift(images: np.ndarray, pixels: int, seed: int, epoch: int) -> np.ndarray:
    """Each image of (n, side, side, 1) moved by -pixels..pixels rows and columns at random; paper (0) moves in."""
    if pixels == 0:
        return images
    n, side = images.shape[:2]
    offsets = np.random.default_rng((seed, epoch, 1)).integers(0, 2 * pixels + 1, size=(n, 2))
    margin = (pixels, pixels)
    padded = np.pad(images, ((0, 0), margin, margin, (0, 0)))
    shifted = np.empty_like(images)
    for row in range(2 * pixels + 1):
        for column in range(2 * pixels + 1):
            here = (offsets == (row, column)).all(axis=1)
            shifted[here] = padded[here, row : row + side, column : column + side]
    return shifted
