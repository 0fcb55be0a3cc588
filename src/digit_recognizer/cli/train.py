"""Commands that make runs, and notebooks that make them."""

from pathlib import Path
from shlex import quote
from typing import Any

import click

from digit_recognizer.cli.app import FILE, JSON, current_workspace, digits, messages_to_stderr, print_json
from digit_recognizer.cli.execution_options import execution_config, execution_options
from digit_recognizer.cli.recipe_options import recipe_of, recipe_options, run_mode
from digit_recognizer.errors import InputError

DATA = click.option("--data", type=FILE, metavar="PATH", help="Folder or zip with train.csv and test.csv, or `sample`.")
NAME = click.option("--name", metavar="WORD", help="Name of the run, besides its time. [the recipe's]")


@digits.command()
@DATA
@recipe_options
@execution_options
@click.option("--dry-run", is_flag=True, help="List the networks and their seconds by the ledger; train nothing.")
@click.option("--verify", is_flag=True, help="With --from-run: check whether the rerun reproduces the original.")
@click.option("--resume", metavar="RUN", help="Go on with a run that is not finished.")
@click.option("--answers", type=FILE, metavar="CSV", help="The test labels, where you have them, to score with.")
@NAME
@click.option("--submit", is_flag=True, help="Upload the submission to Kaggle and wait for its score.")
@click.option("--message", default="", metavar="TEXT", help="Description shown on Kaggle.")
@click.option("--force", is_flag=True, help="Upload even a file that Kaggle has already.")
@JSON
def run(**options: Any) -> None:
    """Train and write a submission.

    All its files go to submissions/<run>/. Without Kaggle's files a small built-in sample is used.
    """
    from digit_recognizer import pipeline
    from digit_recognizer.cli.render import show_next_steps
    from digit_recognizer.cli.reporter import CommandReporter

    if (options["message"] or options["force"]) and not options["submit"]:
        raise InputError("--message and --force are for an upload; add --submit.")
    execution = execution_config(options)
    messages_to_stderr(options["as_json"])
    upload = pipeline.UploadConfig(options["message"], options["force"]) if options["submit"] else None
    config = pipeline.RunConfig(run_mode(options), options["data"], options["answers"], upload, execution)
    reporter = CommandReporter(_resume_options(options))
    if options["dry_run"]:
        return _dry_run(config, reporter, options["as_json"])
    result = pipeline.run(config, current_workspace(), reporter)
    if options["as_json"]:
        print_json(result.to_json())
    elif not upload:
        show_next_steps(result)


def _dry_run(config: Any, reporter: Any, as_json: bool) -> None:
    from digit_recognizer import pipeline
    from digit_recognizer.cli.render import show_estimate

    found = pipeline.estimate(config, current_workspace(), reporter)
    print_json(found.to_json()) if as_json else show_estimate(found)


def _resume_options(options: dict[str, Any]) -> str:
    """The options that a resumed run needs again, as it does not keep them."""
    words = [f"--answers {quote(str(options['answers']))}"] if options["answers"] else []
    if options["submit"]:
        words += ["--submit"]
        words += [f"--message {quote(options['message'])}"] if options["message"] else []
        words += ["--force"] if options["force"] else []
    return "".join(f" {word}" for word in words)


@digits.command()
@click.argument("file", type=FILE, metavar="SPACE.toml")
@click.option("--trials", type=click.IntRange(min=1), required=True, metavar="N", help="Number of trials of the study.")
@click.option("--hours", type=click.FloatRange(min=0), metavar="H", help="Start no trial after so long.")
@DATA
@execution_options
@JSON
def sweep(file: Path, trials: int, hours: float | None, data: Path | None, as_json: bool, **options: Any) -> None:
    """Search a space of recipes.

    SPACE.toml is a recipe file with a table [space] of the fields that vary. Each trial is a cross-validated run of the
    ledger. The same command again goes on with the study, also in several processes at once.
    """
    from digit_recognizer.cli.render import show_sweep
    from digit_recognizer.cli.reporter import CommandReporter
    from digit_recognizer.competition.download import find_or_download
    from digit_recognizer.data.dataset import read_dataset
    from digit_recognizer.training.tuning import sweep as tuning

    messages_to_stderr(as_json)
    execution, workspace, reporter = execution_config(options), current_workspace(), CommandReporter()
    space = tuning.read_space(file)
    dataset = read_dataset(find_or_download(data, workspace.data, reporter))
    result = tuning.sweep(space, trials, dataset, workspace, hours, execution, reporter)
    print_json(result.to_json()) if as_json else show_sweep(result)


@digits.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--weights", default="greedy", show_default=True, metavar="HOW", help="greedy or equal.")
@click.option("--name", default="blend", metavar="WORD", help="Name of the new run, besides its time.")
@click.option("--data", type=FILE, metavar="PATH", help="Where the runs' train.csv is now.")
@JSON
def blend(runs: tuple[str, ...], weights: str, name: str, data: Path | None, as_json: bool) -> None:
    """Make a submission of several runs.

    Nothing is trained: their stored predictions are averaged. A blend stands for the runs it is made of.
    """
    from digit_recognizer.blending import blend_runs
    from digit_recognizer.cli.render import show_blend
    from digit_recognizer.cli.reporter import CommandReporter

    messages_to_stderr(as_json)
    result = blend_runs(runs, current_workspace(), weights, name, data, CommandReporter())
    print_json(result.to_json()) if as_json else show_blend(result)


@digits.command()
@recipe_options
@click.option(
    "-o", "--output", type=FILE, default="notebook.ipynb", show_default=True, metavar="FILE", help="Its name."
)
def notebook(output: Path, **options: Any) -> None:
    """Make a Kaggle notebook of a recipe.

    It contains this package's code, needs no internet there, and writes /kaggle/working/submission.csv.
    """
    from digit_recognizer.competition.notebook import write_notebook
    from digit_recognizer.utils.console import print_text

    name, recipe = recipe_of(options)
    n_files = write_notebook(output, name, recipe)
    print_text(
        f"Wrote {output}: recipe {name} and {n_files} source files. On Kaggle: New Notebook, File, Import Notebook."
    )
