"""Commands that connect to Kaggle."""

from pathlib import Path

import click

from digit_recognizer.cli.app import FILE, JSON, current_workspace, digits, print_json
from digit_recognizer.cli.render_tables import show_plan
from digit_recognizer.cli.reporter import CommandReporter


@digits.command()
@click.option("--data", "folder", type=FILE, metavar="FOLDER", help="Folder to download into. [data]")
def download(folder: Path | None) -> None:
    """Download the data from Kaggle."""
    from digit_recognizer.competition.download import download_data

    download_data(folder or current_workspace().data, CommandReporter())


@digits.command()
@click.argument("file", type=FILE)
@click.option("--data", type=FILE, metavar="PATH", help="Folder or zip with the test.csv that the file predicts.")
@click.option("--message", default="", metavar="TEXT", help="Description shown on Kaggle.")
@click.option("--force", is_flag=True, help="Upload the file even if Kaggle already has it.")
@JSON
def submit(file: Path, data: Path | None, message: str, force: bool, as_json: bool) -> None:
    """Upload a submission file.

    The file is checked, uploaded once, and its score is printed.
    """
    from digit_recognizer.competition.submit import submit_file

    entry = submit_file(file, current_workspace(), data, message, force, CommandReporter())
    if as_json:
        print_json(entry)


@digits.command()
@JSON
def plan(as_json: bool) -> None:
    """Show which file to upload next.

    If there are credentials, the ledger is first updated from Kaggle's list.
    """
    from digit_recognizer.competition.plan import plan_uploads

    found = plan_uploads(current_workspace(), CommandReporter())
    print_json(found.to_json()) if as_json else show_plan(found)
