"""Atomic writing of files, and reading with size limits."""

import errno
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from digit_recognizer.errors import InputError, RunError

MAX_BYTES = 1_000_000_000  # of any file that is read; Kaggle's train.csv has 77 million
MAX_RATIO = 100  # of unpacked to packed bytes; Kaggle's zip has 9, a zip bomb 1000
MIN_PACKED = 1_000_000  # smaller archives count as this large, as few or empty images have high ratios
_TEMPORARY = ".digits.tmp"  # suffix of temporary files
_STALE_SECONDS = 3600.0  # no file takes an hour to write, so its writer has ended


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` atomically; a crash, a kill or a full disk leaves the old file.

    The bytes are written to a temporary file in the same folder, flushed to disk and renamed. Missing folders are
    created. Raises RunError on failure.
    """
    temporary = path.parent / f".{path.name}.{token_hex(4)}{_TEMPORARY}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            sync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror or error}). Check its permissions and the free space, or use "
            "another folder."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_stale_temporary_files(folder: Path, older_than: float = _STALE_SECONDS, below: bool = False) -> None:
    """Remove temporary files older than `older_than` seconds from `folder`, and `below` it."""
    with suppress(FileNotFoundError):  # another process removes a folder
        for path in (folder.rglob if below else folder.glob)(f".*{_TEMPORARY}"):
            with suppress(OSError):  # another process removes them, too
                if time.time() - path.stat().st_mtime >= older_than:
                    path.unlink()


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return the content of a file. Raises InputError if it is not a file, larger than `most` bytes or unreadable."""
    try:
        n_bytes = path.stat().st_size
        refuse_devices(path)
        if n_bytes > most:
            raise InputError(f"{path}: expected at most {most:,} bytes, received {n_bytes:,}. Name another file.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}). Name an existing file.") from error


def refuse_devices(path: Path) -> None:
    """Raise InputError if `path` is a folder, or a pipe or device, which may never end."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: expected a file, received a folder or a device. Check the path.")


def max_unpacked_bytes(n_packed: int) -> int:
    """Return the limit of the unpacked size of `n_packed` bytes of a zip or gzip."""
    return min(MAX_BYTES, MAX_RATIO * max(n_packed, MIN_PACKED))


def check_target(path: Path, suffix: str | None = None) -> None:
    """Raise InputError for an output path that does not end in `suffix`, if given, or whose folder is missing."""
    if suffix and path.suffix != suffix:
        raise InputError(f"{path}: expected a name that ends in {suffix}.")
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: expected a file, received a folder or a device. Choose another path.")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}. Create it, or choose another.")


def nearest_folder(path: Path) -> tuple[Path, bool]:
    """Return the first of `path` and its parents that exists, and whether it is a writable folder."""
    existing = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    return existing, existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _sync_folder(folder: Path) -> None:
    """Flush a rename to disk, where the system and the file system support it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            sync(descriptor, (errno.EBADF, errno.EACCES))
        finally:
            os.close(descriptor)


def sync(descriptor: int, more_errors: tuple[int, ...] = ()) -> bool:
    """Flush a file to disk; returns False if its file system does not offer that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, *more_errors):
            raise
        return False
    return True


def can_sync(folder: Path) -> bool:
    """Return whether files in a folder can be flushed to disk. Network drives may not offer that."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return sync(file.fileno())
