"""The files of a trained network: weights.npz, probabilities.npz and history.csv."""

from pathlib import Path

import numpy as np

from digit_recognizer.evaluation.metrics import Metrics
from digit_recognizer.tracking.history import read_history, write_history
from digit_recognizer.tracking.run_dir import Predictions, read_predictions, write_predictions
from digit_recognizer.tracking.run_record import NetworkRecord
from digit_recognizer.training.cross_validation import NetworkResult
from digit_recognizer.utils.arrays import read_arrays, write_arrays


def save_network(folder: Path, result: NetworkResult, held_out: np.ndarray) -> None:
    """Write the files of a network with its `held_out` rows of train.csv. Raises RunError on failure."""
    write_arrays(folder / "weights.npz", result.weights)
    write_predictions(folder, Predictions(held_out, result.held_out_log_p, result.test_log_p))
    write_history(folder / "history.csv", result.history)


def load_network(folder: Path, row: NetworkRecord) -> NetworkResult:
    """Read the files of a network, with the metrics of its row. Raises InputError for missing or damaged files."""
    predictions = read_predictions(folder)
    return NetworkResult(
        read_arrays(folder / "weights.npz"),
        read_history(folder / "history.csv"),
        predictions.log_p,
        predictions.test_log_p,
        Metrics(row.train_n, row.train_accuracy, row.train_loss),
        Metrics(row.n, row.accuracy or 0.0, row.loss or 0.0) if row.n else None,
        {"train": row.seconds, "predict": row.seconds_predict or 0.0},
    )
