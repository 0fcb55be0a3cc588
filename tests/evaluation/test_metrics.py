"""Scores of perfect and of changed labels, and intervals against scipy."""

import numpy as np
import pytest
from scipy.stats import binomtest

from digit_recognizer.evaluation.metrics import score, wilson_interval

ANSWERS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 3, dtype=np.uint8)


def test_answers_scored_against_themselves_are_perfect():
    found = score(ANSWERS, ANSWERS)
    assert (found.correct, found.n, found.accuracy) == (30, 30, 1.0)
    assert found.top_confusions(5) == []
    assert (found.precision == 1).all()
    assert (found.recall == 1).all()


def test_one_changed_label_costs_one_nth():
    labels = ANSWERS.copy()
    labels[4] = 9
    found = score(labels, ANSWERS)
    assert found.accuracy == pytest.approx(1 - 1 / 30)
    assert found.top_confusions(5) == [(4, 9, 1)]
    assert found.recall[4] == pytest.approx(2 / 3)
    assert found.precision[9] == pytest.approx(3 / 4)


def test_the_most_frequent_confusion_comes_first():
    labels = ANSWERS.copy()
    labels[[7, 17, 3]] = [1, 1, 5]
    assert score(labels, ANSWERS).top_confusions(5) == [(7, 1, 2), (3, 5, 1)]
    assert score(labels, ANSWERS).top_confusions(1) == [(7, 1, 2)]


def test_a_digit_that_is_never_predicted_has_no_precision():
    labels = np.where(ANSWERS == 3, 5, ANSWERS).astype(np.uint8)
    assert np.isnan(score(labels, ANSWERS).precision[3])
    assert score(labels, ANSWERS).recall[3] == 0


def test_a_missing_row_is_refused():
    with pytest.raises(ValueError, match="received 29"):
        score(ANSWERS[:-1], ANSWERS)


@pytest.mark.parametrize(("correct", "n"), [(0, 5), (5, 5), (27_900, 28_000), (1, 2)])
def test_the_interval_equals_scipys_wilson_interval(correct, n):
    expected = binomtest(correct, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_interval(correct, n), (expected.low, expected.high), atol=1e-12)
