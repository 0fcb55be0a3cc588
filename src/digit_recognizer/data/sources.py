"""Finds the data: in a given folder or zip, in the workspace, or in Kaggle's notebook folders."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from digit_recognizer.data import archives
from digit_recognizer.data.csv_reader import CsvFile
from digit_recognizer.data.sample import MARKER, write_sample
from digit_recognizer.errors import InputError

TRAIN, TEST = "train.csv", "test.csv"
ZIP = "digit-recognizer.zip"  # as Kaggle names it
NOTEBOOK_INPUTS = (  # where Kaggle mounts the data in notebooks: since 2026, and before
    Path("/kaggle/input/competitions/digit-recognizer"),
    Path("/kaggle/input/digit-recognizer"),
)


@dataclass(frozen=True)
class Source:
    """kind: "folder", "zip", "kaggle notebook" or "sample"; place: the folder or zip with both files."""

    kind: str
    place: Path
    train: CsvFile
    test: CsvFile

    def describe(self) -> str:
        """A short description of the source."""
        return f"the built-in sample in {self.place}" if self.kind == "sample" else f"{self.place} ({self.kind})"


def find(path: Path | None, folder: Path, notebook_inputs: Sequence[Path] = NOTEBOOK_INPUTS) -> Source | None:
    """The data at `path`, or without it in `folder` or Kaggle's notebook folders; None if not found.

    A folder contains train.csv and test.csv, each possibly as .csv.gz, or Kaggle's zip. The path `sample`, unless it
    exists, is the built-in sample, written to `folder`/sample if missing. Raises InputError for a path without the
    files, or with only one of them.
    """
    if path in (Path("sample"), folder / "sample") and not path.exists():
        return sample_source(folder / "sample")
    if path is not None:
        return _at(path)
    if folder.is_dir() and (source := _in_folder(folder)):
        return source
    for inputs in notebook_inputs:
        if inputs.is_dir() and (source := _in_folder(inputs, "kaggle notebook")):
            return source
    return None


def sample_source(folder: Path) -> Source:
    """The built-in sample, written to `folder` if missing. Raises RunError if it cannot be written."""
    write_sample(folder)
    return Source("sample", folder, CsvFile(folder / TRAIN), CsvFile(folder / TEST))


def _at(path: Path) -> Source:
    """The data at a given path. Raises InputError unless both files are there."""
    if path.is_dir():
        if source := _in_folder(path):
            return source
        raise InputError(f"{path}: expected a folder with {TRAIN} and {TEST}, or {ZIP}, received one without them.")
    if not path.exists():
        raise InputError(f"{path}: not found. Give the folder with {TRAIN} and {TEST}, or Kaggle's {ZIP}.")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: expected a folder or a zip, received another file or a damaged zip.")
    return _in_zip(path)


def _in_folder(folder: Path, kind: str = "folder") -> Source | None:
    """The data in a folder; None if it contains neither file nor the zip."""
    names = _names(folder)
    present = [next((name for name in (csv, f"{csv}.gz") if name in names), "") for csv in (TRAIN, TEST)]
    if any(present) and not all(present):
        raise InputError(
            f"{folder}: expected both {TRAIN} and {TEST}, received only {''.join(present)}. Add the other file."
        )
    if all(present):
        kind = "sample" if MARKER in names else kind
        return Source(kind, folder, *(CsvFile(folder / name) for name in present))
    return _in_zip(folder / ZIP) if ZIP in names else None


def _in_zip(path: Path) -> Source:
    if not {TRAIN, TEST} <= set(archives.names(path)):
        raise InputError(f"{path}: expected {TRAIN} and {TEST} in this zip. Give Kaggle's zip.")
    return Source("zip", path, CsvFile(path, TRAIN), CsvFile(path, TEST))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}). Check its permissions.") from error
