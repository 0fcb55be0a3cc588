"""Where the data lies: the folder or zip named with --data, else data/, else Kaggle's notebook folder.

In: a path or None. Out: a Source, of which only a zip has been asked for its names, and then its tables.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from digit_recognizer.data import archives
from digit_recognizer.data.csv_reader import CsvFile, LabelledTable, Table, read_test, read_train
from digit_recognizer.data.sample import SEAL, write_sample
from digit_recognizer.errors import InputError

TRAIN, TEST = "train.csv", "test.csv"
ZIP = "digit-recognizer.zip"  # its name as Kaggle delivers it
DATA = Path("data")
CACHE = DATA / ".cache"  # of what was read before
SAMPLE = DATA / "sample"
NOTEBOOK_INPUTS = (  # where Kaggle's notebooks find it: since 2026, and before
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
        """Where the data comes from, in a few words."""
        if self.kind == "sample":
            return f"the built-in sample in {self.place}"
        return f"{self.place} ({self.kind})"


def find(path: Path | None, notebook_inputs: Sequence[Path] = NOTEBOOK_INPUTS) -> Source | None:
    """Find the data at `path`, or without one in data/ or Kaggle's notebook folders; None if it is nowhere.

    A folder holds train.csv and test.csv, either perhaps as .csv.gz, or Kaggle's zip. The word `sample`, unless
    something has that name, is the built-in competition, written to data/sample when needed, and so is data/sample when
    it is gone. Raises InputError for a path without the files, and for half of them.
    """
    if path in (Path("sample"), SAMPLE) and not path.exists():
        return sample_source()
    if path is not None:
        return _at(path)
    if DATA.is_dir() and (source := _in_folder(DATA)):
        return source
    for folder in notebook_inputs:
        if folder.is_dir() and (source := _in_folder(folder, "kaggle notebook")):
            return source
    return None


def sample_source(folder: Path = SAMPLE) -> Source:
    """The built-in competition, written to `folder` if it is not there. Raises RunError if it cannot be."""
    write_sample(folder)
    return Source("sample", folder, CsvFile(folder / TRAIN), CsvFile(folder / TEST))


def read(source: Source) -> tuple[LabelledTable, Table]:
    """Read both files, from the cache if they were read before; raises one InputError with the faults of both."""
    try:
        train_table = read_train(source.train, CACHE)
    except InputError as error:
        faults = [str(error)]
        try:
            read_test(source.test, CACHE)
        except InputError as also:
            faults.append(str(also))
        raise InputError("\n".join(faults)) from error
    return train_table, read_test(source.test, CACHE)


def _at(path: Path) -> Source:
    """The data at a path that was asked for, so that anything but both files is an error."""
    if path.is_dir():
        if source := _in_folder(path):
            return source
        raise InputError(
            f"{path}: expected {TRAIN} and {TEST}, or {ZIP}, in this folder, "
            f"received {_told(_names(path))}. Give the folder that holds them."
        )
    if not path.exists():
        raise InputError(f"{path}: not found. Give the folder with {TRAIN} and {TEST}, or Kaggle's {ZIP}.")
    if not path.is_file() or not zipfile.is_zipfile(path):
        cut = path.suffix == ".zip"
        raise InputError(
            f"{path}: expected a folder or a zip, received {'a damaged or incomplete zip' if cut else 'another file'}. "
            + (f"Download Kaggle's {ZIP} again." if cut else f"Give the folder with {TRAIN} and {TEST}.")
        )
    return _in_zip(path)


def _in_folder(folder: Path, kind: str = "folder") -> Source | None:
    """The data in a folder, None if it holds neither file nor zip."""
    names = _names(folder)
    present = [next((name for name in (csv, f"{csv}.gz") if name in names), "") for csv in (TRAIN, TEST)]
    if any(present) and not all(present):
        raise InputError(
            f"{folder}: expected both {TRAIN} and {TEST}, received only {''.join(present)}. Add the other file"
            + (f", or remove this one to use {ZIP}." if ZIP in names else ".")
        )
    if all(present):
        kind = "sample" if SEAL in names else kind
        return Source(kind, folder, *(CsvFile(folder / name) for name in present))
    return _in_zip(folder / ZIP) if ZIP in names else None


def _in_zip(path: Path) -> Source:
    names = archives.names(path)
    if not {TRAIN, TEST} <= set(names):
        raise InputError(
            f"{path}: expected {TRAIN} and {TEST} in this zip, received {_told(names)}. "
            "Give the zip as Kaggle delivers it."
        )
    return Source("zip", path, CsvFile(path, TRAIN), CsvFile(path, TEST))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}). Check its permissions.") from error


def _told(names: list[str]) -> str:
    """At most five of the names, for a message."""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more if names else "nothing"
