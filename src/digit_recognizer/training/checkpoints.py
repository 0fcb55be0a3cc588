"""Checkpoints of networks in training: `checkpoint-<epoch>.npz` in a network's folder, of the last two epochs."""

import json
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.tracking.history import Epoch
from digit_recognizer.tracking.run_dir import CHECKPOINTS, last_checkpoint_epoch
from digit_recognizer.training.cross_validation import NetworkSpec
from digit_recognizer.training.state import Checkpoint
from digit_recognizer.utils import environment
from digit_recognizer.utils.arrays import read_arrays, write_arrays
from digit_recognizer.utils.files import read_bytes, write_atomically

_KEPT = 2  # so that one may be damaged


def save_checkpoint(folder: Path, fingerprint: str, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of an epoch and delete all but the one before. Raises RunError on failure."""
    header = {
        "training": np.array(fingerprint),
        "history": np.array(json.dumps([asdict(epoch) for epoch in checkpoint.history])),
        "names": np.array(checkpoint.names, np.str_),
    }
    variables = {str(number): variable for number, variable in enumerate(checkpoint.variables)}
    write_arrays(_path(folder, len(checkpoint.history)), header | variables)
    _delete_older(folder)


def pack_latest_checkpoint(folder: Path) -> tuple[int, bytes]:
    """Returns the last epoch with a checkpoint in `folder` and the bytes of that file, or 0 and no bytes."""
    epoch = last_checkpoint_epoch(folder)
    return epoch, read_bytes(_path(folder, epoch)) if epoch else b""


def save_packed_checkpoint(folder: Path, epoch: int, content: bytes) -> None:
    """Write a checkpoint that `pack_latest_checkpoint` read on another machine, as `save_checkpoint` does."""
    write_atomically(_path(folder, epoch), content)
    _delete_older(folder)


def load_latest_checkpoint(
    folder: Path, fingerprint: str, warn: Callable[[str], None] = lambda text: None
) -> Checkpoint | None:
    """Returns the newest intact checkpoint of a training, None without any; passes a newer damaged one to `warn`.

    Raises InputError when all are damaged or of another training.
    """
    refused: list[str] = []
    for path in _newest_first(folder):
        try:
            checkpoint = _read(path, fingerprint)
        except InputError as error:
            refused.append(str(error).strip())
            continue
        if refused:
            warn(f"{refused[0]} The training continues from epoch {len(checkpoint.history)} instead.")
        return checkpoint
    if refused:
        raise InputError(" ".join([*refused, "Remove the network's checkpoints to train it from the start."]))
    return None


def _read(path: Path, fingerprint: str) -> Checkpoint:
    """Raises InputError when the file is damaged or belongs to another training."""
    arrays = read_arrays(path, ("training", "history", "names"), remedy="")
    try:
        found = str(arrays.pop("training"))
        history = tuple(Epoch(**record) for record in json.loads(str(arrays.pop("history"))))
        names = tuple(arrays.pop("names").tolist())
        checkpoint = Checkpoint(history, tuple(arrays[str(number)] for number in range(len(arrays))), names)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a checkpoint ({error!r}).") from error
    if found != fingerprint:
        raise InputError(f"{path}: belongs to another recipe or other rows.")
    return checkpoint


def delete_checkpoints(folder: Path) -> None:
    """Delete the checkpoints of a trained network."""
    for path in _newest_first(folder):
        path.unlink()


def training_fingerprint(network: NetworkSpec, train_hash: str) -> str:
    """Returns the SHA-256 of the recipe, data, rows and backend of a training."""
    rows = [network.train_rows.tolist(), network.held_out.tolist()]
    text = json.dumps([asdict(network.recipe), train_hash, rows, environment.backend()])
    return sha256(text.encode()).hexdigest()


def _path(folder: Path, epoch: int) -> Path:
    return folder / CHECKPOINTS.replace("*", str(epoch))


def _delete_older(folder: Path) -> None:
    for old in _newest_first(folder)[_KEPT:]:
        old.unlink()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(CHECKPOINTS), key=lambda path: (len(path.name), path.name), reverse=True)
