"""Commands that look; they train, send and change no run."""

from dataclasses import asdict
from pathlib import Path

import click

from digit_recognizer.cli.app import FILE, digits, print_json


@digits.command()
@click.option(
    "--sort",
    default="accuracy",
    show_default=True,
    metavar="BY",
    help="accuracy (the lower end of its interval), loss, public, weights, seconds or newest.",
)
@click.option("--recipe", metavar="NAME", help="Only runs of this recipe.")
@click.option("--model", metavar="NAME", help="Only runs with this model.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@click.option("--all", "every", is_flag=True, help="Also runs that failed, were pruned or go on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead.")
def leaderboard(
    sort: str, recipe: str | None, model: str | None, top: int | None, every: bool, as_json: bool, as_csv: bool
) -> None:
    """List the best runs of the ledger."""
    from digit_recognizer.report import leaderboard as board

    rows = board.leaderboard(sort, recipe, model, top, every)
    if as_json:
        print_json(rows)
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

    RUN is its name, its number, a part of its name, not of digits alone, that no other has, or `last`.
    """
    from digit_recognizer.report import leaderboard as board

    found = board.run_details(run, note)
    print_json(found) if as_json else board.show_details(found)


@digits.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--data", type=FILE, metavar="PATH", help="Where the runs' train.csv is now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def compare(first: str, second: str, data: Path | None, as_json: bool) -> None:
    """Say whether run B is better than run A.

    A and B are runs of the ledger. Given two submission files instead, it says how much their scores can differ.
    """
    from digit_recognizer.tracking import compare as versus

    found = versus.compare_two(first, second, data)
    print_json(found) if as_json else versus.show(found)


@digits.command()
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@click.option("-o", "--output", type=FILE, default=Path("submissions/report.html"), show_default=True, metavar="HTML")
@click.option("--data", type=FILE, metavar="PATH", help="Where the runs' data is now.")
def report(runs: tuple[str, ...], output: Path, data: Path | None) -> None:
    """Write a page to look at.

    Without runs, of the whole ledger and its best run. One HTML file that needs nothing else.
    """
    from digit_recognizer.report import gather, page
    from digit_recognizer.training.tuning import study
    from digit_recognizer.utils.console import complain, say
    from digit_recognizer.utils.files import check_target, write_atomically

    record = gather.gather(runs, data, study.summaries())
    check_target(output, ".html")
    write_atomically(output, page.render(record))
    for part in record["runs"]:
        for missing in part["missing"]:
            complain(f"Warning: of run {part['name']} a part could not be made. {missing}", style="yellow")
    say(f"Wrote {output}; open it in a browser.")


@digits.command()
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option("--answers", type=FILE, required=True, metavar="CSV", help="ImageId,Label, or a labelled Kaggle CSV.")
@click.option("--wrong", type=FILE, metavar="CSV", help="Write the wrong rows of the first file here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def score(files: tuple[Path, ...], answers: Path, wrong: Path | None, as_json: bool) -> None:
    """Score submissions offline.

    Two files are compared, too: which is better, and whether the difference could be chance. Where there is a
    ledger, the scores are entered.
    """
    from digit_recognizer.errors import RunError
    from digit_recognizer.evaluation import grading
    from digit_recognizer.tracking import run_session

    result = grading.score_files(files, answers, wrong)
    tell = print_json if as_json else grading.show
    try:
        run_session.record_scores(result)  # first, as the reader of what is printed may leave early
    except RunError:
        tell(result)
        raise
    tell(result)


@digits.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def models(name: str | None, as_json: bool) -> None:
    """List the models, or the layers of one."""
    from digit_recognizer.cli import zoo

    rows = zoo.layers(name) if name else zoo.models()
    print_json(rows) if as_json else zoo.show(rows)


@digits.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def recipes(name: str | None, as_json: bool) -> None:
    """List the recipes, or print one.

    One is printed as TOML, ready for --recipe-file.
    """
    from digit_recognizer.cli import zoo
    from digit_recognizer.recipes.recipe import choose
    from digit_recognizer.recipes.toml import to_toml

    if name and not as_json:
        click.echo(to_toml(choose(name, None)[1]), nl=False)
        return
    print_json(zoo.recipes(name)) if as_json else zoo.show(zoo.recipes_in_words())


@digits.command()
@click.option("--leak", is_flag=True, help="Look instead whether train.csv holds test images or rows from elsewhere.")
@click.option("--data", type=FILE, metavar="PATH", help="The data to look at. [what a run would use]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def doctor(leak: bool, data: Path | None, as_json: bool) -> None:
    """Check data, credentials and versions.

    Each problem is told with its cure.
    """
    from digit_recognizer.cli.doctor import examine, examine_leaks, show

    findings = examine_leaks(data) if leak else examine(data)
    print_json([asdict(finding) for finding in findings]) if as_json else show(findings)
    if any(finding.ok is False for finding in findings):
        raise click.exceptions.Exit(1)
