"""The one writer every file goes through: a file is there whole, or it is not there. And a reader that looks first."""

import errno
import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from digit_recognizer.errors import InputError, RunError

MAX_BYTES = 1_000_000_000  # of any file that is read; Kaggle's train.csv has 77 million
_TEMPORARY = ".digits.tmp"  # how the names of temporary files end
STALE_SECONDS = 3600.0  # no file takes an hour to write, so who began it is dead


def write_atomically(path: Path, *parts: bytes | memoryview, durable: bool = True) -> None:
    """Replace `path` in one step by `parts`, one after another; a crash, a kill or a full disk leaves the old file.

    The bytes go to a temporary file in the same folder, to the disk, and then under the name. Missing
    folders are made. Without `durable` nobody waits for the disk: for what a power cut may take, as a
    checksummed cache. Raises RunError when the folder cannot be written.
    """
    temporary: Path | None = None
    told = "cannot be written ({}). The old file, if there was one, is untouched"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=_TEMPORARY, delete=False
        ) as file:
            temporary = Path(file.name)
            file.writelines(parts)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files private; these are the user's to share
        temporary.replace(path)
        told = "is written, but its folder cannot be brought to the disk ({}), so that a power cut may take it"
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise RunError(
            f"{path}: {told.format(error.strerror or error)}. Check the path, its permissions and the free space, or "
            "work in another folder."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def sweep(folder: Path, older_than: float = STALE_SECONDS, below: bool = False) -> None:
    """Remove what writers that were killed left in `folder`, and `below`, if it was written so many seconds ago."""
    for path in (folder.rglob if below else folder.glob)(f".*{_TEMPORARY}"):
        with suppress(OSError):  # another process sweeps, too
            if time.time() - path.stat().st_mtime >= older_than:
                path.unlink()


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """All of a file that the user named. Raises InputError when it is no file, larger than `most`, or not readable."""
    try:
        check_size(path, most)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}). Name an existing file.") from error


def check_size(path: Path, most: int = MAX_BYTES) -> int:
    """The size in bytes, before anything is read. Raises InputError for a folder, a device, or more than `most`.

    Raises OSError when there is none.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: expected a file, received a folder or a device. Check the path.")
    if status.st_size > most:
        raise InputError(f"{path}: expected at most {most:,} bytes, received {status.st_size:,}. Name another file.")
    return status.st_size


def check_target(path: Path, suffix: str | None = None) -> None:
    """Raise InputError for a path to write to that does not end in `suffix`, if any, or whose folder is not there."""
    if suffix and path.suffix != suffix:
        raise InputError(f"{path}: expected a name that ends in {suffix}, received another one.")
    if path.exists() and not path.is_file():
        kind = "folder" if path.is_dir() else "device"
        raise InputError(f"{path}: expected the name of a file, received that of a {kind}. Choose another.")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}. Make it, or name another place.")


def nearest_folder(path: Path) -> tuple[Path, bool]:
    """The first that exists of `path` and the folders above it, and whether one may write there."""
    existing = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    return existing, existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut; Windows neither needs nor offers it, nor do some file systems."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)
