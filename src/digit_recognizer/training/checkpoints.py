"""What an interrupted run left of its networks: all of those that were done, two checkpoints of the one in training.

Files in a network's folder, numbers in its row of the ledger.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np

from digit_recognizer.errors import InputError
from digit_recognizer.evaluation.prediction import Metrics
from digit_recognizer.tracking import run_dir
from digit_recognizer.tracking.ledger import Ledger, Row
from digit_recognizer.training.cross_validation import NetworkResult, NetworkSpec
from digit_recognizer.training.state import Checkpoint, Epoch
from digit_recognizer.utils import environment
from digit_recognizer.utils.files import read_bytes, write_atomically

_KEPT = 2  # so that one may be damaged
_FROM_THE_START = "Remove the network's checkpoints to train it from the start."


class _Other(InputError):
    """A checkpoint is whole, and another training's."""


def save_checkpoint(folder: Path, identity: str, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of an epoch, and keep one before it. Raises RunError, and removes none, when it fails."""
    history = json.dumps([asdict(epoch) for epoch in checkpoint.history])
    told = {"training": np.array(identity), "history": np.array(history), "names": np.array(checkpoint.names, np.str_)}
    variables = {str(number): variable for number, variable in enumerate(checkpoint.variables)}
    run_dir.write_arrays(_path(folder, len(checkpoint.history)), told | variables)
    _forget_older(folder)


def pack_latest_checkpoint(folder: Path) -> tuple[int, bytes]:
    """The last epoch with a checkpoint in `folder`, and that checkpoint as bytes that travel; 0 and none without."""
    epoch = run_dir.last_checkpoint_epoch(folder)
    return epoch, read_bytes(_path(folder, epoch)) if epoch else b""


def save_packed_checkpoint(folder: Path, epoch: int, content: bytes) -> None:
    """As `keep`, of a checkpoint that came by `newest_packed` from elsewhere."""
    write_atomically(_path(folder, epoch), content)
    _forget_older(folder)


def load_latest_checkpoint(
    folder: Path, identity: str, tell: Callable[[str], None] = lambda line: None
) -> Checkpoint | None:
    """The newest whole checkpoint of a network's training, None without any; `tell` hears of a damaged one before it.

    Raises InputError when all are damaged, or the newest whole one is another training's.
    """
    damaged: list[str] = []
    for path in _newest_first(folder):
        try:
            checkpoint = _read(path, identity)
        except _Other:
            raise
        except InputError as error:
            damaged.append(str(error).strip())
            continue
        if damaged:
            tell(f"{damaged[0]} It goes on from epoch {len(checkpoint.history)} instead.")
        return checkpoint
    if damaged:
        raise InputError(" ".join([*damaged, _FROM_THE_START]))
    return None


def _read(path: Path, identity: str) -> Checkpoint:
    """A checkpoint of this training. Raises InputError when it is damaged, _Other when it is another's."""
    arrays = run_dir.read_arrays(path, ("training", "history", "names"), cure="")
    try:
        its_identity = str(arrays.pop("training"))
        history = tuple(Epoch(**record) for record in json.loads(str(arrays.pop("history"))))
        names = tuple(arrays.pop("names").tolist())
        checkpoint = Checkpoint(history, tuple(arrays[str(number)] for number in range(len(arrays))), names)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a checkpoint ({error!r}).") from error
    if its_identity != identity:
        raise _Other(f"{path}: of another recipe or other rows. {_FROM_THE_START}")
    return checkpoint


def read_progress(folder: Path) -> tuple[Epoch, ...]:
    """The epochs that a network in training has behind it, as far as can be read while it writes."""
    with suppress(IndexError, InputError):
        arrays = run_dir.read_arrays(_newest_first(folder)[0], ("history",), cure="")
        return tuple(Epoch(**record) for record in json.loads(str(arrays["history"])))
    return ()


def delete_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a network that is done."""
    for path in _newest_first(folder):
        path.unlink()


def load_result(folder: Path, row: Row) -> NetworkResult:
    """What a network left that the ledger knows to be done. Raises InputError when its files are gone or damaged."""
    _, held_out_log_p, test_log_p = run_dir.read_probabilities(folder)
    fits = {"train": _fitness(row["train_n"], row["train_accuracy"], row["train_loss"])}
    if row["n"]:
        fits["validation"] = _fitness(row["n"], row["accuracy"], row["loss"])
    seconds = {"train": row["seconds"], "predict": row["seconds_predict"] or 0.0}
    history = tuple(Epoch(**cells) for cells in run_dir.read_history(folder / "history.csv"))
    return NetworkResult(
        run_dir.read_arrays(folder / "weights.npz"), history, held_out_log_p, test_log_p, fits, seconds
    )


def seconds_trained(
    book: Ledger,
    run: Row,
    members: Sequence[NetworkSpec],
    train_hash: str,
    tell: Callable[[str], None] = lambda line: None,
) -> float:
    """How long earlier processes trained and predicted for this run. Tells and raises as `begun` does."""
    done = {row["name"]: row for row in book.members(run["id"])}
    seconds = sum(row["seconds"] + (row["seconds_predict"] or 0.0) for row in done.values())
    for member in members:
        if member.name not in done:
            folder = run_dir.member_folder(run_dir.folder_of(run), member.name, len(members))
            checkpoint = load_latest_checkpoint(folder, training_fingerprint(member, train_hash), tell)
            seconds += checkpoint.seconds if checkpoint else 0.0
    return float(seconds)


def training_fingerprint(member: NetworkSpec, train_hash: str) -> str:
    """What decides each step of a network's training, recipe, data, rows, backend, as 64 hexadecimal digits."""
    rows = [member.train_rows.tolist(), member.held_out.tolist()]
    text = json.dumps([asdict(member.recipe), train_hash, rows, environment.backend()])
    return sha256(text.encode()).hexdigest()


def save_result(folder: Path, outcome: NetworkResult, held_out: np.ndarray) -> None:
    """Write the files of a trained network: weights.npz, probabilities.npz, history.csv. Raises RunError on failure."""
    run_dir.write_arrays(folder / "weights.npz", outcome.weights)
    run_dir.write_probabilities(folder, held_out, outcome.held_out_log_p, outcome.test_log_p)
    run_dir.write_history(folder / "history.csv", outcome.history)


def _path(folder: Path, epoch: int) -> Path:
    return folder / run_dir.CHECKPOINTS.replace("*", str(epoch))


def _forget_older(folder: Path) -> None:
    for old in _newest_first(folder)[_KEPT:]:
        old.unlink()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob(run_dir.CHECKPOINTS), key=lambda path: (len(path.name), path.name), reverse=True)


def _fitness(n: int, accuracy: float, loss: float) -> Metrics:
    return Metrics(n, accuracy, loss, 1 - accuracy)
