"""Kaggle's CSVs, on disk or inside Kaggle's zip -> Table: pixels, labels and the file's fingerprint.

pandas reads a plain file, of which it can get nothing wrong; any other goes to `careful`, which defines the
form and words the errors. What images are used for is not known here.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from .careful import N_PIXELS, TEST_COLUMNS, TRAIN_COLUMNS, read_carefully
from .errors import InputError, RunError
from .files import write_atomically

MAX_BYTES = 1_000_000_000  # train.csv has 77 million
MAX_RATIO = 100  # Kaggle's zip shrinks to 1/9; a zip bomb to 1/1000, and so do few and empty images,
MIN_PACKED = 1_000_000  # therefore what is smaller counts as this much
BLOCK_BYTES = 1 << 17  # read at a time for the fingerprint
CACHE_FORM = 1  # to be raised when `careful` takes or refuses other files than before
N_CACHED = 4  # train and test of two data sets
_DIGITS = b"0123456789"

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
    """pixels: (n, 784) uint8; labels: (n,) uint8 or None; fingerprint: of the file's content."""

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
    """Let pandas read what needs no judgement, or return None and leave it to `read_carefully`.

    Plain is: the exact header and lines of digits between commas, ended by LF; without its digits such text
    is known byte for byte. What can still be wrong, empty values and those above 255, pandas refuses when it
    is to make uint8 of them. In other text it takes True for 1, skips lines and drops values without a word.
    Returns (n, columns) uint8.
    """
    header = (",".join(columns) + "\n").encode()
    separators = data.translate(None, _DIGITS)
    of_header, of_line = header.translate(None, _DIGITS), b"," * (len(columns) - 1) + b"\n"
    n_rows = (len(separators) - len(of_header)) // len(of_line)
    if n_rows < 1 or not data.startswith(header) or separators != of_header + n_rows * of_line:
        return None
    try:
        frame = pd.read_csv(BytesIO(data), dtype=np.uint8, index_col=False)
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        return None
    table = np.ascontiguousarray(frame)
    if columns == TRAIN_COLUMNS and not np.array_equal(np.unique(table[:, 0]), np.arange(10)):
        return None
    return table


def _read(file: CsvFile, columns: tuple[str, ...], cache: Path | None) -> Table:
    if cache is not None:
        fingerprint = file.fingerprint()
        values = _load(cache, columns, fingerprint)
        if values is not None:
            return _table(values, fingerprint)
    data = file.read()
    fingerprint = _fingerprint(len(data), zlib.crc32(data))
    values = parse_plain(data, columns)
    if values is None:
        values = read_carefully(data, columns, str(file))
    if cache is not None:
        _save(cache, columns, fingerprint, values)
    return _table(values, fingerprint)


def _table(values: Bytes, fingerprint: str) -> Table:
    """(n, 785) or (n, 784) values -> Table, without a copy."""
    labelled = values.shape[1] > N_PIXELS
    return Table(values[:, -N_PIXELS:], values[:, 0] if labelled else None, fingerprint)


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


# The cache: the values as npy, under a name that holds the CSV's fingerprint and the values' own CRC-32. What
# does not fit its name is not used.


def _cache_name(columns: tuple[str, ...], fingerprint: str, crc: str) -> str:
    kind = "train" if columns == TRAIN_COLUMNS else "test"
    return f"{kind}-{CACHE_FORM}-{fingerprint}-{crc}.npy"


def _load(cache: Path, columns: tuple[str, ...], fingerprint: str) -> Bytes | None:
    with suppress(OSError, ValueError, EOFError):
        for path in cache.glob(_cache_name(columns, fingerprint, "*")):
            values: Bytes = np.load(path, allow_pickle=False)
            crc = f"{zlib.crc32(np.ascontiguousarray(values).data):08x}"
            right_form = values.dtype == np.uint8 and values.shape[1:] == (len(columns),)
            if right_form and path.name == _cache_name(columns, fingerprint, crc):
                return values
    return None


def _save(cache: Path, columns: tuple[str, ...], fingerprint: str, values: Bytes) -> None:
    """Keep the values for the next time and drop the oldest; a folder that cannot be written is left alone."""
    content = BytesIO()
    np.save(content, values, allow_pickle=False)
    path = cache / _cache_name(columns, fingerprint, f"{zlib.crc32(values.data):08x}")
    with suppress(RunError, OSError):
        write_atomically(path, content.getbuffer(), durable=False)
        for old in sorted(cache.glob("*.npy"), key=lambda file: file.stat().st_mtime)[:-N_CACHED]:
            old.unlink()
