import gzip
from pathlib import Path

import numpy as np
import pytest

from csv_faults import (
    HARMFUL,
    HARMFUL_PACKED,
    HARMFUL_TO_TEST,
    HARMFUL_TO_TRAIN,
    HARMLESS,
    TEST,
    TRAIN,
    each_row,
)
from digit_recognizer.data.csv_reader import CsvFile, read_test, read_train
from digit_recognizer.errors import InputError
from kaggle_csv import kaggle_train, kaggle_zip, values, with_cell, written


def cases(*tables):
    return [pytest.param(*case, id=name) for table in tables for name, case in table.items()]


def as_it_is(folder: Path, data: bytes) -> CsvFile:
    return written(folder, data)


def in_a_gzip(folder: Path, data: bytes) -> CsvFile:
    return written(folder, gzip.compress(data))


def in_a_zip(folder: Path, data: bytes) -> CsvFile:
    return CsvFile(kaggle_zip(folder / "some.zip", some=data), "some.csv")


packed = pytest.mark.parametrize("pack", [as_it_is, in_a_gzip, in_a_zip])


def refused(read, file: CsvFile, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(file)
    assert str(caught.value).startswith(str(file))
    assert message in str(caught.value)


@packed
@pytest.mark.parametrize(("change", "message"), cases(HARMFUL, HARMFUL_TO_TRAIN))
def test_a_harmful_train_file_is_refused_and_the_cause_reported(tmp_path, change, message, pack):
    refused(read_train, pack(tmp_path, change(TRAIN)), message)


@packed
@pytest.mark.parametrize(("change", "message"), cases(HARMFUL, HARMFUL_TO_TEST))
def test_a_harmful_test_file_is_refused_and_the_cause_reported(tmp_path, change, message, pack):
    refused(read_test, pack(tmp_path, change(TEST)), message)


@pytest.mark.parametrize(("change", "message"), cases(HARMFUL_PACKED))
def test_a_harmful_gzip_is_refused_and_the_cause_reported(tmp_path, change, message):
    refused(read_train, written(tmp_path, change(TRAIN)), message)


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS.keys())
def test_a_harmless_variant_gives_the_same_values(tmp_path, change):
    train, test = read_train(written(tmp_path, change(TRAIN))), read_test(written(tmp_path, change(TEST)))
    np.testing.assert_array_equal(train.pixels, values()[:, 1:])
    np.testing.assert_array_equal(train.labels, values()[:, 0])
    np.testing.assert_array_equal(test.pixels, values(seed=1)[:, 1:])


def test_faults_are_reported_together_with_line_and_column(tmp_path):
    data = with_cell(with_cell(TRAIN, 3, 0, "x"), 12, 784, "1000")
    with pytest.raises(InputError) as caught:
        read_train(written(tmp_path, data))
    assert str(caught.value).splitlines()[1:3] == [
        "  line 3, column label: expected a whole number from 0 to 9, received 'x'",
        "  line 12, column pixel783: expected a whole number from 0 to 255, received '1000'",
    ]


def test_a_file_with_many_faults_gets_a_short_message(tmp_path):
    data = each_row(TRAIN, lambda row: row.replace(b",", b".5,"))
    with pytest.raises(InputError, match="and more") as caught:
        read_train(written(tmp_path, data))
    assert len(str(caught.value).splitlines()) == 8 + 3


def test_a_long_cell_is_shortened_in_the_message(tmp_path):
    with pytest.raises(InputError) as caught:
        read_train(written(tmp_path, with_cell(TRAIN, 3, 7, "9" * 100_000)))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("length", [99_999, 100_000, 100_001])
def test_a_row_that_is_too_long_is_not_split(tmp_path, length):
    header, first, second, *rest = kaggle_train().split(b"\n")
    digit, _, others = first.partition(b",")
    long = digit + b"," + b"0" * (length - len(first)) + others
    with pytest.raises(InputError, match="line 2: expected"):
        read_train(written(tmp_path, b"\n".join([header, long + second, *rest])))
