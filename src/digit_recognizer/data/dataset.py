"""The competition's data in memory."""

import time
from dataclasses import dataclass

from digit_recognizer.data.csv_reader import LabelledTable, Table, read_test, read_train
from digit_recognizer.data.sources import Source
from digit_recognizer.errors import InputError


@dataclass(frozen=True, eq=False)
class Dataset:
    """The contents of train.csv and test.csv, and their source."""

    source: Source
    train: LabelledTable
    test: Table
    seconds: float = 0.0  # of reading


def read_dataset(source: Source) -> Dataset:
    """Read both files. Raises one InputError with the faults of both files."""
    start = time.perf_counter()
    try:
        train = read_train(source.train)
    except InputError as error:
        faults = [str(error)]
        try:
            read_test(source.test)
        except InputError as also:
            faults.append(str(also))
        raise InputError("\n".join(faults)) from error
    test = read_test(source.test)
    return Dataset(source, train, test, time.perf_counter() - start)
