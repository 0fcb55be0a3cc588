"""Random changes that leave a digit the digit it is."""

import numpy as np
import pytest

from digit_recognizer.augment import shift, variants

IMAGES = np.random.default_rng(0).random((200, 8, 8, 1), dtype=np.float32)


def test_shift_of_zero_changes_nothing():
    assert shift(IMAGES, 0, seed=1, epoch=1) is IMAGES


def test_each_image_moves_whole_and_paper_moves_in():
    shifted = shift(IMAGES, 2, seed=1, epoch=1)
    found = set()
    for before, after in zip(IMAGES[..., 0], shifted[..., 0], strict=True):
        padded = np.pad(before, 2)
        places = [(r, c) for r in range(5) for c in range(5) if (padded[r : r + 8, c : c + 8] == after).all()]
        assert len(places) == 1
        found.update(places)
    assert len(found) == 25


def test_the_same_seed_and_epoch_give_the_same_images_and_another_epoch_others():
    first = shift(IMAGES, 1, seed=1, epoch=1)
    assert (first == shift(IMAGES, 1, seed=1, epoch=1)).all()
    assert (first != shift(IMAGES, 1, seed=1, epoch=2)).any()
    assert (first != shift(IMAGES, 1, seed=2, epoch=1)).any()


@pytest.mark.parametrize(("tta", "n"), [("none", 1), ("shift", 9), ("rotate", 11)])
def test_variants_begin_with_the_images_themselves_and_all_differ(tta, n):
    found = list(variants(IMAGES, tta))
    assert found[0] is IMAGES
    assert len({variant.tobytes() for variant in found}) == len(found) == n
    assert {variant.shape for variant in found} == {IMAGES.shape}


def test_variants_move_by_one_pixel_in_each_direction_and_never_flip():
    dot = np.zeros((1, 8, 8, 1), np.float32)
    dot[0, 3, 4] = 1
    places = [tuple(np.argwhere(variant[0, ..., 0])[0]) for variant in variants(dot, "shift")]
    assert sorted(places) == [(r, c) for r in (2, 3, 4) for c in (3, 4, 5)]


def test_a_turn_is_small_and_about_the_middle():
    bar = np.zeros((1, 28, 28, 1), np.float32)
    bar[0, 4:24, 14] = 1
    for turned in list(variants(bar, "rotate"))[-2:]:
        columns = turned[0, ..., 0].argmax(axis=1)[4:24]
        assert 1 <= abs(int(columns[1]) - int(columns[-2])) <= 4
        assert abs(int(columns[10]) - 14) <= 1
