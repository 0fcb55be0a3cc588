"""The engine benchmark returns its table rows."""

from dataclasses import replace

import pytest

import engine
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.catalog import RECIPES


@pytest.mark.slow
def test_training_and_predicting_are_measured(monkeypatch):
    monkeypatch.setattr(engine, "N_TRAIN", 300)
    monkeypatch.setattr(engine, "N_TEST", 100)
    recipe = replace(RECIPES["quick"], rotate=10.0)
    trained = engine.training_row("quick", recipe, rate=100).split(" | ")
    predicted = engine.predicting_row(recipe.model).split(" | ")
    assert (trained[0], predicted[0]) == ("| quick", f"| {recipe.model}")
    assert all(float(cell.strip("% |").replace(",", "")) >= 0 for cell in (*trained[1:], *predicted[1:]))
    speed, rate = (float(cell.replace(",", "")) for cell in trained[1:3])
    assert rate == pytest.approx(6 * MODELS["lenet5"].multiply_adds * speed / 1e9, abs=1)
