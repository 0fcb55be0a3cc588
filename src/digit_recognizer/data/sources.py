"""Finds the data: in a given folder or zip, in the workspace, or in Kaggle's notebook folders."""

import gzip
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from digit_recognizer.data import archives
from digit_recognizer.data.csv_reader import CsvFile
from digit_recognizer.data.file_formats import DOWNLOAD, identify_other_format
from digit_recognizer.data.sample import MARKER, write_sample
from digit_recognizer.errors import InputError
from digit_recognizer.utils.files import refuse_devices

TRAIN, TEST = "train.csv", "test.csv"
ZIP = "digit-recognizer.zip"  # as Kaggle names it
_EXPECTED = f"{TRAIN} and {TEST}, or a zip of them"
_NOTES = (".md", ".txt")  # suffixes of files that are no data
_N_SHOWN = 5
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
    """The data at `path`, or without it in `folder` or Kaggle's notebook folders; None if `folder` has no data at all.

    A folder contains train.csv and test.csv, each possibly as .csv.gz or .csv.zip, or a zip of both, or a folder with
    one of these; capitals do not matter. The path `sample`, unless it exists, is the built-in sample, written to
    `folder`/sample if missing. Raises InputError for a path without the files, with only one of them, or with several
    datasets, and for a `folder` that has other files than these.
    """
    if path is not None:
        path = path.expanduser()
        is_sample = path in (Path("sample"), folder / "sample") and not path.exists()
        return sample_source(folder / "sample") if is_sample else _at(path)
    for place, kind in ((folder, "folder"), *((inputs, "kaggle notebook") for inputs in notebook_inputs)):
        if place.is_dir() and (source := _in_folder(place, kind)):
            return source
    if folder.is_dir() and (others := [entry for entry in _entries(folder) if entry.suffix not in _NOTES]):
        raise InputError(f"{folder}: expected {_EXPECTED}; received {_describe(others)}")
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
        entries = _entries(path)
        raise InputError(
            f"{path}: expected {_EXPECTED}; received {_describe(entries) if entries else 'an empty folder.'}"
        )
    if not path.exists():
        hint = ' The built-in sample is called "sample".' if get_close_matches(path.name, ["sample"]) else ""
        raise InputError(f"{path}: not found. Name a folder or zip with {TRAIN} and {TEST}.{hint}")
    refuse_devices(path)
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path}: expected a folder with {TRAIN} and {TEST}, or a zip of them; received {_describe([path])}"
        )
    if source := _in_zip(path):
        return source
    raise InputError(f"{path}: expected {TRAIN} and {TEST} in this zip. Name Kaggle's zip.")


def _in_folder(folder: Path, kind: str = "folder", is_inner: bool = False) -> Source | None:
    """The data in a folder, in a zip in it, or, unless it `is_inner`, in a folder in it; None if there is none."""
    entries = _entries(folder)
    tables = [_table(entries, name) for name in (TRAIN, TEST)]
    if all(tables):
        is_sample = (folder / MARKER).exists()
        return Source("sample" if is_sample else kind, folder, *(table for table in tables if table))
    if any(tables):
        present, missing = (TRAIN, TEST) if tables[0] else (TEST, TRAIN)
        raise InputError(f"{folder}: expected both {TRAIN} and {TEST}, received only {present}. Add {missing}.")
    zips = [entry for entry in entries if entry.suffix.lower() == ".zip" and entry.is_file()]
    sources = [_in_zip(entry) for entry in zips if zipfile.is_zipfile(entry)]
    if not is_inner:
        sources += [_in_folder(entry, kind, is_inner=True) for entry in entries if entry.is_dir()]
    found = [source for source in sources if source]
    if len(found) > 1:
        places = ", ".join(str(source.place) for source in found)
        raise InputError(f"{folder}: expected the data once, received it in {places}. Name one of them as `data`.")
    return found[0] if found else None


def _table(entries: Sequence[Path], name: str) -> CsvFile | None:
    """The plain, gzipped or zipped file of a table."""
    for suffix in ("", ".gz", ".zip"):
        for entry in entries:
            if entry.name.lower() == f"{name}{suffix}" and entry.is_file():
                return CsvFile(entry, _member(entry, name)) if suffix == ".zip" else CsvFile(entry)
    return None


def _in_zip(path: Path) -> Source | None:
    train, test = _member(path, TRAIN), _member(path, TEST)
    return Source("zip", path, CsvFile(path, train), CsvFile(path, test)) if train and test else None


def _member(path: Path, name: str) -> str | None:
    """The member of a zip whose name, without its folders, is `name`."""
    members = [member for member in archives.names(path) if not member.startswith("__MACOSX/")]
    return next((member for member in members if PurePosixPath(member).name.lower() == name), None)


def _entries(folder: Path) -> list[Path]:
    """The files and folders in a folder, without hidden ones and the sample."""
    try:
        return [path for path in sorted(folder.iterdir()) if path.name[0] != "." and path.name != "sample"]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}). Check its permissions.") from error


def _describe(entries: Sequence[Path]) -> str:
    """The first entries with their formats, and how to convert the first one whose format is known."""
    formats = {entry: _format_of(entry) for entry in entries[:_N_SHOWN]}
    names = ", ".join(f"{entry.name} ({kind})" for entry, (kind, _) in formats.items())
    more = f" and {len(entries) - _N_SHOWN:,} more" if len(entries) > _N_SHOWN else ""
    remedy = next((remedy for _, remedy in formats.values() if remedy), f"name the files {TRAIN} and {TEST}")
    return f"{names}{more}. To fix this: {remedy}."


def _format_of(path: Path) -> tuple[str, str]:
    if not path.is_file():
        return "a folder" if path.is_dir() else "a device", ""
    if path.suffix.lower() == ".zip":
        return ("a zip of other files", "") if zipfile.is_zipfile(path) else ("a damaged zip", DOWNLOAD)
    try:
        with path.open("rb") as file:
            start = file.read(1024)
        if start.startswith(archives.GZIP):
            with gzip.open(path) as file:
                start = file.read(1024)
    except (OSError, EOFError, zlib.error) as error:  # also of a damaged gzip
        return f"not readable: {error}", ""
    return identify_other_format(start) or ("a text file", "")
