"""The commands. Each is a thin skin over a function; it imports what it needs when it is called."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__
from .errors import InputError, RunError

if TYPE_CHECKING:
    from .recipes import Recipe

_FILE = click.Path(path_type=Path)
_SHORT = ("epochs", "validation", "folds", "full", "seeds", "seed", "fit", "tta")  # options that are recipe fields
_RECIPE_OPTIONS = (
    click.option("--recipe", metavar="NAME", help="What to train and how; `digits recipes` lists them. [lenet5]"),
    click.option("--recipe-file", type=_FILE, metavar="TOML", help="A recipe of your own."),
    click.option("--model", metavar="NAME", help="The network; `digits models` lists them."),
    click.option("--epochs", metavar="N", help="How often to go through the training images."),
    click.option("--validation", metavar="PART", help="Part of train.csv to hold out; 0 trains on all of it."),
    click.option("--folds", metavar="K", help="Cross-validate in K stratified folds instead."),
    click.option("--full", is_flag=True, default=None, help="Label test.csv by networks trained on all of train.csv."),
    click.option("--seeds", metavar="N", help="Train N networks, of seed, seed + 1, ..., and average them."),
    click.option("--seed", metavar="N", help="Random seed of split, first weights, order and augmentation."),
    click.option("--tta", metavar="HOW", help="Test-time augmentation: none, shift or rotate."),
    click.option("--fit", metavar="HOW", help="28x28 to 32x32: pad, or resize (bilinear)."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change any field of the recipe."),
    click.option("--like", metavar="RUN", help="The recipe, whole, of a run in the ledger."),
)


def _recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options from which `_recipe` makes a recipe, in this order."""
    for option in reversed(_RECIPE_OPTIONS):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="digits")
def digits() -> None:
    """Kaggle's Digit Recognizer, from train.csv to a scored submission."""


@digits.command()
@click.option("--data", type=_FILE, metavar="PATH", help="Folder or zip with train.csv and test.csv, or `sample`.")
@_recipe_options
@click.option("--answers", type=_FILE, metavar="CSV", help="The test labels, where you have them, to score with.")
@click.option("--name", metavar="WORD", help="Name of the run, besides its time. [the recipe's]")
@click.option("--submit", is_flag=True, help="Upload the submission to Kaggle and wait for its score.")
@click.option("--message", default="", metavar="TEXT", help="Description shown on Kaggle.")
@click.option("--again", is_flag=True, help="Upload even a file that Kaggle has already.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object, the news to stderr.")
def run(**options: Any) -> None:
    """Train and write a submission.

    All that belongs to it goes to submissions/<run>/. Without Kaggle's files a small built-in sample is used.
    """
    from . import pipeline

    if (options["message"] or options["again"]) and not options["submit"]:
        raise InputError("--message and --again are for an upload; add --submit.")
    _news_to_stderr(options["as_json"])
    name, recipe = _recipe(options)
    result = pipeline.run(
        pipeline.Job(
            recipe_name=name,
            recipe=recipe,
            data=options["data"],
            answers=options["answers"],
            run_name=options["name"],
            submit=options["submit"],
            message=options["message"],
            again=options["again"],
        )
    )
    if options["as_json"]:
        _print_json(result)


@digits.command()
@click.option(
    "--data", "folder", type=_FILE, default="data", show_default=True, metavar="FOLDER", help="Folder to download into."
)
def download(folder: Path) -> None:
    """Fetch the data from Kaggle."""
    from . import fetching

    fetching.download(folder)


