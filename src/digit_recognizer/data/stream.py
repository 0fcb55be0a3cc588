"""Images of any number, some thousand at a time: a CSV in Kaggle's form, plain or packed by gzip, or an npy.

The rules for a row are those of `careful`, which judges those near one that is not plain. Memory does not grow with the
file.
"""

import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO, cast

import numpy as np
from numpy.lib import format as npy_format

from digit_recognizer.data.archives import GZIP
from digit_recognizer.data.csv_format import N_PIXELS, TRAIN_COLUMNS, columns_of, identify_other_format, parse_row
from digit_recognizer.data.csv_reader import Bytes
from digit_recognizer.data.images import SIDE
from digit_recognizer.errors import InputError

ROWS = 8_192  # images at a time
_BLOCK = 200_000  # bytes of a CSV that are parsed at a time: what comes of them fits the processor's cache
_END = 16_000_000  # bytes of a file that its fingerprint looks into, at each end
_NPY = b"\x93NUMPY"
_HEAD = 100_000  # bytes that the first line has at most
_LONGEST = 32_000_000  # bytes without a row after which there is none to be expected
_MOST_BAD = 16_000_000  # bytes of bad rows at a time
_SHAPES = (N_PIXELS,), (SIDE, SIDE), (SIDE, SIDE, 1)  # of an image in an npy
_ANEW = "Write the file anew."


