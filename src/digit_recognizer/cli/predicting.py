"""Commands that use a finished run's networks."""

from pathlib import Path

import click

from .group import FILE, digits, news_to_stderr, print_json


@digits.command()
@click.argument("source", type=FILE, metavar="INPUT")
@click.option("--run", required=True, metavar="RUN", help="Whose networks label the images.")
@click.option("-o", "--output", type=FILE, required=True, metavar="CSV", help="Where the labels go.")
@click.option("--probabilities", is_flag=True, help="Write the probability of each digit beside the label.")
@click.option("--skip-bad", type=FILE, metavar="CSV", help="Set rows that hold no image aside there, and go on.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object, the news to stderr.")
def predict(source: Path, run: str, output: Path, probabilities: bool, skip_bad: Path | None, as_json: bool) -> None:
    """Label any number of images.

    INPUT is a CSV like test.csv or train.csv, plain or packed by gzip, or an .npy of uint8. Memory does not grow with
    it. The same command goes on where a killed one ended.
    """
    from .. import labelling

    news_to_stderr(as_json)
    result = labelling.predict(labelling.Job(source, run, output, probabilities, skip_bad))
    print_json(result) if as_json else labelling.show(result)
