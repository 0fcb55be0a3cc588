"""Flipped bits and truncations of checkpoints and probabilities."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from digit_recognizer.errors import InputError, RunError
from digit_recognizer.training import checkpoints
from digit_recognizer.utils.arrays import read_arrays, write_arrays

from .stub_runs import IDENTITY, checkpoint_after

PROMISE = "corrupted checkpoints and arrays are refused, never used"
CASES = "flipped bits and truncations"
GOAL = 2_000


@contextmanager
def setup() -> Iterator[Callable[[int], None]]:
    intact = {}
    for name, make in MAKERS.items():
        path = Path(f"{name}.intact").absolute()
        make(path)
        intact[name] = (path.read_bytes(), READERS[name](path))
        path.unlink()
    yield partial(trial, intact)


def trial(intact: dict[str, tuple[bytes, Any]], number: int) -> None:
    random = Random(number)
    name = list(intact)[number % len(intact)]
    content, expected = intact[name]
    if random.random() < 0.1:
        damaged = content[: random.randrange(len(content))]
    else:
        changed = bytearray(content)
        changed[random.randrange(len(content))] ^= 1 << random.randrange(8)
        damaged = bytes(changed)
    path = Path(f"{name}.intact").absolute()
    path.write_bytes(damaged)
    try:
        found = READERS[name](path)
    except (InputError, RunError):
        return
    assert found == expected, f"{name} was used, although damaged"


def _plain(arrays: Any) -> str:
    return json.dumps({key: [array.dtype.str, array.tolist()] for key, array in sorted(arrays.items())})


def _make_checkpoint(path: Path) -> None:
    checkpoints.save_checkpoint(path.parent, IDENTITY, checkpoint_after(1))
    (path.parent / "checkpoint-1.npz").rename(path)


def _read_checkpoint(path: Path) -> Any:
    path.rename(path.parent / "checkpoint-1.npz")
    found = checkpoints.load_latest_checkpoint(path.parent, IDENTITY)
    (path.parent / "checkpoint-1.npz").rename(path)
    assert found
    return found.history, [variable.tobytes() for variable in found.variables]


def _make_probabilities(path: Path) -> None:
    log_p = np.log(np.full((30, 10), 0.1)) + np.arange(10) / 100
    write_arrays(path, {"held_out_rows": np.arange(30), "held_out_log_p": log_p, "test_log_p": log_p})


MAKERS = {"checkpoint": _make_checkpoint, "probabilities": _make_probabilities}
READERS: dict[str, Callable[[Path], Any]] = {
    "checkpoint": _read_checkpoint,
    "probabilities": lambda path: _plain(read_arrays(path)),
}
