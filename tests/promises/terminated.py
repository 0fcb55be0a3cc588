"""Real runs, ended by SIGTERM at any moment and begun again by the command that they print."""

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

from .actors import forked

PROMISE = "SIGTERM ends a run within seconds, and the run goes on to the same submission"
CASES = "runs ended at random times, and resumed"
GOAL = 200

SECONDS = 10.0  # within which a run must have ended
COMMAND = ["run", "--data", "sample", "--recipe", "quick", "--epochs", "4", "--set", "dropout=0.2", "--name", "mine"]


@contextmanager
def opened() -> Iterator[Callable[[int], None]]:
    output = Path("first").absolute()
    start = time.monotonic()
    assert forked(lambda: cli.main(COMMAND), output=output) == 0, output.read_text()
    yield partial(trial, _hash(), time.monotonic() - start)


def trial(expected: str, whole: float, number: int) -> None:
    """The signal comes before the end of a run that takes as long as the first, which took `whole` seconds."""
    output = Path("output")
    after = Random(number).uniform(0.1, 0.9) * whole
    start = time.monotonic()
    code = forked(lambda: cli.main(COMMAND), after=after, number=15, output=output)
    told = output.read_text(errors="replace")
    assert code in (143, 0), f"exit code {code}: {told}"
    delay = time.monotonic() - start - after
    assert delay < SECONDS, f"it ended after {delay:.1f} seconds: {told}"
    if code == 0:  # it was done before
        assert _hash() == expected
        return
    assert told.rstrip().endswith("Terminated."), told
    with Workspace().open_ledger() as ledger:
        runs = ledger.runs()
    again = COMMAND
    if runs:
        assert runs[0].status in ("interrupted", "done"), runs[0].status
        if runs[0].status == "done":  # its last words were cut off
            assert _hash() == expected
            return
        commands = re.findall(r"digits run --resume (\S+)", told)
        assert commands == [runs[0].name] or "epoch" not in told, told
        again = ["run", "--resume", runs[0].name]
    code = forked(lambda: cli.main(again), output=output)
    assert code == 0, output.read_text()
    assert _hash() == expected, "another submission"


def _hash() -> str:
    return sha256(Workspace().newest_submission.read_bytes()).hexdigest()
