"""Calibration, likely label errors and disagreement, on simulated probabilities."""

import numpy as np
import pytest

from digit_recognizer.evaluation import diagnostics
from digit_recognizer.evaluation.prediction import average_log_p

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 10, 5000)


def calibrated(n=20_000):
    """Log-probabilities, and labels drawn from them."""
    log_p = average_log_p([2 * RNG.normal(size=(n, 10))])
    return log_p, np.array([RNG.choice(10, p=p / p.sum()) for p in np.exp(log_p.astype(float))])


def test_calibrated_probabilities_have_no_error_and_temperature_one():
    found = diagnostics.calibration(*calibrated())
    assert found.ece < 0.01
    assert found.temperature == pytest.approx(1, abs=0.03)
    assert sum(n for _, _, n in found.bins) == 20_000


def test_over_confidence_is_detected_and_corrected_by_the_temperature():
    log_p, labels = calibrated()
    found = diagnostics.calibration(average_log_p([3 * log_p]), labels)
    assert found.ece > 0.1
    assert found.temperature == pytest.approx(3, rel=0.05)
    assert found.loss_calibrated < found.loss


def confident(labels, sure=0.95):
    p = np.full((len(labels), 10), (1 - sure) / 9)
    p[np.arange(len(labels)), labels] = sure
    return np.log(p)


def test_wrong_labels_are_found_and_the_most_confident_come_first():
    log_p = confident(LABELS)
    wrong = LABELS.copy()
    exchanged = [3, 77, 1234]
    wrong[exchanged] = (wrong[exchanged] + 1) % 10
    log_p[77] = confident(LABELS, 0.99)[77]
    found = diagnostics.label_errors(log_p, wrong)
    assert sorted(found) == exchanged
    assert found[0] == 77


def test_an_uncertain_mistake_is_no_label_error():
    log_p = confident(LABELS)
    log_p[5] = np.log(np.full(10, 0.1))
    assert len(diagnostics.label_errors(log_p, LABELS)) == 0


def test_absent_digits_are_no_error():
    labels = np.zeros(20, int)
    assert len(diagnostics.label_errors(confident(labels), labels)) == 0


def test_images_are_sorted_by_dissent_and_unanimous_ones_omitted():
    predicted = [[1, 2, 3], [1, 2, 4], [1, 3, 5], [1, 2, 3]]  # networks x images
    order, dissent = diagnostics.disagreement([confident(np.array(labels)) for labels in predicted])
    assert order.tolist() == [2, 1]
    assert dissent.tolist() == [0, 1, 2]
