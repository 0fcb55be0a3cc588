"""Reads Kaggle's zip and gzip files in memory, with limits on the unpacked size and checked CRCs."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from digit_recognizer.errors import InputError
from digit_recognizer.utils.files import max_unpacked_bytes

GZIP = b"\x1f\x8b"  # the first bytes of a gzip file


def names(path: Path) -> list[str]:
    """The members' names. Raises InputError when `path` is not a readable zip."""
    with _opened(path) as archive:
        return archive.namelist()


def read(path: Path, member: str) -> bytes:
    """A member's content.

    Raises InputError when it is missing, damaged, larger than MAX_BYTES or compressed by more than MAX_RATIO.
    """
    with _opened(path) as archive:
        info = archive.getinfo(member)
        if info.file_size > (most := max_unpacked_bytes(info.compress_size)):
            raise InputError(
                f"{path / member}: would unpack to {info.file_size:,} bytes, more than the limit of {most:,}."
            )
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{path / member}: an unknown compression method. Download Kaggle's zip again.")
        with archive.open(info) as file:
            return file.read(info.file_size + 1)  # the declared size is the limit


def gunzip(content: bytes, name: str) -> bytes:
    """The content of a gzip of one or more parts.

    Raises InputError, beginning with `name`, when it is damaged, truncated or over the limits of `read`.
    """
    most = max_unpacked_bytes(len(content))
    try:
        with gzip.GzipFile(fileobj=BytesIO(content)) as file:
            unpacked = file.read(most + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{name}: the gzip is damaged or cut short ({error}). Download or pack it again.") from error
    if len(unpacked) > most:
        raise InputError(f"{name}: would unpack to more than the limit of {most:,} bytes.")
    return unpacked


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; errors of `zipfile` become InputErrors."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise InputError(f"{path}: not found. Check the path.") from None
    except KeyError as error:
        raise InputError(f"{path}: no such member in this zip: {error}. Use Kaggle's zip.") from None
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: the zip is damaged ({error or type(error).__name__}). Download it again.") from error
