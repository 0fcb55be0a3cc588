"""`digits models` and `digits recipes`."""

from dataclasses import asdict
from typing import Any

import click

from digit_recognizer.cli.app import JSON, digits, print_json
from digit_recognizer.models.registry import MODELS
from digit_recognizer.recipes.catalog import NOTES, RECIPES, choose
from digit_recognizer.recipes.recipe import network_recipes
from digit_recognizer.utils import environment
from digit_recognizer.utils.backend import start_backend


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


def recipe_table() -> list[dict[str, Any]]:
    """A row for each recipe: its purpose, weights, measured accuracy and minutes."""
    return [
        {
            "recipe": name,
            "purpose": note.purpose,
            "weights": sum(MODELS[own.model].weights for own in network_recipes(recipe)) * recipe.seeds,
            "accuracy": f"{note.accuracy:.4f}",
            "n": note.n,
            "min": f"{note.minutes:.1f}",
        }
        for (name, recipe), note in zip(RECIPES.items(), NOTES.values(), strict=True)
    ]


@digits.command("models")
@click.argument("name", required=False)
@JSON
def models_command(name: str | None, as_json: bool) -> None:
    """List the models, or the layers of one."""
    from digit_recognizer.cli.render_tables import show_rows

    rows = layers(name) if name else models()
    print_json(rows) if as_json else show_rows(rows)


@digits.command("recipes")
@click.argument("name", required=False)
@JSON
def recipes_command(name: str | None, as_json: bool) -> None:
    """List the recipes, or print one.

    The table has the validation accuracy on Kaggle's data, its number of seeds, and the minutes from start to
    submission, measured on 2 cores. One recipe is printed as TOML with all settings, ready for --recipe-file.
    """
    from digit_recognizer.cli.render_tables import show_rows
    from digit_recognizer.recipes.catalog import choose
    from digit_recognizer.recipes.toml import to_toml

    if name and not as_json:
        click.echo(to_toml(choose(name, None)[1]), nl=False)
        return
    print_json(recipes(name)) if as_json else show_rows(recipe_table())
