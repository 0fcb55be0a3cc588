"""Kaggle's CSVs, on disk or inside Kaggle's zip -> Table: pixels, labels and the file's fingerprint.

pandas reads a plain file, of which it can get nothing wrong; any other goes to `careful`, which defines the
form and words the errors. What images are used for is not known here.
"""

import stat
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import zips
from .careful import TEST_COLUMNS, TRAIN_COLUMNS, read_carefully
from .errors import InputError, RunError
from .files import write_atomically

BLOCK_BYTES = 1 << 17  # read at a time for the fingerprint
CACHE_FORM = 2  # to be raised when other files than before are taken or refused
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
        """Return the whole content. Raises InputError for what is missing, unreadable, damaged or far too large."""
        if self.member is not None:
            return zips.read(self.path, self.member)
        try:
            status = self.path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{self}: expected a file, received a folder or a device. Check the path.")
            if status.st_size > zips.MAX_BYTES:
                raise InputError(f"{self}: {status.st_size:,} bytes are too many for digits. Use Kaggle's file.")
            return self.path.read_bytes()
        except FileNotFoundError:
            raise InputError(f"{self}: not found. Check the path given with --data.") from None
        except OSError as error:
            raise InputError(f"{self}: cannot be read ({error.strerror}). Check its permissions.") from error

    def fingerprint(self) -> str:
        """Return size and CRC-32 of the content: two files that differ by accident differ in it.

        It guards against no forger. A zip's directory holds both, so nothing is inflated, and a member has
        the fingerprint of the file it was packed from. Raises InputError as `read` does, OSError for a file.
        """
        if self.member is not None:
            return _fingerprint(*zips.size_and_crc(self.path, self.member))
        size = crc = 0
        with self.path.open("rb", buffering=0) as file:
            while block := file.read(BLOCK_BYTES):
                size += len(block)
                crc = zlib.crc32(block, crc)
        return _fingerprint(size, crc)


@dataclass(frozen=True, eq=False)
class Table:
    """What test.csv holds."""

    pixels: Bytes  # (n, 784)
    fingerprint: str  # of the file's content


@dataclass(frozen=True, eq=False)
class LabelledTable(Table):
    """What train.csv holds."""

    labels: Bytes  # (n,), 0 to 9


def read_train(file: CsvFile, cache: Path | None = None) -> LabelledTable:
    """Read and check train.csv, with its labels.

    With a `cache` folder a file read before is taken from there, unless its content has changed. Raises
    InputError with the file's faults by line and column.
    """
    values, fingerprint = _read(file, TRAIN_COLUMNS, cache)
    return LabelledTable(values[:, 1:], fingerprint, values[:, 0])


def read_test(file: CsvFile, cache: Path | None = None) -> Table:
    """Read and check test.csv, which has no labels; otherwise as `read_train`."""
    return Table(*_read(file, TEST_COLUMNS, cache))


def parse_plain(data: bytes, columns: tuple[str, ...]) -> Bytes | None:
    """Let pandas read what needs no judgement, or return None and leave it to `read_carefully`.

    Plain is: the exact header and lines of digits between commas, ended by LF; without its digits such text
    is known byte for byte. In other text pandas takes True for 1, skips lines and drops values without a
    word. What can still be wrong are empty values, which it refuses, and large ones: it is asked for uint16
    and may wrap what does not fit, but then the digits are fewer than were written. Returns (n, columns).
    """
    header = (",".join(columns) + "\n").encode()
    separators = data.translate(None, _DIGITS)
    of_header, of_line = header.translate(None, _DIGITS), b"," * (len(columns) - 1) + b"\n"
    n_rows = (len(separators) - len(of_header)) // len(of_line)
    if n_rows < 1 or not data.startswith(header) or separators != of_header + n_rows * of_line:
        return None
    try:
        numbers = pd.read_csv(BytesIO(data), dtype=np.uint16, index_col=False).to_numpy()
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        return None
    n_digits = len(data) - len(separators) - (len(header) - len(of_header))
    if numbers.max() > 255 or numbers.size + np.sum(numbers > 9) + np.sum(numbers > 99) != n_digits:
        return None
    table = np.ascontiguousarray(numbers, dtype=np.uint8)
    if columns == TRAIN_COLUMNS and not np.array_equal(np.unique(table[:, 0]), np.arange(10)):
        return None
    return table


def _read(file: CsvFile, columns: tuple[str, ...], cache: Path | None) -> tuple[Bytes, str]:
    """The values, (n, columns), from the cache or the file, and the file's fingerprint."""
    if cache is not None and (cached := _load(cache, file, columns)):
        return cached
    data = file.read()
    fingerprint = _fingerprint(len(data), zlib.crc32(data))
    values = parse_plain(data, columns)
    if values is None:
        values = read_carefully(data, columns, str(file))
    if cache is not None:
        _save(cache, columns, fingerprint, values)
    return values, fingerprint


def _fingerprint(size: int, crc: int) -> str:
    return f"{size}-{crc:08x}"


# The cache: the values as npy, under a name that holds the CSV's fingerprint and the npy's own CRC-32. What does
# not fit its name is not used, and not even parsed.


def _cache_name(columns: tuple[str, ...], fingerprint: str, crc: str) -> str:
    kind = "train" if columns == TRAIN_COLUMNS else "test"
    return f"{kind}-{CACHE_FORM}-{fingerprint}-{crc}.npy"


def _load(cache: Path, file: CsvFile, columns: tuple[str, ...]) -> tuple[Bytes, str] | None:
    try:
        fingerprint = file.fingerprint()
        for path in cache.glob(_cache_name(columns, fingerprint, "*")):
            content = path.read_bytes()
            if path.name == _cache_name(columns, fingerprint, f"{zlib.crc32(content):08x}"):
                return np.load(BytesIO(content), allow_pickle=False), fingerprint
    except OSError:  # of the cache it does not matter, and a CSV that cannot be read is told by `read`
        pass
    return None


def _save(cache: Path, columns: tuple[str, ...], fingerprint: str, values: Bytes) -> None:
    """Keep the values for the next time and drop the oldest; a folder that cannot be written is left alone."""
    npy = BytesIO()
    np.save(npy, values, allow_pickle=False)
    content = npy.getbuffer()
    try:
        path = cache / _cache_name(columns, fingerprint, f"{zlib.crc32(content):08x}")
        write_atomically(path, content, durable=False)
        for old in sorted(cache.glob("*.npy"), key=lambda file: file.stat().st_mtime)[:-N_CACHED]:
            old.unlink()
    except (RunError, OSError):
        pass
