"""Pixels (uint8 rows) to images (float32 in [0, 1], ink = 1), the input of every model."""

import numpy as np

from digit_recognizer.errors import InputError

SIDE = 28  # Kaggle's images; LeCun 1998 pads them to 32x32 to centre stroke ends in the receptive fields of C3


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
    """(n, 784) uint8 from (n, 28, 28), (n, 28, 28, 1) or (n, 784) integers in 0..255 or floats in [0, 1].

    Raises InputError for another shape, dtype or range.
    """
    images = np.asarray(images)
    if images.shape[1:] not in ((SIDE, SIDE), (SIDE, SIDE, 1), (SIDE**2,)):
        raise InputError(f"images: expected shape (n, {SIDE}, {SIDE}) or (n, {SIDE**2}), received {images.shape}.")
    if images.dtype.kind not in "uif":
        raise InputError(f"images: expected integers or floats, received {images.dtype}.")
    images = images.reshape(-1, SIDE**2)
    if images.dtype == np.uint8:
        return images
    scale = 255 if images.dtype.kind == "f" else 1
    high = 255 // scale
    if not ((images >= 0) & (images <= high)).all():
        found = f"{images.min():g} to {images.max():g}"
        raise InputError(f"images: expected {images.dtype} from 0 to {high}, received {found}. Rescale them.")
    return np.rint(images * scale).astype(np.uint8)


def bilinear_weights(old: int, new: int) -> np.ndarray:
    """(new, old) float32: each of `new` pixels as a weighted mean of the two of `old` nearest its centre.

    Pixel centres are at half-integers and edges are repeated, as in image libraries.
    """
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    distance = np.abs(centres[:, np.newaxis] - np.arange(old))
    return np.maximum(0, 1 - distance).astype(np.float32)
