"""The files of `digits export`: how large, how fast, and how near to the network; and the engines, for each model.

    python benchmarks/exports.py --data PATH

Trains `lenet5` on nine tenths of train.csv; the rest, held out, judges it and its files. Rates are of test.csv's 28,000
images from memory, for the models with made-up weights. Writes its tables into docs/benchmarks.md.
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from digit_recognizer.data import sources, stream
from digit_recognizer.inference import engines, export, formats
from figures import DOCS, digits, head, in_turn, machine, matrix_rate, today, write_between

from digit_recognizer.tracking import run_dir, run_session  # isort: skip
from digit_recognizer.inference.formats import SUFFIXES  # isort: skip
from digit_recognizer.models.registry import MODELS, network_weights  # isort: skip
from digit_recognizer.recipes.recipe import Recipe  # isort: skip
from digit_recognizer.inference.load import TrainedNetwork, load_networks  # isort: skip
from digit_recognizer.inference.merged_model import merge_networks  # isort: skip

N = 9
FILES = [("keras", False), ("onnx", False), ("litert", False), ("litert", True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder or zip with the real CSVs")
    data = parser.parse_args().data.resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        digits(folder, "run", "--data", str(data), "--name", "trained")
        train, test = sources.read(sources.find(data))
        files = of_files(train, test.pixels)
    by_model = [of_engines(model, test.pixels) for model in MODELS]
    text = [
        f"Matrix rate: {matrix_rate()} GFLOP/s. {machine()}; {today()}.\n",
        head(["file", "bytes", "images/s", "largest difference of a probability", "right of 4,200 rows held out"]),
        *files,
        "\n" + head(["images/s", "Keras", "ONNX Runtime", "LiteRT"]),
        *by_model,
    ]
    write_between(DOCS / "benchmarks.md", "exports", "\n".join(text))


def of_files(train: sources.LabelledTable, test: np.ndarray) -> list[str]:
    """Rows: the run's network as it was trained, and each file of it."""
    with run_session.ledger() as book:
        run = book.run("trained")
        heard = load_networks(book, run)
    held_out = run_dir.read_probabilities(run_dir.folder_of(run))[0]
    assert len(held_out) == 4_200, len(held_out)
    files = {"the network, by Keras": ("", "", engines.keras_predictor(heard))}
    for format, int8 in FILES:
        path = Path(f"{'int8' if int8 else 'float'}{SUFFIXES[format]}")
        told = export.export_run(export.ExportConfig("trained", format, path, int8))
        name = f"`--to {format}{' --int8' if int8 else ''}`"
        engine = engines.predictor_of_content(path.read_bytes(), format)
        files[name] = f"{told['bytes']:,}", f"{told['largest_difference']:.0e}", engine
    narrow = formats.serialize(merge_networks(heard), "onnx")
    files["`--to onnx`, but C1 and S2 as they were"] = (
        f"{len(narrow):,}",
        "",
        engines.predictor_of_content(narrow, "onnx"),
    )
    parts = [test[start : start + stream.ROWS] for start in range(0, len(test), stream.ROWS)]
    jobs = {name: partial(_all, engine, parts) for name, (*_, engine) in files.items()}
    rates = rated(jobs, len(test))
    rows = []
    for name, (n_bytes, difference, engine) in files.items():
        right = int((engine(train.pixels[held_out]).argmax(axis=1) == train.labels[held_out]).sum())
        rows.append(f"| {name} | {n_bytes} | {rates[name]} | {difference} | {right:,} |")
        print(rows[-1], flush=True)
    return rows


def _all(engine: engines.Predictor, parts: list[np.ndarray]) -> None:
    """As `digits predict` has them labelled."""
    for part in parts:
        engine(part)


def of_engines(model: str, images: np.ndarray) -> str:
    """A row: the rate of each engine, with the model as it begins."""
    weights = network_weights(MODELS[model].build(dropout=0.0))
    heard = [TrainedNetwork(Recipe(model), Path(model), weights, 1.0)]
    some = images[: stream.ROWS]
    jobs = {name: partial(engines.predictor_of_networks(heard, name), some) for name in ("keras", *engines.FORMATS)}
    row = f"| {model} | {' | '.join(rated(jobs, len(some)).values())} |"
    print(row, flush=True)
    return row


def rated(jobs: dict[str, partial], n: int) -> dict[str, str]:
    """Images a second of each, in turn: median (lowest to highest)."""
    return {
        name: f"{n / median(took):,.0f} ({n / max(took):,.0f} to {n / min(took):,.0f})"
        for name, took in in_turn(jobs, N).items()
    }


if __name__ == "__main__":
    main()
