"""Locks between processes. The operating system also releases the lock of a process that is killed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from digit_recognizer.errors import RunError

_USER = getattr(os, "getuid", lambda: "user")()  # on Windows each user has a folder for temporary files


def alone(name: str, otherwise: str) -> AbstractContextManager[None]:
    """Hold the lock `name` of this machine and user. Raises RunError(otherwise) if another process holds it."""
    return alive(Path(tempfile.gettempdir(), f"digit-recognizer-{_USER}-{name}.lock"), otherwise)


@contextmanager
def alive(path: Path, otherwise: str) -> Iterator[None]:
    """Hold the lock file `path` and remove it afterwards. Raises RunError(otherwise) if another process holds it."""
    try:
        lock = _acquire(path, seconds=0.5)  # `is_alive` holds it briefly
    except Timeout:
        raise RunError(otherwise) from None
    with lock:
        try:
            yield
        finally:
            _remove(path)


def is_alive(path: Path) -> bool:
    """Return whether a process holds the lock file `path`. The file of a killed process is removed."""
    if not path.exists():
        return False
    try:
        with _acquire(path, seconds=0):
            _remove(path)
    except Timeout:
        return True
    except FileNotFoundError:  # another process removed its folder
        pass
    return False


def _acquire(path: Path, seconds: float) -> AbstractContextManager[object]:
    """Acquire the lock. Raises Timeout if another process holds it, RunError if files cannot be locked there."""
    try:
        return FileLock(path).acquire(timeout=seconds, poll_interval=0.02)
    except (Timeout, FileNotFoundError):
        raise
    except OSError as error:
        where = f"{path}: files there cannot be locked ({error.strerror})"
        raise RunError(f"{where}. Use a folder on a local disk.") from error


def _remove(path: Path) -> None:
    """Remove a lock file while it is held; on Windows `filelock` removes it after the release."""
    with suppress(OSError):
        path.unlink()
