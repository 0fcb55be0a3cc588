"""Atomic writing of files, and reading with limits."""

import errno
import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from digit_recognizer.errors import InputError, RunError

MAX_BYTES = 1_000_000_000  # of any file that is read; Kaggle's train.csv has 77 million
MAX_RATIO = 100  # Kaggle's zip shrinks to 1/9, a zip bomb to 1/1000; few and empty images do as well,
MIN_PACKED = 1_000_000  # therefore what is smaller counts as this much
_TEMPORARY = ".digits.tmp"  # how the names of temporary files end
STALE_SECONDS = 3600.0  # no file takes an hour to write, so who began it is dead


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` in one step; a crash, a kill or a full disk leaves the old file.

    The bytes are written to a temporary file in the same folder, flushed to disk and renamed. Missing folders are
    created. Raises RunError when the folder cannot be written.
    """
    temporary: Path | None = None
    message = "cannot be written ({}). The old file, if there was one, is untouched"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=_TEMPORARY, delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files private
        temporary.replace(path)
        message = "is written, but its folder cannot be flushed to disk ({})"
        _sync_folder(path.parent)
    except OSError as error:
        raise RunError(
            f"{path}: {message.format(error.strerror or error)}. Check its permissions and the free "
            "space, or use another folder."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def remove_stale_temporary_files(folder: Path, older_than: float = STALE_SECONDS, below: bool = False) -> None:
    """Remove temporary files older than so many seconds from `folder`, and `below` it."""
    with suppress(FileNotFoundError):  # another process removes a folder
        for path in (folder.rglob if below else folder.glob)(f".*{_TEMPORARY}"):
            with suppress(OSError):  # another process removes them, too
                if time.time() - path.stat().st_mtime >= older_than:
                    path.unlink()


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """The content of a file. Raises InputError when it is no file, larger than `most`, or not readable."""
    try:
        check_size(path, most)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}). Name an existing file.") from error


def check_size(path: Path, most: int = MAX_BYTES) -> int:
    """The size of a file. Raises InputError for a folder, a device, or more than `most` bytes; OSError if missing."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: expected a file, received a folder or a device. Check the path.")
    if status.st_size > most:
        raise InputError(f"{path}: expected at most {most:,} bytes, received {status.st_size:,}. Name another file.")
    return status.st_size


def max_unpacked_bytes(n_packed: int) -> int:
    """How many bytes `n_packed` bytes of a zip or gzip may unpack to."""
    return min(MAX_BYTES, MAX_RATIO * max(n_packed, MIN_PACKED))


def check_target(path: Path, suffix: str | None = None) -> None:
    """Raise InputError for an output path that does not end in `suffix`, if given, or whose folder is missing."""
    if suffix and path.suffix != suffix:
        raise InputError(f"{path}: expected a name that ends in {suffix}, received another one.")
    if path.exists() and not path.is_file():
        kind = "folder" if path.is_dir() else "device"
        raise InputError(f"{path}: expected a file, received a {kind}. Choose another.")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}. Create it, or name another.")


def nearest_folder(path: Path) -> tuple[Path, bool]:
    """The first existing of `path` and the folders above it, and whether it is writable."""
    existing = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    return existing, existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power failure; Windows and some file systems do not support it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)