@dataclass(frozen=True, eq=False)
class Bad:
    """A row that holds no image."""

    row: int  # from 1
    faults: list[str]
    content: bytes


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows of the input, in its order."""

    ids: np.ndarray  # (n,) int, the numbers of its rows, from 1
    pixels: np.ndarray  # (n, 784) uint8
    bad: list[Bad]
    n_bytes: int  # of the file up to its end


def fingerprint(path: Path) -> str:
    """What tells inputs apart: size, time, and CRC-32 of begin and end. Raises InputError when it cannot be read."""
    with _explained(path), path.open("rb") as file:
        begin = file.read(_END)
        size = file.seek(0, 2)
        file.seek(max(0, size - _END))
        changed = os.fstat(file.fileno()).st_mtime_ns
        return f"{size}-{changed}-{zlib.crc32(file.read(), zlib.crc32(begin)):08x}"


def read(path: Path, after: int = 0) -> Iterator[Chunk]:
    """The rows of a file but for the first so many. Raises InputError for what is no such file, or ends too early."""
    with _explained(path), path.open("rb") as file:
        start = file.peek(len(_NPY))
        if start.startswith(_NPY):
            yield from _npy(file, path, after)
        elif start.startswith(GZIP):
            with gzip.open(file) as unpacked:
                yield from _joined(_csv(cast(BinaryIO, unpacked), file, path, after))
        else:
            yield from _joined(_csv(file, file, path, after))


def _joined(parts: Iterator[Chunk]) -> Iterator[Chunk]:
    """The same rows, some thousand at a time."""
    some: list[Chunk] = []
    n = n_bad_bytes = 0
    for part in parts:
        some.append(part)
        n += len(part.ids) + len(part.bad)
        n_bad_bytes += sum(len(bad.content) for bad in part.bad)
        if n >= ROWS or n_bad_bytes >= _MOST_BAD:
            yield _one(some)
            some, n, n_bad_bytes = [], 0, 0
    if some:
        yield _one(some)


def _one(parts: list[Chunk]) -> Chunk:
    ids, pixels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "pixels"))
    return Chunk(ids, pixels, [bad for part in parts for bad in part.bad], parts[-1].n_bytes)


def _csv(content: BinaryIO, file: BufferedReader, path: Path, after: int) -> Iterator[Chunk]:
    """The rows of each block. `content` is what `file` holds, unpacked."""
    rest = content.read(_HEAD)
    if other := identify_other_format(rest):
        raise InputError(
            f"{path}: expected a CSV, a gzip of one or an .npy, received {other[0]}. Unpack or write it anew."
        )
    head, end, rest = _cut_head(rest)
    columns = columns_of(head, str(path))
    n_rows = 0  # before `rest`
    is_last = not end
    while not is_last:
        block = content.read(_BLOCK)
        is_last = not block
        lines, rest = _whole_lines(rest + block, is_last)
        if not lines:
            if len(rest) > _LONGEST:
                raise InputError(
                    f"{path}, line {n_rows + 2}: expected a row, received {len(rest):,} bytes that are none. {_ANEW}"
                )
            continue
        n_here = lines.count(b"\n") + (not lines.endswith(b"\n"))
        skipped = max(0, after - n_rows)
        if skipped < n_here:
            yield Chunk(*_judged(lines.split(b"\n", skipped)[-1], columns, n_rows + skipped), file.tell())
        n_rows += n_here
    if not n_rows:
        raise InputError(f"{path}: expected images, received the header alone. {_ANEW}")


def _judged(lines: bytes, columns: tuple[str, ...], before: int) -> tuple[np.ndarray, Bytes, list[Bad]]:
    """Numbers and pixels of the good rows, and the bad ones."""
    values = parse_plain(lines, columns)
    if values is not None:
        return np.arange(before + 1, before + len(values) + 1), values[:, -N_PIXELS:], []
    ids, good, bad = [], bytearray(), []
    for number, line in enumerate(BytesIO(lines), start=before + 1):
        row = line.removesuffix(b"\n")
        found = parse_row(row, columns, number + 1)
        if row == line:
            found = [f"line {number + 1}: expected a line end, received the end of the file: it was cut short"]
        if isinstance(found, bytes):
            ids.append(number)
            good += found
        else:
            bad.append(Bad(number, found, row))
    return np.array(ids, int), np.frombuffer(good, np.uint8).reshape(-1, len(columns))[:, -N_PIXELS:], bad


def parse_plain(lines: bytes, columns: tuple[str, ...]) -> Bytes | None:
    """The values, (n, columns), of rows that are written as plainly as Kaggle's; None for any others.

    Twice as fast as pandas, and other threads go on beside it (docs/experiments.md): where values end is where there is
    no digit, and what they are is summed up from their last three digits.
    """
    text = np.frombuffer(b"00" + lines, np.uint8)  # so that there are three before each end
    digits = text - np.uint8(ord("0"))  # more than 9 for what is none
    ends = np.flatnonzero(digits > 9)
    if not len(ends) or len(ends) % len(columns) or ends[-1] != len(text) - 1:
        return None
    at_ends = text[ends].reshape(-1, len(columns))
    lengths = np.diff(ends, prepend=1) - 1
    if (at_ends[:, :-1] != ord(",")).any() or (at_ends[:, -1] != ord("\n")).any() or not _within(lengths, 1, 3):
        return None
    values = digits[ends - 1].astype(np.uint16)
    longer = np.flatnonzero(lengths > 1)
    last = ends[longer]
    values[longer] += 10 * digits[last - 2].astype(np.uint16)
    values[longer] += np.where(lengths[longer] > 2, 100 * digits[last - 3].astype(np.uint16), 0).astype(np.uint16)
    table = values.reshape(-1, len(columns))
    if not _within(values, 0, 255) or (columns == TRAIN_COLUMNS and not _within(table[:, 0], 0, 9)):
        return None
    return table.astype(np.uint8)


def _within(values: np.ndarray, low: int, high: int) -> bool:
    return bool(values.min() >= low and values.max() <= high)


def _cut_head(start: bytes) -> tuple[bytes, bytes, bytes]:
    """The first line, its end, and what follows."""
    ends = [place for place in (start.find(b"\n"), start.find(b"\r")) if place >= 0]
    if not ends:
        return start, b"", b""
    place = min(ends)
    width = 2 if start[place : place + 2] == b"\r\n" else 1
    return start[:place], start[place : place + width], start[place + width :]


def _whole_lines(text: bytes, is_last: bool) -> tuple[bytes, bytes]:
    """The lines that have ended, now as on Unix, and the rest; empty ones that may be the file's end belong to it."""
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
        version = npy_format.read_magic(file)
        read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, by_columns, dtype = read_header(file)
        n_missing = shape[0] * N_PIXELS - (os.fstat(file.fileno()).st_size - file.tell())
    except (ValueError, LookupError, TypeError, SyntaxError, TokenError, struct.error) as error:
        raise InputError(f"{path}: a damaged npy ({error}). Write it again with numpy.save.") from error
    if dtype != np.uint8 or shape[1:] not in _SHAPES or by_columns:
        kind = f"{dtype} of shape {shape}{', column by column' if by_columns else ''}"
        cure = 'Write numpy.save(path, numpy.ascontiguousarray(images, dtype="uint8")), with values from 0 to 255'
        raise InputError(
            f"{path}: expected uint8 of shape (n, 784), (n, 28, 28) or (n, 28, 28, 1), received {kind}. {cure}."
        )
    if n_missing:
        much = f"{abs(n_missing):,} bytes too {'few' if n_missing > 0 else 'many'}"
        raise InputError(f"{path}: expected {shape[0]:,} images, received {much}. {_ANEW}")
    if not shape[0]:
        raise InputError(f"{path}: expected images, received none. {_ANEW}")
    file.seek(after * N_PIXELS, 1)
    for first in range(after, shape[0], ROWS):
        n = min(ROWS, shape[0] - first)
        content = file.read(n * N_PIXELS)
        pixels = np.frombuffer(content, np.uint8).reshape(n, N_PIXELS)
        yield Chunk(np.arange(first + 1, first + n + 1), pixels, [], file.tell())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: not found. Check the path.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: the gzip is damaged or cut short ({error}). Pack it again.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
