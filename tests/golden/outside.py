"""Run commands in a folder and compare their JSON with stored values. Imports nothing of the package."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from kaggle_stand_in import TOKEN, Entry, StandIn, kaggle_stand_in, score

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMMAND = [sys.executable, "-c", "from digit_recognizer.cli import main; main()"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "KERAS_BACKEND": "tensorflow"}


def work_in(folder: Path) -> None:
    """Copy the stored runs, rates.toml and data into a folder.

    data/sample/ is the built-in sample; data/ holds the same CSVs as competition data, whose submissions can be
    uploaded; first.csv is a submission that was never uploaded.
    """
    shutil.copytree(HERE / "workspace", folder, dirs_exist_ok=True)
    digits(folder, "doctor --leak --data sample")  # writes the sample
    for name in ("train.csv", "test.csv"):
        shutil.copy(folder / "data/sample" / name, folder / "data")
    shutil.copy(folder / "data/sample/answers.csv", folder / "first.csv")


def answers(folder: Path) -> list[int]:
    """The test labels of the sample."""
    lines = (folder / "data/sample/answers.csv").read_text().splitlines()[1:]
    return [int(line.partition(",")[2]) for line in lines]


@contextmanager
def kaggle(folder: Path) -> Iterator[StandIn]:
    """A stand-in for Kaggle that lists the stored entry; its `environment` includes credentials."""
    with kaggle_stand_in(answers(folder)) as stand_in:
        stand_in.environment["KAGGLE_API_TOKEN"] = TOKEN
        for file in folder.glob("submissions/*-uploaded/submission.csv"):
            description = f"first run {file.parent.name} sha {sha256(file.read_bytes()).hexdigest()[:12]}"
            stand_in.entries.append(entry(description, file.read_bytes(), stand_in.answers))
        yield stand_in


def entry(description: str, data: bytes, answers: list[int]) -> Entry:
    """An entry that Kaggle has scored."""
    return Entry(1001, description, "submission.csv", data, 0, score(data, answers))


def digits(folder: Path, command: str, code: int | None = 0, **variables: str) -> str:
    """Run a command in a folder and return its stdout. `code` is the expected exit code, or None for any."""
    done = subprocess.run(
        [*COMMAND, *command.split()],
        cwd=folder,
        env=ENVIRONMENT | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert code in (None, done.returncode), f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def printed(folder: Path, command: str, **variables: str) -> Any:
    """The parsed output of a command with --json."""
    return json.loads(digits(folder, command, **variables))


def run_folder(folder: Path, name: str) -> Path:
    """The folder of the newest run of that name."""
    return max(folder.glob(f"submissions/*-{name}/"))


def files_of(folder: Path) -> set[str]:
    """The names of the files in a folder and below it."""
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def form(value: Any) -> Any:
    """The keys and types of a JSON value, recursively; a list becomes its distinct forms."""
    if isinstance(value, dict):
        return {key: form(own) for key, own in value.items()}
    if isinstance(value, list):
        forms = [form(own) for own in value]
        return [own for n, own in enumerate(forms) if own not in forms[:n]]
    return "null" if value is None else type(value).__name__


def fits(stored: Any, found: Any) -> bool:
    """Whether a form has all keys of a stored one, with the same types."""
    if isinstance(stored, dict):
        return isinstance(found, dict) and all(key in found and fits(stored[key], found[key]) for key in stored)
    if isinstance(stored, list):
        return isinstance(found, list) and all(any(fits(own, other) for other in found) for own in stored)
    return bool(stored == found)


def differences(stored: Any, found: Any, place: str = "") -> list[str]:
    """Differences between two JSON values. Added keys are none, added list elements are."""
    if isinstance(stored, dict) and isinstance(found, dict):
        lost = [f"{place}/{key}: missing" for key in stored if key not in found]
        both = [key for key in stored if key in found]
        return lost + [line for key in both for line in differences(stored[key], found[key], f"{place}/{key}")]
    if isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        pairs = enumerate(zip(stored, found, strict=True))
        return [line for n, (one, other) in pairs for line in differences(one, other, f"{place}/{n}")]
    same = stored == found and type(stored) is type(found)
    return [] if same else [f"{place}: stored {stored!r}, found {found!r}"]
