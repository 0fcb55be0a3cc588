"""Commands that connect to Kaggle."""

from dataclasses import asdict
from pathlib import Path

import click

from digit_recognizer.cli.app import FILE, JSON, current_workspace, digits, messages_to_stderr, print_json


@digits.command()
@click.option("--data", "folder", type=FILE, metavar="FOLDER", help="Folder to download into. [data]")
def download(folder: Path | None) -> None:
    """Download the data from Kaggle."""
    from digit_recognizer.cli.reporter import CommandReporter
    from digit_recognizer.competition.download import download_data

    download_data(folder or current_workspace().data, CommandReporter())


@digits.command()
@click.argument("file", type=FILE)
@click.option("--data", type=FILE, metavar="PATH", help="The data whose test.csv the file is for.")
@click.option("--message", default="", metavar="TEXT", help="Description shown on Kaggle.")
@click.option("--force", is_flag=True, help="Upload even a file that Kaggle has already.")
@JSON
def submit(file: Path, data: Path | None, message: str, force: bool, as_json: bool) -> None:
    """Upload a submission file.

    It is checked first, sent once, and its score is waited for.
    """
    from digit_recognizer.cli.reporter import CommandReporter
    from digit_recognizer.competition.submit import submit_file

    messages_to_stderr(as_json)
    entry = submit_file(file, current_workspace(), data, message, force, CommandReporter())
    if as_json:
        print_json(asdict(entry))


@digits.command()
@JSON
def plan(as_json: bool) -> None:
    """Show which file to upload next.

    With credentials, the ledger is updated from Kaggle's list first.
    """
    from digit_recognizer.cli.render_tables import show_plan
    from digit_recognizer.cli.reporter import CommandReporter
    from digit_recognizer.competition.plan import plan_uploads

    messages_to_stderr(as_json)
    found = plan_uploads(current_workspace(), CommandReporter())
    print_json(found.to_json()) if as_json else show_plan(found)
