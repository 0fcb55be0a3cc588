"""Weights of a blend, on simulated runs of known accuracy."""

import numpy as np
import pytest

from digit_recognizer.evaluation import blend_weights
from digit_recognizer.evaluation.prediction import average_log_p

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 10, 3000)


def run(strength, noise=1.0, scale=1.0):
    """Simulated log-probabilities of a run; `strength` sets its accuracy, `scale` its confidence."""
    logits = noise * RNG.normal(size=(len(LABELS), 10))
    logits[np.arange(len(LABELS)), LABELS] += strength
    return average_log_p([scale * logits])


def accuracy(log_p):
    return (log_p.argmax(axis=1) == LABELS).mean()


def test_equal_weights_are_equal():
    assert blend_weights.equal([run(3)] * 4, LABELS) == [0.25] * 4


def test_greedy_omits_useless_runs_and_blends_useful_ones():
    good, also_good, noise = run(3), run(3), run(0)
    weights = blend_weights.greedy([good, also_good, noise], LABELS)
    assert sum(weights) == pytest.approx(1)
    assert weights[2] < 0.05
    assert min(weights[:2]) > 0.3
    blend = average_log_p([good, also_good, noise], weights)
    assert accuracy(blend) > max(accuracy(good), accuracy(also_good)) + 0.02


def test_an_over_confident_run_gets_a_lower_weight():
    calibrated, over_confident = run(3), run(3, scale=4.0)
    weights = blend_weights.greedy([calibrated, over_confident], LABELS)
    assert 2.5 < weights[0] / weights[1] < 6


def test_greedy_is_no_worse_on_its_rows_than_the_best_single_run():
    runs = [run(strength) for strength in (1, 2, 3, 3.2)]
    blend = average_log_p(runs, blend_weights.greedy(runs, LABELS))
    assert blend_weights.log_loss(blend, LABELS) <= min(blend_weights.log_loss(log_p, LABELS) for log_p in runs) + 1e-6


def test_the_nested_estimate_is_not_biased_by_the_choice():
    useless = [run(0, noise=0.1) for _ in range(20)]
    chosen = average_log_p(useless, blend_weights.greedy(useless, LABELS))
    honest = blend_weights.nested(blend_weights.greedy, useless, LABELS)
    assert accuracy(chosen) > accuracy(honest)
    assert accuracy(honest) == pytest.approx(0.1, abs=0.02)


def test_nested_equal_weights_are_the_plain_average():
    runs = [run(2), run(3)]
    np.testing.assert_allclose(blend_weights.nested(blend_weights.equal, runs, LABELS), average_log_p(runs), rtol=1e-5)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_scale(scale):
    log_p = run(3)
    own = blend_weights.temperature(log_p, LABELS)
    assert blend_weights.temperature(average_log_p([scale * log_p]), LABELS) == pytest.approx(scale * own, rel=0.06)
