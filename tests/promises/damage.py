"""Flipped bits and lost ends of checkpoints, probabilities, and the ledger with its recipes."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from digit_recognizer import resuming, runs
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.ledger import opened as ledger_at
from digit_recognizer.recipes import from_record

from .made_up import FACTS, IDENTITY, checkpoint

PROMISE = "corrupted state is refused, never used"
CASES = "flipped bits and truncations"
GOAL = 2_000


@contextmanager
def opened() -> Iterator[Callable[[int], None]]:
    whole = {}
    for name, make in MAKERS.items():
        path = Path(f"{name}.whole").absolute()
        make(path)
        whole[name] = (path.read_bytes(), READERS[name](path))
        path.unlink()
    yield partial(trial, whole)


def trial(whole: dict[str, tuple[bytes, Any]], number: int) -> None:
    random = Random(number)
    name = list(whole)[number % len(whole)]
    content, expected = whole[name]
    if random.random() < 0.1:
        damaged = content[: random.randrange(len(content))]
    else:
        changed = bytearray(content)
        changed[random.randrange(len(content))] ^= 1 << random.randrange(8)
        damaged = bytes(changed)
    path = Path(f"{name}.whole").absolute()
    path.write_bytes(damaged)
    try:
        found = READERS[name](path)
    except (InputError, RunError):
        return
    assert found == expected, f"{name} was used, though damaged"


def _plain(arrays: Any) -> str:
    return json.dumps({key: [array.dtype.str, array.tolist()] for key, array in sorted(arrays.items())})


def _make_checkpoint(path: Path) -> None:
    resuming.keep(path.parent, IDENTITY, checkpoint(1))
    (path.parent / "checkpoint-1.npz").rename(path)


def _read_checkpoint(path: Path) -> Any:
    path.rename(path.parent / "checkpoint-1.npz")
    found = resuming.begun(path.parent, IDENTITY)
    (path.parent / "checkpoint-1.npz").rename(path)
    assert found
    return found.history, [variable.tobytes() for variable in found.variables]


def _make_probabilities(path: Path) -> None:
    log_p = np.log(np.full((30, 10), 0.1)) + np.arange(10) / 100
    runs.write_arrays(path, {"held_out_rows": np.arange(30), "held_out_log_p": log_p, "test_log_p": log_p})


def _make_ledger(path: Path) -> None:
    with ledger_at(path) as book:
        for number in range(4):
            run = book.start_run(
                name=f"run-{number}",
                **FACTS | {"recipe": {"epochs": 3 + number, "model": "lenet5"}},
                versions={"keras": "3.15"},
                cpu="some",
                threads=2,
            )
            for seed in range(3):
                row = {"name": f"lenet5-seed{seed}", "model": "lenet5", "seed": seed, "weights": 61_706, "train_n": 99}
                book.add_member(run, **row, train_accuracy=0.9, train_loss=0.3, seconds=1.5)
            hash = str(number) * 64
            book.finish_run(run, "done", n=100, correct=90 + number, loss=0.2, submission_hash=hash)
            sent = book.begin_submission(hash=hash, file="a.csv", description="d", status="UPLOADING")
            book.update_submission(sent, status="COMPLETE", ref=1000 + number, public_score=0.9)
            book.add_score(hash=hash, file="a.csv", answers_hash="x", n=100, correct=91)


def _read_ledger(path: Path) -> Any:
    with ledger_at(path) as book:
        rows = book.runs()
        for row in rows:
            from_record(json.loads(row["recipe"]))
        sent = book.submissions()
        parts = [[book.members(row["id"]), book.scores(row["submission_hash"])] for row in rows]
        return rows, sent, parts, [book.submission_states(row["id"]) for row in sent]


MAKERS = {"checkpoint": _make_checkpoint, "probabilities": _make_probabilities, "ledger": _make_ledger}
READERS: dict[str, Callable[[Path], Any]] = {
    "checkpoint": _read_checkpoint,
    "probabilities": lambda path: _plain(runs.read_arrays(path)),
    "ledger": _read_ledger,
}
