"""The run folder, `submissions/<run>/`, and its files.

The files of a network, weights.npz, probabilities.npz and history.csv, are in the run folder if it is the only network
of the run, else in members/<name>/.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from digit_recognizer.data import submission
from digit_recognizer.errors import InputError
from digit_recognizer.tracking.run_record import RunRecord, checked_folder_name
from digit_recognizer.utils.arrays import read_arrays, write_arrays
from digit_recognizer.utils.files import write_atomically

CHECKPOINTS = "checkpoint-*.npz"  # the number is that of the last epoch
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


@dataclass(frozen=True, eq=False)
class Predictions:
    """The content of probabilities.npz: log-probabilities of rows of train.csv and of test.csv."""

    rows: np.ndarray  # (n,) int: the rows of train.csv that were held out
    log_p: np.ndarray  # (n, 10)
    test_log_p: np.ndarray  # (n_test, 10); (0, 10) of a network that does not predict test.csv


def check_name(name: str) -> str:
    """Return `name` if it is valid for a run and its folder on any system. Raises InputError otherwise."""
    if _means_another(name):
        raise InputError(
            f"`name` {name}: reserved. `last` is the newest run, and digits alone are a run's id. Choose another name."
        )
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise InputError(
            f"`name` {name!r}: expected up to 60 letters, digits, '.', '_' or '-', beginning with a letter or digit."
        )
    return name


def name_from(text: str) -> str:
    """Return a valid name made from any text, such as the name of a recipe file."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:60].rstrip(".")
    return f"run-{name}"[:60] if _means_another(name) else name or "run"


def make_run_folder(submissions: Path, name: str, now: datetime, is_taken: Callable[[str], bool]) -> Path:
    """Create an empty run folder, named by time and `name`; a number is added if it exists or the name is taken."""
    stem = f"{now:%Y%m%d-%H%M%S}-{name}"
    number = 1
    while True:
        folder = submissions / (stem if number == 1 else f"{stem}-{number}")
        number += 1
        with suppress(FileExistsError):
            if not is_taken(folder.name):
                folder.mkdir()
                return folder


def last_checkpoint_epoch(folder: Path) -> int:
    """Return the last epoch with a checkpoint in a run or network folder, 0 without any."""
    numbers = [path.stem.rpartition("-")[2] for path in folder.rglob(CHECKPOINTS)]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def network_folder(folder: Path, name: str, n_networks: int) -> Path:
    """Return the folder of one of the `n_networks` networks of the run in `folder`.

    Raises InputError for a name that leads outside the run folder.
    """
    return folder if n_networks == 1 else folder / "members" / checked_folder_name(name)


def write_predictions(folder: Path, predictions: Predictions) -> None:
    """Write probabilities.npz. Raises RunError on failure."""
    names = {"held_out_rows": predictions.rows, "held_out_log_p": predictions.log_p}
    write_arrays(folder / "probabilities.npz", names | {"test_log_p": predictions.test_log_p})


def read_predictions(folder: Path) -> Predictions:
    """Read what `write_predictions` wrote. Raises InputError as `read_arrays`."""
    names = ("held_out_rows", "held_out_log_p", "test_log_p")
    arrays = read_arrays(folder / "probabilities.npz", names)
    return Predictions(*(arrays[name] for name in names))


def run_predictions(run: RunRecord) -> Predictions:
    """The predictions of a finished run.

    Raises InputError if they cannot be read or do not give the labels of the run's submission.
    """
    found = read_predictions(run.folder)
    try:
        hash = sha256(submission.render(found.test_log_p.argmax(axis=1))).hexdigest()
    except ValueError:  # of another shape
        hash = ""
    if run.submission_hash not in (None, hash):
        raise InputError(
            f"{run.folder / 'probabilities.npz'}: does not match the submission of run {run.name}. Repeat that run."
        )
    return found


def write_submission(folder: Path, labels: np.ndarray) -> tuple[Path, str]:
    """Write (n,) labels as submission.csv and return its path and SHA-256. Raises RunError on failure."""
    content = submission.render(labels)
    path = folder / "submission.csv"
    write_atomically(path, content)
    return path, sha256(content).hexdigest()


def write_record(folder: Path, name: str, record: Mapping[str, Any]) -> None:
    """Write recipe.json or result.json, the last file of a run. Raises RunError on failure."""
    write_atomically(folder / f"{name}.json", (json.dumps(record, indent=2, allow_nan=False) + "\n").encode())


def _means_another(name: str) -> bool:
    """Whether `Ledger.run` takes the name for the newest run or an id."""
    return name == "last" or name.isdecimal()
