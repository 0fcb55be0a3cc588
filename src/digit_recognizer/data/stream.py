"""Reads any number of images in chunks: from a CSV in Kaggle's format, plain or gzipped, or an .npy file.

A CSV is read in blocks of whole lines: by pandas where all rows of a block are plain, otherwise row by row by
`csv_format`. Memory does not grow with the file.
"""

import gzip
import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from itertools import islice
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO, cast

import numpy as np
from numpy.lib import format as npy_format

from digit_recognizer.data.archives import GZIP
from digit_recognizer.data.csv_format import N_PIXELS, Layout, known_layout, parse_row, split_labels
from digit_recognizer.data.csv_reader import parse_rows
from digit_recognizer.data.file_formats import identify_other_format
from digit_recognizer.data.images import IMAGE_SHAPES, to_pixels
from digit_recognizer.errors import InputError
from digit_recognizer.utils.files import read_bytes, refuse_devices

ROWS = 8_192  # images per chunk, about
_BLOCK = 16_000_000  # bytes of a CSV parsed at once, 8,000 rows; pandas is slower with fewer
_END = 16_000_000  # bytes at each end of a file that its fingerprint covers
_NPY = b"\x93NUMPY"
_HEAD = 100_000  # maximum bytes of the first line
_LONGEST = 32_000_000  # maximum bytes of a row
_FIRST_LINE = re.compile(rb"([^\r\n]*)(\r\n|[\r\n]|)")  # and its end
_CURE = "Write the file again."


