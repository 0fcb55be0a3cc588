"""The tables of `digits models` and `digits recipes`, as rows of plain values, and how they are shown."""

from dataclasses import asdict, replace
from typing import Any

from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.recipe import RECIPES, Recipe, choose
from digit_recognizer.recipes.toml import describe_changes, describe_models, format_value
from digit_recognizer.utils import environment
from digit_recognizer.utils.backend import start_backend
from digit_recognizer.utils.console import show_table

_ALWAYS = ("epochs", "batch_size", "learning_rate")


def models() -> list[dict[str, Any]]:
    """A row for each model; loads no Keras."""
    return [
        {
            "name": name,
            "input": f"{model.side}x{model.side}",
            "weights": model.weights,
            "multiply-adds": model.multiply_adds,
            "source": model.source,
        }
        for name, model in MODELS.items()
    ]


def layers(name: str) -> list[dict[str, Any]]:
    """A row for each layer of the network `name`, built for the purpose. Raises InputError on an unknown name."""
    _, recipe = choose(None, name)
    environment.require_backend()
    start_backend()
    from digit_recognizer.models.summary import layer_table

    table = layer_table(MODELS[name].build(dropout=recipe.dropout))
    return [
        {
            "layer": layer.name,
            "kind": layer.kind,
            "output": "x".join(map(str, layer.shape)),
            "weights": layer.weights,
            "multiply-adds": layer.multiply_adds,
        }
        for layer in table
    ]


def recipes(name: str | None = None) -> list[dict[str, Any]]:
    """A row for each recipe, or only for `name`, with all its fields."""
    names = [choose(name, None)[0]] if name else list(RECIPES)
    return [{"name": name, **asdict(RECIPES[name])} for name in names]


def recipes_in_words() -> list[dict[str, Any]]:
    """A row for each recipe: its model, length, batch and rate, and the settings that few recipes have."""
    rows = []
    for name, recipe in RECIPES.items():
        always = [f"{key} {format_value(getattr(recipe, key))}" for key in _ALWAYS]
        rest = describe_changes(recipe, replace(Recipe(recipe.model), **{key: getattr(recipe, key) for key in _ALWAYS}))
        settings = ", ".join([*always, rest] if rest else always)
        rows.append({"name": name, "model": describe_models(recipe), "settings": settings})
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Print rows as a table."""
    cells = [[f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()] for row in rows]
    show_table(list(rows[0]), cells)
