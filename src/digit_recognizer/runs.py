"""The run folder, `submissions/<run>/`: submission.csv, recipe.json, history.csv, probabilities.npz, weights.npz,
result.json and pictures. Refuses to know how the contents came about.
"""

import csv
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError, RunError
from .files import read_bytes, write_atomically
from .images import to_images
from .recipes import Recipe
from .score import score
from .tables import LabelledTable

if TYPE_CHECKING:
    from .holdout import Outcome

SUBMISSIONS = Path("submissions")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def check_name(name: str) -> str:
    """`name` if it can name a run and its folder on any system; raises InputError otherwise."""
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise InputError(
            f"--name {name!r}: expected up to 60 letters, digits, '.', '_' or '-', beginning with a letter or digit."
        )
    return name


def name_from(text: str) -> str:
    """A name made of any text, such as the name of a recipe's file."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:60].rstrip(".") or "run"


def new_run(name: str, now: datetime, submissions: Path = SUBMISSIONS) -> Path:
    """Make an empty folder for a run, named by time and `name`; a number is added when it exists already.

    Raises RunError when it cannot be made.
    """
    stem = f"{now:%Y%m%d-%H%M%S}-{name}"
    number = 1
    try:
        submissions.mkdir(parents=True, exist_ok=True)
        while True:
            folder = submissions / (stem if number == 1 else f"{stem}-{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
            number += 1
    except FileExistsError:
        raise RunError(f"{submissions}: a file has the name of the folder. Move it away, or work elsewhere.") from None
    except OSError as error:
        raise RunError(
            f"{submissions}: no folder can be made there ({error.strerror}). Work where you may write, and try again."
        ) from error


def find_run(sha256: str, submissions: Path = SUBMISSIONS) -> Path | None:
    """The newest run folder whose submission.csv has this SHA-256, or None."""
    for result in sorted(submissions.glob("*/result.json"), reverse=True):
        if read_result(result.parent).get("submission_sha256") == sha256:
            return result.parent
    return None


def read_result(folder: Path) -> dict[str, Any]:
    """What `write_result` wrote, or {} when it is not there or not readable."""
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Write result.json, the record of a run; with it the run is complete."""
    _write_json(folder / "result.json", result)


def record_upload(folder: Path | None, upload: dict[str, Any]) -> None:
    """Put what is known of an upload into the run's record; a file of no known run has none."""
    if folder is not None:
        write_result(folder, {**read_result(folder), "kaggle": upload})


def publish(folder: Path) -> None:
    """Make the run's submission the newest one, `submissions/submission.csv`."""
    write_atomically(folder.parent / "submission.csv", read_bytes(folder / "submission.csv"))


def write_run(folder: Path, recipe: Recipe, outcome: "Outcome", train_table: LabelledTable, submission: bytes) -> Path:
    """Write all of a run but its result, the submission first; returns the submission's path.

    Raises RunError when a file cannot be written.
    """
    write_atomically(folder / "submission.csv", submission)
    _write_json(folder / "recipe.json", asdict(recipe))
    _write_history(folder / "history.csv", outcome.history)
    weights = {f"{layer.name}/{weight.name}": weight for layer in outcome.model.layers for weight in layer.weights}
    write_arrays(folder / "weights.npz", {name: np.asarray(weight) for name, weight in weights.items()})
    probabilities = {"validation": np.exp(outcome.validation_log_p), "test": np.exp(outcome.test_log_p)}
    write_arrays(folder / "probabilities.npz", {"validation_rows": outcome.validation_rows, **probabilities})
    _write_pictures(folder, outcome, train_table)
    return folder / "submission.csv"


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz; `numpy.load(path, allow_pickle=False)` reads it, and its CRCs tell when it is damaged."""
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy 2.1 has a keyword that 2.0 has not
    write_atomically(path, buffer.getvalue())


def _write_json(path: Path, value: Any) -> None:
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def _write_history(path: Path, history: Sequence[Any]) -> None:
    """Records of one dataclass as a CSV with a column per field; None becomes an empty cell."""
    text = StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(history[0])], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(record) for record in history)
    write_atomically(path, text.getvalue().encode())


def _write_pictures(folder: Path, outcome: "Outcome", train_table: LabelledTable) -> None:
    from . import pictures  # matplotlib takes half a second to import

    def digits(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return to_images(train_table.pixels[rows], side=28), train_table.labels[rows]

    few = [np.flatnonzero(train_table.labels == digit)[: pictures.COLUMNS] for digit in range(10)]
    drawn = {
        "sample-digits": pictures.sample_digits(*digits(np.concatenate(few))),
        "learning-curves": pictures.learning_curves(outcome.history),
    }
    if len(outcome.validation_rows):
        images, labels = digits(outcome.validation_rows)
        confusion = score(outcome.validation_log_p.argmax(axis=1), labels).confusion
        drawn["confusion-matrix"] = pictures.confusion_matrix(confusion)
        drawn["challenging-digits"] = pictures.challenging_digits(images, labels, np.exp(outcome.validation_log_p))
    for name, png in drawn.items():
        write_atomically(folder / f"{name}.png", png)
