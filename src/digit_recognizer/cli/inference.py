"""Commands that use a finished run's networks, here or elsewhere."""

from typing import Any

import click

from digit_recognizer.cli.app import FILE, digits, print_json, print_news_to_stderr


@digits.command()
@click.argument("source", type=FILE, metavar="INPUT")
@click.option(
    "--run",
    required=True,
    metavar="RUN",
    help="Whose networks label the images; or an .onnx or .tflite by `digits export`.",
)
@click.option("-o", "--output", type=FILE, required=True, metavar="CSV", help="Where the labels go.")
@click.option("--probabilities", is_flag=True, help="Write the probability of each digit beside the label.")
@click.option("--skip-bad", type=FILE, metavar="CSV", help="Set rows that hold no image aside there, and go on.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "keras", "onnxruntime", "litert"]),
    default="auto",
    show_default=True,
    help="What computes; auto: Keras, and for 300 MB and more ONNX Runtime where it is installed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object, the news to stderr.")
def predict(as_json: bool, **options: Any) -> None:
    """Label any number of images.

    INPUT is a CSV like test.csv or train.csv, plain or packed by gzip, or an .npy of uint8. Memory does not grow with
    it. The same command goes on where a killed one ended.
    """
    from digit_recognizer.inference import predict_file

    print_news_to_stderr(as_json)
    result = predict_file.predict_file(predict_file.PredictConfig(**options))
    print_json(result) if as_json else predict_file.show(result)


@digits.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--to", "format", type=click.Choice(["keras", "onnx", "litert"]), required=True, help="The file's format."
)
@click.option("-o", "--output", type=FILE, required=True, metavar="PATH", help="Ends in .keras, .onnx or .tflite.")
@click.option("--int8", is_flag=True, help="LiteRT: weights and activations as bytes, a third of the size.")
@click.option("--data", type=FILE, metavar="PATH", help="Where the run's data is now.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object, the news to stderr.")
def export(as_json: bool, **options: Any) -> None:
    """Write the networks of a run as one file for other programs.

    It takes 28x28 pixels, 0 to 255, and gives ten probabilities. It is written once it gives the same labels as the run
    on 1,000 rows of test.csv; with --int8 at least 98 % of them.
    """
    from digit_recognizer.inference import export as exporting

    print_news_to_stderr(as_json)
    result = exporting.export_run(exporting.ExportConfig(**options))
    print_json(result) if as_json else exporting.show(result)
