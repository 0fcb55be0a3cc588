"""A network of two layers, for tests where the network does not matter; TensorFlow traces it twice as fast."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from digit_recognizer import pipeline
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training.run_plan import NewRun


def tiny(model):
    """A row of MODELS that replaces a model by the tiny network."""
    return replace(MODELS[model], build=partial(_network, MODELS[model].side))


@contextmanager
def finished(folder: Path, settings: dict[str, dict]) -> Iterator[Workspace]:
    """A workspace with runs by name, of one epoch on the sample, of the tiny network instead of LeNet-5."""
    workspace = Workspace(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "lenet5", tiny("lenet5"))
        patch.setenv("DIGITS_WORKSPACE", str(folder))
        for name, own in settings.items():
            recipe = change(RECIPES["quick"], {"epochs": 1, **own})
            pipeline.run(pipeline.RunConfig(NewRun("mine", recipe, name), Path("sample")), workspace)
        yield workspace


def _network(side, dropout=0.0):
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((side, side, 1)),
            layers.AveragePooling2D(4),
            layers.Flatten(),
            layers.Dense(20, activation="relu", name="hidden"),
            *([layers.Dropout(dropout)] if dropout else []),
            layers.Dense(10, name="output"),
        ]
    )
