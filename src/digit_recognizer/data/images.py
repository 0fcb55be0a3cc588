"""Pixels (uint8 rows) to images (float32 in [0, 1], ink = 1), the input of every model."""

import numpy as np

from digit_recognizer.errors import InputError

SIDE = 28  # Kaggle's images; LeCun 1998 pads them to 32x32 to centre stroke ends in the receptive fields of C3

IMAGE_SHAPES = (SIDE, SIDE), (SIDE, SIDE, 1), (1, SIDE, SIDE), (SIDE**2,)  # of an image in an array


def to_images(pixels: np.ndarray, side: int = 32, fit: str = "pad") -> np.ndarray:
    """(n, 784) uint8 in 0..255, or (n, 28, 28), to (n, side, side, 1) float32 in [0, 1].

    A `side` above 28 is reached by zero padding (`fit` "pad") or by bilinear resizing ("resize").
    """
    images = pixels.reshape(-1, SIDE, SIDE).astype(np.float32) / 255
    if side != SIDE and fit == "resize":
        weights = bilinear_weights(SIDE, side)
        images = weights @ images @ weights.T
    elif side != SIDE:
        before = (side - SIDE) // 2
        around = (before, side - SIDE - before)
        images = np.pad(images, ((0, 0), around, around))
    return images[..., np.newaxis]


def to_pixels(images: np.ndarray) -> np.ndarray:
    """(n, 784) uint8 from (n, 28, 28), (n, 28, 28, 1), (n, 1, 28, 28) or (n, 784) images, or from one of (28, 28).

    Values are whole numbers in 0..255, also as floats, or floats in [0, 1], which are rounded to 256 levels. Raises
    InputError for another shape, dtype or range, with a line of Python that converts `images`, if there is one.
    """
    images = np.asarray(images)
    if images.shape == (SIDE, SIDE):
        images = images[np.newaxis]
    if images.shape[1:] not in IMAGE_SHAPES:
        remedy = _shape_remedy(images.shape)
        raise InputError(
            f"images: expected shape (n, {SIDE}, {SIDE}) or (n, {SIDE**2}), received {images.shape}.{remedy}"
        )
    if images.dtype.kind not in "uif":
        raise InputError(f"images: expected integers or floats, received {images.dtype}.")
    images = np.ascontiguousarray(images).reshape(-1, SIDE**2)
    if images.dtype == np.uint8 or not len(images):
        return images.astype(np.uint8, copy=False)
    low, high = images.min(), images.max()
    if not np.isfinite([low, high]).all():
        remedy = "`images = numpy.nan_to_num(images)`"
        raise InputError(f"images: expected numbers, received NaN or infinity. To fix this: {remedy}")
    if images.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.rint(images * 255).astype(np.uint8)
    if low < 0 or high > 255 or (images != np.rint(images)).any():
        raise InputError(
            f"images: expected whole numbers from 0 to 255 or floats from 0 to 1, received {images.dtype} from "
            f"{low:g} to {high:g}. To fix this: `images = (images - images.min()) / (images.max() - images.min())`"
        )
    return images.astype(np.uint8)


def _shape_remedy(shape: tuple[int, ...]) -> str:
    """The conversion of images along the last axis or without their own axis."""
    if shape == (SIDE**2,):
        return " To fix this: `images = images[None]`"
    return " To fix this: `images = numpy.moveaxis(images, -1, 0)`" if shape[:-1] in IMAGE_SHAPES else ""


def bilinear_weights(old: int, new: int) -> np.ndarray:
    """(new, old) float32: each of `new` pixels as a weighted mean of the two of `old` nearest its centre.

    Pixel centres are at half-integers and edges are repeated, as in image libraries.
    """
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    distance = np.abs(centres[:, np.newaxis] - np.arange(old))
    return np.maximum(0, 1 - distance).astype(np.float32)
