"""Damaged CSVs, plain, gzipped and zipped: each class of fault, and random mutations."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from csv_faults import HARMFUL, HARMFUL_TO_TEST, HARMFUL_TO_TRAIN, HARMLESS, TEST, TRAIN
from digit_recognizer.data.csv_format import TEST_COLUMNS, TRAIN_COLUMNS
from digit_recognizer.data.csv_reader import CsvFile, read_test, read_train
from digit_recognizer.errors import InputError
from kaggle_csv import kaggle_test, kaggle_train, kaggle_zip, with_cell, written

from .processes import refusal

PROMISE = "damaged data is refused with file, line, column and reason, and never misread"
CASES = "files: each class of fault, and mutations"
GOAL = 10_400

CLASSES = [
    *((True, change, message) for change, message in (HARMFUL | HARMFUL_TO_TRAIN).values()),
    *((False, change, message) for change, message in (HARMFUL | HARMFUL_TO_TEST).values()),
]
KINDS = [(pack, *case) for case in CLASSES for pack in ("csv", "gz", "zip")]
CELLS = ["0", "9", "00", "255", "256", "0255", "1.0", '"1"', " 1", "", '"', "-1", "1e1", "nan", "True", "x", "1_0", "٣"]
LONGEST = 100_000  # characters of a row
PIECES = [b",", b"\n", b"\r", b'"', b" ", b"\0", b"\xff", b"0", b"7", b"", b"\r\n", b"\xef\xbb\xbf", b"0,", b",0"]


def trial(number: int) -> None:
    if number < len(KINDS):
        _class(*KINDS[number])
    else:
        _mutant(Random(number))


def _class(pack: str, is_train: bool, change: Callable[[bytes], bytes], expected: str) -> None:
    file = _packed(pack, change(TRAIN if is_train else TEST))
    message = refusal(lambda: (read_train if is_train else read_test)(file))
    assert message.startswith(str(file)), message
    assert expected in message, message


def _mutant(random: Random) -> None:
    is_train = random.random() < 0.5
    columns = TRAIN_COLUMNS if is_train else TEST_COLUMNS
    data = kaggle_train(12, random.randrange(99)) if is_train else kaggle_test(3, random.randrange(99))
    if random.random() < 0.1:
        data = random.choice(list(HARMLESS.values())[:-2])(data)
    for _ in range(random.randint(1, 3)):
        [change] = random.choices((_cell, _piece, _line, _long), (9, 9, 9, 1))
        data = change(data, random)
    file = _packed(random.choice(("csv", "gz", "zip")), data)
    table, message = None, str(file)
    try:
        table = (read_train if is_train else read_test)(file)
    except InputError as error:
        message = str(error)
    assert message.startswith(str(file)), message
    if table is None:
        return
    expected = reading(data, columns)
    assert expected is not None, "accepted, although its values are not valid"
    labels = [table.labels] if is_train else []
    np.testing.assert_array_equal(np.column_stack([*labels, table.pixels]), expected)


def reading(data: bytes, columns: tuple[str, ...]) -> np.ndarray | None:
    """The values of a file by its text: cells without quotes, blanks and zero decimals; None when it is not valid."""
    text = data.decode(errors="replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    rows = [re.sub(r'[" ]', "", line).split(",") for line in text.rstrip("\n ").split("\n")]
    if tuple(name.lower() for name in rows[0]) == columns:
        rows = rows[1:]  # there may be no header
    if not rows or any(len(row) != len(columns) for row in rows):
        return None
    cells = [[re.fullmatch(r"0*([0-9]{1,3})(\.0+)?", cell, re.ASCII) for cell in row] for row in rows]
    if not all(all(row) for row in cells):
        return None
    values = np.array([[int(cell[1]) for cell in row if cell] for row in cells])
    return values if values.max() <= 255 else None


def _packed(pack: str, data: bytes) -> CsvFile:
    if pack == "zip":
        return CsvFile(kaggle_zip(Path("some.zip"), some=data), "some.csv")
    return written(Path(), gzip.compress(data, 1) if pack == "gz" else data)


def _cell(data: bytes, random: Random) -> bytes:
    line = random.randint(1, data.count(b"\n") or 1)
    n_cells = data.split(b"\n")[line - 1].count(b",") + 1
    return with_cell(data, line, random.randrange(n_cells), random.choice(CELLS))


def _long(data: bytes, random: Random) -> bytes:
    """A cell with leading zeros that make its row about as long as is accepted, perhaps joined with the next row."""
    lines = data.split(b"\n")
    place = random.randrange(len(lines))
    head, comma, rest = lines[place].partition(b",")
    lines[place] = head + comma + b"0" * (LONGEST + random.randint(-2, 2) - len(lines[place])) + rest
    if random.random() < 0.5:
        lines[place : place + 2] = [b"".join(lines[place : place + 2])]
    return b"\n".join(lines)


def _piece(data: bytes, random: Random) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + random.choice(PIECES) + data[at + random.choice((0, 1, 1, 2, 700)) :]


def _line(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    at = random.randrange(len(lines))
    changed = random.choice(
        ([], [lines[at]] * 2, [lines[at].replace(b"\n", b"")], [b",".join(lines[at].split(b",")[1:])])
    )
    return b"".join([*lines[:at], *changed, *lines[at + 1 :]])
