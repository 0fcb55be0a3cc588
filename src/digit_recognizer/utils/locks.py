"""One process at a time: a lock that the system lifts when its holder dies, however it dies."""

import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from digit_recognizer.errors import RunError

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    _USER = "user"  # the folder for temporary files is the user's own there
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    _USER = str(os.getuid())

_TAKEN = {errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}  # what the systems say of a lock that another holds


@contextmanager
def alone(name: str, otherwise: str) -> Iterator[None]:
    """Hold the lock `name` on this machine, for this user; raise RunError(otherwise) when it is held already."""
    with alive(Path(tempfile.gettempdir(), f"digit-recognizer-{_USER}-{name}.lock"), otherwise):
        yield


@contextmanager
def alive(path: Path, otherwise: str) -> Iterator[None]:
    """Tell other processes by the lock file `path` that this one lives; however it dies, the system lifts the lock.

    Raises RunError(otherwise) when another process holds it.
    """
    try:
        with held(path, patience=0.5) as is_ours:  # `is_alive` holds it for a moment
            if not is_ours:
                raise RunError(otherwise)
            try:
                yield
            finally:
                _remove(path, while_open=True)
    finally:
        _remove(path, while_open=False)


def is_alive(path: Path) -> bool:
    """Whether the process lives that made the lock file `path`; that of a dead one is removed."""
    if not path.exists():
        return False
    with held(path) as is_ours:
        if is_ours:
            _remove(path, while_open=True)
    _remove(path, while_open=False)
    return not is_ours


@contextmanager
def in_turn(path: Path, patience: float = 60) -> Iterator[None]:
    """Hold the lock file `path`, waiting for those before; nobody holds it for long.

    Raises RunError when it does not come free for `patience` seconds.
    """
    with held(path, patience) as is_ours:
        if not is_ours:
            raise RunError(f"{path}: another process has held this lock for {patience:g} seconds. Stop it, or wait.")
        yield


@contextmanager
def held(path: Path, patience: float = 0.0) -> Iterator[bool]:
    """Hold the lock file `path`, made if need be, unless another does for `patience` seconds; yields whether we do.

    Raises RunError where files cannot be locked.
    """
    end = time.monotonic() + patience
    while True:
        with path.open("ab") as file:
            is_ours = _is_locked(file)
            if _is_at(file, path) if is_ours else time.monotonic() >= end:
                yield is_ours
                return
        time.sleep(0.02)


def _is_locked(file: BinaryIO) -> bool:
    """Lock the open file, unless another does."""
    try:
        _lock(file.fileno())
    except OSError as error:
        if error.errno not in _TAKEN:
            where = f"{file.name}: files there cannot be locked ({error.strerror})"
            raise RunError(f"{where}. Work in a folder on a disk of this machine.") from error
        return False
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether the open file is still the one of that name; who held the lock before may have removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _remove(path: Path, while_open: bool) -> None:
    """Remove a lock file that is held, before another can hold it; Windows removes it only once nobody has it open."""
    if while_open == (sys.platform != "win32"):
        with suppress(OSError):
            path.unlink()
