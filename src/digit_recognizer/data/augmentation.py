"""Augmentation: random, as a function of (seed, epoch), and fixed views for test-time augmentation.

Random changes are drawn as coefficients. Training applies them on the device (`training.augmented_model`);
`apply_augmentation` does the same in NumPy for pictures and tests. Digits are never mirrored: a mirrored 2 is not a 2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

_ANGLES = (-8.0, 8.0)  # degrees; less than handwriting varies
_KNOTS = 5  # along each side of the elastic field, which is interpolated between them


@dataclass(frozen=True)
class Augmentation:
    """The limits of the random changes of an image, drawn for each image and epoch; 0 is no change.

    Example: `dr.Augmentation(rotate=10.0, zoom=0.1, shear=0.1, shift=2)`
    """

    rotate: float = 0.0  # degrees, in either direction
    zoom: float = 0.0  # fraction, in or out, independent in height and width
    shear: float = 0.0  # columns of displacement per row
    shift: int = 0  # whole pixels, in rows and columns
    elastic: float = 0.0  # pixels: the standard deviation of a smooth field (after Simard, Steinkraus, Platt 2003)


def draw_coefficients(augmentation: Augmentation, n: int, seed: int, epoch: int) -> np.ndarray:
    """Coefficients (n, 2, 3 + _KNOTS**2) float32 of a random change of each of `n` images.

    For the source's row and column: offset, factors of the target's row and column measured from the centre, and the
    displacement at the knots of the elastic field. Uniform within the limits; the elastic field is normal.
    """
    random = np.random.default_rng((seed, epoch, 1))
    angle = np.deg2rad(augmentation.rotate) * random.uniform(-1, 1, n)
    scale = 1 / (1 + augmentation.zoom * random.uniform(-1, 1, (2, n)))
    slide = augmentation.shear * random.uniform(-1, 1, n)
    offset = random.integers(-augmentation.shift, augmentation.shift + 1, (n, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    found = np.zeros((n, 2, 3 + _KNOTS**2), np.float32)
    found[:, :, 0] = offset
    found[:, 0, 1], found[:, 0, 2] = scale[0] * cos, -scale[0] * sin
    found[:, 1, 1], found[:, 1, 2] = scale[1] * (sin + slide * cos), scale[1] * (cos - slide * sin)
    if augmentation.elastic:
        found[:, :, 3:] = augmentation.elastic * random.standard_normal((n, 2, _KNOTS**2))
    return found


def coordinate_basis(side: int) -> np.ndarray:
    """(3 + _KNOTS**2, side * side) float32: `coefficients @ coordinate_basis(side)` is the source of each pixel.

    In pixels from the centre of the image: one, row and column for the affine part, and a bump around each knot.
    The bumps are squared cosines, one at their knot and zero at the next, with sum 1 everywhere.
    """
    axis = np.arange(side) - (side - 1) / 2
    row, column = np.meshgrid(axis, axis, indexing="ij")
    knots = np.linspace(0, side - 1, _KNOTS)
    distance = np.abs(np.arange(side)[:, np.newaxis] - knots) / (knots[1] - knots[0])
    bump = np.where(distance < 1, np.cos(np.pi / 2 * distance) ** 2, 0)
    bumps = np.einsum("ri,cj->ijrc", bump, bump).reshape(-1, side**2)
    return np.concatenate([np.ones((1, side**2)), [row.ravel(), column.ravel()], bumps]).astype(np.float32)


def apply_augmentation(images: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """(n, side, side, 1) images changed by `coefficients`, with bilinear interpolation and zeros outside the image."""
    from scipy import ndimage  # takes 0.1 s to import

    side = images.shape[1]
    places = (coefficients @ coordinate_basis(side) + (side - 1) / 2).reshape(-1, 2, side, side)
    found = [
        ndimage.map_coordinates(image[..., 0], place, order=1, mode="grid-constant")
        for image, place in zip(images, places, strict=True)
    ]
    return np.stack(found)[..., np.newaxis]


def tta_views(images: np.ndarray, tta: str) -> Iterator[np.ndarray]:
    """The views of (n, side, side, 1) images for test-time augmentation, the unchanged images first.

    "none": only these; "shift": also shifted by one pixel in eight directions; "rotate": also rotated by
    8 degrees in either direction.
    """
    yield images
    if tta in ("shift", "rotate"):
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
        side = images.shape[1]
        for row, column in product((0, 1, 2), repeat=2):
            if (row, column) != (1, 1):
                yield padded[:, row : row + side, column : column + side]
    if tta == "rotate":
        from scipy import ndimage

        for angle in _ANGLES:
            yield ndimage.rotate(images, angle, axes=(1, 2), reshape=False, order=1)
