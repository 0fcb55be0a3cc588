"""Changes that leave a digit the digit it is: random ones as functions of (seed, epoch), and fixed ones.

A random change is drawn by numpy, as coefficients, and applied by `warp` inside the network's own program: the same
on every backend of Keras. A digit is never flipped: a mirrored 2 is no 2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np

_ANGLES = (-8.0, 8.0)  # degrees; less than people's hands differ by
_KNOTS = 5  # of the elastic field along each side; between them it is smooth
_BORDER = 1  # pixels of paper around the padded images, so that a source just outside is paper


@dataclass(frozen=True)
class Distortion:
    """How far an image may be distorted at most; each image anew in each epoch."""

    rotate: float = 0.0  # degrees, either way
    zoom: float = 0.0  # part, larger or smaller, in height and width on their own
    shear: float = 0.0  # columns by which a row slides, for each row below it
    shift: int = 0  # whole pixels, in rows and columns
    elastic: float = 0.0  # pixels: the standard deviation of a smooth field (after Simard, Steinkraus, Platt 2003)


def draw(distortion: Distortion, n: int, seed: int, epoch: int) -> np.ndarray:
    """Coefficients (n, 2, 3 + _KNOTS**2) float32 of a random distortion of each of `n` images.

    For rows and for columns: how far the source lies from its place, how it follows row and column of the target,
    measured from the middle, and its displacement at the knots of the elastic field. Uniform within the limits;
    the elastic field is normal.
    """
    random = np.random.default_rng((seed, epoch, 1))
    angle = np.deg2rad(distortion.rotate) * random.uniform(-1, 1, n)
    scale = 1 / (1 + distortion.zoom * random.uniform(-1, 1, (2, n)))
    slide = distortion.shear * random.uniform(-1, 1, n)
    offset = random.integers(-distortion.shift, distortion.shift + 1, (n, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    found = np.zeros((n, 2, 3 + _KNOTS**2), np.float32)
    found[:, :, 0] = offset
    found[:, 0, 1], found[:, 0, 2] = scale[0] * cos, -scale[0] * sin
    found[:, 1, 1], found[:, 1, 2] = scale[1] * (sin + slide * cos), scale[1] * (cos - slide * sin)
    if distortion.elastic:
        found[:, :, 3:] = distortion.elastic * random.standard_normal((n, 2, _KNOTS**2))
    return found


def framed(images: np.ndarray) -> np.ndarray:
    """(n, side, side, 1) float32 in [0, 1] to (n, side + 2, side + 2) int32, paper around: what `warp` reads.

    Each holds four pixels, a byte each: itself, its right neighbour and the two below them, so that one look-up finds
    all that lies around a point. 256 levels, as the CSV has them; a resized image is rounded to them.
    """
    around = (_BORDER, _BORDER + 1)  # below and to the right one more, for the last pixels' neighbours
    pixels = np.pad(np.rint(images[..., 0] * 255).astype(np.uint8), ((0, 0), around, around))
    four = [pixels[:, :-1, :-1], pixels[:, :-1, 1:], pixels[:, 1:, :-1], pixels[:, 1:, 1:]]
    return np.stack(four, axis=-1).view("<i4")[..., 0]


def warp(frames: Any, rows: Any, coefficients: Any) -> Any:
    """The images `rows`, (n,) int, of `frames`, distorted: (n, side, side, 1) float32 in [0, 1], by keras.ops.

    One bilinear gather; beyond the image is paper (0).
    """
    from keras import ops

    width = frames.shape[-1]
    side = width - 2 * _BORDER
    source = ops.matmul(coefficients, _basis(side)) + (side - 1) / 2 + _BORDER  # (n, 2, side * side)
    source = ops.clip(source, 0, width - 1)
    corner = ops.cast(source, "int32")  # rounded down
    part = source - ops.cast(corner, "float32")
    down, right = part[:, 0], part[:, 1]
    place = rows[:, None] * width**2 + corner[:, 0] * width + corner[:, 1]
    four = ops.take(ops.reshape(frames, (-1,)), place, axis=0)
    upper = _ink(four, 0) + right * (_ink(four, 1) - _ink(four, 0))
    lower = _ink(four, 2) + right * (_ink(four, 3) - _ink(four, 2))
    return ops.reshape(upper + down * (lower - upper), (-1, side, side, 1)) / 255


def _ink(four: Any, which: int) -> Any:
    """One of the four pixels in an int32, 0 to 255, as float32."""
    from keras import ops

    return ops.cast(ops.bitwise_and(ops.right_shift(four, 8 * which), 255), "float32")


def variants(images: np.ndarray, tta: str) -> Iterator[np.ndarray]:
    """The (n, side, side, 1) images as test-time augmentation shows them to a network, themselves first.

    "none": only themselves; "shift": also moved by one pixel in the eight directions; "rotate": also those
    eight and turned by 8 degrees either way.
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


@cache
def _basis(side: int) -> np.ndarray:
    """(3 + _KNOTS**2, side * side) float32: one, row and column from the middle, and a bump around each knot.

    The bumps are squared cosines, one at their knot and zero at the next, that add up to one everywhere.
    """
    axis = np.arange(side) - (side - 1) / 2
    row, column = np.meshgrid(axis, axis, indexing="ij")
    knots = np.linspace(0, side - 1, _KNOTS)
    distance = np.abs(np.arange(side)[:, None] - knots) / (knots[1] - knots[0])
    bump = np.where(distance < 1, np.cos(np.pi / 2 * distance) ** 2, 0)
    bumps = np.einsum("ri,cj->ijrc", bump, bump).reshape(-1, side**2)
    return np.concatenate([np.ones((1, side**2)), [row.ravel(), column.ravel()], bumps]).astype(np.float32)
