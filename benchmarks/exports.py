"""Measure the files of `digits export`: size, throughput, deviation from the network. Time each model by each runtime.

    python benchmarks/exports.py --data PATH

Trains `lenet5` on 90 % of train.csv and validates it and its files on the holdout. Throughput is measured on images of
test.csv, from memory; the models have initial weights. Writes its tables into docs/benchmarks.md.
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from figures import DOCS, digits, head, in_turn, machine, matrix_rate, today, write_between  # isort: skip
from digit_recognizer.data import sources, stream
from digit_recognizer.data.csv_reader import LabelledTable
from digit_recognizer.data.dataset import read_dataset
from digit_recognizer.inference import engines, export, formats
from digit_recognizer.inference.formats import SUFFIXES
from digit_recognizer.inference.load import TrainedNetwork, load_networks
from digit_recognizer.inference.merged_model import merge_networks
from digit_recognizer.models.registry import MODELS, network_weights
from digit_recognizer.recipes.recipe import Recipe
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.workspace import Workspace

N = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder or zip with the real CSVs")
    data = parser.parse_args().data.resolve()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        digits(folder, "run", "--data", str(data), "--name", "trained")
        dataset = read_dataset(sources.find(data, workspace.data))
        files = of_files(workspace, dataset.train, dataset.test.pixels)
    by_model = [of_runtimes(model, dataset.test.pixels) for model in MODELS]
    text = [
        f"Matrix rate: {matrix_rate()} GFLOP/s. {machine()}; {today()}.\n",
        head(["file", "bytes", "images/s", "largest difference of a probability", "correct of 4,200 holdout rows"]),
        *files,
        "\n" + head(["images/s", "Keras", "ONNX Runtime"]),
        *by_model,
    ]
    write_between(DOCS / "benchmarks.md", "exports", "\n".join(text))


def of_files(workspace: Workspace, train: LabelledTable, test: np.ndarray) -> list[str]:
    """Table rows: the trained network of the run, and each of its exported files."""
    with workspace.existing_ledger() as ledger:
        run = ledger.run("trained")
        networks = load_networks(ledger, run)
    held_out = run_dir.run_predictions(run).rows
    assert len(held_out) == 4_200, len(held_out)
    files = {"the network, by Keras": ("", "", engines.keras_predictor(networks))}
    for format, suffix in SUFFIXES.items():
        path = workspace.folder / f"digits{suffix}"
        result = export.export_run(run.name, workspace, format, path)
        predict = engines.predictor_of_content(path.read_bytes(), format)
        files[f"`--to {format}`"] = f"{result.bytes:,}", f"{result.largest_difference:.0e}", predict
    narrow = formats.serialize(merge_networks(networks), "onnx")
    files["`--to onnx`, C1 and S2 not merged"] = (
        f"{len(narrow):,}",
        "",
        engines.predictor_of_content(narrow, "onnx"),
    )
    parts = [test[start : start + stream.ROWS] for start in range(0, len(test), stream.ROWS)]
    jobs = {name: partial(_predict_all, predict, parts) for name, (*_, predict) in files.items()}
    rates = rated(jobs, len(test))
    rows = []
    for name, (n_bytes, difference, predict) in files.items():
        right = int((predict(train.pixels[held_out]).argmax(axis=1) == train.labels[held_out]).sum())
        rows.append(f"| {name} | {n_bytes} | {rates[name]} | {difference} | {right:,} |")
        print(rows[-1], flush=True)
    return rows


def _predict_all(predict: engines.Predictor, parts: list[np.ndarray]) -> None:
    """Predict in chunks, as `digits predict` does."""
    for part in parts:
        predict(part)


def of_runtimes(model: str, images: np.ndarray) -> str:
    """A table row: the throughput of each runtime, with the initial weights of the model."""
    weights = network_weights(MODELS[model].build(dropout=0.0))
    networks = [TrainedNetwork(Recipe(model), Path(model), weights, 1.0)]
    some = images[: stream.ROWS]
    jobs = {name: partial(engines.predictor_of_networks(networks, name), some) for name in engines.RUNTIMES}
    row = f"| {model} | {' | '.join(rated(jobs, len(some)).values())} |"
    print(row, flush=True)
    return row


def rated(jobs: dict[str, partial], n: int) -> dict[str, str]:
    """Images per second of each job, interleaved: median (lowest to highest)."""
    return {
        name: f"{n / median(took):,.0f} ({n / max(took):,.0f} to {n / min(took):,.0f})"
        for name, took in in_turn(jobs, N).items()
    }


if __name__ == "__main__":
    main()
