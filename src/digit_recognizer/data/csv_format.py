"""The definition of Kaggle's CSV format: a strict reader that checks every cell.

It is slow; `csv_reader` reads plain files with pandas and leaves all others to this reader. Both take the columns from
`layout_of`.
"""

import codecs
import csv
import io
import re
import reprlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from digit_recognizer.data.file_formats import DOWNLOAD, identify_other_format
from digit_recognizer.errors import InputError

N_PIXELS = 784  # 28 x 28, row by row
TEST_COLUMNS = tuple(f"pixel{i}" for i in range(N_PIXELS))
TRAIN_COLUMNS = ("label", *TEST_COLUMNS)

_LABEL_NAMES = ("label", "class")
_NAMINGS = (  # of the pixels in public files
    TEST_COLUMNS,
    tuple(f"pixel{i}" for i in range(1, N_PIXELS + 1)),
    tuple(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)),
    tuple(str(i) for i in range(N_PIXELS)),
    tuple(str(i) for i in range(1, N_PIXELS + 1)),
)

_SCALED = (
    "floats from 0 to 1. To fix this: `frame = frame.apply(lambda column: column if column.name == 'label' else "
    "(column * 255).round().astype(int))`"
)
_N_SHOWN = 8  # faults listed; a file with more is wrong as a whole
_NUMBER = re.compile(r" *0*([0-9]{1,3})(?:\.0+)? *")
_NO_NUMBER = 256  # above every limit
_LONGEST_ROW = 100_000  # bytes; Kaggle's have up to 7,000


@dataclass(frozen=True)
class Layout:
    """The columns of a file, by Kaggle's names in the file's order, and what differs from Kaggle's form."""

    columns: tuple[str, ...]
    has_header: bool = True
    note: str = ""


def first_line(content: bytes) -> bytes:
    """The first line of a file, without its end."""
    return re.split(b"[\r\n]", content[:_LONGEST_ROW], maxsplit=1)[0]


