"""The options that say what to train and how, and the recipe that they mean."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from digit_recognizer.cli.app import FILE
from digit_recognizer.errors import InputError

if TYPE_CHECKING:
    from digit_recognizer.recipes.recipe import Recipe
    from digit_recognizer.tracking.ledger import Row

_SHORT = ("epochs", "validation", "folds", "full", "seeds", "seed", "fit", "tta")  # options that are recipe fields
_CHANGING = ("recipe", "recipe_file", "model", *_SHORT, "settings")
_OPTIONS = (
    click.option("--recipe", metavar="NAME", help="What to train and how; `digits recipes` lists them. [lenet5]"),
    click.option("--recipe-file", type=FILE, metavar="TOML", help="A recipe of your own."),
    click.option("--model", metavar="NAME", help="The network; `digits models` lists them."),
    click.option("--epochs", metavar="N", help="How often to go through the training images."),
    click.option("--validation", metavar="PART", help="Part of train.csv to hold out; 0 trains on all of it."),
    click.option("--folds", metavar="K", help="Cross-validate in K stratified folds, 2 to 50, instead."),
    click.option("--full", is_flag=True, default=None, help="Label test.csv by networks trained on all of train.csv."),
    click.option("--seeds", metavar="N", help="Train N networks, of seed, seed + 1, ..., and average them."),
    click.option("--seed", metavar="N", help="Random seed of split, first weights, order and augmentation."),
    click.option("--tta", metavar="HOW", help="Test-time augmentation: none, shift or rotate."),
    click.option("--fit", metavar="HOW", help="28x28 to 32x32: pad, or resize (bilinear)."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change any field of the recipe."),
    click.option("--like", metavar="RUN", help="The recipe, whole, of a run in the ledger."),
)


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options from which `recipe_of` makes a recipe, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def recipe_of(options: dict[str, Any]) -> "tuple[str, Recipe]":
    """The recipe that the options mean, the later of them winning: recipe, model, --set, the short-hands."""
    from digit_recognizer.recipes.recipe import change, choose
    from digit_recognizer.recipes.toml import load, parse_settings

    given = [key for key in ("recipe", "recipe_file", "like") if options[key] is not None]
    if len(given) > 1:
        names = " and ".join(f"--{key.replace('_', '-')}" for key in given)
        base = "; a file may name its `base`" if "recipe_file" in given else ""
        raise InputError(f"{names}: give one of them{base}.")
    if given and given[0] != "recipe":
        name, recipe = (
            load(options["recipe_file"]) if options["recipe_file"] else recipe_like(run_like(options["like"]))
        )
        recipe = change(recipe, {} if options["model"] is None else {"model": options["model"]})
    else:
        name, recipe = choose(options["recipe"], options["model"])
    settings = parse_settings(options["settings"]) | {key: options[key] for key in _SHORT if options[key] is not None}
    recipe = change(recipe, settings)
    if "validation" in settings and recipe.folds:
        raise InputError(
            f"validation and folds exclude each other: by folds, here {recipe.folds}, each row is held out once; "
            "--folds 0 holds out a part instead."
        )
    return name, recipe


def run_like(word: str) -> "Row":
    """The ledger's row of the run that is to be repeated. Raises InputError when there is none, or a blend."""
    from digit_recognizer.tracking.run_session import ledger

    with ledger() as book:
        run = book.run(word)
    if run["kind"] == "blend":
        members = " ".join(json.loads(run["recipe"])["runs"])
        raise InputError(f"run {run['name']} is a blend: repeat it with `digits blend {members}`.")
    return run


def must_be_unchanged(options: dict[str, Any]) -> None:
    """Raise InputError unless --like alone says what to train."""
    if options["like"] is None:
        raise InputError("--check compares a repetition with its run; name that by --like RUN.")
    if given := [key for key in _CHANGING if options[key]]:
        raise InputError(f"--check repeats the run as it was; leave out {_option(given[0])}.")


def run_to_resume(options: dict[str, Any]) -> "Row":
    """The ledger's row of the run that --resume names.

    Raises InputError when there is none, when it is finished or no run of its own, or when an option would change it.
    """
    from digit_recognizer.tracking.run_session import ledger, status

    if given := [key for key in (*_CHANGING, "like", "name") if options[key]]:
        raise InputError(f"--resume goes on with the run as it was begun; leave out {_option(given[0])}.")
    with ledger() as book:
        run = book.run(options["resume"])
    if run["kind"] != "run":
        raise InputError(f"run {run['name']} is a {run['kind']}; only what `digits run` began can be resumed.")
    if status(run) == "running":
        raise InputError(f"run {run['name']} is being trained by another process. Wait for it.")
    if run["status"] == "diverged":
        raise InputError(
            f"run {run['name']} diverged ({run['error']}) and would do so again. Begin one like it that learns more "
            f"slowly: digits run --like {run['name']} --set learning_rate=..."
        )
    if run["status"] == "done":
        raise InputError(f"run {run['name']} is finished. Repeat it with --like, or send it with `digits submit`.")
    return run


def _option(key: str) -> str:
    return f"--{'set' if key == 'settings' else key.replace('_', '-')}"


def recipe_like(run: "Row") -> "tuple[str, Recipe]":
    """Name and recipe of a run of the ledger."""
    from digit_recognizer.recipes.recipe import from_record

    return run["recipe_name"], from_record(json.loads(run["recipe"]))
