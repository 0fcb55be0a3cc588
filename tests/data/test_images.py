"""Pixels to images."""

import numpy as np
import pytest
from scipy import ndimage

from digit_recognizer.data.images import bilinear_weights, to_images


def lit(row, column):
    pixels = np.zeros((1, 784), dtype=np.uint8)
    pixels[0, 28 * row + column] = 255
    return pixels


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 20), (27, 27)])
def test_one_lit_pixel_lands_two_rows_down_and_two_columns_right(row, column):
    images = to_images(lit(row, column), 32)
    assert images.shape == (1, 32, 32, 1)
    assert images.dtype == np.float32
    assert np.argwhere(images[0, ..., 0]).tolist() == [[row + 2, column + 2]]
    assert images.max() == 1


def test_28x28_stays_as_it_is():
    assert np.argwhere(to_images(lit(3, 20), 28)[0, ..., 0]).tolist() == [[3, 20]]


def test_resizing_agrees_with_scipy():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 784), dtype=np.uint8)
    ours = to_images(pixels, 32, "resize")[..., 0]
    theirs = [
        ndimage.zoom(image / 255, 32 / 28, order=1, grid_mode=True, mode="nearest")
        for image in pixels.reshape(-1, 28, 28)
    ]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_resizing_keeps_a_full_image_full_and_an_empty_one_empty():
    assert to_images(np.full((1, 784), 255, np.uint8), 32, "resize").min() == pytest.approx(1)
    assert to_images(np.zeros((1, 784), np.uint8), 32, "resize").max() == 0


def test_bilinear_weights_are_means():
    np.testing.assert_allclose(bilinear_weights(28, 32).sum(axis=1), 1, rtol=1e-6)
