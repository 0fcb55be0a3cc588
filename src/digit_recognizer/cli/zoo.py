"""`digits models` and `digits recipes`."""

from dataclasses import asdict
from typing import Any

import click

from digit_recognizer.cli.app import JSON, digits, print_json
from digit_recognizer.cli.render_tables import show_rows
from digit_recognizer.models.registry import MODELS, create_model
from digit_recognizer.recipes.catalog import NOTES, RECIPES, choose
from digit_recognizer.recipes.recipe import network_recipes
from digit_recognizer.recipes.toml import to_toml
from digit_recognizer.utils.console import print_text


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
    """A row for each layer of a model, which is built for that. Raises InputError for an unknown name."""
    network = create_model(name, choose(None, name)[1].dropout)
    from digit_recognizer.models.summary import layer_table

    return [
        {
            "layer": layer.name,
            "kind": layer.kind,
            "output": "x".join(map(str, layer.shape)),
            "weights": layer.weights,
            "multiply-adds": layer.multiply_adds,
        }
        for layer in layer_table(network)
    ]


def recipe_table() -> list[dict[str, Any]]:
    """A row for each recipe: its purpose, weights, measured accuracy and minutes."""
    return [
        {
            "recipe": name,
            "purpose": NOTES[name].purpose,
            "weights": sum(MODELS[own.model].weights for own in network_recipes(recipe)) * recipe.seeds,
            "accuracy": f"{NOTES[name].accuracy:.4f}",
            "n": NOTES[name].n,
            "minutes": f"{NOTES[name].minutes:.1f}",
        }
        for name, recipe in RECIPES.items()
    ]


@digits.command("models")
@click.argument("name", required=False)
@JSON
def models_command(name: str | None, as_json: bool) -> None:
    """List the models, or the layers of one."""
    rows = layers(name) if name else models()
    print_json(rows) if as_json else show_rows(rows)


@digits.command("recipes")
@click.argument("name", required=False)
@JSON
def recipes_command(name: str | None, as_json: bool) -> None:
    """List the recipes, or print one.

    The table shows the validation accuracy on Kaggle's data, the number of seeds that it is the mean of, and the
    minutes from start to submission on 2 cores. A single recipe is printed as TOML, for --recipe-file.
    """
    if name and not as_json:
        click.echo(to_toml(choose(name, None)[1]), nl=False)
    elif as_json:
        names = [choose(name, None)[0]] if name else RECIPES
        print_json([{"name": name, **asdict(RECIPES[name])} for name in names])
    else:
        show_rows(recipe_table())
        print_text("Accuracy: validation on Kaggle's data, mean of n seeds. Minutes: on 2 cores.")
        print_text("All settings of a recipe: digits recipes NAME")
