"""The options that choose the recipe or the run to train from."""

from typing import TYPE_CHECKING, Any

import click

from digit_recognizer.cli.app import FILE, add_options, current_workspace
from digit_recognizer.errors import InputError

if TYPE_CHECKING:
    from digit_recognizer.recipes.recipe import Recipe
    from digit_recognizer.tracking.run_record import RunRecord
    from digit_recognizer.training.run_plan import RunMode

_FIELDS = ("epochs", "validation", "folds", "full", "seeds", "seed", "tta", "fit")  # of the recipe
_CHANGING = ("recipe", "recipe_file", "model", *_FIELDS, "settings")

# The options from which `recipe_of` makes a recipe.
recipe_options = add_options(
    click.option("--recipe", metavar="NAME", help="Recipe to train, one of `digits recipes`. [lenet5]"),
    click.option("--recipe-file", type=FILE, metavar="TOML", help="File with your own recipe."),
    click.option("--model", metavar="NAME", help="Network to train, one of `digits models`."),
    click.option("--epochs", metavar="N", help="Number of passes over the training images."),
    click.option("--validation", metavar="FRACTION", help="Fraction of train.csv to hold out, 0 to 0.9."),
    click.option("--folds", metavar="K", help="Cross-validate in K stratified folds, 2 to 50."),
    click.option(
        "--refit", "full", is_flag=True, default=None, help="Predict test.csv with networks trained on all rows."
    ),
    click.option("--seeds", metavar="N", help="Average N networks, trained with seed, seed + 1, and so on."),
    click.option("--seed", metavar="N", help="Random seed of the split, weights, order and augmentation."),
    click.option("--tta", metavar="VIEWS", help="Test-time augmentation: none, shift or rotate."),
    click.option("--resize", "fit", metavar="METHOD", help="Enlarge 28x28 to 32x32: pad (zeros) or resize (bilinear)."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change any field of the recipe."),
    click.option("--from-run", metavar="RUN", help="Repeat a run of the ledger; other options change its recipe."),
)


def recipe_of(options: dict[str, Any]) -> "tuple[str, Recipe]":
    """The (name, recipe) of the options; later ones override: recipe, model, --set, single fields."""
    from digit_recognizer.recipes.catalog import choose
    from digit_recognizer.recipes.recipe import change
    from digit_recognizer.recipes.toml import load, parse_settings

    sources = [key for key in ("recipe", "recipe_file", "from_run") if options[key] is not None]
    if len(sources) > 1:
        raise InputError(f"use only one of {' and '.join(f'`{key}`' for key in sources)}.")
    if sources in ([], ["recipe"]):
        name, recipe = choose(options["recipe"], options["model"])
    else:
        if options["recipe_file"]:
            name, recipe = load(options["recipe_file"])
        else:
            run = run_to_repeat(options["from_run"])
            name, recipe = run.recipe_name, run.recipe
        recipe = change(recipe, {} if options["model"] is None else {"model": options["model"]})
    fields = {field: options[field] for field in _FIELDS if options[field] is not None}
    settings = parse_settings(options["settings"]) | fields
    recipe = change(recipe, settings)
    if "validation" in settings and recipe.folds:
        raise InputError(
            f"`validation` cannot be combined with `folds` {recipe.folds}: cross-validation holds out each row once. "
            "Add `folds` 0 to hold out a fraction."
        )
    return name, recipe


def run_mode(options: dict[str, Any]) -> "RunMode":
    """A new run, one that is repeated, or one that is resumed."""
    from digit_recognizer.training.run_plan import NewRun, RepeatRun, ResumeRun

    if options["verify"] and options["from_run"] is None:
        raise InputError("--verify compares a rerun with its original; add --from-run RUN.")
    if options["verify"]:
        _refuse(_CHANGING, options, "--verify repeats a run unchanged")
    if options["resume"] is not None:
        _refuse((*_CHANGING, "from_run", "name"), options, "--resume continues a run unchanged")
        return ResumeRun(_run_to_resume(options["resume"]))
    name, recipe = recipe_of(options)
    if options["from_run"] is not None:
        return RepeatRun(run_to_repeat(options["from_run"]), recipe, options["name"], options["verify"])
    return NewRun(name, recipe, options["name"])


def run_to_repeat(word: str) -> "RunRecord":
    """The run that --from-run names. Raises InputError for an unknown run and for a blend."""
    with current_workspace().existing_ledger() as ledger:
        run = ledger.run(word)
    if run.is_blend:
        raise InputError(f"run {run.name} is a blend: repeat it with `digits blend {' '.join(run.blend_weights)}`.")
    return run


def _refuse(keys: tuple[str, ...], options: dict[str, Any], why: str) -> None:
    if given := [key for key in keys if options[key]]:
        raise InputError(f"{why}; leave out `{given[0]}`.")


def _run_to_resume(word: str) -> "RunRecord":
    """The run that --resume names. Raises InputError for a run that is unknown, finished, diverged or in training."""
    from digit_recognizer.tracking.run_session import status

    with current_workspace().existing_ledger() as ledger:
        run = ledger.run(word)
    if run.kind != "run":
        raise InputError(f"run {run.name} is a {run.kind}; only runs of `digits run` can be resumed.")
    if status(run) == "running":
        raise InputError(f"run {run.name} is being trained by another process. Wait for it.")
    if run.status == "diverged":
        raise InputError(
            f"run {run.name} diverged ({run.error}) and would diverge again. Repeat it with a lower learning rate: "
            f"`digits run --from-run {run.name} --set learning_rate=...`"
        )
    if run.status == "done":
        raise InputError(f"run {run.name} is finished. Repeat it with --from-run, or upload it with `digits submit`.")
    return run
