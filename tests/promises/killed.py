"""kill -9 while a run writes its checkpoints, files and rows: at the Nth of its steps, or at any moment."""

import json
import os
from pathlib import Path
from random import Random

import numpy as np

from digit_recognizer import bookkeeping, files, resuming, runs, submission
from digit_recognizer.lock import is_alive
from digit_recognizer.train import Checkpoint, Epoch

from . import faults
from .actors import forked

PROMISE = "kill -9 at any moment loses at most the epoch in work, and tears no file"
CASES = "kills"
GOAL = 1_000

FACTS = {"kind": "run", "recipe_name": "x", "recipe": {}, "data": "", "source": "folder"}
FACTS |= {"train_hash": "", "test_hash": "", "device": "cpu"}
N_EPOCHS, N_TEST = 4, 20_000
IDENTITY = "me"
OLD = submission.render(np.arange(N_TEST) % 7)  # of the run before
NEW = submission.render(np.arange(N_TEST) % 10)


def trial(number: int) -> None:
    """Even numbers die at a step of their own, odd ones at any moment."""
    random = Random(number)
    Path("submissions").mkdir()
    Path("submissions/submission.csv").write_bytes(OLD)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def die_at_a_step() -> None:
        faults.install(number // 2 % 90, faults.kill)
        _run(log)

    if number % 2:
        forked(lambda: _run(log), after=random.uniform(0, 0.25))
    else:
        forked(die_at_a_step)
    os.close(log)
    _check([json.loads(line) for line in Path("log").read_text().splitlines()])


def state(epoch: int) -> tuple[np.ndarray, ...]:
    return tuple(np.random.default_rng((epoch, part)).random((100, 200), dtype=np.float32) for part in range(3))


def checkpoint(n_epochs: int) -> Checkpoint:
    """As a training has it after so many epochs."""
    history = tuple(Epoch(epoch, 0.5, 0.9, None, None, float(epoch)) for epoch in range(1, n_epochs + 1))
    return Checkpoint(history, state(n_epochs))


def _run(log: int) -> None:
    """What a run writes, in its order; its log holds what it may rely on from then."""

    def done(what: str) -> None:
        os.write(log, (json.dumps(what) + "\n").encode())

    with bookkeeping.ledger() as book, bookkeeping.entered(book, "mine", **FACTS) as entry:
        done(entry.name)
        for epoch in range(1, N_EPOCHS + 1):
            resuming.keep(entry.folder, IDENTITY, checkpoint(epoch))
            done(f"epoch {epoch}")
        runs.write_arrays(entry.folder / "weights.npz", {"all": state(N_EPOCHS)[0]})
        runs.write_submission(entry.folder, NEW)
        runs.write_record(entry.folder, "result", {"weights": 3})
        resuming.forget(entry.folder)
        runs.publish(entry.folder)
        book.finish_run(entry.number, "done")
        done("done")


def _check(log: list[str]) -> None:
    """Every file is whole, and what the log tells is there."""
    published = Path("submissions/submission.csv").read_bytes()
    assert published in (OLD, NEW), f"a torn submission of {len(published)} bytes"
    for path in Path("submissions").rglob("*"):
        if path.suffix == ".npz":
            runs.read_arrays(path)
        elif path.name == "result.json":
            json.loads(path.read_text())
        elif path.parent != Path("submissions") and path.suffix == ".csv":
            assert path.read_bytes() == NEW, path
    if not log:
        return
    folder = Path("submissions", log[0])
    with bookkeeping.ledger() as book:
        status = bookkeeping.status(book.run(log[0]))
    if log[-1] == "done":
        assert (status, published) == ("done", NEW), status
        return
    assert status in ("interrupted", "done"), status
    assert not is_alive(folder / ".training")
    epochs = [line for line in log if line.startswith("epoch")]
    files.sweep(Path("submissions"), older_than=0, below=True)
    assert not list(Path("submissions").rglob("*.tmp"))
    if (folder / "result.json").exists():  # its checkpoints may be removed
        return
    found = resuming.begun(folder, IDENTITY)
    n_found = len(found.history) if found else 0
    assert len(epochs) <= n_found <= len(epochs) + 1, f"{n_found} epochs of {len(epochs)}"
    if found:
        for one, other in zip(found.variables, state(n_found), strict=True):
            np.testing.assert_array_equal(one, other)
