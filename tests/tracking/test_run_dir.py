"""The run folder."""

from datetime import datetime

import numpy as np
import pytest

from digit_recognizer.errors import InputError
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.ledger import open_ledger
from digit_recognizer.tracking.run_dir import Predictions
from digit_recognizer.utils.arrays import write_arrays

NOW = datetime(2026, 11, 21, 9, 30, 5)


def no(name):
    return False


def test_runs_of_the_same_second_get_different_folders(tmp_path):
    names = [run_dir.make_run_folder(tmp_path, "mine", NOW, is_taken=no).name for _ in range(3)]
    assert names == ["20261121-093005-mine", "20261121-093005-mine-2", "20261121-093005-mine-3"]


def test_a_name_in_the_ledger_is_not_reused_if_its_folder_is_missing(tmp_path):
    taken = ["20261121-093005-mine", "20261121-093005-mine-2"].__contains__
    assert run_dir.make_run_folder(tmp_path, "mine", NOW, taken).name == "20261121-093005-mine-3"
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        assert not ledger.has_run("20261121-093005-mine")


@pytest.mark.parametrize("name", ["", "../evil", "a/b", "a\\b", ".hidden", "ends.", "x" * 61, "a b", "né", "[red]"])
def test_a_name_that_is_not_a_portable_folder_name_is_refused(name):
    with pytest.raises(InputError, match="`name`"):
        run_dir.check_name(name)


@pytest.mark.parametrize("name", ["last", "7", "20261121"])
def test_a_name_that_selects_another_run_is_refused_or_changed(name):
    with pytest.raises(InputError, match="digits alone are a run's id"):
        run_dir.check_name(name)
    assert run_dir.name_from(name) == f"run-{name}"


def test_predictions_are_read_back_and_damaged_files_are_refused(tmp_path):
    written = Predictions(np.arange(3), np.zeros((3, 10), np.float32), np.ones((4, 10), np.float32))
    run_dir.write_predictions(tmp_path, written)
    read = run_dir.read_predictions(tmp_path)
    for name in ("rows", "log_p", "test_log_p"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    file = tmp_path / "probabilities.npz"
    for damaged in (b"", file.read_bytes()[:100], file.read_bytes()[:-30]):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match="Repeat that run"):
            run_dir.read_predictions(tmp_path)


def test_arrays_are_read_back_without_pickle(tmp_path):
    write_arrays(tmp_path / "w.npz", {"c1/kernel": np.arange(6.0).reshape(2, 3)})
    with np.load(tmp_path / "w.npz", allow_pickle=False) as arrays:
        assert arrays["c1/kernel"].tolist() == [[0, 1, 2], [3, 4, 5]]
