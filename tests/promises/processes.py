"""Processes that a trial starts, waits for and kills."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from digit_recognizer.errors import InputError, RunError

CRASHED = 99  # the exit code of a process that raised


def refusal(act: Callable[[], Any]) -> str:
    """The message of the InputError or RunError that `act` must raise."""
    try:
        act()
    except (InputError, RunError) as error:
        return str(error)
    raise AssertionError("it was not refused")


def forget_account() -> None:
    """Remove the variables of Kaggle's client from the environment."""
    for name in [name for name in os.environ if name.upper().startswith("KAGGLE")]:
        del os.environ[name]


def run_process(
    act: Callable[[], Any],
    after: float | None = None,
    number: int = signal.SIGKILL,
    output: Path | None = None,
    since: Path | None = None,
) -> int:
    """Run `act` in a fork of this process and wait for its end.

    The signal `number` is sent `after` seconds, counted from when the file `since` exists. Returns the exit code, or
    minus the signal that ended the process. Its output, at most as much as a pipe holds, is written to `output`.
    """
    reading, writing = os.pipe()
    pid = start_process(act, writing if output else None)
    os.close(writing)
    if after is not None:
        begin = time.monotonic()
        while time.monotonic() < begin + after and not has_ended(pid):
            if since and not since.exists():
                begin = time.monotonic()
            time.sleep(min(0.002, max(0.0, begin + after - time.monotonic())))
        os.kill(pid, number)
    code = wait_for(pid)
    with os.fdopen(reading, "rb") as printed:
        if output:
            output.write_bytes(printed.read())
    return code


def start_process(act: Callable[[], Any], output: int | None = None) -> int:
    """Run `act` in a fork of this process, with its output to the descriptor `output`, and return its id."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = CRASHED
        try:
            code = _run(act, os.open(os.devnull, os.O_WRONLY) if output is None else output)
        finally:
            os._exit(code)
    return pid


def wait_for(pid: int) -> int:
    """Wait for a process and return its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def has_ended(pid: int) -> bool:
    return bool(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))


def _run(act: Callable[[], Any], output: int) -> int:
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
