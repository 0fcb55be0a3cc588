"""Kaggle's CSVs, on disk or inside Kaggle's zip -> Table: pixels, labels and the file's fingerprint.

A plain file is read here by a vectorised parser that takes nothing but what is certain; any other goes to
`careful`, which defines the form and words the errors. What images are used for is not known here.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .careful import N_PIXELS, TEST_COLUMNS, TRAIN_COLUMNS, read_carefully
from .errors import InputError, RunError
from .files import write_atomically

MAX_BYTES = 1_000_000_000  # train.csv has 77 million
MAX_RATIO = 100  # Kaggle's zip shrinks to 1/9; a zip bomb to 1/1000, and so do few and empty images,
MIN_PACKED = 1_000_000  # therefore what is smaller counts as this much
BLOCK_BYTES = 1 << 17  # parsed at a time: stays in the processor's cache; measured best of 64 kB to 1 MB
CACHE_FORM = 1  # to be raised when `careful` takes or refuses other files than before
N_CACHED = 4  # train and test of two data sets

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CsvFile:
    """A CSV file on disk or, with `member`, in a zip; its text is how messages name it."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return str(self.path if self.member is None else self.path / self.member)

    def read(self) -> bytes:
        """Return the whole content; a zip's member is inflated in memory and its CRC checked.

        Raises InputError for what is missing, unreadable, damaged, over MAX_BYTES or packed over MAX_RATIO.
        """
        with _explained(self):
            if self.member is None:
                _refuse_size(self, self.path.stat().st_size)
                return self.path.read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                info = archive.getinfo(self.member)
                _refuse_size(self, info.file_size)
                if info.file_size > MAX_RATIO * max(info.compress_size, MIN_PACKED):
                    raise InputError(f"{self}: packed more than {MAX_RATIO}-fold, as no digits are; refused.")
                return archive.read(info)

    def fingerprint(self) -> str:
        """Return size and CRC-32 of the content: two files that differ by accident differ in it.

        It guards against no forger. A zip's directory holds both: nothing is inflated, damage there shows only
        in `read`, and a member has the fingerprint of the file it was packed from. Raises InputError.
        """
        with _explained(self):
            if self.member is not None:
                with zipfile.ZipFile(self.path) as archive:
                    info = archive.getinfo(self.member)
                return _fingerprint(info.file_size, info.CRC)
            size = crc = 0
            with self.path.open("rb", buffering=0) as file:
                while block := file.read(BLOCK_BYTES):
                    size += len(block)
                    crc = zlib.crc32(block, crc)
            return _fingerprint(size, crc)


@dataclass(frozen=True, eq=False)
class Table:
    """pixels: (n, 784) uint8, contiguous; labels: (n,) uint8 or None; fingerprint: of the file's content."""

    pixels: Bytes
    labels: Bytes | None
    fingerprint: str


def read_train(file: CsvFile, cache: Path | None = None) -> Table:
    """Read and check train.csv, with its labels.

    With a `cache` folder a file read before is taken from there, unless its content has changed. Raises
    InputError with the file's faults by line and column.
    """
    return _read(file, TRAIN_COLUMNS, cache)


def read_test(file: CsvFile, cache: Path | None = None) -> Table:
    """Read and check test.csv, which has no labels; otherwise as `read_train`."""
    return _read(file, TEST_COLUMNS, cache)


def parse_plain(data: bytes, columns: tuple[str, ...]) -> Bytes | None:
    """Read what needs no judgement, or return None and leave it to `read_carefully`.

    Plain is: the exact header, then lines that end in LF, each with one value of one to three digits, 255 at
    most, for each column; labels are 0 to 9, each at least once. Returns (n, columns) uint8.
    """
    header = (",".join(columns) + "\n").encode()
    n_rows = data.count(b"\n") - 1
    shortest = n_rows * 2 * len(columns)  # a digit and a separator for each value
    if not data.startswith(header) or not data.endswith(b"\n") or not 0 < shortest < len(data):
        return None
    table = np.empty((n_rows, len(columns)), np.uint8)
    content = np.frombuffer(data, np.uint8)
    row, start = 0, len(header)
    while start < len(data):
        stop = data.rfind(b"\n", start, start + BLOCK_BYTES) + 1
        values = _parse_block(content[start:stop], len(columns))
        if values is None:
            return None
        table[row : row + len(values)] = values
        row, start = row + len(values), stop
    if columns == TRAIN_COLUMNS and not np.array_equal(np.unique(table[:, 0]), np.arange(10)):
        return None
    return table


