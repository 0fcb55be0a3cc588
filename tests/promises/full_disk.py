"""A disk that is full from some byte on, for a run that goes on, and now and then for a real one from its first line.

All but the network and the pictures is real in the first, too.
"""

import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

from digit_recognizer import cli
from digit_recognizer.tracking.workspace import Workspace

from .actors import forked
from .made_up import COMMAND, OLD, PUBLISHED, check_end, check_files, digits, go_on, write_data

PROMISE = "a full disk never destroys the last good state, and ends in exit code 1, never in a signal"
CASES = "sizes from nothing to enough"
GOAL = 300

ENOUGH = 400_000  # bytes; the ledger takes 80,000, a checkpoint 240,000
ENOUGH_FOR_A_RUN = 900_000
REAL_EVERY = 30
REAL = ["run", "--data", "sample", "--recipe", "quick", "--epochs", "1"]
ON = ["run", "--resume", "last"]


@contextmanager
def opened() -> Iterator[Callable[[int], None]]:
    """A run that was stopped after its first epoch, and the submission that comes of it when it goes on."""
    data = Path("data").absolute()
    write_data(data)
    PUBLISHED.parent.mkdir()
    PUBLISHED.write_bytes(OLD)
    output = Path("output")
    stopped = forked(lambda: digits([*COMMAND, "--data", str(data)], n_epochs=1), output=output)
    assert stopped == 130, output.read_text()
    shutil.copytree(Path(), Path("stopped"))
    assert forked(lambda: _limited(ENOUGH, digits, ON), output=output) == 0, output.read_text()
    yield partial(trial, Path("stopped").absolute(), PUBLISHED.read_bytes())


def trial(stopped: Path, expected: bytes, number: int) -> None:
    output = Path("output")
    if number % REAL_EVERY == REAL_EVERY - 1:
        most = Random(number).randrange(ENOUGH_FOR_A_RUN)
        check_end(forked(lambda: _limited(most, cli.main, REAL), output=output), output)
        return
    shutil.copytree(stopped, Path(), dirs_exist_ok=True)
    code = forked(lambda: _limited(37 * number % GOAL * ENOUGH // GOAL, digits, ON), output=output)
    check_end(code, output)
    check_files(expected)
    with Workspace().open_ledger() as ledger:
        [run] = ledger.runs()
    assert (run.status == "done") == (code == 0), run.status
    if code:
        go_on(run.name, Path("log").read_text().splitlines())
    assert PUBLISHED.read_bytes() == expected
    assert not list(PUBLISHED.parent.rglob("*.tmp"))


def _limited(most: int, run: Callable[[list[str]], None], command: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    run(command)
