"""A disk that becomes full, for a resumed run whose networks and plots are stubs, and sometimes for a real run."""

import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

from digit_recognizer import cli
from digit_recognizer.tracking.workspace import Workspace

from .processes import run_process
from .stub_runs import COMMAND, OLD, PUBLISHED, check_end, check_files, digits, resume, write_data

PROMISE = "a full disk never destroys the last good state, and the exit code is 1, never a signal"
CASES = "limits of the size of files"
GOAL = 300

ENOUGH = 400_000  # bytes; the ledger takes 80,000, a checkpoint 240,000
ENOUGH_FOR_A_RUN = 900_000
REAL_EVERY = 30
REAL = ["run", "--data", "sample", "--recipe", "quick", "--epochs", "1"]
ON = ["run", "--resume", "last"]


@contextmanager
def setup() -> Iterator[Callable[[int], None]]:
    """Prepare a run stopped after its first epoch, and the submission that it writes when it is resumed."""
    data = Path("data").absolute()
    write_data(data)
    PUBLISHED.parent.mkdir()
    PUBLISHED.write_bytes(OLD)
    output = Path("output")
    stopped = run_process(lambda: digits([*COMMAND, "--data", str(data)], n_epochs=1), output=output)
    assert stopped == 130, output.read_text()
    shutil.copytree(Path(), Path("stopped"))
    assert run_process(lambda: _limited(ENOUGH, digits, ON), output=output) == 0, output.read_text()
    yield partial(trial, Path("stopped").absolute(), PUBLISHED.read_bytes())


def trial(stopped: Path, expected: bytes, number: int) -> None:
    output = Path("output")
    if number % REAL_EVERY == REAL_EVERY - 1:
        most = Random(number).randrange(ENOUGH_FOR_A_RUN)
        check_end(run_process(lambda: _limited(most, cli.main, REAL), output=output), output)
        return
    shutil.copytree(stopped, Path(), dirs_exist_ok=True)
    code = run_process(lambda: _limited(37 * number % GOAL * ENOUGH // GOAL, digits, ON), output=output)
    check_end(code, output)
    check_files(expected)
    with Workspace().open_ledger() as ledger:
        [run] = ledger.runs()
    assert (run.status == "done") == (code == 0), run.status
    if code:
        resume(run.name, Path("log").read_text().splitlines())
    assert PUBLISHED.read_bytes() == expected
    assert not list(PUBLISHED.parent.rglob("*.tmp"))


def _limited(most: int, run: Callable[[list[str]], None], command: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    run(command)
