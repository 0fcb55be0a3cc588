"""Reads train.csv and test.csv, on disk, gzipped or in Kaggle's zip.

pandas reads plain files, and plain rows for `stream`; all others are read by `csv_format`, which defines the format
and its errors.
"""

import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from digit_recognizer.data import archives
from digit_recognizer.data.csv_format import (
    TEST_COLUMNS,
    TRAIN_COLUMNS,
    first_line,
    known_layout,
    layout_of,
    read_strictly,
    split_labels,
)
from digit_recognizer.utils.files import read_bytes

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CsvFile:
    """A CSV file on disk or, with `member`, in a zip; `str` gives its name in messages."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return str(self.path if self.member is None else self.path / self.member)

    def content(self) -> bytes:
        """The content, unpacked if it is a gzip.

        Raises InputError when it is missing, damaged or too large.
        """
        if self.member is not None:
            return archives.read(self.path, self.member)
        content = read_bytes(self.path)
        return archives.gunzip(content, str(self)) if content.startswith(archives.GZIP) else content


@dataclass(frozen=True, eq=False)
class Table:
    """The content of test.csv."""

    pixels: Bytes  # (n, 784)
    fingerprint: str  # size and CRC-32 of the content
    note: str = field(default="", kw_only=True)  # what differs from Kaggle's form


@dataclass(frozen=True, eq=False)
class LabelledTable(Table):
    """The content of train.csv."""

    labels: Bytes  # (n,), 0 to 9


def read_train(file: CsvFile) -> LabelledTable:
    """Read and check train.csv. Raises InputError with the faults by line and column."""
    (pixels, labels), fingerprint, note = _read(file, TRAIN_COLUMNS)
    return LabelledTable(pixels, fingerprint, labels, note=note)


def read_test(file: CsvFile) -> Table:
    """Read and check test.csv, which has no labels. Raises InputError as `read_train` does."""
    (pixels,), fingerprint, note = _read(file, TEST_COLUMNS)
    return Table(pixels, fingerprint, note=note)


def parse_plain(content: bytes, columns: tuple[str, ...]) -> Bytes | None:
    """The values of a file with these columns and plain rows, (n, columns), in its order; None for any other.

    A train.csv must hold all ten labels.
    """
    end = content.find(b"\n") + 1
    layout = layout_of(content[:end])
    if layout is None or set(layout.columns) != set(columns):
        return None
    values = parse_rows(content[end:] if layout.has_header else content, layout.columns)
    if values is not None and columns == TRAIN_COLUMNS and len(np.unique(split_labels(values, layout.columns)[1])) < 10:
        return None
    return values


def parse_rows(rows: bytes, columns: tuple[str, ...]) -> Bytes | None:
    """The values of whole rows without a header, (n, columns), by pandas; None for rows that are not plain.

    pandas reads True as 1, skips empty lines and, in some versions, wraps large values without an error. But anything
    except the digits of a value and one separator takes more bytes, so the length of `rows` reveals it. The exceptions
    are 1e2, as short as 100, and a missing last line end, which would hide one byte; both are checked separately.
    """
    width = rows.count(b",", 0, rows.find(b"\n")) + 1  # of the first row; pandas refuses longer rows after it
    if width != len(columns) or not rows.endswith(b"\n") or b"e" in rows or b"E" in rows:
        return None
    import pandas as pd  # here, as its import is slow and many commands do not need it

    try:
        with np.errstate(invalid="ignore"):  # of -1.5 and inf, whose length does not fit
            frame = pd.read_csv(BytesIO(rows), header=None, dtype=np.uint16, index_col=False, na_filter=False)
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        return None
    values = frame.to_numpy()
    n_digits = values.size + np.count_nonzero(values > 9) + np.count_nonzero(values > 99)
    if values.shape[1] != len(columns) or values.max() > 255 or n_digits + values.size != len(rows):
        return None
    if "label" in columns and values[:, columns.index("label")].max() > 9:
        return None
    return np.ascontiguousarray(values, dtype=np.uint8)


def _read(file: CsvFile, columns: tuple[str, ...]) -> tuple[tuple[Bytes, ...], str, str]:
    """The pixels, and the labels if `columns` has them; the fingerprint; and the note of the layout."""
    content = file.content()
    values = parse_plain(content, columns)
    if values is None:
        values = read_strictly(content, columns, str(file))
    layout = known_layout(first_line(content), str(file))
    return split_labels(values, layout.columns), f"{len(content)}-{zlib.crc32(content):08x}", layout.note
