"""Reading Kaggle's zip, or a gzip: exact names, capped sizes, CRCs to the end; nothing is unpacked to any path."""

import gzip
import mmap
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from digit_recognizer.errors import InputError
from digit_recognizer.utils.files import MAX_BYTES

GZIP = b"\x1f\x8b"  # how a gzip begins
MAX_RATIO = 100  # Kaggle's zip shrinks to 1/9, a zip bomb to 1/1000; few and empty images do as well,
MIN_PACKED = 1_000_000  # therefore what is smaller counts as this much


def names(path: Path) -> list[str]:
    """The members' names. Raises InputError when `path` is no readable zip."""
    with _opened(path) as archive:
        return archive.namelist()


def size_and_crc(path: Path, member: str) -> tuple[int, int]:
    """What the zip's directory says of a member's content, which is not inflated. Raises InputError as `read`."""
    with _opened(path) as archive:
        info = archive.getinfo(member)
        return info.file_size, info.CRC


def read(path: Path, member: str) -> bytes:
    """A member's content, inflated in memory, its CRC checked.

    Raises InputError for what is missing, damaged, over MAX_BYTES or packed over MAX_RATIO.
    """
    with _opened(path) as archive:
        info = archive.getinfo(member)
        if info.file_size > most_unpacked(info.compress_size):
            raise InputError(
                f"{path / member}: would unpack to {info.file_size:,} bytes, too many for digits; refused."
            )
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{path / member}: packed in another way than Kaggle's. Download Kaggle's zip again.")
        with archive.open(info) as file:
            return file.read(info.file_size + 1)  # a zip that declares too little is inflated no further


def gunzip(content: bytes | mmap.mmap, name: str) -> bytes:
    """What a gzip of one or more parts holds, inflated in memory, each part's CRC and length checked.

    Raises InputError, beginning with `name`, for what is damaged, cut short or over the same limits as a member.
    """
    most = most_unpacked(len(content))
    try:
        with gzip.GzipFile(fileobj=BytesIO(content)) as file:
            unpacked = file.read(most + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{name}: the gzip is damaged or cut short ({error}). Download or pack it again.") from error
    if len(unpacked) > most:
        raise InputError(f"{name}: would unpack to more than {most:,} bytes, too many for digits; refused.")
    return unpacked


def most_unpacked(n_packed: int) -> int:
    """How many bytes so many may unpack to."""
    return min(MAX_BYTES, MAX_RATIO * max(n_packed, MIN_PACKED))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip and turn everything that `zipfile` raises on a damaged one into an InputError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise InputError(f"{path}: not found. Check the path.") from None
    except KeyError as error:
        raise InputError(f"{path}: no such member in this zip: {error}. Take the zip as Kaggle delivers it.") from None
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: the zip is damaged ({error or type(error).__name__}). Download it again.") from error