def layout_of(line: bytes) -> Layout | None:
    """The layout of a file by its first line; None if that is neither a known header nor a row of numbers.

    Accepted are any capitals, `class` for `label`, labels in any place, and five ways to name the pixels.
    """
    try:
        names = [name.strip(" ") for name in _cells(line.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n"))]
    except csv.Error:
        return None
    pixels = [name.lower() for name in names]
    columns, notes = list(TEST_COLUMNS), []
    labels = [place for place, name in enumerate(pixels) if name in _LABEL_NAMES]
    if len(labels) == 1:
        columns.insert(labels[0], "label")
        del pixels[labels[0]]
        if labels[0] or names[0] != "label":
            notes.append(f"labels in column {labels[0] + 1} ({names[labels[0]]})")
    if tuple(pixels) in _NAMINGS:
        if tuple(pixels) != TEST_COLUMNS:
            notes.append(f"pixels named {pixels[0]} to {pixels[-1]}")
        return Layout(tuple(columns), note=", ".join(notes))
    if len(names) in (N_PIXELS, N_PIXELS + 1) and all(map(_NUMBER.fullmatch, names)):
        columns = list(TEST_COLUMNS if len(names) == N_PIXELS else TRAIN_COLUMNS)
        return Layout(tuple(columns), has_header=False, note="no header")
    return None


def split_labels(values: npt.NDArray[np.uint8], columns: tuple[str, ...]) -> tuple[npt.NDArray[np.uint8], ...]:
    """The (n, 784) pixels and the (n,) labels of (n, columns) values; without a column of labels the pixels alone."""
    if "label" not in columns:
        return (values,)
    place = columns.index("label")
    return (np.delete(values, place, axis=1) if place else values[:, 1:]), values[:, place]


def read_strictly(data: bytes, columns: tuple[str, ...], name: str) -> npt.NDArray[np.uint8]:
    """Read a CSV with these columns, in the order of `layout_of`: labels are digits, pixels integers from 0 to 255.

    Harmless variants are accepted: a byte-order mark, any line ends, quotes or spaces around values,
    leading zeros, `1.0` for 1, empty lines at the end. `1e2` is not accepted: it is a float.

    Returns (n, columns) uint8. Raises InputError, beginning with `name`, that lists the first faults by line
    and column, and the remedy.
    """
    if other := identify_other_format(data):
        kind, remedy = other
        raise InputError(f"{name}: expected a CSV file, received {kind}. To fix this: {remedy}.")
    lines = io.BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n "))
    header = lines.readline()
    layout = layout_of(header)
    if layout is None or set(layout.columns) != set(columns):
        raise _format_error(name, [_header_fault(header, columns)])
    if not layout.has_header:
        lines.seek(0)
    values, faults = bytearray(), list[str]()
    for line, text in enumerate(lines, start=1 + layout.has_header):
        row = parse_row(text.removesuffix(b"\n"), layout.columns, line)
        if isinstance(row, bytes):
            values += row
        elif not faults and _is_scaled(text, layout.columns):
            raise _format_error(name, [f"line {line}: expected integers from 0 to 255, received {_SCALED}"])
        else:
            faults += row
        if len(faults) > _N_SHOWN:
            raise _format_error(name, [*faults[:_N_SHOWN], "and more."])
    if not values and not faults:
        faults.append("expected rows of values, received only the header")
    if not data.endswith((b"\n", b"\r")):
        faults.append("expected a line end, received the end of the file: it was cut short")
    if faults:
        raise _format_error(name, faults)
    found = np.frombuffer(values, np.uint8).reshape(-1, len(columns))
    if columns == TRAIN_COLUMNS:
        labels = split_labels(found, layout.columns)[1]
        if absent := ", ".join(map(str, sorted(set(range(10)) - set(labels.tolist())))):
            raise _format_error(name, [f"expected all ten digits among the labels, received none of {absent}"])
    return found


def known_layout(line: bytes, name: str) -> Layout:
    """The layout of a file of images by its first line. Raises InputError when that is not known."""
    if layout := layout_of(line):
        return layout
    raise _format_error(name, [_header_fault(line, TEST_COLUMNS)])


def parse_row(row: bytes, columns: tuple[str, ...], line: int) -> bytes | list[str]:
    """The values of a single row without its line end, or its faults; `line` is its number."""
    try:
        cells = _cells(row)
    except csv.Error as error:
        return [f"line {line}: expected values between commas, received {error}"]
    if len(cells) != len(columns):
        return [f"line {line}: expected {len(columns)} values, received {len(cells)}"]
    values = [_number(cell) for cell in cells]
    if max(values) <= 255 and ("label" not in columns or values[columns.index("label")] <= 9):
        return bytes(values)
    return [
        f"line {line}, column {column}: expected a whole number from 0 to {_limit(column)}, "
        f"received {reprlib.repr(cell)}"
        for column, cell, value in zip(columns, cells, values, strict=True)
        if value > _limit(column)
    ]


def _is_scaled(row: bytes, columns: tuple[str, ...]) -> bool:
    """Whether all pixels of a row are from 0 to 1."""
    try:
        values = map(float, _cells(row))
        return all(0 <= value <= 1 or column == "label" for value, column in zip(values, columns, strict=True))
    except (ValueError, csv.Error):
        return False


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


def _header_fault(header: bytes, columns: tuple[str, ...]) -> str:
    """The fault of a first line that is not that of `columns`: a known cause, else the first unexpected name."""
    try:
        names = tuple(name.strip(" ") for name in _cells(header.removeprefix(codecs.BOM_UTF8).removesuffix(b"\n")))
    except csv.Error as error:
        return f"line 1: expected names between commas, received {error}"
    layout = layout_of(header)
    if layout and columns == TRAIN_COLUMNS:
        cause = "expected labels, received none: is this test.csv in place of train.csv? Then rename the files"
    elif layout:
        cause = (
            "expected no labels, received some: is this train.csv in place of test.csv? Then rename the files. If it "
            "is a labelled test set, drop its labels, and give the labelled file as `answers`"
        )
    elif (rest := layout_of(header.partition(b",")[2])) and set(rest.columns) == set(columns):
        cause = f"received an index column {reprlib.repr(names[0])} in front: write with to_csv(index=False)"
    elif len(names) == 1 and (separator := re.search("[;\t]", names[0])):
        cause = f"expected commas between the columns, received {separator[0]!r}"
    elif len(names) == N_PIXELS + 10:
        cause = "received ten columns of labels (one-hot): write one, frame.iloc[:, :10].to_numpy().argmax(axis=1)"
    elif all(re.fullmatch(r"[0-9.]*", name) for name in names):
        cause = f"expected the header, received {'numbers' if any(names) else 'an empty line'}"
    else:
        pairs = enumerate(zip_longest(columns, names, fillvalue="nothing"), start=1)
        place, (name, other) = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
        cause = f"expected {name} as column {place}, received {reprlib.repr(other)}"
    return f"line 1: {cause}"


def _format_error(name: str, faults: list[str]) -> InputError:
    remedy = f"Correct that, or {DOWNLOAD}."
    return InputError("\n  ".join([f"{name} is not in Kaggle's format:", *faults, remedy]))
