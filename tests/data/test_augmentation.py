"""Random augmentation against scipy, and the views for test-time augmentation."""

import numpy as np
import pytest
from scipy import ndimage

from digit_recognizer.data.augmentation import Augmentation, apply_augmentation, draw_coefficients, tta_views

RNG = np.random.default_rng(0)
IMAGES = (RNG.integers(0, 256, (200, 8, 8, 1)) / 255).astype(np.float32)
ALL = Augmentation(rotate=15, zoom=0.2, shear=0.2, shift=2, elastic=0.8)


def test_no_augmentation_changes_nothing():
    np.testing.assert_array_equal(apply_augmentation(IMAGES, draw_coefficients(Augmentation(), 200, 1, 1)), IMAGES)


def test_a_shift_moves_the_image_and_pads_with_zeros():
    shifted = apply_augmentation(IMAGES, draw_coefficients(Augmentation(shift=2), 200, 1, 1))
    found = set()
    for before, after in zip(IMAGES[..., 0], shifted[..., 0], strict=True):
        padded = np.pad(before, 2)
        places = [(r, c) for r in range(5) for c in range(5) if (padded[r : r + 8, c : c + 8] == after).all()]
        assert len(places) == 1
        found.update(places)
    assert len(found) == 25


def test_an_affine_change_equals_scipys():
    values = draw_coefficients(Augmentation(rotate=15, zoom=0.2, shear=0.2, shift=2), 200, 3, 1)
    for image, value, found in zip(IMAGES[..., 0], values, apply_augmentation(IMAGES, values)[..., 0], strict=True):
        matrix, middle = value[:, 1:3], np.full(2, 3.5)
        offset = value[:, 0] + middle - matrix @ middle
        expected = ndimage.affine_transform(image, matrix, offset, order=1, mode="grid-constant")
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_elastic_change_equals_scipys():
    values = draw_coefficients(Augmentation(elastic=1.0), 20, 3, 1)
    place = np.arange(8)
    knots = np.linspace(0, 7, 5)
    for image, value, found in zip(
        IMAGES[..., 0], values, apply_augmentation(IMAGES[:20], values)[..., 0], strict=False
    ):
        field = np.zeros((2, 8, 8))
        for number, (i, j) in enumerate(np.ndindex(5, 5)):
            near = [np.clip(np.abs(place - knots[knot]) / 1.75, 0, 1) for knot in (i, j)]
            bump = np.outer(*(0.5 + 0.5 * np.cos(np.pi * distance) for distance in near))
            field += value[:, 3 + number, None, None] * bump
        expected = ndimage.map_coordinates(image, np.indices((8, 8)) + field, order=1, mode="grid-constant")
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_augmentation_stays_within_its_limits():
    values = draw_coefficients(ALL, 5000, 1, 1)
    matrix = values[:, :, 1:3]
    assert set(np.unique(values[:, :, 0])) == {-2, -1, 0, 1, 2}
    turned = np.rad2deg(np.arctan2(-matrix[:, 0, 1], matrix[:, 0, 0]))
    assert 14.9 < np.abs(turned).max() <= 15
    grown = 1 / np.hypot(matrix[:, 0, 0], matrix[:, 0, 1])
    assert 0.8 <= grown.min() < 0.801
    assert 1.199 < grown.max() <= 1.2
    along = matrix[:, 0] * grown[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    height = (matrix[:, 1] * across).sum(axis=1)
    assert 0.8 <= 1 / height.max() < 0.801
    assert 1.199 < 1 / height.min() <= 1.2
    slid = np.abs((matrix[:, 1] * along).sum(axis=1) / height)
    assert ALL.shear - 0.001 < slid.max() <= ALL.shear + 1e-6
    assert values[:, :, 3:].std() == pytest.approx(0.8, rel=0.01)


def test_augmentation_follows_from_seed_and_epoch():
    first = draw_coefficients(ALL, 9, seed=1, epoch=1)
    assert (first == draw_coefficients(ALL, 9, seed=1, epoch=1)).all()
    assert (first != draw_coefficients(ALL, 9, seed=1, epoch=2)).any()
    assert (first != draw_coefficients(ALL, 9, seed=2, epoch=1)).any()


@pytest.mark.parametrize(("tta", "n"), [("none", 1), ("shift", 9), ("rotate", 11)])
def test_views_begin_with_the_unchanged_images_and_all_differ(tta, n):
    found = list(tta_views(IMAGES, tta))
    assert found[0] is IMAGES
    assert len({view.tobytes() for view in found}) == len(found) == n
    assert {view.shape for view in found} == {IMAGES.shape}


def test_views_are_shifted_by_one_pixel_in_each_direction():
    dot = np.zeros((1, 8, 8, 1), np.float32)
    dot[0, 3, 4] = 1
    places = [tuple(np.argwhere(view[0, ..., 0])[0]) for view in tta_views(dot, "shift")]
    assert sorted(places) == [(r, c) for r in (2, 3, 4) for c in (3, 4, 5)]


def test_a_rotation_is_small_and_about_the_centre():
    bar = np.zeros((1, 28, 28, 1), np.float32)
    bar[0, 4:24, 14] = 1
    for turned in list(tta_views(bar, "rotate"))[-2:]:
        columns = turned[0, ..., 0].argmax(axis=1)[4:24]
        assert 1 <= abs(int(columns[1]) - int(columns[-2])) <= 4
        assert abs(int(columns[10]) - 14) <= 1
