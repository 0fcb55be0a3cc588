"""Commands that ask Kaggle."""

from pathlib import Path

import click

from digit_recognizer.cli.app import FILE, digits, print_json, print_news_to_stderr


@digits.command()
@click.option(
    "--data", "folder", type=FILE, default="data", show_default=True, metavar="FOLDER", help="Folder to download into."
)
def download(folder: Path) -> None:
    """Fetch the data from Kaggle."""
    from digit_recognizer.competition import download as fetching

    fetching.download_data(folder)


@digits.command()
@click.argument("file", type=FILE)
@click.option("--data", type=FILE, metavar="PATH", help="The data whose test.csv the file is for.")
@click.option("--message", default="", metavar="TEXT", help="Description shown on Kaggle.")
@click.option("--again", is_flag=True, help="Upload even a file that Kaggle has already.")
@click.option("--json", "as_json", is_flag=True, help="Print the entry as one JSON object, the news to stderr.")
def submit(file: Path, data: Path | None, message: str, again: bool, as_json: bool) -> None:
    """Upload a submission file.

    It is checked first, sent once, and its score is waited for.
    """
    from digit_recognizer.competition import submit as sending

    print_news_to_stderr(as_json)
    entry = sending.submit_file(file, data, message, again)
    if as_json:
        print_json(entry)


@digits.command()
@click.option("--json", "as_json", is_flag=True, help="Print the plan as one JSON object.")
def plan(as_json: bool) -> None:
    """Say which file to upload next.

    Brings the ledger up to Kaggle's list first, when there are credentials.
    """
    from digit_recognizer.competition import plan as planning

    print_news_to_stderr(as_json)
    found = planning.plan_uploads()
    print_json(found) if as_json else planning.show(found)
