"""Real runs, ended by SIGTERM at any time and resumed by the command that they print."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random

from digit_recognizer import cli
from digit_recognizer.tracking.workspace import Workspace
from digit_recognizer.training import network  # noqa: F401  # Keras is loaded once, for all runs

from .processes import run_process

PROMISE = "SIGTERM ends a run within seconds, and the resumed run writes the same submission"
CASES = "runs ended at random times and resumed"
GOAL = 200

SECONDS = 10.0  # within which a run must have ended
COMMAND = ["run", "--data", "sample", "--recipe", "quick", "--epochs", "4", "--set", "dropout=0.2", "--name", "mine"]


@contextmanager
def setup() -> Iterator[Callable[[int], None]]:
    output = Path("first").absolute()
    start = time.monotonic()
    assert run_process(lambda: cli.main(COMMAND), output=output) == 0, output.read_text()
    yield partial(trial, _hash(), time.monotonic() - start)


def trial(expected: str, duration: float, number: int) -> None:
    """The signal is sent before `duration` seconds, the time of an uninterrupted run."""
    output = Path("output")
    after = Random(number).uniform(0.1, 0.9) * duration
    start = time.monotonic()
    code = run_process(lambda: cli.main(COMMAND), after=after, number=15, output=output)
    printed = output.read_text(errors="replace")
    assert code in (143, 0), f"exit code {code}: {printed}"
    delay = time.monotonic() - start - after
    assert delay < SECONDS, f"it ended after {delay:.1f} seconds: {printed}"
    if code == 0:  # it ended before the signal
        assert _hash() == expected
        return
    assert printed.rstrip().endswith("Terminated."), printed
    with Workspace().open_ledger() as ledger:
        runs = ledger.runs()
    again = COMMAND
    if runs:
        assert runs[0].status in ("interrupted", "done"), runs[0].status
        if runs[0].status == "done":  # its output was cut off
            assert _hash() == expected
            return
        commands = re.findall(r"digits run --resume (\S+)", printed)
        assert commands == [runs[0].name] or "epoch" not in printed, printed
        again = ["run", "--resume", runs[0].name]
    code = run_process(lambda: cli.main(again), output=output)
    assert code == 0, output.read_text()
    assert _hash() == expected, "a different submission"


def _hash() -> str:
    return sha256(Workspace().newest_submission.read_bytes()).hexdigest()
