"""The commands that train, search and blend, and the one that writes a notebook."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from digit_recognizer.cli.app import FILE, JSON, add_options, current_workspace, digits, print_json
from digit_recognizer.cli.recipe_options import recipe_of, recipe_options, run_mode
from digit_recognizer.cli.render import show_blend, show_estimate, show_next_steps, show_sweep
from digit_recognizer.cli.reporter import CommandReporter
from digit_recognizer.errors import InputError
from digit_recognizer.utils.console import print_text

if TYPE_CHECKING:
    from digit_recognizer.training.parallel.config import ExecutionConfig

DATA = click.option("--data", type=FILE, metavar="PATH", help="Folder or zip with train.csv and test.csv, or `sample`.")
_PEM = click.Path(exists=True, dir_okay=False)

# The options from which `execution_config` is made.
execution_options = add_options(
    click.option(
        "--workers",
        type=click.IntRange(1, 1024),
        default=1,
        show_default=True,
        metavar="N",
        help="Train N networks at a time.",
    ),
    click.option(
        "--dask-scheduler", metavar="ADDRESS", help="Train on the workers of a Dask scheduler, tls://HOST:PORT."
    ),
    click.option("--tls-ca-file", type=_PEM, metavar="PEM", help="CA certificate of the Dask cluster."),
    click.option(
        "--tls-cert", "tls_client_cert", type=_PEM, metavar="PEM", help="Your certificate for the Dask cluster."
    ),
    click.option("--tls-key", "tls_client_key", type=_PEM, metavar="PEM", help="Private key of your certificate."),
    click.option("--insecure", is_flag=True, help="Allow a scheduler at tcp://, unencrypted, on a trusted network."),
)


def execution_config(options: dict[str, Any]) -> "ExecutionConfig":
    """The config of the options, which are removed from `options`. Raises InputError as `ExecutionConfig` does."""
    from digit_recognizer.training.parallel.config import ExecutionConfig

    files = {name: options.pop(name) for name in ("tls_ca_file", "tls_client_cert", "tls_client_key")}
    tls = {name: file for name, file in files.items() if file}
    return ExecutionConfig(options.pop("workers"), options.pop("dask_scheduler"), tls, options.pop("insecure"))


@digits.command()
@DATA
@recipe_options
@execution_options
@click.option("--dry-run", is_flag=True, help="List the networks, with known training times, and train nothing.")
@click.option("--verify", is_flag=True, help="With --from-run: check whether the rerun gives the same bits.")
@click.option("--resume", metavar="RUN", help="Continue a run that was stopped.")
@click.option("--answers", type=FILE, metavar="CSV", help="Score the submission against these test labels.")
@click.option("--name", metavar="NAME", help="Name of the run, after its start time. [the recipe's name]")
@click.option("--submit", is_flag=True, help="Upload the submission to Kaggle and wait for its score.")
@click.option("--message", default="", metavar="TEXT", help="Description shown on Kaggle.")
@click.option("--force", is_flag=True, help="Upload the file even if Kaggle already has it.")
@JSON
def run(as_json: bool, dry_run: bool, **options: Any) -> None:
    """Train networks and write a submission.

    The files of the run are written to submissions/<run>/. Without Kaggle's files, the small built-in sample is used.
    """
    from digit_recognizer import pipeline

    if (options["message"] or options["force"]) and not options["submit"]:
        raise InputError("--message and --force apply to an upload; add --submit.")
    execution = execution_config(options)
    upload = pipeline.UploadConfig(options["message"], options["force"]) if options["submit"] else None
    config = pipeline.RunConfig(run_mode(options), options["data"], options["answers"], upload, execution)
    workspace, reporter = current_workspace(), CommandReporter(_resume_options(options))
    if dry_run:
        estimate = pipeline.estimate(config, workspace, reporter)
        return print_json(estimate) if as_json else show_estimate(estimate)
    result = pipeline.run(config, workspace, reporter)
    if as_json:
        print_json(result.to_json())
    elif not upload:
        show_next_steps(result)


def _resume_options(options: dict[str, Any]) -> str:
    """The options that a resumed run needs again, because the run does not store them."""
    words = ["--answers", str(options["answers"])] if options["answers"] else []
    words += ["--submit"] if options["submit"] else []
    words += ["--message", options["message"]] if options["message"] else []
    words += ["--force"] if options["force"] else []
    return "".join(f" {quote(word)}" for word in words)


@digits.command()
@click.argument("file", type=FILE, metavar="SPACE.toml")
@click.option("--trials", type=click.IntRange(min=1), required=True, metavar="N", help="Number of trials in the study.")
@click.option("--hours", type=click.FloatRange(min=0), metavar="H", help="Start no new trial after H hours.")
@DATA
@execution_options
@JSON
def sweep(file: Path, trials: int, hours: float | None, data: Path | None, as_json: bool, **options: Any) -> None:
    """Search a space of recipes.

    SPACE.toml is a recipe file with a table [space] of the fields that vary. Each trial is a cross-validated run in the
    ledger. Repeat the command to continue the study; several processes can share it.
    """
    from digit_recognizer.competition.download import find_or_download
    from digit_recognizer.data.dataset import read_dataset
    from digit_recognizer.training.tuning import sweep as tuning

    execution, workspace, reporter = execution_config(options), current_workspace(), CommandReporter()
    space = tuning.read_space(file)
    dataset = read_dataset(find_or_download(data, workspace.data, reporter))
    result = tuning.sweep(space, trials, dataset, workspace, hours, execution, reporter)
    print_json(result) if as_json else show_sweep(result)


@digits.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--weights",
    default="greedy",
    show_default=True,
    metavar="METHOD",
    help="greedy (chosen by log-loss on held-out rows) or equal.",
)
@click.option(
    "--name", default="blend", show_default=True, metavar="NAME", help="Name of the new run, after its start time."
)
@click.option("--data", type=FILE, metavar="PATH", help="Data of the runs, if it was moved.")
@JSON
def blend(runs: tuple[str, ...], weights: str, name: str, data: Path | None, as_json: bool) -> None:
    """Average finished runs into a new submission.

    Nothing is trained: the stored predictions of the runs are averaged. A blend among them is replaced by its own runs.
    """
    from digit_recognizer.blending import blend_runs

    result = blend_runs(runs, current_workspace(), weights, name, data, CommandReporter())
    print_json(result.to_json()) if as_json else show_blend(result)


@digits.command()
@recipe_options
@click.option(
    "-o", "--output", type=FILE, default="notebook.ipynb", show_default=True, metavar="FILE", help="File to write."
)
def notebook(output: Path, **options: Any) -> None:
    """Write a Kaggle notebook that trains a recipe.

    The notebook contains the code of this package, works without internet access, and writes
    /kaggle/working/submission.csv.
    """
    from digit_recognizer.competition.notebook import write_notebook

    name, recipe = recipe_of(options)
    n_files = write_notebook(output, name, recipe)
    print_text(
        f"Wrote {output}: recipe {name} and {n_files} source files. On Kaggle: New Notebook, File, Import Notebook."
    )
