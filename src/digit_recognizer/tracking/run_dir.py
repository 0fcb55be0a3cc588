"""The run folder, `submissions/<run>/`, and the files in it. Refuses to know how the contents came about.

A network's weights, probabilities and history lie in the run's folder when it is the run's only one, else in
members/<name>/.
"""

import csv
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data.archives import most_unpacked
from digit_recognizer.errors import DivergedError, InputError, RunError
from digit_recognizer.tracking.ledger import Row
from digit_recognizer.utils.files import read_bytes, write_atomically

SUBMISSIONS = Path("submissions")
CHECKPOINTS = "checkpoint-*.npz"  # of a network in training, by the number of its last epoch

_EPOCH = ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "seconds"]  # history.csv's columns
_TOO_MUCH = 1e12  # for any number of an epoch

# What zipfile and numpy raise, besides their own, on an npz some bits of which are wrong.
_DAMAGED = (EOFError, KeyError, MemoryError, OSError, OverflowError, RuntimeError, TypeError, ValueError)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def check_name(name: str) -> str:
    """`name` if it can name a run and its folder on any system; raises InputError otherwise."""
    if _means_another(name):
        raise InputError(f"--name {name}: means the newest run, or the run of that number. Choose a name of letters.")
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise InputError(
            f"--name {name!r}: expected up to 60 letters, digits, '.', '_' or '-', beginning with a letter or digit."
        )
    return name


def name_from(text: str) -> str:
    """A name made of any text, such as the name of a recipe's file."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:60].rstrip(".")
    return f"run-{name}"[:60] if _means_another(name) else name or "run"


def short_name(name: str) -> str:
    """A run's name without its time."""
    return re.sub(r"^\d{8}-\d{6}-", "", name)


def make_run_folder(
    name: str, now: datetime, submissions: Path = SUBMISSIONS, is_taken: Callable[[str], bool] = lambda name: False
) -> Path:
    """Make an empty folder for a run, named by time and `name`; a number is added when it exists already, or is taken.

    Raises RunError when it cannot be made.
    """
    stem = f"{now:%Y%m%d-%H%M%S}-{name}"
    number = 1
    try:
        submissions.mkdir(parents=True, exist_ok=True)
        while True:
            folder = submissions / (stem if number == 1 else f"{stem}-{number}")
            number += 1
            with suppress(FileExistsError):
                if not is_taken(folder.name):
                    folder.mkdir()
                    return folder
    except FileExistsError:
        raise RunError(f"{submissions}: a file has the name of the folder. Move it away, or work elsewhere.") from None
    except OSError as error:
        raise RunError(
            f"{submissions}: no folder can be made there ({error.strerror}). Work where you may write, and try again."
        ) from error


def run_folder_names() -> set[str]:
    """The names of the folders of runs that there are."""
    return {path.name for path in SUBMISSIONS.glob("*/") if short_name(path.name) != path.name}


def last_checkpoint_epoch(folder: Path) -> int:
    """The last epoch of the network in training of which there is a checkpoint, 0 without; `folder` is the run's."""
    numbers = [path.stem.rpartition("-")[2] for path in folder.rglob(CHECKPOINTS)]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def folder_of(run: Row) -> Path:
    """Where the files of a run of the ledger lie. Raises InputError for a name that would lead elsewhere."""
    return SUBMISSIONS / _within(run["name"])


