"""Kaggle's Digit Recognizer, from train.csv to a scored submission.

Example:

    import digit_recognizer as dr

    data = dr.load_data("sample")
    run = dr.train(data, "quick")
    run.validation.accuracy

Names are imported at their first use, so that importing the package loads neither Keras nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "RECIPES",
    "Augmentation",
    "InputError",
    "Recipe",
    "Run",
    "RunError",
    "Workspace",
    "blend",
    "compare",
    "create_model",
    "leaderboard",
    "list_models",
    "load_data",
    "open_run",
    "predict",
    "register_model",
    "score",
    "submit",
    "train",
]

if TYPE_CHECKING:
    from digit_recognizer.api import (
        Run,
        blend,
        compare,
        leaderboard,
        load_data,
        open_run,
        predict,
        score,
        submit,
        train,
    )
    from digit_recognizer.data.augmentation import Augmentation
    from digit_recognizer.errors import InputError, RunError
    from digit_recognizer.models.registry import create_model, list_models, register_model
    from digit_recognizer.recipes.catalog import RECIPES
    from digit_recognizer.recipes.recipe import Recipe
    from digit_recognizer.tracking.workspace import Workspace


_HOMES = {
    "Augmentation": "data.augmentation",
    "InputError": "errors",
    "RECIPES": "recipes.catalog",
    "Recipe": "recipes.recipe",
    "RunError": "errors",
    "Workspace": "tracking.workspace",
    "create_model": "models.registry",
    "list_models": "models.registry",
    "register_model": "models.registry",
}  # of all other names: api


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"digit_recognizer.{_HOMES.get(name, 'api')}"), name)
    raise AttributeError(f"module 'digit_recognizer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
