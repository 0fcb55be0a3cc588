"""The competition's data in memory."""

import time
from dataclasses import dataclass

from digit_recognizer.data.csv_reader import LabelledTable, Table, read_test, read_train
from digit_recognizer.data.sources import Source


@dataclass(frozen=True, eq=False)
class Dataset:
    """The contents of train.csv and test.csv, and their source."""

    source: Source
    train: LabelledTable
    test: Table
    seconds: float = 0.0  # of reading


def read_dataset(source: Source) -> Dataset:
    """Read both files. Raises InputError as `read_train` and `read_test` do."""
    start = time.perf_counter()
    train, test = read_train(source.train), read_test(source.test)
    return Dataset(source, train, test, time.perf_counter() - start)
