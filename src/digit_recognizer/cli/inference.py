"""Commands that apply or export the networks of a finished run."""

from pathlib import Path
from typing import Any

import click

from digit_recognizer.cli.app import FILE, JSON, current_workspace, digits, messages_to_stderr, print_json


@digits.command()
@click.argument("source", type=FILE, metavar="INPUT")
@click.option("--run", required=True, metavar="RUN", help="A run, or an .onnx file of `digits export`.")
@click.option("-o", "--output", type=FILE, required=True, metavar="CSV", help="Where the labels go.")
@click.option("--probabilities", is_flag=True, help="Write the probability of each digit beside the label.")
@click.option("--rejects", type=FILE, metavar="CSV", help="Write rows that contain no image here, and go on.")
@click.option(
    "--runtime",
    type=click.Choice(["auto", "keras", "onnxruntime"]),
    default="auto",
    show_default=True,
    help="The library; auto: Keras, and for 300 MB and more ONNX Runtime where it is installed.",
)
@JSON
def predict(as_json: bool, **options: Any) -> None:
    """Label any number of images.

    INPUT is a CSV like test.csv or train.csv, plain or packed by gzip, or an .npy of uint8, of any size. The same
    command goes on where a killed one ended.
    """
    from digit_recognizer.cli.render_tables import show_predict
    from digit_recognizer.cli.reporter import CommandReporter
    from digit_recognizer.inference.predict_file import PredictConfig, predict_file

    messages_to_stderr(as_json)
    result = predict_file(PredictConfig(**options), current_workspace(), CommandReporter())
    print_json(result.to_json()) if as_json else show_predict(result)


@digits.command()
@click.argument("run", metavar="RUN")
@click.option("--to", "format", type=click.Choice(["keras", "onnx"]), required=True, help="The file's format.")
@click.option("-o", "--output", type=FILE, required=True, metavar="PATH", help="Ends in .keras or .onnx.")
@click.option("--data", type=FILE, metavar="PATH", help="Where the run's data is now.")
@JSON
def export(run: str, format: str, output: Path, data: Path | None, as_json: bool) -> None:
    """Write the networks of a run as one file for other programs.

    The file maps 28x28 pixels, 0 to 255, to ten probabilities. It is written if its labels are those of the run on
    1,000 rows of test.csv.
    """
    from digit_recognizer.cli.render_tables import show_export
    from digit_recognizer.inference.export import export_run

    messages_to_stderr(as_json)
    result = export_run(run, current_workspace(), format, output, data)
    print_json(result.to_json()) if as_json else show_export(result)
