"""Kaggle's Digit Recognizer, from train.csv to a scored submission.

    import digit_recognizer as dr

    data = dr.load_data("sample")
    run = dr.train(data, "quick")
    run.validation.accuracy

Names are imported when they are first used, so that importing the package loads neither Keras nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULES = {
    "api": (
        *("Run", "blend", "compare", "leaderboard", "load_data", "open_run", "predict", "score", "submit", "train"),
    ),
    "data.augmentation": ("Augmentation",),
    "models.registry": ("create_model", "list_models", "register_model"),
    "errors": ("InputError", "RunError"),
    "recipes.catalog": ("RECIPES",),
    "recipes.recipe": ("Recipe",),
    "tracking.workspace": ("Workspace",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
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


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"digit_recognizer.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'digit_recognizer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
