"""The definition of Kaggle's CSV format: a strict reader that checks every cell.

It is slow; `csv_reader` reads plain files with pandas and leaves all others to this reader.
"""

import codecs
import csv
import io
import re
import reprlib
from functools import lru_cache
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from digit_recognizer.data.file_formats import DOWNLOAD, identify_other_format
from digit_recognizer.errors import InputError

N_PIXELS = 784  # 28 x 28, row by row
TEST_COLUMNS = tuple(f"pixel{i}" for i in range(N_PIXELS))
TRAIN_COLUMNS = ("label", *TEST_COLUMNS)

_N_SHOWN = 8  # faults listed; a file with more is wrong as a whole
_NUMBER = re.compile(r" *0*([0-9]{1,3})(?:\.0+)? *")
_NO_NUMBER = 256  # above every limit
_LONGEST_ROW = 100_000  # bytes; Kaggle's have up to 7,000


def read_strictly(data: bytes, columns: tuple[str, ...], name: str) -> npt.NDArray[np.uint8]:
    """Read a CSV with exactly these columns: labels are digits, pixels whole numbers from 0 to 255.

    Harmless variants are accepted: a byte-order mark, any line ends, quotes or spaces around values,
    leading zeros, `1.0` for 1, empty lines at the end. `1e2` is not accepted: it is a float.

    Returns (n, columns) uint8. Raises InputError, beginning with `name`, that lists the first faults by line
    and column, and the remedy.
    """
    if other := identify_other_format(data):
        kind, remedy = other
        raise InputError(f"{name}: expected a CSV file, received {kind}. To fix this: {remedy}.")
    lines = io.BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n "))
    faults = _header_faults(lines.readline(), columns)
    if faults:
        raise _format_error(name, faults)
    values = bytearray()
    for line, text in enumerate(lines, start=2):
        row = parse_row(text.removesuffix(b"\n"), columns, line)
        if isinstance(row, bytes):
            values += row
        else:
            faults += row
        if len(faults) > _N_SHOWN:
            raise _format_error(name, [*faults[:_N_SHOWN], "and more."])
    if not values and not faults:
        faults.append("expected rows of values, received only the header")
    if not data.endswith((b"\n", b"\r")):
        faults.append("expected a line end, received the end of the file: it was cut short")
    absent = set(range(10)) - set(values[:: len(columns)]) if columns == TRAIN_COLUMNS else set()
    if absent and not faults:
        digits = ", ".join(map(str, sorted(absent)))
        faults.append(f"expected all ten digits among the labels, received none of {digits}")
    if faults:
        raise _format_error(name, faults)
    return np.frombuffer(values, np.uint8).reshape(-1, len(columns))


def columns_of(header: bytes, name: str) -> tuple[str, ...]:
    """TEST_COLUMNS or TRAIN_COLUMNS, whichever the first line is. Raises InputError when it is neither."""
    for columns in (TRAIN_COLUMNS, TEST_COLUMNS):
        faults = _header_faults(header, columns)
        if not faults:
            return columns
    raise _format_error(name, faults)


def parse_row(row: bytes, columns: tuple[str, ...], line: int) -> bytes | list[str]:
    """The values of a single row without its line end, or its faults; `line` is its number."""
    try:
        cells = _cells(row)
    except csv.Error as error:
        return [f"line {line}: expected values between commas, received {error}"]
    if len(cells) != len(columns):
        return [f"line {line}: expected {len(columns)} values, received {len(cells)}"]
    values = [_number(cell) for cell in cells]
    if max(values) <= 255 and values[0] <= _limit(columns[0]):
        return bytes(values)
    return [
        f"line {line}, column {column}: expected a whole number from 0 to {_limit(column)}, "
        f"received {reprlib.repr(cell)}"
        for column, cell, value in zip(columns, cells, values, strict=True)
        if value > _limit(column)
    ]


def _cells(row: bytes) -> list[str]:
    if len(row) > _LONGEST_ROW:
        raise csv.Error(f"more than {_LONGEST_ROW:,} bytes in a line")
    try:
        return next(csv.reader([row.decode("utf-8", "replace")], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise csv.Error(f"broken quotes ({error})") from error


def _limit(column: str) -> int:
    return 9 if column == "label" else 255


@lru_cache(maxsize=4096)
def _number(cell: str) -> int:
    match = _NUMBER.fullmatch(cell)
    return int(match[1]) if match else _NO_NUMBER


def _header_faults(header: bytes, columns: tuple[str, ...]) -> list[str]:
    """The fault of line 1, if any: a known cause, else the first unexpected name."""
    try:
        names = tuple(name.strip(" ") for name in _cells(header.removeprefix(codecs.BOM_UTF8).removesuffix(b"\n")))
    except csv.Error as error:
        return [f"line 1: expected names between commas, received {error}"]
    if names == columns:
        return []
    if names == TEST_COLUMNS:
        cause = "expected labels, received none: this is test.csv in place of train.csv; rename the files"
    elif names == TRAIN_COLUMNS:
        cause = "expected no labels, received some: this is train.csv in place of test.csv; rename the files"
    elif names[1:] == columns:
        cause = f"received an index column {reprlib.repr(names[0])} in front: write with to_csv(index=False)"
    elif len(names) == 1 and (separator := re.search("[;\t]", names[0])):
        cause = f"expected commas between the columns, received {separator[0]!r}"
    elif all(re.fullmatch(r"[0-9.]*", name) for name in names):
        cause = f"expected the header, received {'numbers' if any(names) else 'an empty line'}"
    else:
        pairs = enumerate(zip_longest(columns, names, fillvalue="nothing"), start=1)
        place, (name, other) = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
        cause = f"expected {name} as column {place}, received {reprlib.repr(other)}"
    return [f"line 1: {cause}"]


def _format_error(name: str, faults: list[str]) -> InputError:
    remedy = f"Correct that, or {DOWNLOAD}."
    return InputError("\n  ".join([f"{name} is not in Kaggle's format:", *faults, remedy]))
