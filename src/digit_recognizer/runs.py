"""The run folder: `submissions/<run>/` and what lies in it. Refuses to know how the contents came about."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError
from .files import write_atomically

SUBMISSIONS = Path("submissions")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def check_name(name: str) -> str:
    """`name` if it can name a run and its folder anywhere; raises InputError otherwise."""
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise InputError(
            f"--name {name!r}: expected up to 60 letters, digits, '.', '_' or '-', beginning with a letter or digit."
        )
    return name


def new_run(name: str, now: datetime, submissions: Path = SUBMISSIONS) -> Path:
    """Make an empty folder for a run, named by time and `name`; a number is added when it exists already."""
    stem = f"{now:%Y%m%d-%H%M%S}-{name}"
    number = 1
    while True:
        folder = submissions / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


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
    write_json(folder / "result.json", result)


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz; `numpy.load(path, allow_pickle=False)` reads it, and its CRCs tell when it is damaged."""
    buffer = BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def write_history(path: Path, history: Sequence[Any]) -> None:
    """Write records of one dataclass as a CSV with a column per field; None becomes an empty cell."""
    text = StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(history[0])], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(record) for record in history)
    write_atomically(path, text.getvalue().encode())
