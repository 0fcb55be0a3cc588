"""The options that choose the recipe or the run to train from."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from digit_recognizer.cli.app import FILE, current_workspace
from digit_recognizer.errors import InputError

if TYPE_CHECKING:
    from digit_recognizer.recipes.recipe import Recipe
    from digit_recognizer.tracking.run_record import RunRecord
    from digit_recognizer.training.run_plan import RunMode

# Options that set a field of the recipe.
_FIELDS = {
    **{name: name for name in ("epochs", "validation", "folds", "seeds", "seed", "tta")},
    "refit": "full",
    "resize": "fit",
}
_CHANGING = ("recipe", "recipe_file", "model", *_FIELDS, "settings")
_OPTIONS = (
    click.option("--recipe", metavar="NAME", help="What to train and how; `digits recipes` lists them. [lenet5]"),
    click.option("--recipe-file", type=FILE, metavar="TOML", help="A recipe of your own."),
    click.option("--model", metavar="NAME", help="The network; `digits models` lists them."),
    click.option("--epochs", metavar="N", help="Number of passes over the training images."),
    click.option("--validation", metavar="PART", help="Part of train.csv to hold out; 0 trains on all of it."),
    click.option("--folds", metavar="K", help="Cross-validate in K stratified folds, 2 to 50, instead."),
    click.option(
        "--refit", is_flag=True, default=None, help="Predict test.csv by networks trained on all of train.csv."
    ),
    click.option("--seeds", metavar="N", help="Train N networks, of seed, seed + 1, ..., and average them."),
    click.option("--seed", metavar="N", help="Random seed of split, first weights, order and augmentation."),
    click.option("--tta", metavar="HOW", help="Test-time augmentation: none, shift or rotate."),
    click.option("--resize", metavar="HOW", help="28x28 to 32x32: pad (zeros), or resize (bilinear)."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change any field of the recipe."),
    click.option("--from-run", metavar="RUN", help="Repeat a run of the ledger, perhaps with changes."),
)


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options from which `recipe_of` makes a recipe."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def recipe_of(options: dict[str, Any]) -> "tuple[str, Recipe]":
    """The (name, recipe) of the options; later ones override: recipe, model, --set, single fields."""
    from digit_recognizer.recipes.catalog import choose
    from digit_recognizer.recipes.recipe import change
    from digit_recognizer.recipes.toml import load, parse_settings

    given = [key for key in ("recipe", "recipe_file", "from_run") if options[key] is not None]
    if len(given) > 1:
        names = " and ".join(map(_option, given))
        base = "; a file may name its `base`" if "recipe_file" in given else ""
        raise InputError(f"{names}: give one of them{base}.")
    if given and given[0] != "recipe":
        if options["recipe_file"]:
            name, recipe = load(options["recipe_file"])
        else:
            run = run_to_repeat(options["from_run"])
            name, recipe = run.recipe_name, run.recipe
        recipe = change(recipe, {} if options["model"] is None else {"model": options["model"]})
    else:
        name, recipe = choose(options["recipe"], options["model"])
    fields = {field: options[option] for option, field in _FIELDS.items() if options[option] is not None}
    settings = parse_settings(options["settings"]) | fields
    recipe = change(recipe, settings)
    if "validation" in settings and recipe.folds:
        raise InputError(
            f"validation and folds exclude each other: with folds, here {recipe.folds}, each row is held out once; "
            "--folds 0 holds out a part instead."
        )
    return name, recipe


def run_mode(options: dict[str, Any]) -> "RunMode":
    """A new run, one that is repeated, or one that is resumed."""
    from digit_recognizer.training.run_plan import NewRun, RepeatRun, ResumeRun

    if options["verify"]:
        _check_unchanged(options)
    if options["resume"] is not None:
        return ResumeRun(_run_to_resume(options))
    name, recipe = recipe_of(options)
    if options["from_run"] is not None:
        return RepeatRun(run_to_repeat(options["from_run"]), recipe, options["name"], options["verify"])
    return NewRun(name, recipe, options["name"])


def run_to_repeat(word: str) -> "RunRecord":
    """The run that --from-run names. Raises InputError when there is none, or it is a blend."""
    with current_workspace().existing_ledger() as ledger:
        run = ledger.run(word)
    if run.is_blend:
        raise InputError(f"run {run.name} is a blend: repeat it with `digits blend {' '.join(run.blend_weights)}`.")
    return run


def _check_unchanged(options: dict[str, Any]) -> None:
    """Raise InputError if --from-run is combined with a recipe option."""
    if options["from_run"] is None:
        raise InputError("--verify compares a rerun with its original; name that with --from-run RUN.")
    if given := [key for key in _CHANGING if options[key]]:
        raise InputError(f"--verify repeats the run as it was; leave out {_option(given[0])}.")


def _run_to_resume(options: dict[str, Any]) -> "RunRecord":
    """The run that --resume names.

    Raises InputError when there is none, when it is finished or not of `digits run`, or when an option would change it.
    """
    from digit_recognizer.tracking.run_session import status

    if given := [key for key in (*_CHANGING, "from_run", "name") if options[key]]:
        raise InputError(f"--resume goes on with the run as it was begun; leave out {_option(given[0])}.")
    with current_workspace().existing_ledger() as ledger:
        run = ledger.run(options["resume"])
    if run.kind != "run":
        raise InputError(f"run {run.name} is a {run.kind}; only a run of `digits run` can be resumed.")
    if status(run) == "running":
        raise InputError(f"run {run.name} is being trained by another process. Wait for it.")
    if run.status == "diverged":
        raise InputError(
            f"run {run.name} diverged ({run.error}) and would do so again. Repeat it with a lower learning rate: "
            f"digits run --from-run {run.name} --set learning_rate=..."
        )
    if run.status == "done":
        raise InputError(f"run {run.name} is finished. Repeat it with --from-run, or upload it with `digits submit`.")
    return run


def _option(key: str) -> str:
    return f"--{'set' if key == 'settings' else key.replace('_', '-')}"