def existing_folder(run: Row) -> Path:
    """The folder of a run that goes on, made anew if it was removed for being empty. Raises RunError when it can't."""
    folder = folder_of(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: not a folder, and none can be made there ({error.strerror}).") from error
    return folder


def member_folder(folder: Path, name: str, n_networks: int) -> Path:
    """Where the files of one of a run's `n_networks` networks lie; `folder` is the run's. Raises as `folder_of`."""
    return folder if n_networks == 1 else folder / "members" / _within(name)


def write_probabilities(folder: Path, rows: np.ndarray, held_out_log_p: np.ndarray, test_log_p: np.ndarray) -> None:
    """Write probabilities.npz: log-probabilities, (n, 10), of the held-out `rows` of train.csv and of test.csv."""
    arrays = {"held_out_rows": rows, "held_out_log_p": held_out_log_p, "test_log_p": test_log_p}
    write_arrays(folder / "probabilities.npz", arrays)


def read_probabilities(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `write_probabilities` wrote. Raises InputError as `read_arrays`."""
    arrays = read_arrays(folder / "probabilities.npz", ("held_out_rows", "held_out_log_p", "test_log_p"))
    return arrays["held_out_rows"], arrays["held_out_log_p"], arrays["test_log_p"]


def read_history(path: Path) -> list[dict[str, Any]]:
    """The epochs of a history.csv by the names of its columns; None for what was not held out.

    Raises InputError when it is no such file. It has no checksum: a number that may be one of an epoch is believed.
    """
    try:
        header, *rows = csv.reader(StringIO(read_bytes(path).decode()), strict=True)
        if header != _EPOCH or not rows:
            raise ValueError(f"expected epochs below {','.join(_EPOCH)}")
        return [_epoch(number, row) for number, row in enumerate(rows, start=1)]
    except (csv.Error, ValueError) as error:
        raise InputError(f"{path}: not a history of a training ({error}). Repeat that run with --like.") from error


def write_history(path: Path, history: Sequence[Any]) -> None:
    """Records of one dataclass as a CSV with a column per field; None becomes an empty cell."""
    text = StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(history[0])], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(record) for record in history)
    write_atomically(path, text.getvalue().encode())


def write_submission(folder: Path, submission: bytes) -> Path:
    """Write the run's submission.csv; its path."""
    write_atomically(folder / "submission.csv", submission)
    return folder / "submission.csv"


def write_record(folder: Path, name: str, record: dict[str, Any]) -> None:
    """Write recipe.json, or result.json, with which a run is complete."""
    write_atomically(folder / f"{name}.json", (json.dumps(record, indent=2, allow_nan=False) + "\n").encode())


def publish(folder: Path) -> None:
    """Make the run's submission the newest one, `submissions/submission.csv`."""
    write_atomically(folder.parent / "submission.csv", read_bytes(folder / "submission.csv"))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz; `numpy.load(path, allow_pickle=False)` reads it, and its CRCs tell when it is damaged.

    Raises Diverged, and writes nothing, when a value is no number; RunError on failure.
    """
    if wrong := _not_finite(arrays):
        raise DivergedError(f"{path}: not written, as {wrong} holds values that are no numbers. Try another recipe.")
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy 2.1 has a keyword that 2.0 has not
    write_atomically(path, buffer.getvalue())


def read_arrays(
    path: Path, names: Collection[str] = (), cure: str = "Repeat that run with --like."
) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote.

    Raises InputError with the `cure` when it is gone, damaged, lacks one of `names`, or holds what is no number.
    """
    if not path.exists():
        raise InputError(f"{path} is gone, and with it what can be said of that run. {cure}")
    content = read_bytes(path)
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            n_bytes = sum(info.file_size for info in archive.infolist())
        if n_bytes > most_unpacked(len(content)):
            raise InputError(f"{path}: would unpack to {n_bytes:,} bytes, too many for a run. {cure}")
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            found = dict(arrays)
        if len(found) != int.from_bytes(content[-12:-10], "little"):  # as its directory ends; zipfile does not look
            raise EOFError
    except (*_DAMAGED, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged, it cannot be read ({type(error).__name__}). {cure}") from error
    if missing := sorted(set(names) - set(found)):
        raise InputError(f"{path}: {missing[0]} is missing in it. {cure}")
    if wrong := _not_finite(found):
        raise InputError(f"{path}: {wrong} holds values that are no numbers. {cure}")
    return found


def _not_finite(arrays: dict[str, np.ndarray]) -> str | None:
    """The name of an array with a value that is no number, if there is one."""
    names = (name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all())
    return next(names, None)


def _within(name: Any) -> str:
    """A name from the ledger, which may be another's, if it names a folder right where it is used."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", str(name)):
        raise InputError(
            f"the ledger names a folder {str(name)!r}, which no run has. It was not written by this program."
        )
    return str(name)


def _means_another(name: str) -> bool:
    """Whether the name already means a run: the newest, or that of a number."""
    return name == "last" or name.isdecimal()


def _epoch(number: int, row: list[str]) -> dict[str, Any]:
    """A row of history.csv. Raises ValueError when it is not of the epoch of this number."""
    epoch = {name: float(cell) if cell else None for name, cell in zip(_EPOCH, row, strict=True)}
    empty = [name for name, value in epoch.items() if value is None]
    if (
        epoch["epoch"] != number
        or empty not in ([], ["validation_loss", "validation_accuracy"])
        or not all(0 <= value < _TOO_MUCH for value in epoch.values() if value is not None)
    ):
        raise ValueError(f"line {number + 1}: expected the numbers of epoch {number}, received {','.join(row)[:80]!r}")
    return epoch | {"epoch": number}
