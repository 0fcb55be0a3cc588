"""kill -9 or an error at the Nth of the steps by which a run writes, or kill -9 at any moment; the run then goes on.

All but the network and the pictures is real.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from digit_recognizer.tracking import run_session
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.utils import files

from . import faults
from .actors import forked
from .made_up import COMMAND, OLD, PUBLISHED, check_end, check_files, digits, go_on, log, write_data

PROMISE = "kill -9 at any moment loses at most the epoch in work, and tears no file"
CASES = "kills, one in three of them an error of the disk instead"
GOAL = 1_000


@contextmanager
def opened() -> Iterator[Callable[[int], None]]:
    """A run that is left alone tells the steps there are, its seconds, and what shall come of the others."""
    data = Path("data").absolute()
    write_data(data)
    command = [*COMMAND, "--data", str(data)]

    def count() -> None:
        events = faults.install(-1, faults.kill)
        _run(command)
        Path("n_steps").write_text(str(len(events)))

    output, start = Path("output"), monotonic()
    assert forked(count, output=output) == 0, output.read_text()
    n_steps, seconds = int(Path("n_steps").read_text()), (monotonic() - start) / 3  # of the run, when all is loaded
    yield partial(trial, command, n_steps, seconds, PUBLISHED.read_bytes())


def trial(command: list[str], n_steps: int, seconds: float, expected: bytes, number: int) -> None:
    """By turns it is killed at any moment since the training began, killed at a step, and failed at one."""
    PUBLISHED.parent.mkdir()
    PUBLISHED.write_bytes(OLD)

    def stumble(fault: Callable[[str], Any]) -> None:
        faults.install(37 * (number // 3) % n_steps, fault)  # all of them in turn, those far apart first
        _run(command)

    output, kind = Path("output"), number % 3
    if kind == 0:
        forked(lambda: _run(command), after=Random(number).uniform(0, seconds), since=Path("log"))
    elif kind == 1:
        assert forked(lambda: stumble(faults.kill)) == -9
    else:
        check_end(forked(lambda: stumble(faults.fail), output=output), output)
    lines = Path("log").read_text().splitlines() if Path("log").exists() else []
    check_files(expected)
    with Workspace().open_ledger() as ledger:
        found = [(run.name, run_session.status(run)) for run in ledger.runs()]
    if not found:
        assert not lines, lines
        return
    [(name, status)] = found
    if status in ("interrupted", "failed"):
        assert "done" not in lines
        go_on(name, lines)
    else:
        assert status == "done", status
    assert PUBLISHED.read_bytes() == expected
    check_files(expected)
    files.remove_stale_temporary_files(PUBLISHED.parent, older_than=0, below=True)
    assert not list(PUBLISHED.parent.rglob("*.tmp"))


def _run(command: list[str]) -> None:
    try:
        digits(command)
    except SystemExit as leave:
        if leave.code:
            raise
    log("done")
