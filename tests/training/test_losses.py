"""The losses of a training."""

import numpy as np

from digit_recognizer.training.losses import _RUBBISH, map_loss

RNG = np.random.default_rng(0)


def test_map_loss_is_equation_9():
    distances = RNG.uniform(0, 5, (4, 10)).astype("float32")
    right = np.array([3, 1, 4, 1])
    expected = distances[range(4), right] + np.log(np.exp(-_RUBBISH) + np.exp(-distances).sum(axis=1))
    found = np.asarray(map_loss(np.eye(10, dtype="float32")[right], -distances))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
