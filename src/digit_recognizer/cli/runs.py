"""Commands that show runs; they neither train nor upload."""

from pathlib import Path

import click

from digit_recognizer.cli import render_tables
from digit_recognizer.cli.app import FILE, JSON, current_workspace, digits, print_json, with_options
from digit_recognizer.utils.console import print_error, print_text


@digits.command()
@click.option(
    "--sort",
    default="accuracy",
    show_default=True,
    metavar="BY",
    help="Sort by accuracy (lower end of the 95 % interval), loss, public, weights, seconds or newest.",
)
@click.option("--recipe", metavar="NAME", help="List only runs of this recipe.")
@click.option("--model", metavar="NAME", help="List only runs with this model.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="List only the first N runs.")
@click.option("--all", "every", is_flag=True, help="Also list runs that are not finished.")
@JSON
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def leaderboard(
    sort: str, recipe: str | None, model: str | None, top: int | None, every: bool, as_json: bool, as_csv: bool
) -> None:
    """List the best runs in the ledger."""
    from digit_recognizer.report import leaderboard as board

    rows = board.leaderboard(current_workspace(), sort, recipe, model, top, every)
    if as_json:
        print_json(rows)
    elif as_csv:
        click.echo(board.to_csv(rows), nl=False)
    else:
        render_tables.show_leaderboard(rows)


@digits.command()
@click.argument("run", metavar="RUN")
@click.option("--note", metavar="TEXT", help="Attach a note to the run.")
@JSON
def show(run: str, note: str | None, as_json: bool) -> None:
    """Show all records of a run.

    RUN is a run's id, its name, a part of its name that no other run has (not digits alone), or `last`.
    """
    from digit_recognizer.report.leaderboard import run_details

    found = run_details(run, current_workspace(), note)
    print_json(found.to_json()) if as_json else render_tables.show_run(found)


@digits.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--data", type=FILE, metavar="PATH", help="Data of the runs, if it was moved.")
@JSON
def compare(first: str, second: str, data: Path | None, as_json: bool) -> None:
    """Test whether run B is better than run A.

    A and B can also be two submission files. Then the command prints how many labels differ, and by how much the scores
    can differ.
    """
    from digit_recognizer.tracking.compare import compare_runs_or_files

    found = compare_runs_or_files(first, second, current_workspace(), data)
    print_json(found) if as_json else render_tables.show_comparison(found)


@digits.command()
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@click.option("-o", "--output", type=FILE, metavar="HTML", help="File to write. [submissions/report.html]")
@click.option("--data", type=FILE, metavar="PATH", help="Data of the runs, if it was moved.")
def report(runs: tuple[str, ...], output: Path | None, data: Path | None) -> None:
    """Write an HTML report of runs.

    Without RUN, the report covers the whole ledger and its best run. It is a single file that loads nothing else.
    """
    from digit_recognizer.report.page import write_report
    from digit_recognizer.training.tuning.results import summaries

    workspace = current_workspace()
    path = output or workspace.submissions / "report.html"
    for warning in write_report(path, workspace, runs, data, summaries(workspace.sweeps)):
        print_error(f"Warning: {with_options(warning)}", style="yellow")
    print_text(f"Wrote {path}; open it in a browser.")


@digits.command()
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option(
    "--answers", type=FILE, required=True, metavar="CSV", help="True labels: ImageId,Label, or a labelled Kaggle CSV."
)
@click.option("--errors", type=FILE, metavar="CSV", help="Write the misclassified rows of the first file to this file.")
@JSON
def score(files: tuple[Path, ...], answers: Path, errors: Path | None, as_json: bool) -> None:
    """Score submission files against known labels.

    Two files are also compared by the exact McNemar test. If there is a ledger, the scores are stored in it.
    """
    from digit_recognizer.evaluation.grading import grade_files
    from digit_recognizer.tracking.run_session import record_grades

    grades = grade_files(files, answers, errors)
    try:
        record_grades(current_workspace(), grades)  # before printing, which a closed pipe ends
    finally:
        print_json(grades.to_json()) if as_json else render_tables.show_grades(grades)
