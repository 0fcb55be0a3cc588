"""Images to probabilities, their averages and metrics."""

import numpy as np
import pytest

from digit_recognizer.data.augmentation import tta_views
from digit_recognizer.evaluation.metrics import evaluate
from digit_recognizer.evaluation.prediction import average_log_p, log_probabilities
from digit_recognizer.models.registry import MODELS


def test_probabilities_sum_to_one_and_do_not_depend_on_the_batch():
    model = MODELS["lenet5"].build()
    images = np.random.default_rng(0).random((1003, 32, 32, 1), dtype=np.float32)
    log_p = log_probabilities(model, images)
    assert log_p.shape == (1003, 10)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(log_probabilities(model, images[-3:]), log_p[-3:], atol=1e-5)


def test_metrics_count_and_average():
    log_p = np.log(np.array([[0.5, 0.5 - 8e-6] + [1e-6] * 8, [0.9 - 8e-6, 0.1] + [1e-6] * 8]))
    found = evaluate(log_p, np.array([0, 1]))
    assert (found.n, found.accuracy, found.error) == (2, 0.5, 0.5)
    assert found.log_loss == pytest.approx(-(np.log(0.5) + np.log(0.1)) / 2)


def test_an_average_is_the_normalised_geometric_mean():
    p = np.array([[0.9, 0.1]]), np.array([[0.4, 0.6]])
    mean = np.sqrt(p[0] * p[1])
    np.testing.assert_allclose(np.exp(average_log_p([np.log(part) for part in p])), mean / mean.sum(), rtol=1e-6)


def test_weights_of_an_average_need_not_sum_to_one_and_may_be_zero():
    p = np.array([[0.9, 0.1]]), np.array([[0.4, 0.6]])
    np.testing.assert_allclose(np.exp(average_log_p([np.log(part) for part in p], [0, 3])), p[1], rtol=1e-6)


def test_test_time_augmentation_averages_the_predictions_of_each_view():
    model = MODELS["lenet-28"].build()
    images = np.random.default_rng(0).random((5, 28, 28, 1), dtype=np.float32)
    log_ps = [log_probabilities(model, view) for view in tta_views(images, "shift")]
    np.testing.assert_allclose(log_probabilities(model, images, "shift"), average_log_p(log_ps), atol=1e-5)
    assert (log_probabilities(model, images, "shift") != log_probabilities(model, images)).any()