@digits.command()
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@click.option("--answers", type=_FILE, required=True, metavar="CSV", help="ImageId,Label, or a labelled Kaggle CSV.")
@click.option("--wrong", type=_FILE, metavar="CSV", help="Write the wrong rows of the first file here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def score(files: tuple[Path, ...], answers: Path, wrong: Path | None, as_json: bool) -> None:
    """Score submissions offline.

    Two files are compared, too: which is better, and whether the difference could be chance.
    """
    from . import bookkeeping, scorecard

    result = scorecard.score_files(files, answers, wrong)
    _print_json(result) if as_json else scorecard.show(result)
    bookkeeping.keep_scores(result)


@digits.command()
@click.argument("file", type=_FILE)
@click.option("--data", type=_FILE, metavar="PATH", help="The data whose test.csv the file is for.")
@click.option("--message", default="", metavar="TEXT", help="Description shown on Kaggle.")
@click.option("--again", is_flag=True, help="Upload even a file that Kaggle has already.")
@click.option("--json", "as_json", is_flag=True, help="Print the entry as one JSON object, the news to stderr.")
def submit(file: Path, data: Path | None, message: str, again: bool, as_json: bool) -> None:
    """Upload a submission file.

    It is checked first, sent once, and its score is waited for.
    """
    from . import sending

    _news_to_stderr(as_json)
    entry = sending.submit(file, data, message, again)
    if as_json:
        _print_json(entry)


@digits.command()
@click.option(
    "--sort", default="accuracy", show_default=True, metavar="BY", help="accuracy, loss, public, weights, ..."
)
@click.option("--recipe", metavar="NAME", help="Only runs of this recipe.")
@click.option("--model", metavar="NAME", help="Only runs with this model.")
@click.option("--top", type=int, metavar="N", help="Only the first N.")
@click.option("--all", "every", is_flag=True, help="Also runs that failed, were pruned or go on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead.")
def leaderboard(
    sort: str, recipe: str | None, model: str | None, top: int | None, every: bool, as_json: bool, as_csv: bool
) -> None:
    """List the best runs of the ledger."""
    from . import board

    rows = board.board(sort, recipe, model, top, every)
    if as_json:
        _print_json(rows)
    elif as_csv:
        click.echo(board.to_csv(rows), nl=False)
    else:
        board.show_board(rows)


@digits.command()
@click.argument("run", metavar="RUN")
@click.option("--note", metavar="TEXT", help="Write this note to the run first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def show(run: str, note: str | None, as_json: bool) -> None:
    """Tell all the ledger knows of a run.

    RUN is its name, its number, a part of its name that no other has, or `last`.
    """
    from . import board

    found = board.details(run, note)
    _print_json(found) if as_json else board.show_details(found)


@digits.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--data", type=_FILE, metavar="PATH", help="Where the runs' train.csv is now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def compare(first: str, second: str, data: Path | None, as_json: bool) -> None:
    """Say whether run B is better than run A.

    Or, for two submission files: how much their scores can differ.
    """
    from . import versus

    found = versus.compare_two(first, second, data)
    _print_json(found) if as_json else versus.show(found)


@digits.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--weights", default="greedy", show_default=True, metavar="HOW", help="greedy or equal.")
@click.option("--name", default="blend", metavar="WORD", help="Name of the new run, besides its time.")
@click.option("--data", type=_FILE, metavar="PATH", help="Where the runs' train.csv is now.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def blend(runs: tuple[str, ...], weights: str, name: str, data: Path | None, as_json: bool) -> None:
    """Make a submission of several runs.

    Nothing is trained: their stored probabilities are averaged.
    """
    from . import blending

    _news_to_stderr(as_json)
    result = blending.blend(runs, weights, name, data)
    _print_json(result) if as_json else blending.show(result)


@digits.command()
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@click.option("-o", "--output", type=_FILE, default=Path("submissions/report.html"), show_default=True, metavar="HTML")
@click.option("--data", type=_FILE, metavar="PATH", help="Where the runs' data is now.")
def report(runs: tuple[str, ...], output: Path, data: Path | None) -> None:
    """Write a page to look at.

    Without runs, of the whole ledger and its best run. One HTML file that needs nothing else.
    """
    from .files import write_atomically
    from .report import page, records
    from .terminal import say

    write_atomically(output, page.render(records.gather(runs, data)))
    say(f"Wrote {output}; open it in a browser.")


@digits.command()
@click.argument("file", type=_FILE, metavar="SPACE.toml")
@click.option("--trials", type=click.IntRange(min=1), required=True, metavar="N", help="How many the study shall have.")
@click.option("--hours", type=click.FloatRange(min=0), metavar="H", help="Begin no trial after so long.")
@click.option("--data", type=_FILE, metavar="PATH", help="Folder or zip with train.csv and test.csv, or `sample`.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object, the news to stderr.")
def sweep(file: Path, trials: int, hours: float | None, data: Path | None, as_json: bool) -> None:
    """Search a space of recipes.

    SPACE.toml is a recipe's file with a table [space] of the fields that vary. Each trial is a run of the ledger,
    judged by cross-validation. The same command again goes on with the study, also in several processes at once.
    """
    from . import sweep as study

    _news_to_stderr(as_json)
    result = study.sweep(file, trials, hours, data)
    _print_json(result) if as_json else study.show(result)


@digits.command()
@click.option("--json", "as_json", is_flag=True, help="Print the plan as one JSON object.")
def plan(as_json: bool) -> None:
    """Say which file to upload next.

    Brings the ledger up to Kaggle's list first, when there are credentials.
    """
    from . import planning

    _news_to_stderr(as_json)
    found = planning.plan()
    _print_json(found) if as_json else planning.show(found)


@digits.command()
@_recipe_options
@click.option(
    "-o", "--output", type=_FILE, default="notebook.ipynb", show_default=True, metavar="FILE", help="Its name."
)
def bundle(output: Path, **options: Any) -> None:
    """Make a Kaggle notebook of a recipe.

    It carries this program's code, needs no internet there, and writes /kaggle/working/submission.csv.
    """
    from .bundle import write_notebook

    write_notebook(output, *_recipe(options))


@digits.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def models(name: str | None, as_json: bool) -> None:
    """List the models, or the layers of one."""
    from . import listing

    rows = listing.layers(name) if name else listing.models()
    _print_json(rows) if as_json else listing.show(rows)


@digits.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def recipes(name: str | None, as_json: bool) -> None:
    """List the recipes, or print one.

    One is printed as TOML, ready for --recipe-file.
    """
    from . import listing
    from .recipes import choose, to_toml

    if name and not as_json:
        click.echo(to_toml(choose(name, None)[1]), nl=False)
        return
    _print_json(listing.recipes(name)) if as_json else listing.show(listing.recipes_in_words())


@digits.command()
@click.option("--leak", is_flag=True, help="Look instead whether train.csv holds test images or rows from elsewhere.")
@click.option("--data", type=_FILE, metavar="PATH", help="With --leak: the data to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def doctor(leak: bool, data: Path | None, as_json: bool) -> None:
    """Check data, credentials and versions.

    Each problem is told with its cure.
    """
    from .doctor import examine, examine_leaks, show

    findings = examine_leaks(data) if leak else examine()
    _print_json([asdict(finding) for finding in findings]) if as_json else show(findings)
    if any(finding.ok is False for finding in findings):
        raise click.exceptions.Exit(1)


def main(arguments: list[str] | None = None, command: click.Command = digits, program: str = "digits") -> None:
    """Run a command and leave with its exit code: 0, 1 what failed at run time, 2 bad input, 130 Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may hold what the terminal cannot show
    sys.exit(_run(lambda: command.main(arguments, prog_name=program, standalone_mode=False)))


def _run(command: Callable[[], Any]) -> int:
    try:
        code = command()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (InputError, RunError) as error:
        from .terminal import complain

        complain(f"Error: {error}")
        return 2 if isinstance(error, InputError) else 1
    except BrokenPipeError:  # as in `digits score ... | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be flushed at the exit
        return 1
    except OSError as error:  # a full disk
        click.echo(f"Error: {error}", err=True)
        return 1
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return 130
    return code if isinstance(code, int) else 0


def _recipe(options: dict[str, Any]) -> "tuple[str, Recipe]":
    """The recipe that the options mean, the later of them winning: recipe, model, --set, the short-hands."""
    from .recipes import change, choose, load, parse_settings

    given = [key for key in ("recipe", "recipe_file", "like") if options[key] is not None]
    if len(given) > 1:
        names = " and ".join(f"--{key.replace('_', '-')}" for key in given)
        raise InputError(f"{names}: give one of them; a file may name its `base`.")
    if given and given[0] != "recipe":
        name, recipe = load(options["recipe_file"]) if given[0] == "recipe_file" else _recipe_like(options["like"])
        recipe = change(recipe, {} if options["model"] is None else {"model": options["model"]})
    else:
        name, recipe = choose(options["recipe"], options["model"])
    short = {key: options[key] for key in _SHORT if options[key] is not None}
    return name, change(recipe, {**parse_settings(options["settings"]), **short})


def _recipe_like(word: str) -> "tuple[str, Recipe]":
    """The recipe of a run, from its row in the ledger alone."""
    from .bookkeeping import ledger
    from .recipes import from_record

    with ledger() as book:
        run = book.run(word)
    if run["kind"] == "blend":
        raise InputError(f"run {run['name']} is a blend: repeat it with `digits blend`.")
    return run["recipe_name"], from_record(json.loads(run["recipe"]))


def _news_to_stderr(as_json: bool) -> None:
    """With --json stdout holds the JSON alone, fit for a pipe."""
    from .terminal import console

    console.stderr = as_json


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value))
