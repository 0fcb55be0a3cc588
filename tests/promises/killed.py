"""A run is killed, or gets an error, at the Nth step that writes, or is killed at any time, and is then resumed.

Only its networks and plots are stubs.
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
from .processes import run_process
from .stub_runs import COMMAND, OLD, PUBLISHED, check_end, check_files, digits, log, resume, write_data

PROMISE = "kill -9 at any time loses at most the current epoch, and leaves no partial file"
CASES = "kills, a third of them disk errors instead"
GOAL = 1_000


@contextmanager
def setup() -> Iterator[Callable[[int], None]]:
    """Count the steps of an undisturbed run and its seconds, and keep its submission."""
    data = Path("data").absolute()
    write_data(data)
    command = [*COMMAND, "--data", str(data)]

    def count() -> None:
        events = faults.install(-1, faults.kill)
        _run(command)
        Path("n_steps").write_text(str(len(events)))

    output, start = Path("output"), monotonic()
    assert run_process(count, output=output) == 0, output.read_text()
    n_steps, seconds = int(Path("n_steps").read_text()), (monotonic() - start) / 3  # of a run, without loading
    yield partial(trial, command, n_steps, seconds, PUBLISHED.read_bytes())


def trial(command: list[str], n_steps: int, seconds: float, expected: bytes, number: int) -> None:
    """In turn: killed at any time after the start of the training, killed at a step, and an error at a step."""
    PUBLISHED.parent.mkdir()
    PUBLISHED.write_bytes(OLD)

    def run_with(fault: Callable[[str], Any]) -> None:
        faults.install(37 * (number // 3) % n_steps, fault)  # each step in turn, distant ones first
        _run(command)

    output, kind = Path("output"), number % 3
    if kind == 0:
        run_process(lambda: _run(command), after=Random(number).uniform(0, seconds), since=Path("log"))
    elif kind == 1:
        assert run_process(lambda: run_with(faults.kill)) == -9
    else:
        check_end(run_process(lambda: run_with(faults.fail), output=output), output)
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
        resume(name, lines)
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
