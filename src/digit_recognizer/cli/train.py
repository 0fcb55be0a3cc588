"""Commands that make runs, and notebooks that make them."""

from pathlib import Path
from typing import Any

import click

from digit_recognizer.cli.app import FILE, digits, print_json, print_news_to_stderr
from digit_recognizer.cli.execution_options import execution_config, execution_options
from digit_recognizer.cli.recipe_options import (
    must_be_unchanged,
    recipe_like,
    recipe_of,
    recipe_options,
    run_like,
    run_to_resume,
)
from digit_recognizer.errors import InputError


@digits.command()
@click.option("--data", type=FILE, metavar="PATH", help="Folder or zip with train.csv and test.csv, or `sample`.")
@recipe_options
@execution_options
@click.option("--dry-run", is_flag=True, help="List the networks and their seconds by the ledger; train nothing.")
@click.option("--check", is_flag=True, help="With --like: compare the rerun with the original, bit by bit.")
@click.option("--resume", metavar="RUN", help="Go on with a run that did not come to its end.")
@click.option("--answers", type=FILE, metavar="CSV", help="The test labels, where you have them, to score with.")
@click.option("--name", metavar="WORD", help="Name of the run, besides its time. [the recipe's]")
@click.option("--submit", is_flag=True, help="Upload the submission to Kaggle and wait for its score.")
@click.option("--message", default="", metavar="TEXT", help="Description shown on Kaggle.")
@click.option("--again", is_flag=True, help="Upload even a file that Kaggle has already.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object, the news to stderr.")
def run(**options: Any) -> None:
    """Train and write a submission.

    All that belongs to it goes to submissions/<run>/. Without Kaggle's files a small built-in sample is used.
    """
    from digit_recognizer import pipeline
    from digit_recognizer.competition import download
    from digit_recognizer.data import sources
    from digit_recognizer.training import estimate

    if (options["message"] or options["again"]) and not options["submit"]:
        raise InputError("--message and --again are for an upload; add --submit.")
    places = execution_config(options)
    print_news_to_stderr(options["as_json"])
    if options["check"]:
        must_be_unchanged(options)
    resumed = run_to_resume(options) if options["resume"] is not None else None
    name, recipe = recipe_like(resumed) if resumed else recipe_of(options)
    origin = resumed or (run_like(options["like"]) if options["like"] else None)
    data = options["data"] or (Path(origin["data"]) if origin else None)
    if options["dry_run"]:
        labels = sources.read(download.find_or_download(data))[0].labels
        found = estimate.list_networks(recipe, labels, places, resumed, as_it_was=options["check"])
        return print_json(found) if options["as_json"] else estimate.show(found)
    result = pipeline.run(
        pipeline.RunConfig(
            recipe_name=name,
            recipe=recipe,
            data=data,
            origin=origin,
            resumes=resumed is not None,
            check=options["check"],
            answers=options["answers"],
            run_name=options["name"],
            submit=options["submit"],
            message=options["message"],
            again=options["again"],
            places=places,
        )
    )
    if options["as_json"]:
        print_json(result)


@digits.command()
@click.argument("file", type=FILE, metavar="SPACE.toml")
@click.option("--trials", type=click.IntRange(min=1), required=True, metavar="N", help="How many the study shall have.")
@click.option("--hours", type=click.FloatRange(min=0), metavar="H", help="Begin no trial after so long.")
@click.option("--data", type=FILE, metavar="PATH", help="Folder or zip with train.csv and test.csv, or `sample`.")
@execution_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object, the news to stderr.")
def sweep(file: Path, trials: int, hours: float | None, data: Path | None, as_json: bool, **options: Any) -> None:
    """Search a space of recipes.

    SPACE.toml is a recipe's file with a table [space] of the fields that vary. Each trial is a run of the ledger,
    judged by cross-validation. The same command again goes on with the study, also in several processes at once.
    """
    from digit_recognizer.competition import download
    from digit_recognizer.data import sources
    from digit_recognizer.training import ensemble
    from digit_recognizer.training.tuning import sweep as study

    print_news_to_stderr(as_json)
    where = execution_config(options)
    chosen = study.read_space(file)
    source = download.find_or_download(data)
    read = ensemble.Data(source, *sources.read(source))
    result = study.sweep(chosen, trials, read, hours, where)
    print_json(result) if as_json else study.show(result)


@digits.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--weights", default="greedy", show_default=True, metavar="HOW", help="greedy or equal.")
@click.option("--name", default="blend", metavar="WORD", help="Name of the new run, besides its time.")
@click.option("--data", type=FILE, metavar="PATH", help="Where the runs' train.csv is now.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def blend(runs: tuple[str, ...], weights: str, name: str, data: Path | None, as_json: bool) -> None:
    """Make a submission of several runs.

    Nothing is trained: their stored probabilities are averaged. A blend stands for the runs it is made of.
    """
    from digit_recognizer import blending

    print_news_to_stderr(as_json)
    result = blending.blend(runs, weights, name, data)
    print_json(result) if as_json else blending.show(result)


@digits.command()
@recipe_options
@click.option(
    "-o", "--output", type=FILE, default="notebook.ipynb", show_default=True, metavar="FILE", help="Its name."
)
def bundle(output: Path, **options: Any) -> None:
    """Make a Kaggle notebook of a recipe.

    It carries this program's code, needs no internet there, and writes /kaggle/working/submission.csv.
    """
    from digit_recognizer.competition.notebook import write_notebook

    write_notebook(output, *recipe_of(options))
