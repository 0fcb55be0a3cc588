"""One process at a time: a lock that the system lifts when its holder dies, however it dies."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import RunError

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


@contextmanager
def alone(name: str, otherwise: str) -> Iterator[None]:
    """Hold the lock `name` on this machine, for this user; raise RunError(otherwise) when it is held already."""
    with Path(tempfile.gettempdir(), f"digit-recognizer-{_USER}-{name}.lock").open("ab") as file:
        try:
            _lock(file.fileno())
        except OSError:
            raise RunError(otherwise) from None
        yield
