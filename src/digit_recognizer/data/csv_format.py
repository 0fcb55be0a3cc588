"""The definition of Kaggle's CSV format: a strict reader that checks every cell.

It is slow; `csv_reader` reads plain files with pandas and leaves all others to this reader.
"""

import codecs
import csv
import io
import re
import reprlib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from digit_recognizer.errors import InputError

N_PIXELS = 784  # 28 x 28, row by row
TEST_COLUMNS = tuple(f"pixel{i}" for i in range(N_PIXELS))
TRAIN_COLUMNS = ("label", *TEST_COLUMNS)
DOWNLOAD = "download it again from https://www.kaggle.com/competitions/digit-recognizer/data"

N_SHOWN = 8  # faults listed; a file with more is wrong as a whole
_FOREIGN_STARTS = (
    (b"<", "a web page", f"log in to Kaggle, accept the competition's rules, and {DOWNLOAD}"),
    (b"PK\x03\x04", "a zip archive", "let its name end in .zip, or unpack it"),
    (b"\x1f\x8b", "a gzip archive", "it is packed more than once: unpack it with gunzip"),
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "fetch the data with `git lfs pull`"),
    (b"\xff\xfe", "text saved as UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text saved as UTF-16", "save it as UTF-8"),
)
_NUMBER = re.compile(r" *0*([0-9]{1,3})(?:\.0+)? *")
_NO_NUMBER = 256  # above every limit
_LONGEST_ROW = 100_000  # characters; Kaggle's have 7,000


def read_strictly(data: bytes, columns: tuple[str, ...], name: str) -> npt.NDArray[np.uint8]:
    """Read a CSV with exactly these columns: labels are digits, pixels whole numbers from 0 to 255.

    Harmless variants are accepted: a byte-order mark, any line ends, quotes or spaces around values,
    leading zeros, `1.0` for 1, empty lines at the end. `1e2` is not accepted: it is a float.

    Returns (n, columns) uint8. Raises InputError, beginning with `name`, that lists the first faults by line
    and column, their number, and the cure.
    """
    if other := identify_other_format(data):
        kind, cure = other
        raise InputError(f"{name}: expected a CSV file, received {kind}. Cure: {cure}.")
    values = bytearray()
    shown: list[str] = []
    n_faults = 0
    for row in _rows(data, columns):
        if isinstance(row, bytes):
            values += row
        else:
            n_faults += len(row)
            shown += row[: N_SHOWN - len(shown)]
    if not shown:
        shown = _faults_of_the_whole(values, columns)
    if n_faults > N_SHOWN:
        shown.append(f"and {n_faults - N_SHOWN:,} more.")
    if shown:
        cure = f"Correct that, or {DOWNLOAD}."
        raise InputError("\n  ".join([f"{name} is not in Kaggle's format:", *shown, cure]))
    return np.frombuffer(values, np.uint8).reshape(-1, len(columns))


def columns_of(header: bytes, name: str) -> tuple[str, ...]:
    """TEST_COLUMNS or TRAIN_COLUMNS, whichever the first line is. Raises InputError when it is neither."""
    names = [cell.strip(" ") for cell in _cells(header.decode("utf-8-sig", "replace"), 1, name)]
    for columns in (TEST_COLUMNS, TRAIN_COLUMNS):
        if not _header_faults(names, columns):
            return columns
    faults = "\n  ".join(_header_faults(names, TEST_COLUMNS))
    raise InputError(f"{name} is not in Kaggle's format:\n  {faults}\n  Correct that, or {DOWNLOAD}.")


def parse_row(row: bytes, columns: tuple[str, ...], line: int) -> bytes | list[str]:
    """The values of a single row without its line end, or its faults; `line` is its number."""
    if len(row) > _LONGEST_ROW:
        return [f"line {line}: expected {len(columns)} values, received more than {_LONGEST_ROW:,} characters"]
    try:
        cells = _cells(row.decode("utf-8", "replace"), line, "")
    except InputError as error:
        return [str(error)]
    return _row(cells, columns, line) if cells else [f"line {line}: expected {len(columns)} values, received none"]


def _cells(text: str, line: int, name: str) -> list[str]:
    try:
        return next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        where = f"{name}, line {line}" if name else f"line {line}"
        raise InputError(f"{where}: expected values between commas, received broken quotes ({error})") from error