def _parse_block(block: Bytes, n_columns: int) -> Bytes | None:
    """Read whole lines: (bytes,) -> (rows, columns), or None if any of it is not plain."""
    digits = block - np.uint8(ord("0"))  # unsigned: what is no digit lands above 9
    ends = np.flatnonzero(digits > 9)
    lengths = np.diff(ends, prepend=-1) - 1
    if not len(ends) or len(ends) % n_columns or lengths.min() < 1 or lengths.max() > 3:
        return None
    separators = block[ends].reshape(-1, n_columns)
    if (separators[:, :-1] != ord(",")).any() or (separators[:, -1] != ord("\n")).any():
        return None
    digits[ends] = 0  # stands in for missing tens; index -1, before the first number, is a line end too
    hundreds = digits[ends - 3] * (lengths == 3)
    values = digits[ends - 1] + np.uint8(10) * digits[ends - 2] + np.uint16(100) * hundreds
    return values.astype(np.uint8).reshape(-1, n_columns) if values.max() <= 255 else None


def _read(file: CsvFile, columns: tuple[str, ...], cache: Path | None) -> Table:
    if cache is not None:
        table = _load(cache, columns, file.fingerprint())
        if table is not None:
            return table
    data = file.read()
    values = parse_plain(data, columns)
    if values is None:
        values = read_carefully(data, columns, str(file))
    table = Table(
        pixels=np.ascontiguousarray(values[:, -N_PIXELS:]),
        labels=values[:, 0].copy() if columns == TRAIN_COLUMNS else None,
        fingerprint=_fingerprint(len(data), zlib.crc32(data)),
    )
    if cache is not None:
        _save(cache, columns, table)
    return table


def _fingerprint(size: int, crc: int) -> str:
    return f"{size}-{crc:08x}"


def _refuse_size(file: CsvFile, size: int) -> None:
    if size > MAX_BYTES:
        raise InputError(f"{file}: expected up to {MAX_BYTES:,} bytes, received {size:,}. Use Kaggle's file.")


@contextmanager
def _explained(file: CsvFile) -> Iterator[None]:
    """Turn what the system and `zipfile` raise into an InputError that names file, cause and cure."""
    try:
        if not stat.S_ISREG(file.path.stat().st_mode):
            raise InputError(f"{file.path}: expected a file, received a folder or a device. Check the path.")
        yield
    except FileNotFoundError:
        raise InputError(f"{file}: not found. Check the path given with --data.") from None
    except KeyError:
        raise InputError(f"{file}: the zip has no such member. Give the zip as Kaggle delivers it.") from None
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{file}: cannot be read ({reason}). Check its permissions.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise InputError(f"{file}: the zip is damaged ({error}). Download it again from Kaggle.") from error


# The cache: raw bytes, pixels then labels, under a name that holds the CSV's fingerprint and the raw bytes'
# own CRC-32. There is no header to parse and none to trust: a file that does not fit its name is not used.


def _cache_name(columns: tuple[str, ...], fingerprint: str, crc: str) -> str:
    kind = "train" if columns == TRAIN_COLUMNS else "test"
    return f"{kind}-{CACHE_FORM}-{fingerprint}-{crc}.u8"


def _load(cache: Path, columns: tuple[str, ...], fingerprint: str) -> Table | None:
    with suppress(OSError):
        for path in cache.glob(_cache_name(columns, fingerprint, "*")):
            raw = np.fromfile(path, np.uint8)
            n = len(raw) // len(columns)
            if n and path.name == _cache_name(columns, fingerprint, f"{zlib.crc32(raw.data):08x}"):
                pixels, labels = raw[: n * N_PIXELS].reshape(n, N_PIXELS), raw[n * N_PIXELS :]
                return Table(pixels, labels if columns == TRAIN_COLUMNS else None, fingerprint)
    return None


def _save(cache: Path, columns: tuple[str, ...], table: Table) -> None:
    """Keep the table for the next time and drop the oldest; a folder that cannot be written is left alone."""
    raw = b"".join([table.pixels.data, b"" if table.labels is None else table.labels.data])
    with suppress(RunError, OSError):
        write_atomically(cache / _cache_name(columns, table.fingerprint, f"{zlib.crc32(raw):08x}"), raw)
        for path in sorted(cache.glob("*.u8"), key=lambda path: path.stat().st_mtime)[:-N_CACHED]:
            path.unlink()
