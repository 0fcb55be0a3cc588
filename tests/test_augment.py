"""Random changes that leave a digit the digit it is."""

import numpy as np

from digit_recognizer.augment import shift

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
