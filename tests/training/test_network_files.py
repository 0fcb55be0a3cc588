"""The files of a trained network are read back unchanged, or refused."""

from pathlib import Path

import numpy as np
import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.metrics import Metrics
from digit_recognizer.recipes.catalog import RECIPES
from digit_recognizer.recipes.recipe import change
from digit_recognizer.tracking.run_dir import Predictions, write_predictions
from digit_recognizer.tracking.run_record import NetworkRecord
from digit_recognizer.training.cross_validation import NetworkResult
from digit_recognizer.training.fit import fit
from digit_recognizer.training.network_files import load_network, save_network
from digit_recognizer.utils.arrays import write_arrays

ROW = NetworkRecord(
    run_id=1,
    name="lenet5-seed0",
    model="lenet5",
    seed=0,
    fold=None,
    weights=3,
    train_n=9,
    train_accuracy=0.7,
    train_loss=0.1,
    n=None,
    accuracy=None,
    loss=None,
    seconds=3.0,
    finished="2026-11-21T05:30:00Z",
    seconds_predict=1.0,
)
ROWS, LOG_P, TEST_LOG_P = np.arange(2), np.zeros((2, 10)), np.zeros((3, 10))


@pytest.mark.parametrize("content", ["", "x,y\n1,2\n", "epoch,loss\n1,what\n"])
def test_a_damaged_history_of_a_trained_network_is_refused(tmp_path, content):
    write_predictions(tmp_path, Predictions(ROWS, LOG_P, TEST_LOG_P))
    write_arrays(tmp_path / "weights.npz", {"a/b": np.ones(3)})
    Path(tmp_path, "history.csv").write_text(content)
    with pytest.raises(InputError, match=r"history\.csv.*Repeat that run"):
        load_network(tmp_path, ROW)


def test_history_is_read_back_exactly(tmp_path):
    images, labels = np.zeros((20, 32, 32, 1), np.float32), np.repeat(np.arange(10), 2)
    _, history = fit(change(RECIPES["quick"], {"epochs": 2}), images, labels)
    seconds = {"train": 3.0, "predict": 1.0}
    train = Metrics(9, 0.7, 0.1)
    result = NetworkResult({"a/b": np.ones(3)}, history, LOG_P, TEST_LOG_P, train, None, seconds)
    save_network(tmp_path, result, ROWS)
    found = load_network(tmp_path, ROW)
    assert found.history == history
    assert found.history[0].seconds == history[0].seconds
    assert (found.train, found.validation, found.seconds) == (train, None, seconds)
