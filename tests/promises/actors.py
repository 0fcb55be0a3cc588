"""Processes that a trial starts, stops, kills, and gives too little disk."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from digit_recognizer.errors import InputError, RunError

CRASHED = 99  # the exit code of an actor that raised


def refusal(act: Callable[[], Any]) -> str:
    """The message with which something is refused, as it must be."""
    try:
        act()
    except (InputError, RunError) as error:
        return str(error)
    raise AssertionError("it was not refused")


def forget_account() -> None:
    """Remove all that the environment says to Kaggle's client."""
    for name in [name for name in os.environ if name.upper().startswith("KAGGLE")]:
        del os.environ[name]


def forked(
    act: Callable[[], Any],
    after: float | None = None,
    number: int = signal.SIGKILL,
    output: Path | None = None,
    since: Path | None = None,
) -> int:
    """Let a copy of this process do something, with a signal after so many seconds, counted from when `since` is there.

    Returns its exit code, or minus the signal that ended it. What it writes to the terminal, at most as much as a pipe
    holds, goes to `output`, or nowhere.
    """
    reading, writing = os.pipe()
    pid = begun(act, writing if output else None)
    os.close(writing)
    if after is not None:
        begin = time.monotonic()
        while time.monotonic() < begin + after and not has_ended(pid):
            if since and not since.exists():
                begin = time.monotonic()
            time.sleep(min(0.002, max(0.0, begin + after - time.monotonic())))
        os.kill(pid, number)
    code = ended(pid)
    with os.fdopen(reading, "rb") as told:
        if output:
            output.write_bytes(told.read())
    return code


def begun(act: Callable[[], Any], output: int | None = None) -> int:
    """The number of a copy of this process that does something; `output` is the descriptor it writes to."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = CRASHED
        try:
            code = _acted(act, os.open(os.devnull, os.O_WRONLY) if output is None else output)
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    """Wait for such a process; its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def has_ended(pid: int) -> bool:
    return bool(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))


def _acted(act: Callable[[], Any], output: int) -> int:
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    try:
        act()
    except SystemExit as leave:
        return int(leave.code or 0)
    except BaseException:
        traceback.print_exc()
        return CRASHED
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