def identify_other_format(data: bytes) -> tuple[str, str] | None:
    """What a file is that is not a CSV, and the cure; None for one that may be a CSV."""
    blank = codecs.BOM_UTF8 + b" \t\r\n"
    text = data[:1024].lstrip(blank)
    if not text and not data.strip(blank):
        return "an empty file", DOWNLOAD
    for start, kind, cure in _FOREIGN_STARTS:
        if text.startswith(start):
            return kind, cure
    if data[:4].count(0) == 2:
        return "text saved as UTF-16", "save it as UTF-8"
    if 0 in data:
        return f"one with NUL bytes (the first at byte {data.index(0):,}): not text, or damaged", DOWNLOAD
    return None


def _rows(data: bytes, columns: tuple[str, ...]) -> Iterator[bytes | list[str]]:
    """Each row's values, or its faults; only the faults of a wrong header."""
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="replace", newline=None)
    length = 0  # of the row that is being read

    def lines() -> Iterator[str]:
        nonlocal length
        while line := text.readline(_LONGEST_ROW + 1):
            length += len(line)
            if length > _LONGEST_ROW:
                raise csv.Error(f"more than {_LONGEST_ROW:,} characters")
            yield line

    reader = csv.reader(lines(), skipinitialspace=True, strict=True)
    line = 0  # the last one read
    empty_line = 0  # the first of the latest ones; only a row after them makes them a fault
    try:
        if faults := _header_faults([name.strip(" ") for name in next(reader, [])], columns):
            yield faults
            return
        line = reader.line_num
        length = 0
        for cells in reader:
            length, line = 0, reader.line_num
            if not any(cells) and len(cells) < 2:
                empty_line = empty_line or line
                continue
            if empty_line:
                yield [f"line {empty_line}: expected {len(columns)} values, received an empty line"]
                empty_line = 0
            yield _row(cells, columns, line)
    except csv.Error as error:
        yield [f"line {line + 1}: expected values between commas, received broken quotes or an endless line ({error})"]
    if not data.endswith((b"\n", b"\r")):
        yield [f"line {line}: expected a line end, received the end of the file: it was cut short"]


def _row(cells: list[str], columns: tuple[str, ...], line: int) -> bytes | list[str]:
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


def _limit(column: str) -> int:
    return 9 if column == "label" else 255


@lru_cache(maxsize=4096)
def _number(cell: str) -> int:
    match = _NUMBER.fullmatch(cell)
    return int(match[1]) if match else _NO_NUMBER


def _header_faults(names: list[str], columns: tuple[str, ...]) -> list[str]:
    """The faults of line 1: a known cause, else every unexpected name."""
    header = tuple(names)
    cause = ""
    if header == columns:
        return []
    if header == TEST_COLUMNS:
        cause = "expected labels, received none: this is test.csv in place of train.csv; rename the files"
    elif header == TRAIN_COLUMNS:
        cause = "expected no labels, received some: this is train.csv in place of test.csv; rename the files"
    elif header[1:] == columns:
        cause = f"received an index column {_some(names[:1])} in front: write with to_csv(index=False)"
    elif len(names) == 1 and (separator := re.search("[;\t]", names[0])):
        cause = f"expected commas between the columns, received {separator[0]!r}"
    elif all(re.fullmatch(r"[0-9.]*", name) for name in names):
        cause = f"expected the header, received {'numbers' if any(names) else 'an empty line'}"
    if cause:
        return [f"line 1: {cause}"]
    known, named = set(columns), Counter(names)
    groups = {
        "columns missing": [name for name in columns if name not in named],
        "columns not expected": [name for name in named if name not in known],
        "columns named twice": [name for name in columns if named[name] > 1],
    }
    faults = [f"line 1: {what}: {_some(which)}" for what, which in groups.items() if which]
    if not faults:
        place, name = next((i, name) for i, name in enumerate(names) if name != columns[i])
        faults = [f"line 1: expected {columns[place]} as column {place + 1}, received {name}: out of order"]
    return faults


def _faults_of_the_whole(values: bytearray, columns: tuple[str, ...]) -> list[str]:
    """Faults of the file as a whole."""
    if not values:
        return ["expected rows of values, received only the header"]
    absent = set(range(10)) - set(values[:: len(columns)]) if columns == TRAIN_COLUMNS else set()
    names = ", ".join(map(str, sorted(absent)))
    return [f"expected all ten digits among the labels, received none of {names}"] if absent else []


def _some(names: list[str]) -> str:
    """The first three, and how many more: `'pixel0', 'pixel1', 'pixel2' and 781 more`."""
    shown = ", ".join(map(reprlib.repr, names[:3]))
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
