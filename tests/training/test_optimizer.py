"""The learning rate schedules."""

import numpy as np
import pytest

from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.training.optimizer import schedule_of


def test_the_learning_rate_rises_to_its_peak_and_falls_almost_to_zero():
    schedule = schedule_of(change(RECIPES["quick"], {"warm_up": 0.2}), 100)
    rates = [float(schedule(step)) for step in range(100)]
    assert max(rates) == pytest.approx(1e-2, rel=0.05)
    assert np.argmax(rates) in (19, 20, 21)
    assert (np.diff(rates[:19]) > 0).all()
    assert (np.diff(rates[22:]) < 0).all()
    assert 0 < rates[0] < 1e-3
    assert 0 < rates[-1] < 2e-4
