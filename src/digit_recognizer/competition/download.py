"""The data of a command: found, or downloaded from Kaggle."""

import tempfile
from pathlib import Path

from digit_recognizer.competition.client import COMPETITION, SITE, call, find_credentials, value
from digit_recognizer.data import archives, sources
from digit_recognizer.errors import InputError, RunError
from digit_recognizer.utils.files import remove_stale_temporary_files, write_atomically
from digit_recognizer.utils.reporter import SILENT, Reporter

FILES = ("train.csv", "test.csv", "sample_submission.csv")


def find_or_download(path: Path | None, folder: Path, reporter: Reporter = SILENT) -> sources.Source:
    """Find the data as `sources.find` does, else download it to `folder`, or without credentials use the sample.

    Raises InputError as `sources.find` does, RunError when the download fails.
    """
    source = sources.find(path, folder)
    if source is None and find_credentials():
        try:
            download_data(folder, reporter)
        except RunError as error:
            raise RunError(f"{error} To run without Kaggle, on the built-in sample: `data` sample.") from error
        source = sources.find(None, folder)
    if source is None:
        source = sources.sample_source(folder / "sample")
    remedy = f" For Kaggle's files: `digits download`, or put them into {folder}." if source.kind == "sample" else ""
    reporter.info(f"Data: {source.describe()}.{remedy}")
    return source


def download_data(folder: Path, reporter: Reporter = SILENT) -> None:
    """Download the competition's three files into `folder`. Nothing is written before all of them are checked.

    Raises RunError when Kaggle refuses, the zip is damaged or has other files, or `folder` cannot be written.
    """
    with reporter.status() as status, tempfile.TemporaryDirectory() as temporary:
        status(f"Downloading {COMPETITION} from Kaggle ...")
        value(call("download", competition=COMPETITION, folder=temporary))
        contents = _unpack(Path(temporary, f"{COMPETITION}.zip"))
    remove_stale_temporary_files(folder)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    reporter.info(f"Wrote {', '.join(FILES)} to {folder}.")


def _unpack(path: Path) -> dict[str, bytes]:
    """Read the expected files from Kaggle's zip into memory."""
    try:
        if sorted(archives.names(path)) != sorted(FILES):
            raise InputError(f"{path}: expected {', '.join(FILES)}, received other files.")
        return {name: archives.read(path, name) for name in FILES}
    except InputError as error:
        detail = str(error).replace(str(path), path.name)
        raise RunError(f"{detail} Nothing was written. The files are also at {SITE}/data.") from error