@dataclass(frozen=True, eq=False)
class BadRow:
    """A row that is not an image."""

    row: int  # from 1
    faults: list[str]
    content: bytes


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive rows of the input."""

    ids: np.ndarray  # (n,) int, row numbers from 1
    pixels: np.ndarray  # (n, 784) uint8
    bad: list[BadRow]
    n_bytes: int  # of the file read so far


def fingerprint(path: Path) -> str:
    """Size, time, and CRC-32 of both ends of a file. Raises InputError when it cannot be read."""
    with _explained(path), path.open("rb") as file:
        begin = file.read(_END)
        size = file.seek(0, 2)
        file.seek(max(0, size - _END))
        changed = os.fstat(file.fileno()).st_mtime_ns
        return f"{size}-{changed}-{zlib.crc32(file.read(), zlib.crc32(begin)):08x}"


def read(path: Path, after: int = 0) -> Iterator[Chunk]:
    """The rows of a file from row `after` + 1 on. Raises InputError for other formats and truncated files."""
    with _explained(path), path.open("rb") as file:
        start = file.peek(len(_NPY))
        if start.startswith(_NPY):
            yield from _npy(file, path, after)
        elif start.startswith(GZIP):
            with gzip.open(file) as unpacked:
                yield from _csv(cast(BinaryIO, unpacked), file, path, after)
        else:
            yield from _csv(file, file, path, after)


def _csv(content: BinaryIO, file: BufferedReader, path: Path, after: int) -> Iterator[Chunk]:
    """The rows of each block. `content` is the unpacked content of `file`."""
    rest = content.read(_HEAD)
    if other := identify_other_format(rest):
        raise InputError(f"{path}: expected a CSV, a gzip of one or an .npy, received {other[0]}. {_CURE}")
    _, head, end, rest = _FIRST_LINE.split(rest, maxsplit=1)
    layout = known_layout(head, str(path))
    if not layout.has_header:
        rest = head + end + rest
    n_rows = 0  # before `rest`
    is_last = not end
    while not is_last:
        block = content.read(_BLOCK)
        is_last = not block
        lines, rest = _whole_lines(rest + block, is_last)
        if not lines:
            if len(rest) > _LONGEST:
                raise InputError(
                    f"{path}, line {n_rows + 1 + layout.has_header}: expected a row, received {len(rest):,} bytes "
                    f"without one. {_CURE}"
                )
            continue
        n_lines = lines.count(b"\n") + (not lines.endswith(b"\n"))
        skipped = max(0, after - n_rows)
        if skipped < n_lines:
            yield from _parse_lines(lines.split(b"\n", skipped)[-1], layout, n_rows + skipped, file.tell())
        n_rows += n_lines
    if not n_rows:
        raise InputError(f"{path}: expected images, received only the header. {_CURE}")


def _parse_lines(lines: bytes, layout: Layout, before: int, n_bytes: int) -> Iterator[Chunk]:
    """The rows of whole lines: all at once when they are plain, otherwise one by one in chunks of ROWS."""
    columns = layout.columns
    values = parse_rows(lines, columns)
    if values is not None:
        pixels = split_labels(values, columns)[0]
        yield Chunk(np.arange(before + 1, before + len(values) + 1), pixels, [], n_bytes)
        return
    numbered = enumerate(BytesIO(lines), start=before + 1)
    while some := list(islice(numbered, ROWS)):
        ids, good, bad = [], bytearray(), []
        for number, line in some:
            row = line.removesuffix(b"\n")
            place = number + layout.has_header
            found = parse_row(row, columns, place)
            if row == line:
                found = [f"line {place}: expected a line end, received the end of the file: it was cut short"]
            if isinstance(found, bytes):
                ids.append(number)
                good += found
            else:
                bad.append(BadRow(number, found, row))
        pixels = split_labels(np.frombuffer(good, np.uint8).reshape(-1, len(columns)), columns)[0]
        yield Chunk(np.array(ids, int), pixels, bad, n_bytes)


def _whole_lines(text: bytes, is_last: bool) -> tuple[bytes, bytes]:
    """The complete lines with Unix line ends, and the rest, which includes empty lines that may end the file."""
    ended = text if is_last else text[: text.rfind(b"\n") + 1] or text[: text.rfind(b"\r", 0, len(text) - 1) + 1]
    content = len(ended.rstrip(b"\r\n "))
    if not content:
        return b"", b"" if is_last else text
    following = ended[content:].lstrip(b" ")
    width = 2 if following.startswith(b"\r\n") else min(1, len(following))
    end = len(ended) - len(following) + width
    return text[:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n"), text[end:]


def _npy(file: BufferedReader, path: Path, after: int) -> Iterator[Chunk]:
    try:
        npy_format.read_magic(file)
        shape, by_columns, dtype = npy_format.read_array_header_1_0(file)
        n_missing = shape[0] * N_PIXELS - (os.fstat(file.fileno()).st_size - file.tell())
    except (ValueError, LookupError, TypeError, SyntaxError, TokenError, struct.error) as error:
        raise InputError(f"{path}: a damaged npy ({error}). Write it again with numpy.save.") from error
    if shape[0] and (dtype != np.uint8 or shape[1:] not in IMAGE_SHAPES or by_columns):
        yield from _chunks(_converted(path), after)
        return
    if n_missing or not shape[0]:
        raise InputError(f"{path}: a damaged or empty npy, whose size does not match its shape {shape}. {_CURE}")
    file.seek(after * N_PIXELS, 1)
    for first in range(after, shape[0], ROWS):
        n = min(ROWS, shape[0] - first)
        content = file.read(n * N_PIXELS)
        pixels = np.frombuffer(content, np.uint8).reshape(n, N_PIXELS)
        yield Chunk(np.arange(first + 1, first + n + 1), pixels, [], file.tell())


def _converted(path: Path) -> np.ndarray:
    """The (n, 784) uint8 pixels of an .npy of another dtype or order, which is read as a whole."""
    try:
        return to_pixels(np.load(BytesIO(read_bytes(path)), allow_pickle=False))
    except ValueError as error:  # cut short, or Python objects
        raise InputError(f"{path}: a damaged npy ({error}). Write it again with numpy.save.") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _chunks(pixels: np.ndarray, after: int) -> Iterator[Chunk]:
    for first in range(after, len(pixels), ROWS):
        some = pixels[first : first + ROWS]
        yield Chunk(np.arange(first + 1, first + len(some) + 1), some, [], (first + len(some)) * N_PIXELS)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    refuse_devices(path)
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: not found. Check the path.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the gzip is damaged or cut short ({error}). Pack it again.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
