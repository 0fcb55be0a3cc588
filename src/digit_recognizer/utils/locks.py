"""Locks between processes. The operating system releases the lock of a process that ends, however it ends."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from digit_recognizer.errors import RunError

_USER = getattr(os, "getuid", lambda: "user")()  # on Windows each user has a folder for temporary files


@contextmanager
def alone(name: str, otherwise: str) -> Iterator[None]:
    """Hold the lock `name` of this machine and user. Raises RunError(otherwise) when another process holds it."""
    with alive(Path(tempfile.gettempdir(), f"digit-recognizer-{_USER}-{name}.lock"), otherwise):
        yield


@contextmanager
def alive(path: Path, otherwise: str) -> Iterator[None]:
    """Hold the lock file `path` and remove it afterwards. Raises RunError(otherwise) when another process holds it."""
    try:
        lock = _acquire(path, seconds=0.5)  # `is_alive` holds it for a moment
    except Timeout:
        raise RunError(otherwise) from None
    with lock:
        try:
            yield
        finally:
            _remove(path)


def is_alive(path: Path) -> bool:
    """Whether a process holds the lock file `path`. The file of a process that was killed is removed."""
    if not path.exists():
        return False
    try:
        with _acquire(path, seconds=0):
            _remove(path)
    except Timeout:
        return True
    except FileNotFoundError:  # its folder was removed meanwhile
        pass
    return False


def _acquire(path: Path, seconds: float) -> AbstractContextManager[object]:
    """Acquire the lock. Raises Timeout when another process holds it, RunError where files cannot be locked."""
    try:
        return FileLock(path).acquire(timeout=seconds, poll_interval=0.02)
    except (Timeout, FileNotFoundError):
        raise
    except OSError as error:
        where = f"{path}: files there cannot be locked ({error.strerror})"
        raise RunError(f"{where}. Work in a folder on a disk of this machine.") from error


def _remove(path: Path) -> None:
    """Remove a lock file while it is held; on Windows `filelock` does so afterwards."""
    with suppress(OSError):
        path.unlink()
