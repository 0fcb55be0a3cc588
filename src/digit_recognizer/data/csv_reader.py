"""Kaggle's CSVs, on disk, packed by gzip or inside Kaggle's zip -> Table: pixels, labels and the file's fingerprint.

pandas reads a plain file, of which it can get nothing wrong; any other goes to `careful`, which defines the
form and words the errors. What images are used for is not known here.
"""

import mmap
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from digit_recognizer.data import archives
from digit_recognizer.data.csv_format import TEST_COLUMNS, TRAIN_COLUMNS, read_strictly
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.utils.files import check_size, sweep, write_atomically

CACHE_FORM = 3  # to be raised when other files than before are taken or refused
N_CACHED = 4  # train and test of two data sets

Bytes = npt.NDArray[np.uint8]
Content = bytes | mmap.mmap


@dataclass(frozen=True)
class CsvFile:
    """A CSV file on disk or, with `member`, in a zip; its text is how messages name it."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return str(self.path if self.member is None else self.path / self.member)

    @contextmanager
    def opened(self) -> Iterator[tuple[str, Callable[[], Content]]]:
        """Lend the content's fingerprint, and a function that gives the content.

        The fingerprint is size and CRC-32: two files that differ by accident differ in it; it guards against no
        forger. A zip's directory holds both, so a member is inflated only when it is asked for; a file is mapped
        into memory rather than copied, and inflated when it is a gzip, whatever its name. Raises InputError for what
        is missing, damaged or far too large.
        """
        if self.member is not None:
            size, crc = archives.size_and_crc(self.path, self.member)
            member = self.member
            yield f"{size}-{crc:08x}", lambda: archives.read(self.path, member)
            return
        with ExitStack() as closing:
            content: Content = closing.enter_context(self._mapped()) if self._size() else b""
            if content[:2] == archives.GZIP:
                content = archives.gunzip(content, str(self))
            yield f"{len(content)}-{zlib.crc32(content):08x}", lambda: content

    def _size(self) -> int:
        with self._explained():
            return check_size(self.path)

    def _mapped(self) -> mmap.mmap:
        with self._explained(), self.path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise InputError(f"{self}: not found. Check the path given with --data.") from None
        except OSError as error:
            raise InputError(f"{self}: cannot be read ({error.strerror}). Check its permissions.") from error


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


def parse_plain(content: Content, columns: tuple[str, ...], source: Path | None = None) -> Bytes | None:
    """Let pandas read what needs no judgement, or return None and leave it to `read_carefully`.

    pandas takes True for 1, skips lines, drops values and, in some versions, wraps large ones, all without a
    word. But whatever is written otherwise than as the digits of its value and one separator takes more bytes
    than that, so a length that fits shows that nothing else is there; only 1e2 is as short as 100. `source`
    is the file with that content, if there is one, for pandas reads a file by several threads. Returns (n, columns).
    """
    header = (",".join(columns) + "\n").encode()
    whole = content[: len(header)] == header and content[-1:] == b"\n"  # a line end less would hide a byte more
    if not whole or any(content.find(e, len(header)) >= 0 for e in (b"e", b"E")):
        return None
    import pandas as pd  # here, as those who only name files do without

    try:
        with warnings.catch_warnings(action="ignore"):  # of values it drops: the length tells of them
            frame = pd.read_csv(
                source or BytesIO(content), dtype=np.uint16, index_col=False, na_filter=False, compression=None
            )
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        return None
    values = frame.to_numpy()
    n_digits = values.size + np.count_nonzero(values > 9) + np.count_nonzero(values > 99)
    if not len(values) or values.max() > 255 or len(header) + n_digits + values.size != len(content):
        return None
    table = np.ascontiguousarray(values, dtype=np.uint8)
    if columns == TRAIN_COLUMNS and not np.array_equal(np.unique(table[:, 0]), np.arange(10)):
        return None
    return table


def _read(file: CsvFile, columns: tuple[str, ...], cache: Path | None) -> tuple[Bytes, str]:
    """The values, (n, columns), from the cache or the file, and the file's fingerprint."""
    with file.opened() as (fingerprint, content_of_file):
        values = _load(cache, columns, fingerprint) if cache else None
        if values is None:
            content = content_of_file()
            values = parse_plain(content, columns, file.path if isinstance(content, mmap.mmap) else None)
            if values is None:
                values = read_strictly(bytes(content), columns, str(file))
            if cache:
                _save(cache, columns, fingerprint, values)
        return values, fingerprint


# The cache: the values as npy, under a name that holds the CSV's fingerprint and the npy's own CRC-32. What does
# not fit its name is not used, and not even parsed.


def _cache_name(columns: tuple[str, ...], fingerprint: str, crc: str) -> str:
    kind = "train" if columns == TRAIN_COLUMNS else "test"
    return f"{kind}-{CACHE_FORM}-{fingerprint}-{crc}.npy"


def _load(cache: Path, columns: tuple[str, ...], fingerprint: str) -> Bytes | None:
    try:
        for path in cache.glob(_cache_name(columns, fingerprint, "*")):
            npy = path.read_bytes()
            if path.name == _cache_name(columns, fingerprint, f"{zlib.crc32(npy):08x}"):
                return np.load(BytesIO(npy), allow_pickle=False)
    except (OSError, ValueError):  # what cannot be read, or holds objects, is not there
        pass
    return None


def _save(cache: Path, columns: tuple[str, ...], fingerprint: str, values: Bytes) -> None:
    """Keep the values for the next time and drop the oldest; a folder that cannot be written is left alone."""
    header = BytesIO()
    npy_format.write_array_header_1_0(header, npy_format.header_data_from_array_1_0(values))
    crc = zlib.crc32(values.data, zlib.crc32(header.getvalue()))
    try:
        sweep(cache)
        path = cache / _cache_name(columns, fingerprint, f"{crc:08x}")
        write_atomically(path, header.getvalue(), values.data, durable=False)
        for old in sorted(cache.glob("*.npy"), key=lambda file: file.stat().st_mtime)[:-N_CACHED]:
            old.unlink()
    except (RunError, OSError):
        pass
