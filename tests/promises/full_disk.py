"""A disk that is full from some byte on, for what a run writes, and now and then for a real run from its first line."""

import resource
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from digit_recognizer import bookkeeping, cli, resuming, runs
from digit_recognizer.cli import group

from .actors import forked
from .killed import FACTS, IDENTITY, NEW, OLD, checkpoint, state

PROMISE = "a full disk never destroys the last good state, and ends in exit code 1, never in a signal"
CASES = "sizes from nothing to enough"
GOAL = 300

ENOUGH = 400_000  # bytes; the ledger takes 80,000, a submission 150,000, a checkpoint 220,000
ENOUGH_FOR_A_RUN = 900_000
REAL_EVERY = 30


def trial(number: int) -> None:
    output = Path("output")
    if number % REAL_EVERY == REAL_EVERY - 1:
        most = Random(number).randrange(ENOUGH_FOR_A_RUN)
        command = ["run", "--data", "sample", "--recipe", "quick", "--epochs", "1"]
        code = forked(lambda: _limited(most, lambda: cli.main(command)), output=output)
        _check_code(code, output)
        return
    Path("submissions").mkdir()
    Path("submissions/submission.csv").write_bytes(OLD)
    with bookkeeping.ledger() as book, bookkeeping.entered(book, "mine", **FACTS) as entry:
        resuming.keep(entry.folder, IDENTITY, checkpoint(1))
        row = book.run("last")
        book.finish_run(entry.number, "interrupted")

    most = number * ENOUGH // GOAL
    code = forked(lambda: _limited(most, lambda: group._run(lambda: _go_on(row))), output=output)
    _check_code(code, output)
    published = Path("submissions/submission.csv").read_bytes()
    assert published in ((OLD, NEW) if code else (NEW,)), f"a torn submission of {len(published)} bytes"
    found = resuming.begun(entry.folder, IDENTITY)
    assert found, "the checkpoint is lost"
    np.testing.assert_array_equal(found.variables[0], state(len(found.history))[0])
    with bookkeeping.ledger() as book:
        assert book.run("last")["name"] == row["name"]
        assert code or book.run("last")["status"] == "done"
    assert not list(Path("submissions").rglob("*.tmp"))
    for path in Path("submissions").rglob("*.npz"):
        runs.read_arrays(path)
    for path in Path("submissions").rglob("submission.csv"):
        assert path.read_bytes() in (OLD, NEW), f"{path} is torn"


def _limited(most: int, act: Callable[[], int | None]) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    raise SystemExit(act())


def _go_on(row: dict[str, object]) -> None:
    with bookkeeping.ledger() as book, bookkeeping.entered_again(book, row) as entry:
        runs.write_submission(entry.folder, NEW)
        runs.publish(entry.folder)
        for epoch in (2, 3):
            resuming.keep(entry.folder, IDENTITY, checkpoint(epoch))
        book.finish_run(entry.number, "done")


def _check_code(code: int, output: Path) -> None:
    told = output.read_text(errors="replace")
    assert code in (0, 1), f"exit code {code}: {told}"
    assert "Traceback" not in told, told
    assert (code == 1) == ("Error: " in told), f"exit code {code}: {told}"
