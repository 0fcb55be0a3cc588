"""What an interrupted run left of a network: a checkpoint while it was trained, all that it leaves once it was done.

Files in the network's folder, numbers in its row of the ledger. Loads Keras, as only who trains needs this.
"""

import json
from csv import DictReader
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np

from . import runs
from .crossval import Member, Outcome
from .errors import InputError
from .ledger import Row
from .predict import Fitness
from .train import Checkpoint, Epoch

_FILE = "checkpoint.npz"


def keep(folder: Path, member: Member, train_hash: str, checkpoint: Checkpoint) -> None:
    """Write checkpoint.npz in place of the last epoch's. Raises RunError when that fails; the old one is untouched."""
    history = json.dumps([asdict(epoch) for epoch in checkpoint.history])
    variables = {str(number): variable for number, variable in enumerate(checkpoint.variables)}
    told = {"training": np.array(_identity(member, train_hash)), "history": np.array(history)}
    runs.write_arrays(folder / _FILE, told | variables)


def begun(folder: Path, member: Member, train_hash: str) -> Checkpoint | None:
    """The checkpoint of the network's training, None without any. Raises InputError on a damaged or another's."""
    path = folder / _FILE
    if not path.exists():
        return None
    arrays = runs.read_arrays(path, ("training", "history"))
    if str(arrays.pop("training")) != _identity(member, train_hash):
        raise InputError(
            f"{path}: of another recipe, or of other rows. Remove it to train this network from the start."
        )
    history = tuple(Epoch(**record) for record in json.loads(str(arrays.pop("history"))))
    return Checkpoint(history, tuple(arrays[str(number)] for number in range(len(arrays))))


def forget(folder: Path) -> None:
    """Remove the checkpoint of a network that is done."""
    (folder / _FILE).unlink(missing_ok=True)


def finished(folder: Path, row: Row) -> Outcome:
    """What a network left that the ledger knows to be done. Raises InputError when its files are gone or damaged."""
    _, held_out_log_p, test_log_p = runs.read_probabilities(folder)
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        history = tuple(_epoch(cells) for cells in DictReader(file))
    fits = {"train": _fitness(row["train_n"], row["train_accuracy"], row["train_loss"])}
    if row["n"]:
        fits["validation"] = _fitness(row["n"], row["accuracy"], row["loss"])
    seconds = {"train": row["seconds"], "predict": row["seconds_predict"]}
    return Outcome(runs.read_arrays(folder / "weights.npz"), history, held_out_log_p, test_log_p, fits, seconds)


def _fitness(n: int, accuracy: float, loss: float) -> Fitness:
    return Fitness(n, accuracy, loss, 1 - accuracy)


def _epoch(cells: dict[str, str]) -> Epoch:
    numbers = {name: float(cell) if cell else None for name, cell in cells.items()}
    return Epoch(**{**numbers, "epoch": int(cells["epoch"])})  # type: ignore[arg-type]  # None only where it may be


def _identity(member: Member, train_hash: str) -> str:
    """What decides each step of a network's training: recipe, data, rows."""
    text = json.dumps([asdict(member.recipe), train_hash, member.fitted.tolist(), member.held_out.tolist()])
    return sha256(text.encode()).hexdigest()
