"""Commands that apply or export the networks of a finished run."""

from pathlib import Path
from typing import Any

import click

from digit_recognizer.cli.app import FILE, JSON, current_workspace, digits, print_json
from digit_recognizer.cli.render_tables import show_export, show_predict
from digit_recognizer.cli.reporter import CommandReporter


@digits.command()
@click.argument("source", type=FILE, metavar="INPUT")
@click.option("--run", required=True, metavar="RUN", help="Run to predict with, or an .onnx file of `digits export`.")
@click.option("-o", "--output", type=FILE, required=True, metavar="CSV", help="File to write.")
@click.option("--probabilities", is_flag=True, help="Also write the probability of each digit.")
@click.option("--rejects", type=FILE, metavar="CSV", help="Write invalid rows to this file instead of stopping.")
@click.option(
    "--runtime",
    type=click.Choice(["auto", "keras", "onnxruntime"]),
    default="auto",
    show_default=True,
    help="auto chooses ONNX Runtime, if installed, for inputs of 300 MB or more, and Keras otherwise.",
)
@JSON
def predict(as_json: bool, **options: Any) -> None:
    """Label any number of images.

    INPUT is a CSV like test.csv or train.csv, optionally compressed with gzip, or an .npy file of uint8. If the command
    is interrupted, repeat it to continue.
    """
    from digit_recognizer.inference.predict_file import PredictConfig, predict_file

    result = predict_file(PredictConfig(**options), current_workspace(), CommandReporter())
    print_json(result) if as_json else show_predict(result)


@digits.command()
@click.argument("run", metavar="RUN")
@click.option("--to", "format", type=click.Choice(["keras", "onnx"]), required=True, help="Format of the file.")
@click.option("-o", "--output", type=FILE, required=True, metavar="PATH", help="File to write, .keras or .onnx.")
@click.option("--data", type=FILE, metavar="PATH", help="Data of the run, if it was moved.")
@JSON
def export(run: str, format: str, output: Path, data: Path | None, as_json: bool) -> None:
    """Export the networks of a run as one file for other programs.

    The exported model maps 28x28 pixels, 0 to 255, to ten probabilities. The file is written only if the model predicts
    the labels of the run on 1,000 rows of test.csv.
    """
    from digit_recognizer.inference.export import export_run

    result = export_run(run, current_workspace(), format, output, data)
    print_json(result) if as_json else show_export(result)
