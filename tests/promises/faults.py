"""A fault at the Nth write, fsync, rename, removal or commit of this process."""

import errno
import io
import os
import signal
import sqlite3
from collections.abc import Callable
from typing import Any, NoReturn

STATEMENTS = ("BEGIN", "COMMIT", "INSERT", "UPDATE")


def kill(event: str) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def fail(event: str) -> NoReturn:
    """Raise the error of a failing disk."""
    if event.upper() in STATEMENTS:
        raise sqlite3.OperationalError("disk I/O error")
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def install(nth: int, fault: Callable[[str], Any]) -> list[str]:
    """Call `fault` before the nth of these events, from 0, or after half of a write; this cannot be undone.

    Returns the list of events, which grows.
    """
    events: list[str] = []

    def count(event: str) -> bool:
        events.append(event)
        return len(events) - 1 == nth

    def before(event: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            if count(event):
                fault(event)
            return function(*arguments, **options)

        return changed

    for name in ("fsync", "replace", "unlink", "mkdir", "rmdir", "truncate"):
        setattr(os, name, before(name, getattr(os, name)))

    class HalfWritten:
        """A new file, of which a faulty write leaves the first half of the data."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            if count("write"):
                self.file.write(data[: len(data) // 2])
                self.file.flush()
                fault("write")
            return self.file.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> "HalfWritten":
            return self

        def __exit__(self, *_: Any) -> None:
            self.file.close()

    original_open = io.open

    def changed_open(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        opened = original_open(file, mode, *rest, **options)
        return HalfWritten(opened) if mode in ("xb", "wb") else opened

    io.open = changed_open

    class Connection(sqlite3.Connection):
        def execute(self, command: str, *values: Any) -> Any:
            word = command.lstrip().partition(" ")[0]
            if word in STATEMENTS and count(word.lower()):
                fault(word.lower())
            return super().execute(command, *values)

    connect = sqlite3.connect
    sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Connection, **options)
    return events
